"""Samplers that go where the residual is large: RAD, RAR-G and RAR-D, in the program and of fixed shapes.

References:
  Wu, Zhu, Tan, Kartha, Lu, `A comprehensive study of non-adaptive and residual-based adaptive sampling for
  physics-informed neural networks <https://arxiv.org/abs/2207.10289>`_, Computer Methods in Applied Mechanics and
  Engineering 403, 2023: Algorithms 1 to 3.

  Lu, Meng, Mao, Karniadakis, `DeepXDE <https://arxiv.org/abs/1907.04502>`_, SIAM Review 63, 2021 (RAR-G).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ScalarLike

from pinnjax import checks
from pinnjax.sampling import sampler
from pinnjax.sampling._renewing import AdaptiveState, Generator, Renew, Score, renewing
from pinnjax.sampling.sampler import Residuals, Sampler

PyTree = Any


def rad(
    term: str,
    generate: Generator,
    n: int,
    *,
    candidates: int,
    every: int = 1000,
    k: ScalarLike = 1.0,
    c: ScalarLike = 1.0,
    score: Score = sampler.score,
) -> Sampler:
    """Draw all points anew, more of them where the residual is large.

    Replace all points by a draw from fresh candidates with p ∝ |r|^k / mean |r|^k + c (RAD).

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
        found = score(residuals({term: fresh}))
        chosen = _distinct(second, _density(found, k, c), n)
        return _taken(fresh, chosen), jnp.full(n, -1), state.active

    return renewing("rad", term, generate, n, n, every, renew)


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
    score: Score = sampler.score,
) -> Sampler:
    """Add points, more of them where the residual is large.

    Add points drawn from fresh candidates with p ∝ |r|^k / mean |r|^k + c, until the capacity is reached (RAR-D).

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
    return renewing("rar_d", term, generate, n, capacity, every, renew)


def rar_g(
    term: str,
    generate: Generator,
    n: int,
    *,
    capacity: int,
    candidates: int,
    every: int = 1000,
    add: int = 1,
    score: Score = sampler.score,
) -> Sampler:
    """Add the points with the largest residuals.

    Add the candidates with the largest residuals, until the capacity is reached (RAR-G).

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
    return renewing("rar_g", term, generate, n, capacity, every, renew)


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
        found = score(residuals({term: fresh}))
        new = _taken(fresh, choose(second, found))
        places = state.active + jnp.arange(added)  # those beyond the capacity are dropped
        points = jax.tree.map(lambda old, some: old.at[places].set(some, mode="drop"), state.points, new)
        previous_index = jnp.arange(capacity).at[places].set(-1, mode="drop")
        return points, previous_index, jnp.minimum(state.active + added, capacity)

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
