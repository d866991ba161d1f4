"""Why a run ended: a series of runs goes on after one that has converged, and not after Ctrl-C."""

from collections.abc import Mapping

import numpy as np

from pinnjax.problems import Recipe
from pinnjax.train.fit import STUCK


def interrupted(
    history: Mapping[str, np.ndarray], recipe: Recipe, steps: int | None, taken: float, seconds: float | None
) -> bool:
    """Whether a run ended neither with its steps nor with its time nor where no step was taken any more.

    Args:
        history: of `pinnjax.fit`.
        recipe: of the run.
        steps: of its last phase; the recipe's when None.
        taken: seconds that it took.
        seconds: that it might take.

    Example:
        >>> from pinnjax.problems import harmonic
        >>> history = {"step": np.arange(1, 8), "skipped": np.zeros(7, int)}
        >>> print([interrupted(history, harmonic.recipes["plain"], steps, 3.0, None) for steps in (7, 9)])
        [False, True]
    """
    if seconds is not None and taken >= seconds:
        return False
    last = len(recipe.phases) - 1
    phase = np.asarray(history.get("phase", np.zeros(len(history["step"]))))
    if np.sum(phase == last) >= (steps or recipe.steps):
        return False
    skipped = np.concatenate([[0], np.asarray(history["skipped"])])
    return len(skipped) <= STUCK or bool(skipped[-1] - skipped[-1 - STUCK] < STUCK)
