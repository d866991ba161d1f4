"""Runs that are lost, where an equation evolves in time: learning early times first may find the way.

A network may satisfy an equation around a wrong solution at late times, before it knows the right one at early times.
The jump between the two is then hidden between its points, and with new points it is found and moves on: residuals are
small in training and large elsewhere, draw after draw. Or it is not hidden, and nothing falls any more.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

TIMES = 10.0  # residuals at fresh points over those of training,
LEAST = 0.05  # where they are so large, in units of what an error of 100 % does to them,
IN_A_ROW = 4  # and stay so for that many evaluations
UNSOLVED = 3e-3  # residuals above it, in the same units,
STALLED = 0.9  # of which more than this share is left
AFTER = 8  # after so many evaluations


def watch() -> Callable[[Mapping[str, Any]], bool]:
    """For `pinnjax.Phase(until=...)`: whether the run is lost by now."""
    seen: list[tuple[float, float]] = []

    def until(metrics: Mapping[str, Any]) -> bool:
        validation = float(metrics["evaluation/validation"])
        if not np.isnan(validation):
            seen.append((validation, float(metrics["loss"])))
        return _lost(seen)

    return until


def lost(history: Mapping[str, np.ndarray], phase: int) -> bool:
    """The same of a history at its end.

    Example:
        >>> steps = np.arange(1, 6)
        >>> history = {"step": steps, "phase": 0 * steps + 1, "loss": 0 * steps + 1e-6}
        >>> history |= {"evaluation/step": steps, "evaluation/validation": np.array([2.0, 1.0, 1.0, 1.0, 1.0])}
        >>> print(lost(history, 1), lost(history | {"loss": 0 * steps + 0.5}, 1))
        True False
    """
    at = np.searchsorted(history["step"], history["evaluation/step"])
    own = history["phase"][at] == phase
    values = zip(history["evaluation/validation"][own], history["loss"][at][own], strict=True)
    return _lost([(float(v), float(loss)) for v, loss in values if not np.isnan(v)])


def _lost(seen: Sequence[tuple[float, float]]) -> bool:
    """Of losses at fresh points and in training."""
    hidden = [v > LEAST**2 and not v < TIMES**2 * loss for v, loss in seen[-IN_A_ROW:]]
    if len(hidden) == IN_A_ROW and all(hidden):
        return True
    before, after = ([v for v, _ in part] for part in (seen[:-AFTER], seen[-AFTER:]))
    return bool(before) and min(after) > max(UNSOLVED**2, STALLED**2 * min(before))
