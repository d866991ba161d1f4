"""What adaptive samplers share: points that are renewed every so many steps, within `lax.cond`."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from pinnjax import checks
from pinnjax.sampling.sampler import Draw, Residuals, Sampler

PyTree = Any
Generator = Callable[[Array, int], PyTree]
Score = Callable[[Mapping[str, Array]], Array]


class AdaptiveState(NamedTuple):
    """State of the adaptive samplers.

    Attributes:
        key: random key.
        points: of the term, with leaves `(n, ...)`.
        active: `()`, how many of them are in use.
        draws: `()`, draws so far.
    """

    key: Array
    points: PyTree
    active: Int[Array, ""]
    draws: Int[Array, ""]


Renew = Callable[[AdaptiveState, Array, Residuals], tuple[PyTree, Array, Array]]


def renewing(rule: str, term: str, generate: Generator, n: int, capacity: int, every: int, renew: Renew) -> Sampler:
    """The sampler that calls `renew(state, key, residuals) -> (points, previous_index, active)` when it is due."""
    checks.number(f"{rule}: n", n, 1)
    checks.number(f"{rule}: every", every, 1)

    def init(key: Array) -> AdaptiveState:
        key, now = jax.random.split(key)
        active = jnp.asarray(n, jnp.int32)
        return AdaptiveState(key, _filled(generate(now, capacity), active), active, jnp.zeros((), jnp.int32))

    def update(state: AdaptiveState, *, residuals: Residuals) -> tuple[Draw, AdaptiveState]:
        key, now = jax.random.split(state.key)
        due = (state.draws > 0) & (state.draws % every == 0)
        stay = lambda: (state.points, jnp.arange(capacity), state.active)

        def move() -> tuple[PyTree, Array, Array]:
            points, previous_index, active = renew(state, now, residuals)
            return points, previous_index.astype(jnp.arange(1).dtype), active.astype(jnp.int32)

        points, previous_index, active = jax.lax.cond(due, move, stay)
        weights = {}
        if capacity > n:
            points = _filled(points, active)
            dtype = jnp.result_type(*[leaf.dtype for leaf in jax.tree.leaves(points)])
            weights[term] = jnp.where(jnp.arange(capacity) < active, capacity / active, 0).astype(dtype)
        drawn = Draw({term: points}, weights, previous_index={term: previous_index})
        return drawn, AdaptiveState(key, points, active, state.draws + 1)

    return Sampler(init, update, lambda state: {term: state.points})


def _filled(points: PyTree, active: Array) -> PyTree:
    """Places that are not in use repeat points that are, so that no maximum over the places sees another point."""
    place = jnp.arange(len(jax.tree.leaves(points)[0]))
    return jax.tree.map(lambda leaf: leaf[jnp.where(place < active, place, place % active)], points)
