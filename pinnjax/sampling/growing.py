"""A domain that grows along one coordinate: early times first.

References:
  Wight, Zhao, `Solving Allen-Cahn and Cahn-Hilliard equations using the adaptive physics informed neural networks
  <https://arxiv.org/abs/2007.04542>`_, 2020: Section 3.2, adaptive sampling in time.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from pinnjax import checks
from pinnjax.sampling.sampler import Draw, Points, Residuals, Sampler
from pinnjax.terms import losses, names

PyTree = Any


class GrowingState(NamedTuple):
    """State of `growing`.

    Attributes:
        sampler: of the sampler that draws.
        share: `()`, of the coordinate's interval that is in use.
        draws: `()`, steps so far.
    """

    sampler: PyTree
    share: Float[Array, ""]
    draws: Int[Array, ""]


def growing(
    sampler: Sampler,
    below: float,
    weights: Mapping[str, float] | None = None,
    *,
    axis: int,
    start: float,
    first: float = 0.1,
    factor: float = 1.5,
    every: int = 250,
) -> Sampler:
    """Squeeze points towards the start of a coordinate, and let them out as the residuals there become small.

    A point at t is moved to start + a (t - start). The share a begins small, and is multiplied by a factor, up to 1,
    whenever the loss is small enough. A network that sees all times at once may satisfy the equation at late times
    around a wrong solution, before it knows the right one at early times.

    Args:
        sampler: who draws, uniformly or not, in the whole domain. It sees the residuals at the squeezed points.
        below: the loss Σ λ mean r² of the sampler's terms below which the domain grows, >= 0; of points that training
            has not seen yet.
        weights: `{residual: λ}` in it; 1 for others, and for all when None.
        axis: number of the coordinate; negative ones count from the end.
        start: its value at the start.
        first: share in the beginning, in (0, 1].
        factor: by which it grows, > 1.
        every: steps between two decisions; the sampler's own number, so that points stay as long as it says.

    Returns:
        A sampler of the same terms.

    Raises:
        ValueError: when a number is out of range, or points have no such coordinate.

    Cost: when due, the residuals at the points.

    Example:
        >>> from pinnjax.sampling import box, resample
        >>> inside = resample(lambda key: {"ode": box(key, [0.0], [8.0], 100)}, every=2)
        >>> sampler = growing(inside, 100.0, axis=0, start=0.0, first=0.25, factor=2.0, every=2)
        >>> state, ends = sampler.init(jax.random.key(0)), []
        >>> for _ in range(6):
        ...     drawn, state = sampler.update(state, residuals=lambda points: points)
        ...     ends.append(int(jnp.ceil(drawn.points["ode"].max())))
        >>> print(ends)
        [2, 2, 4, 4, 8, 8]
    """
    checks.number("growing: below", below, 0.0)
    checks.number("growing: first", first, 1e-6, 1.0)
    checks.number("growing: factor", factor, 1.0 + 1e-6)
    checks.count("growing: every", every)
    known = {} if weights is None else dict(weights)

    def init(key: Array) -> GrowingState:
        return GrowingState(sampler.init(key), jnp.asarray(first, float), jnp.zeros((), jnp.int32))

    def squeezed(points: Points, share: Array) -> Points:
        return {term: _squeezed(some, axis, start, share) for term, some in points.items()}

    def small(residuals: dict[str, Array]) -> Array:
        each = [known.get(name, 1.0) * losses.loss(r) for name, r in residuals.items()]
        return jnp.asarray(sum(each) < below)

    def update(state: GrowingState, *, residuals: Residuals) -> tuple[Draw, GrowingState]:
        there = lambda points: residuals(squeezed(points, state.share))
        drawn, inner = sampler.update(state.sampler, residuals=there)
        due = (state.draws > 0) & (state.draws % every == 0)
        grows = jax.lax.cond(due, lambda: small(there(drawn.points)), lambda: jnp.zeros((), bool))
        share = jnp.where(grows, jnp.minimum(state.share * factor, 1.0), state.share)
        moved = Draw(squeezed(drawn.points, share), drawn.weights, drawn.index, drawn.previous_index)
        return moved, GrowingState(inner, share, state.draws + 1)

    pool = lambda state: squeezed(sampler.pool(state.sampler), state.share)
    return Sampler(init, update, pool, lambda state: sampler.short_lived(state.sampler))


def _squeezed(points: PyTree, axis: int, start: float, share: Array) -> PyTree:
    """The places among the points of a term, moved along the axis."""
    places = names.places(points)
    if places is None:
        return points
    if not -places.shape[1] <= axis < places.shape[1]:
        raise ValueError(f"growing: axis is {axis}; expected one of the {places.shape[1]} coordinates of the points")
    moved = places.at[:, axis].set(start + share.astype(places.dtype) * (places[:, axis] - start))
    return jax.tree.map(lambda leaf: moved if leaf is places else leaf, points)
