"""The interface of a sampler, the plainest one, and several side by side."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from pinnjax import checks
from pinnjax.terms import losses

PyTree = Any
Points = dict[str, PyTree]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Draw:
    """What a sampler hands to a step, a pytree: the points, and who they are.

    Attributes:
        points: `{term: points}`, of the same shapes in every step.
        weights: `{term: (n,)}`, with which the points count in a mean over the domain, and the point-space chain
            starts: 1 / (N p) of importance sampling, or 0 for places not in use; ones for a term that is left out.
        index: `{term: (n,)}`, the place of each point in the term's pool; 0, 1, 2, ... for a term that is left out.
        previous_index: `{term: (N,)}`, for each place of the pool the place that its point had in the step before, or
            -1 where it is new; for a term that is left out every point stayed where it was.
    """

    points: Points
    weights: Mapping[str, Float[Array, " n"]] = dataclasses.field(default_factory=dict)
    index: Mapping[str, Int[Array, " n"]] = dataclasses.field(default_factory=dict)
    previous_index: Mapping[str, Int[Array, " N"]] = dataclasses.field(default_factory=dict)


Residuals = Callable[[Points], dict[str, Array]]


class Sampler(NamedTuple):
    """Three pure functions, and which points live no longer than a step.

    Attributes:
        init: `init(key) -> state`.
        update: `update(state, *, residuals) -> (draw, state)`; `residuals({term: points})` evaluates the residuals of
            the present parameters, unweighted, for samplers that ask.
        pool: `pool(state) -> {term: points}`, all points that `index` and `previous_index` are about.
        short_lived: `short_lived(state) -> {term, ...}`, whose points are all new in every step, so that no weight can
            belong to them.
    """

    init: Callable[[Array], PyTree]
    update: Callable[..., tuple[Draw, PyTree]]
    pool: Callable[[PyTree], Points]
    short_lived: Callable[[PyTree], set[str]] = lambda state: set()


class ResampledState(NamedTuple):
    """State of `resample` where points live for several steps.

    Attributes:
        key: random key.
        points: `{term: points}`, those in use.
        draws: `()`, steps so far.
    """

    key: Array
    points: Points
    draws: Int[Array, ""]


def resample(draw: Callable[[Array], Points], *, every: int = 1) -> Sampler:
    """Draw new points in every step, or in every so many, inside the program.

    Args:
        draw: `draw(key) -> {term: points}`, pure and of fixed shapes.
        every: steps that points live, >= 1. An optimiser that remembers gradients of one loss, as quasi-Newton methods
            do, wants many.

    Returns:
        A sampler. With `every=1` its state is its random key, and no point lives longer than a step, so point weights
        with a memory have to leave its terms out. Otherwise memory lasts as long as its points, and starts anew with
        new ones.

    Raises:
        ValueError: when `every` is no integer >= 1.

    Cost: when due, a draw.

    Example:
        >>> import jax
        >>> from pinnjax.sampling import box
        >>> sampler = resample(lambda key: {"pde": box(key, [0.0, 0.0], [1.0, 2.0], 3)}, every=2)
        >>> state, seen = sampler.init(jax.random.key(0)), []
        >>> for _ in range(4):
        ...     drawn, state = sampler.update(state, residuals=None)
        ...     seen.append(drawn.points["pde"])
        >>> print([bool((seen[i] == seen[i - 1]).all()) for i in (1, 2, 3)], drawn.previous_index["pde"])
        [True, False, True] [0 1 2]
    """
    checks.count("resample: every", every)
    if every > 1:
        return _resampled(draw, every)

    def update(key: Array, *, residuals: Residuals | None) -> tuple[Draw, Array]:
        del residuals
        key, now = jax.random.split(key)
        points = draw(now)
        previous_index = {name: jnp.full(_length(x), -1) for name, x in points.items()}  # nobody's successors
        return Draw(points, previous_index=previous_index), key

    return Sampler(lambda key: key, update, draw, lambda key: set(jax.eval_shape(draw, key)))


def _resampled(draw: Callable[[Array], Points], every: int) -> Sampler:
    def init(key: Array) -> ResampledState:
        key, now = jax.random.split(key)
        return ResampledState(key, draw(now), jnp.zeros((), jnp.int32))

    def update(state: ResampledState, *, residuals: Residuals | None) -> tuple[Draw, ResampledState]:
        del residuals
        due = (state.draws > 0) & (state.draws % every == 0)

        def anew() -> tuple[Array, Points]:
            key, now = jax.random.split(state.key)
            return key, draw(now)

        key, points = jax.lax.cond(due, anew, lambda: (state.key, state.points))
        places = {name: jnp.arange(_length(x)) for name, x in points.items()}
        previous_index = {name: jnp.where(due, -1, place) for name, place in places.items()}
        return Draw(points, previous_index=previous_index), ResampledState(key, points, state.draws + 1)

    return Sampler(init, update, lambda state: dict(state.points))


def _length(points: PyTree) -> int:
    return len(jax.tree.leaves(points)[0])


def combine(*samplers: Sampler) -> Sampler:
    """Several samplers side by side, each for terms of its own.

    Args:
        samplers: whose terms do not overlap.

    Returns:
        A sampler of all their terms.

    Raises:
        ValueError: when two of them draw points for one term.

    Example:
        >>> import jax
        >>> from pinnjax.sampling import box
        >>> inside = resample(lambda key: {"pde": box(key, [0.0], [1.0], 3)})
        >>> ends = resample(lambda key: {"bc": box(key, [0.0], [1.0], 2)})
        >>> both = combine(inside, ends)
        >>> drawn, state = both.update(both.init(jax.random.key(0)), residuals=None)
        >>> print(sorted(drawn.points))
        ['bc', 'pde']
    """

    def init(key: Array) -> tuple[PyTree, ...]:
        keys = jax.random.split(key, len(samplers))
        return tuple(sampler.init(k) for sampler, k in zip(samplers, keys, strict=True))

    def update(state: tuple[PyTree, ...], *, residuals: Residuals | None) -> tuple[Draw, tuple[PyTree, ...]]:
        results = [s.update(own, residuals=residuals) for s, own in zip(samplers, state, strict=True)]
        draws = [drawn for drawn, _ in results]
        names = [name for drawn in draws for name in drawn.points]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"combine: two samplers draw points for {twice}; expected each term in one of them")
        together = Draw(
            points={name: p for drawn in draws for name, p in drawn.points.items()},
            weights={name: w for drawn in draws for name, w in drawn.weights.items()},
            index={name: i for drawn in draws for name, i in drawn.index.items()},
            previous_index={name: o for drawn in draws for name, o in drawn.previous_index.items()},
        )
        return together, tuple(following for _, following in results)

    def pool(state: tuple[PyTree, ...]) -> Points:
        return {n: p for s, own in zip(samplers, state, strict=True) for n, p in s.pool(own).items()}

    def short_lived(state: tuple[PyTree, ...]) -> set[str]:
        return set().union(*(s.short_lived(own) for s, own in zip(samplers, state, strict=True)))

    return Sampler(init, update, pool, short_lived)


def score(residuals: Mapping[str, Array]) -> Float[Array, " n"]:
    """|r_i| over all equations of a term, the Euclidean norm: what adaptive samplers look at unless told otherwise."""
    squares = [losses.squared(r) for r in residuals.values()]
    return jnp.sqrt(sum(squares[1:], squares[0]))
