"""Samplers that go where the residual is large: RAD, RAR-G, RAR-D and R3, in the program and of fixed shapes.

References:
  Wu, Zhu, Tan, Kartha, Lu, `A comprehensive study of non-adaptive and residual-based adaptive sampling for
  physics-informed neural networks <https://arxiv.org/abs/2207.10289>`_, Computer Methods in Applied Mechanics and
  Engineering 403, 2023: Algorithms 1 to 3.

  Lu, Meng, Mao, Karniadakis, `DeepXDE <https://arxiv.org/abs/1907.04502>`_, SIAM Review 63, 2021 (RAR-G).

  Daw, Bu, Wang, Perdikaris, Karpatne, `Mitigating propagation failures in physics-informed neural networks using
  retain-resample-release (R3) sampling <https://arxiv.org/abs/2207.02338>`_, ICML 2023: Algorithm 1.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, ScalarLike

from pinnjax import checks
from pinnjax.sampling import sampler as sampler_
from pinnjax.sampling.sampler import Draw, Residuals, Sampler

PyTree = Any
Generator = Callable[[Array, int], PyTree]
Score = Callable[[Mapping[str, Array]], Array]


class AdaptiveState(NamedTuple):
    """State of the samplers of this file.

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


def rad(
    term: str,
    generate: Generator,
    n: int,
    *,
    candidates: int,
    every: int = 1000,
    k: ScalarLike = 1.0,
    c: ScalarLike = 1.0,
    score: Score = sampler_.score,
) -> Sampler:
    """Replace all points by a draw from fresh candidates with p ∝ |r|^k / mean |r|^k + c (RAD).

    The first points are uniform; every `every` steps the residual is evaluated at fresh candidates and n of them are
    taken, without replacement.

    Args:
        term: name of the term.
        generate: `generate(key, n) -> points`, pure; uniform in the domain.
        n: number of points.
        candidates: number of candidates, >= n.
        every: steps between two replacements, >= 1.
        k: exponent; larger is sharper.
        c: share of uniform points, >= 0.
        score: what stands for |r|; a function of the residuals of the term, `{equation: (n,) or (n, m)}`, to `(n,)`.

    Returns:
        A sampler of this term; `combine` it with those of the others. A new point is nobody's successor, so per-point
        memory starts anew.

    Raises:
        ValueError: when a number is out of range.

    Cost: when due, the residuals of the candidates.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from pinnjax.sampling import box
        >>> sampler = rad("pde", lambda key, n: box(key, [0.0], [1.0], n), 200, candidates=4000, every=1, c=0.0)
        >>> residuals = lambda points: {"pde": (points["pde"][:, 0] > 0.9) * 1.0}
        >>> drawn, state = sampler.update(sampler.init(jax.random.key(0)), residuals=residuals)
        >>> drawn, state = sampler.update(state, residuals=residuals)
        >>> print(bool(jnp.all(drawn.points["pde"] > 0.9)))
        True
    """
    checks.number("rad: candidates", candidates, n)
    checks.number("rad: k", k, 0.0)
    checks.number("rad: c", c, 0.0)

    def renew(state: AdaptiveState, key: Array, residuals: Residuals) -> tuple[PyTree, Array, Array]:
        first, second = jax.random.split(key)
        fresh = generate(first, candidates)
        found = score(sampler_.of_term(term, residuals({term: fresh})))
        chosen = _distinct(second, _density(found, k, c), n)
        return _taken(fresh, chosen), jnp.full(n, -1), state.active

    return _sampler("rad", term, generate, n, n, every, renew)


