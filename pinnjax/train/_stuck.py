"""Runs that go nowhere: how many steps in a row were not taken, and why."""

from collections.abc import Mapping
from typing import Any

import numpy as np

# Steps in a row that are not taken after which a run is over. With a sampler each of them had other points: were half
# of all minibatches broken, this would come once in 1e30 runs. Without one nothing changes, and it costs seconds.
STUCK = 100


def not_taken(before: np.ndarray, skipped: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How many of the last steps in a row were not taken, from the counts of skipped steps `(steps, ...)`."""
    taken = np.diff(np.concatenate([skipped[None], counts]), axis=0) == 0
    trailing = np.argmax(np.concatenate([taken[::-1], np.ones_like(taken[:1])]), axis=0)
    return np.asarray(trailing + np.where(taken.any(axis=0), 0, before))


def broken(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The terms that were not finite in between, from the counts."""
    return [name for name in after if np.any(np.asarray(after[name]) > np.asarray(before[name]))]


def why(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """In words, from the counts of steps that were not finite, by term, before and after them."""
    terms = broken(before, after)
    if terms:
        return f"loss or gradient were not finite (terms {terms}); the state is that of the last finite step"
    return (
        "every term was finite, but no step lowered the loss: the run has converged to rounding (or the optimiser's "
        "updates are not finite)"
    )
