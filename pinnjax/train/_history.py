"""Histories: one array a metric, whose entries stay beside one another, also where a metric joins or leaves a run."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from pinnjax.train.state import TrainState

History = dict[str, np.ndarray]
EVALUATION = "evaluation/"  # these have an entry an evaluation, the others one a recorded step


def empty(update: Callable, state: TrainState, batch: Any, phase: int | None = None) -> History:
    """A history of no steps, whose metrics have names, shapes and dtypes; made before anything can be lost."""
    own = {"step": np.zeros(0, int)} | in_phase(phase, 0)
    metrics = jax.eval_shape(update, state, batch)[1]
    taken = sorted(name for name in metrics if name in own or name.startswith("evaluation/"))
    if taken:
        raise ValueError(f"the metrics have the names {taken}, which the history needs; expected others")
    shapes = {name: (0, *metric.shape) for name, metric in metrics.items()}
    return own | {name: np.zeros(shape, metrics[name].dtype) for name, shape in shapes.items()}


def in_phase(phase: int | None, steps: int) -> History:
    """The metric that says in which phase of a run a step was; none where there are no phases."""
    return {} if phase is None else {"phase": np.full(steps, phase)}


def thinned(metrics: Mapping[str, np.ndarray], before: int, every: int) -> History:
    """Every so many of the steps that follow the first `before`."""
    steps = before + 1 + np.arange(len(metrics["loss"]))
    kept = steps % every == 0
    return {"step": steps[kept]} | {name: np.asarray(values)[kept] for name, values in metrics.items()}


def joined(pieces: Sequence[History]) -> History:
    """Histories one after another; NaN where a piece does not have a metric.

    Args:
        pieces: each with `step`, or `evaluation/step`, or both.

    Returns:
        One history.

    Raises:
        ValueError: when a metric has another shape in one piece than in another.

    Example:
        >>> old, new = {"step": np.array([1, 2])}, {"step": np.array([3]), "rank": np.array([7.0])}
        >>> print(joined([old, new]))
        {'step': array([1, 2, 3]), 'rank': array([nan, nan,  7.])}
    """
    names = {name: None for piece in pieces for name in piece}  # a dict, since it keeps the order
    return {name: _one(name, pieces) for name in names}


def _one(name: str, pieces: Sequence[History]) -> np.ndarray:
    axis = EVALUATION + "step" if name.startswith(EVALUATION) else "step"
    had = [piece[name] for piece in pieces if name in piece]
    shapes = sorted({values.shape[1:] for values in had})
    if len(shapes) > 1:
        raise ValueError(f"the metric {name!r} has shape {shapes[0]} in one part of a run and {shapes[1]} in another")
    dtype = np.result_type(*had)
    missing = dtype if np.issubdtype(dtype, np.inexact) else np.dtype(float)
    return np.concatenate(
        [
            piece[name] if name in piece else np.full((len(piece[axis]), *shapes[0]), np.nan, missing)
            for piece in pieces
            if axis in piece
        ]
    )
