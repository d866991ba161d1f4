"""A run on many devices: where its state and its points lie."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding

from pinnjax.terms.spread import POINTS, SEEDS
from pinnjax.train.state import TrainState

PyTree = Any
Shardings = tuple[Any, ...] | None  # of the leaves of a state; None on one device
HESSIAN = ".inverse_hessian"  # the one part of a state that is too large to lie on every device


@contextlib.contextmanager
def over(mesh: Mesh | None) -> Iterator[Mesh | None]:
    """The mesh, set for what is traced and run inside, its axes those that XLA splits by itself.

    Raises:
        TypeError: when it is no mesh.
        ValueError: when it has other axes than "points" and "seeds".
    """
    if mesh is None:
        yield None
        return
    if not isinstance(mesh, Mesh):
        raise TypeError(f'fit: mesh is a {type(mesh).__name__}; expected jax.make_mesh((8,), ("points",))')
    if not mesh.axis_names or set(mesh.axis_names) - {POINTS, SEEDS}:
        raise ValueError(f'fit: the mesh has axes {mesh.axis_names}; expected "points", "seeds" or both')
    mesh = Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))
    with jax.set_mesh(mesh):
        yield mesh


def state_over(mesh: Mesh | None, state: TrainState) -> TrainState:
    """The state on every device; seeds along theirs, an inverse Hessian by its columns along the points'."""
    if mesh is None:
        return state
    seeds = np.ndim(state.step) > 0
    if seeds and SEEDS in mesh.axis_names and len(state.step) % mesh.shape[SEEDS]:
        raise ValueError(f"fit: {len(state.step)} seeds on {mesh.shape[SEEDS]} devices; expected a multiple of them")
    first = [SEEDS if SEEDS in mesh.axis_names else None] if seeds else []

    def one(path: Any, leaf: jax.Array) -> jax.Array:
        large = jax.tree_util.keystr(path).endswith(HESSIAN) and POINTS in mesh.axis_names
        columns = [None, POINTS] if large and leaf.shape[-1] % mesh.shape[POINTS] == 0 else []
        return _placed(leaf, NamedSharding(mesh, jax.P(*first, *columns)))

    return jax.tree_util.tree_map_with_path(one, state)


def points_over(
    mesh: Mesh | None, batch: Mapping[str, PyTree] | None, axes: Mapping[str, int | None]
) -> Mapping[str, PyTree] | None:
    """The points of a batch along the devices, where they can be split evenly; `axes`: that of seeds, for each term."""
    if mesh is None or batch is None:
        return batch

    def one(leaf: Any, seeds: int | None) -> jax.Array:
        spec = [] if seeds is None else [SEEDS if SEEDS in mesh.axis_names else None]
        rows = np.shape(leaf)[len(spec)] if np.ndim(leaf) > len(spec) else 0
        even = POINTS in mesh.axis_names and rows and rows % mesh.shape[POINTS] == 0
        return _placed(leaf, NamedSharding(mesh, jax.P(*spec, *([POINTS] if even else []))))

    return {t: jax.tree.map(lambda leaf, t=t: one(leaf, axes.get(t)), points) for t, points in batch.items()}


def shardings(mesh: Mesh | None, state: TrainState) -> Shardings:
    """How the leaves of a state lie: what comes out of a call lies as what went in, and nothing compiles again."""
    return None if mesh is None else tuple(leaf.sharding for leaf in jax.tree.leaves(state))


def agreed(mesh: Mesh | None, flag: bool) -> bool:
    """Whether it is so in any process: they end together, or who goes on waits for the others for ever."""
    if mesh is None or jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


def _placed(leaf: Any, how: NamedSharding) -> jax.Array:
    """An array on the devices; where some are another process's, each process has the same array and takes its part."""
    if how.is_fully_addressable or (isinstance(leaf, jax.Array) and not leaf.is_fully_addressable):
        return jax.device_put(leaf, how)
    if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_placed(jax.random.key_data(leaf), how), impl=jax.random.key_impl(leaf))
    local = np.asarray(leaf)
    return jax.make_array_from_callback(local.shape, how, lambda index: local[index])


def laid(state: TrainState, metrics: PyTree, how: Shardings) -> tuple[TrainState, PyTree]:
    """The same, inside a program; metrics everywhere, so that every process can read them."""
    if how is None:
        return state, metrics
    leaves, structure = jax.tree.flatten(state)
    state = jax.tree.unflatten(structure, map(jax.lax.with_sharding_constraint, leaves, how))
    return state, jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, jax.P()), metrics)