def rar_d(
    term: str,
    generate: Generator,
    n: int,
    *,
    capacity: int,
    candidates: int,
    every: int = 1000,
    add: int | None = None,
    k: ScalarLike = 2.0,
    c: ScalarLike = 0.0,
    score: Score = sampler_.score,
) -> Sampler:
    """Add points drawn from fresh candidates with p ∝ |r|^k / mean |r|^k + c, until the capacity is reached (RAR-D).

    Args:
        term: as in `rad`.
        generate: as in `rad`.
        n: number of points at the start.
        capacity: largest number of points; places not in use yet have weight 0, so that shapes stay.
        candidates: number of candidates, >= add.
        every: steps between two rounds, >= 1.
        add: new points a round; n / 200, at least 1, when None, as in the paper.
        k: as in `rad`.
        c: as in `rad`.
        score: as in `rad`.

    Returns:
        A sampler of this term. Points stay once they are in, so point weights stay with them.

    Raises:
        ValueError: when a number is out of range.

    Example:
        >>> import jax
        >>> from pinnjax.sampling import box
        >>> uniform = lambda key, n: box(key, [0.0], [1.0], n)
        >>> sampler = rar_d("pde", uniform, 4, capacity=6, candidates=50, every=1, add=1)
        >>> state = sampler.init(jax.random.key(0))
        >>> for _ in range(2):
        ...     drawn, state = sampler.update(state, residuals=lambda points: {"pde": points["pde"][:, 0]})
        >>> print(drawn.weights["pde"])  # five of six places in use, and the mean over them
        [1.2 1.2 1.2 1.2 1.2 0. ]
    """
    added = max(1, n // 200) if add is None else add
    checks.number("rar_d: capacity", capacity, n)
    checks.number("rar_d: candidates", candidates, added)

    def choose(key: Array, found: Array) -> Array:
        return _distinct(key, _density(found, k, c), added)

    renew = _adding(term, generate, capacity, candidates, added, score, choose)
    return _sampler("rar_d", term, generate, n, capacity, every, renew)


def rar_g(
    term: str,
    generate: Generator,
    n: int,
    *,
    capacity: int,
    candidates: int,
    every: int = 1000,
    add: int = 1,
    score: Score = sampler_.score,
) -> Sampler:
    """Add the candidates with the largest residuals, until the capacity is reached (RAR-G).

    Args and returns are those of `rar_d`, without k and c.

    Example:
        >>> import jax
        >>> from pinnjax.sampling import box
        >>> uniform = lambda key, n: box(key, [0.0], [1.0], n)
        >>> sampler = rar_g("pde", uniform, 4, capacity=5, candidates=1000, every=1)
        >>> state = sampler.init(jax.random.key(0))
        >>> for _ in range(2):
        ...     drawn, state = sampler.update(state, residuals=lambda points: {"pde": points["pde"][:, 0]})
        >>> print(bool(drawn.points["pde"][4, 0] > 0.99))
        True
    """
    checks.number("rar_g: capacity", capacity, n)
    checks.number("rar_g: candidates", candidates, add)
    choose = lambda key, found: jax.lax.top_k(found, add)[1]
    renew = _adding(term, generate, capacity, candidates, add, score, choose)
    return _sampler("rar_g", term, generate, n, capacity, every, renew)


def r3(term: str, generate: Generator, n: int, *, every: int = 1, score: Score = sampler_.score) -> Sampler:
    """Retain the points with |r| > mean |r|, resample the others (R3).

    Args:
        term: as in `rad`.
        generate: as in `rad`.
        n: number of points.
        every: steps between two rounds, >= 1; 1 as in the paper.
        score: as in `rad`.

    Returns:
        A sampler of this term. Retained points keep their place, and their weights.

    Raises:
        ValueError: when a number is out of range.

    Cost: when due, the residuals of the points, which the step evaluates as well.

    Example:
        >>> import jax
        >>> from pinnjax.sampling import box
        >>> sampler = r3("pde", lambda key, n: box(key, [0.0], [1.0], n), 100)
        >>> def step(state, _):
        ...     drawn, state = sampler.update(state, residuals=lambda points: {"pde": points["pde"][:, 0]})
        ...     return state, drawn.points["pde"].mean()
        >>> _, means = jax.lax.scan(step, sampler.init(jax.random.key(0)), length=30)
        >>> print(bool(means[-1] > 0.6))  # where the residual is large, points pile up
        True
    """

    def renew(state: AdaptiveState, key: Array, residuals: Residuals) -> tuple[PyTree, Array, Array]:
        found = score(sampler_.of_term(term, residuals({term: state.points})))
        kept = found > jnp.mean(found)
        fresh = generate(key, n)
        points = jax.tree.map(lambda old, new: _where(kept, old, new), state.points, fresh)
        return points, jnp.where(kept, jnp.arange(n), -1), state.active

    return _sampler("r3", term, generate, n, n, every, renew)


Renew = Callable[[AdaptiveState, Array, Residuals], tuple[PyTree, Array, Array]]


def _sampler(rule: str, term: str, generate: Generator, n: int, capacity: int, every: int, renew: Renew) -> Sampler:
    """The sampler that calls `renew(state, key, residuals) -> (points, origin, active)` when it is due."""
    checks.number(f"{rule}: n", n, 1)
    checks.number(f"{rule}: every", every, 1)

    def init(key: Array) -> AdaptiveState:
        key, now = jax.random.split(key)
        return AdaptiveState(key, generate(now, capacity), jnp.asarray(n, jnp.int32), jnp.zeros((), jnp.int32))

    def update(state: AdaptiveState, *, residuals: Residuals) -> tuple[Draw, AdaptiveState]:
        key, now = jax.random.split(state.key)
        due = (state.draws > 0) & (state.draws % every == 0)
        stay = lambda: (state.points, jnp.arange(capacity), state.active)

        def move() -> tuple[PyTree, Array, Array]:
            points, origin, active = renew(state, now, residuals)
            return points, origin.astype(jnp.arange(1).dtype), active.astype(jnp.int32)

        points, origin, active = jax.lax.cond(due, move, stay)
        weights = {}
        if capacity > n:
            dtype = jnp.result_type(*[leaf.dtype for leaf in jax.tree.leaves(points)])
            weights[term] = jnp.where(jnp.arange(capacity) < active, capacity / active, 0).astype(dtype)
        drawn = Draw({term: points}, weights, origin={term: origin})
        return drawn, AdaptiveState(key, points, active, state.draws + 1)

    return Sampler(init, update, lambda state: {term: state.points})


def _adding(
    term: str,
    generate: Generator,
    capacity: int,
    candidates: int,
    added: int,
    score: Score,
    choose: Callable[[Array, Array], Array],
) -> Renew:
    """Fill the next places with chosen candidates; nothing changes once all are in use."""

    def renew(state: AdaptiveState, key: Array, residuals: Residuals) -> tuple[PyTree, Array, Array]:
        first, second = jax.random.split(key)
        fresh = generate(first, candidates)
        found = score(sampler_.of_term(term, residuals({term: fresh})))
        new = _taken(fresh, choose(second, found))
        places = state.active + jnp.arange(added)  # those beyond the capacity are dropped
        points = jax.tree.map(lambda old, some: old.at[places].set(some, mode="drop"), state.points, new)
        origin = jnp.arange(capacity).at[places].set(-1, mode="drop")
        return points, origin, jnp.minimum(state.active + added, capacity)

    return renew


def _density(found: Array, k: ScalarLike, c: ScalarLike) -> Array:
    """|r|^k / mean |r|^k + c, which is proportional to p; uniform where it would not be finite."""
    powers = (found / jnp.max(found)) ** k
    density = powers / jnp.mean(powers) + c
    return jnp.where(jnp.isfinite(density), density, 1.0)


def _distinct(key: Array, density: Array, n: int) -> Array:
    """N places drawn with p ∝ density, without replacement (Gumbel's trick)."""
    gumbel = jax.random.gumbel(key, density.shape, density.dtype)
    return jax.lax.top_k(jnp.log(density) + gumbel, n)[1]


def _taken(points: PyTree, index: Array) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[index], points)


def _where(mask: Array, one: Array, other: Array) -> Array:
    return jnp.where(mask.reshape(mask.shape + (1,) * (one.ndim - 1)), one, other)
