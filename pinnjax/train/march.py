"""Marching along a coordinate such as time: one window after the other, each as long as least squares can follow.

References:
  Krishnapriyan, Gholami, Zhe, Kirby, Mahoney, `Characterizing possible failure modes in physics-informed neural
  networks <https://arxiv.org/abs/2109.01050>`_, Neural Information Processing Systems, 2021: Section 5.2,
  sequence-to-sequence learning.

  Wight, Zhao, `Solving Allen-Cahn and Cahn-Hilliard equations using the adaptive physics informed neural networks
  <https://arxiv.org/abs/2007.04542>`_, 2020: Section 3.3, adaptive time marching.
"""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from pinnjax import checks, nn, sampling
from pinnjax.derivatives import diff
from pinnjax.optimizers import gauss_newton
from pinnjax.term_weights import fixed
from pinnjax.terms import names
from pinnjax.train._marching import SHORTEST, March, Network
from pinnjax.train._marching import Piece as Piece
from pinnjax.train._orders import orders_of as orders_of
from pinnjax.train.state import TrainStep
from pinnjax.train.step import train_step

PyTree = Any
Draw = Callable[[Array], Mapping[str, PyTree]]


class Marched(NamedTuple):
    """What `march` made.

    Attributes:
        u: the field, up to `reached`; None where there is none.
        pieces: what each window came to; the last one is not part of the field where too much of its residuals is left.
        reached: how far the field goes, in units of the coordinate: to the end, unless the march was given up.
    """

    u: nn.Windows | None
    pieces: list[Piece]
    reached: float


CONTINUED = "continued"  # the term that makes a window go on where the one before ended,
HELD = "held"  # and the one that makes it stay there


def march(
    terms: Mapping[str, Any],
    draw: Draw,
    network: Network,
    *,
    axis: int,
    begin: float,
    end: float,
    initial: Collection[str],
    weights: Mapping[str, float] | None = None,
    tight: float = 1e-5,
    loose: float = 1e-2,
    first: float = 0.1,
    levels: int = 4,
    seconds: float | None = None,
    key: Array,
) -> Marched:
    """Solve window by window along a coordinate.

    In a window the equations hold, and the field goes on from where the window before ended. Gauss-Newton steps fit it
    on points drawn anew. An equation of order k along the coordinate is divided by what stands before that derivative,
    and multiplied by the length of the window to the k-th power; so are the derivatives that go on from the window
    before. All residuals are then in the units of the field, and the root of their loss is about the error that a
    window adds. Where it is more than `tight` the window is tried at half its length, and with a network of the next
    level; what helps is kept, until nothing does. Then `loose` decides whether one goes on.

    Args:
        terms: `{name: residual function}` of points `(d,)`.
        draw: `draw(key) -> {term: points (n, d)}`, pure, in the whole domain; they are moved into the window.
        network: `network(key, level) -> module`, linear in its parameters, which start at zero, as
            `pinnjax.nn.RandomFeatures` is; the coordinate comes to it from 0 to 1. All levels are of one architecture,
            such as features of other slopes.
        axis: number of the coordinate.
        begin: its first value, in its units.
        end: its last value.
        initial: terms that hold at the beginning, and in the first window only.
        weights: `{residual: λ}` beside that, 1 for others; dimensionless.
        tight: root of the loss that a window needs not to be better than, in units of the field.
        loose: root of the loss above which one gives up, in the same units.
        first: length of the first window, over the whole.
        levels: number of them.
        seconds: after which one gives up.
        key: random key.

    Returns:
        `(u, pieces, reached)`: the field, what each window came to, and how far they go.

    Raises:
        ValueError: when a number is out of range, a name unknown, or no equation has a derivative along the coordinate.

    Example:
        >>> import jax.numpy as jnp
        >>> import pinnjax as pj
        >>> terms = {"ode": lambda u, t: pj.diff(u, 0)(t) + u(t) ** 2, "start": lambda u, t: u(t) - 1.0}
        >>> draw = lambda key: {"ode": pj.sampling.box(key, [0.0], [1.0], 90), "start": jnp.zeros((1, 1))}
        >>> def network(key, level):
        ...     return pj.nn.RandomFeatures([0.0], [1.0], "scalar", width=30, scale=2.0, rngs=pj.nn.Rngs(key))
        >>> with jax.enable_x64(True):
        ...     u, pieces, reached = march(
        ...         terms, draw, network, axis=0, begin=0.0, end=1.0, initial=["start"], key=jax.random.key(0)
        ...     )
        ...     print(reached, f"{u(jnp.array([1.0])):.4f}")  # 1 / (1 + t)
        1.0 0.5000
    """
    options: dict[str, Any] = {"axis": axis, "begin": begin, "end": end, "initial": initial, "weights": weights}
    options |= {"tight": tight, "loose": loose, "first": first, "levels": levels, "key": key}
    return marching(terms, draw, network, **options)(key, seconds)


