"""Seeds: states that `jax.vmap` stacked train in one program."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from pinnjax.terms.spread import SEEDS, size_of
from pinnjax.train.state import TrainState

PyTree = Any
Axes = tuple[tuple[str, int | None], ...] | None


def axes(state: TrainState, batch: Mapping[str, PyTree] | None) -> Axes:
    """What a step over seeds maps: None for a state that is not stacked, else the axis of each term's points."""
    if np.ndim(state.step) == 0:
        return None
    if np.ndim(state.step) > 1:
        raise ValueError(f"fit: the state is stacked {np.shape(state.step)} times; expected one state or (seeds,)")
    return tuple((name, _seed_axis(name, points, len(state.step))) for name, points in (batch or {}).items())


def _seed_axis(name: str, points: PyTree, seeds: int) -> int | None:
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(points)]
    if min(map(len, shapes)) < 2 or max(map(len, shapes)) < 3:  # one row a point, and (n,) in a pytree
        return None
    if not isinstance(points, jax.Array | np.ndarray) and {shape[0] for shape in shapes} != {seeds}:
        return None  # a pytree may have leaves of any rank
    if {shape[0] for shape in shapes} != {seeds}:
        raise ValueError(f"fit: term {name!r} has points {shapes} for {seeds} seeds; expected (n, d) or (seeds, n, d)")
    return 0


def over_seeds(update: Callable, axes: Axes) -> Callable:
    """The update of one state, or of all."""
    name = SEEDS if size_of(SEEDS) > 1 else None
    return update if axes is None else jax.vmap(update, in_axes=(0, dict(axes) or None), spmd_axis_name=name)


def steps_seen(state: TrainState) -> int:
    """How many steps a state, or each of several, has seen."""
    seen = np.unique(np.asarray(state.step))
    if len(seen) != 1:
        raise ValueError(f"fit: the seeds have seen {seen.tolist()} steps; expected the same number")
    return int(seen[0])
