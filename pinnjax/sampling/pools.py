"""Minibatches from a pool of points that stay: shuffled epochs, and importance sampling."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, ScalarLike

from pinnjax import checks
from pinnjax.sampling import sampler
from pinnjax.sampling.sampler import Draw, Points, Residuals, Sampler

PyTree = Any


class MinibatchState(NamedTuple):
    """State of `minibatches`.

    Attributes:
        key: random key.
        orders: this epoch's order of the pool, `{term: (N,)}`.
        positions: first place in it that was not used yet, `{term: ()}`.
    """

    key: Array
    orders: dict[str, Int[Array, " N"]]
    positions: dict[str, Int[Array, ""]]


class ImportanceState(NamedTuple):
    """State of `importance`.

    Attributes:
        key: random key.
        probabilities: p, `{term: (N,)}`.
        draws: `()`, draws so far.
    """

    key: Array
    probabilities: dict[str, Float[Array, " N"]]
    draws: Int[Array, ""]


def minibatches(points: Mapping[str, PyTree], sizes: Mapping[str, int]) -> Sampler:
    """Walk through a pool in epochs: every point once, in a new random order each time.

    Args:
        points: the pool, `{term: points}`.
        sizes: points in a step, `{term: n}`; a term left out is used whole. What is left of an epoch when it does not
            fill a step is dropped.

    Returns:
        A sampler. Points keep their identity, so point weights travel with them.

    Raises:
        ValueError: when a size is not between 1 and the size of the pool, or names no term.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> sampler = minibatches({"pde": jnp.arange(6.0)[:, None]}, {"pde": 3})
        >>> state, seen = sampler.init(jax.random.key(0)), []
        >>> for _ in range(2):
        ...     drawn, state = sampler.update(state, residuals=None)
        ...     seen += drawn.points["pde"][:, 0].tolist()
        >>> print(sorted(seen))
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    """
    totals = _checked("minibatches", points, sizes)

    def init(key: Array) -> MinibatchState:
        key, now = jax.random.split(key)
        zero = jnp.zeros((), jnp.int32)
        orders = {name: _order(now, i, totals[name]) for i, name in enumerate(sizes)}
        return MinibatchState(key, orders, dict.fromkeys(sizes, zero))

    def update(state: MinibatchState, *, residuals: Residuals | None) -> tuple[Draw, MinibatchState]:
        del residuals
        key, now = jax.random.split(state.key)
        orders, positions, index = {}, {}, {}
        for i, (name, size) in enumerate(sizes.items()):
            over = state.positions[name] + size > totals[name]
            shuffle = lambda i=i, name=name: _order(now, i, totals[name])
            orders[name] = jax.lax.cond(over, shuffle, lambda name=name: state.orders[name])
            start = jnp.where(over, 0, state.positions[name])
            index[name] = jax.lax.dynamic_slice(orders[name], (start,), (size,))
            positions[name] = (start + size).astype(jnp.int32)
        return Draw(_taken(points, index), index=index), MinibatchState(key, orders, positions)

    return Sampler(init, update, lambda state: dict(points))


def importance(
    points: Mapping[str, PyTree],
    sizes: Mapping[str, int],
    *,
    every: int = 100,
    uniform: ScalarLike = 0.1,
    score: Callable[[Mapping[str, Array]], Array] = sampler.score,
) -> Sampler:
    """Draw from a pool where the residual is large; the loss stays unbiased.

    Draw from a pool with probability p_i ∝ score_i and weigh each point with 1 / (N p_i): the loss stays unbiased.

    The points come with replacement. Every `every` steps the score of the whole pool is evaluated, under `lax.cond`.

    Args:
        points: the pool, `{term: points}`.
        sizes: points in a step, `{term: n}`; a term left out is used whole.
        every: steps between two evaluations of the scores, >= 1.
        uniform: share of the uniform distribution in p, in (0, 1]: it bounds the weights by 1 / uniform.
        score: function of the residuals of a term, `{equation: (n,) or (n, m)}`, to `(n,)`, >= 0; |r| by default.

    Returns:
        A sampler. Points keep their identity, so point weights travel with them.

    Raises:
        ValueError: when a size or a number is out of range.

    Cost: when due, the residuals of the pool.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> pool = {"pde": jnp.array([[0.0], [3.0]])}
        >>> sampler = importance(pool, {"pde": 1000}, uniform=0.5)
        >>> residuals = lambda points: {"pde": points["pde"][:, 0]}
        >>> drawn, state = sampler.update(sampler.init(jax.random.key(0)), residuals=residuals)
        >>> print(state.probabilities["pde"])  # half of (1/2, 1/2) and half of (0, 1)
        [0.25 0.75]
        >>> print(bool(abs(jnp.mean(drawn.weights["pde"] * drawn.points["pde"][:, 0]) - 1.5) < 0.2))
        True
    """
    totals = _checked("importance", points, sizes, replace=True)
    checks.number("importance: every", every, 1)
    checks.number("importance: uniform", uniform, 1e-12, 1.0)

    def init(key: Array) -> ImportanceState:
        flat = {name: jnp.full(totals[name], 1 / totals[name]) for name in sizes}
        return ImportanceState(key, flat, jnp.zeros((), jnp.int32))

    def update(state: ImportanceState, *, residuals: Residuals) -> tuple[Draw, ImportanceState]:
        key, now = jax.random.split(state.key)

        def evaluate() -> dict[str, Array]:
            scores = {name: score(residuals({name: points[name]})) for name in sizes}
            return {name: _mixed(s, uniform, state.probabilities[name]) for name, s in scores.items()}

        probabilities = jax.lax.cond(state.draws % every == 0, evaluate, lambda: state.probabilities)
        index, weights = {}, {}
        for i, (name, size) in enumerate(sizes.items()):
            p = probabilities[name]
            index[name] = jax.random.choice(jax.random.fold_in(now, i), totals[name], (size,), p=p)
            weights[name] = 1 / (totals[name] * p[index[name]])
        return Draw(_taken(points, index), weights, index), ImportanceState(key, probabilities, state.draws + 1)

    return Sampler(init, update, lambda state: dict(points))


def _mixed(scores: Array, uniform: ScalarLike, old: Array) -> Array:
    total = jnp.sum(scores)
    sound = jnp.isfinite(total) & (total > 0)
    share = scores / jnp.where(sound, total, 1)
    return jnp.where(sound, (1 - uniform) * share + uniform / scores.size, old).astype(old.dtype)


def _order(key: Array, i: int, total: int) -> Array:
    """A random order of the pool of the i-th term."""
    return jax.random.permutation(jax.random.fold_in(key, i), total)


def _taken(points: Mapping[str, PyTree], index: Mapping[str, Array]) -> Points:
    return {
        name: jax.tree.map(lambda leaf, name=name: leaf[index[name]], value) if name in index else value
        for name, value in points.items()
    }


def _checked(
    what: str, points: Mapping[str, PyTree], sizes: Mapping[str, int], replace: bool = False
) -> dict[str, int]:
    checks.known_names(f"{what}: sizes", points, sizes)
    totals = {name: len(jax.tree.leaves(value)[0]) for name, value in points.items()}
    for name, size in sizes.items():
        checks.number(f"{what}: the size of {name!r}", size, 1, float("inf") if replace else totals[name])
    return totals