def marching(
    terms: Mapping[str, Any],
    draw: Draw,
    network: Network,
    *,
    axis: int,
    begin: float,
    end: float,
    initial: Collection[str],
    weights: Mapping[str, float] | None = None,
    tight: float,
    loose: float,
    first: float = 0.1,
    levels: int,
    key: Array,
) -> Callable[[Array, float | None], Marched]:
    """Of a key and seconds, what `march` does with these; several marches share their programs."""
    checks.terms(terms)
    checks.known_names("march: initial", terms, initial)
    if not begin < end:
        raise ValueError(f"march: begin is {begin}, end {end}; expected begin < end")
    checks.number("march: first", first, SHORTEST, 1.0)
    checks.count("march: levels", levels)
    checks.number("march: tight", tight, 0.0)
    checks.number("march: loose", loose, tight)
    later = [name for name in terms if name not in initial]
    if not later:
        raise ValueError(f"march: all terms are initial, {sorted(initial)}; expected an equation beside them")
    if own := {CONTINUED, HELD} & terms.keys():
        raise ValueError(f"march: terms are called {sorted(own)}, as those of the march are; expected other names")
    lam = dict(weights or {})
    for name in lam:
        names.term_of(name, terms)
    _check_points(terms, jax.eval_shape(draw, key), axis)
    drawn, some = draw(key), network(key, 0)
    scales = {name: orders_of(term, some, drawn[name], axis) for name, term in terms.items()}
    orders = int(max(np.max(order) for name in later for order in jax.tree.leaves(scales[name][0])))
    if not orders:
        raise ValueError(f"march: no equation has a derivative along coordinate {axis}; expected another axis")
    moved = {name: _moved(term, axis, begin, end, *scales[name]) for name, term in terms.items()}
    goes_on = {CONTINUED: _continues(axis, orders)}

    def across(points: Mapping[str, PyTree]) -> PyTree:
        """Points of the term with the most, which fill the domain: across the coordinate they do as well."""
        return max((points[name] for name in later), key=len)

    def step(some: Mapping[str, Any], drawn: Callable[[Array], dict[str, PyTree]]) -> TrainStep:
        own = {name: x for name, x in lam.items() if names.of_residual(name, dict.fromkeys(some, True), some)}
        sampler = sampling.resample(drawn)
        return train_step(some, gauss_newton(solver="qr"), term_weights=fixed(own), sampler=sampler)

    def in_the_middle(key: Array) -> dict[str, PyTree]:
        points = draw(key)
        return {name: points[name] for name in later} | {CONTINUED: across(points)}

    def at_begin(key: Array) -> dict[str, PyTree]:
        points = draw(key)
        return {name: points[name] for name in initial} | {HELD: across(points)}

    held = lambda residual: {HELD: _moved(residual, axis, begin, end, 0, 1.0)}
    steps = (
        step(moved, lambda key: dict(draw(key))),
        step({name: moved[name] for name in later} | goes_on, in_the_middle),
        step({name: moved[name] for name in initial} | held(_still(axis)), at_begin),
        step(held(_holds), lambda key: {HELD: across(draw(key))}),
    )

    def go(key: Array, seconds: float | None) -> Marched:
        limit = np.inf if seconds is None else time.perf_counter() + seconds
        run = March(*steps, network, axis, begin, end, tight, loose, levels, limit, key)
        found = run.windows(first * (end - begin))
        pieces = [piece for piece, _ in found]
        if not pieces[-1].residual <= loose:
            found = found[:-1]
        if not found:
            return Marched(None, pieces, begin)
        last = found[-1][0]
        reached = last.begin + last.length
        u = nn.Windows([window for _, window in found])
        return Marched(u, pieces, end if reached >= end - run.rounding else float(reached))

    return go


def _check_points(terms: Mapping[str, Any], drawn: Mapping[str, PyTree], axis: int) -> None:
    for term in terms:
        if term not in drawn:
            raise ValueError(f"march: draw(key) has no points of {term!r}; expected {{{term!r}: (n, d)}}")
        points = drawn[term]
        if not hasattr(points, "ndim") or points.ndim != 2:
            raise ValueError(
                f"march: the points of {term!r} are {checks.described(points)}; expected an array (n, d), which can be "
                "moved into a window"
            )
        if not 0 <= axis < points.shape[1]:
            raise ValueError(f"march: axis is {axis}; expected a coordinate of the points of {term!r}, {points.shape}")


def _moved(term: Any, axis: int, begin: float, end: float, orders: PyTree, factors: PyTree) -> Callable:
    """The residual function at points of the whole domain, which are moved into the window, in units of the field."""

    def residual(u: nn.Window, x: Array) -> Any:
        found = term(u, u.within(x, (x[axis] - begin) / (end - begin)))
        scaled = lambda r, k, factor: (u.length[...] ** k / factor).astype(r.dtype) * r
        return jax.tree.map(scaled, found, orders, factors)

    return residual


def _continues(axis: int, orders: int) -> Callable:
    """Value and derivatives at the beginning of the window are those at the end of the one before."""

    def residual(u: nn.Window, x: Array) -> dict[str, Array]:
        at = u.at_begin(x)
        along = lambda field, j: u.length[...] ** j * (diff(field, *j * (axis,))(at) if j else field(at))
        return {str(j): along(u, j) - along(u.before, j) for j in range(orders)}

    return residual


def _still(axis: int) -> Callable:
    """The field does not change: where Newton's method starts in the first window."""
    return lambda u, x: u.length[...] * diff(u, axis)(x)


def _holds(u: nn.Window, x: Array) -> Array:
    """The field stays what it was at the end of the window before: where Newton's method starts in the others."""
    return u(x) - u.before(u.at_begin(x))
