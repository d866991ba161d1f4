r"""Approximate distances to a boundary: zero on it, positive inside, of slope one across it.

Plain functions of one point, made of R-functions, for `pinnjax.nn.WithConditions` and `pinnjax.nn.Constrained`. They
are *approximate*: right to first order at the boundary (to order m for `join`), and smooth inside, where the true
distance has kinks. `pinnjax.sampling.Domain.distance` makes them of a domain.

At a corner no such function is smooth: it grows as the distance r from it, its slope has no limit, and its Laplacian
grows as 1 / r. Random points inside keep off the corners; at a corner itself value and slope are finite, and the second
derivatives are numbers without a meaning. On a box with u given on all sides, the product of the sides' distances,
x (1 - x) y (1 - y), is smooth and often the better factor, since a smooth solution is as flat in the corners.

References:
  Rvachev, Sheiko, R-functions in boundary value problems in mechanics, Applied Mechanics Reviews 48(4), 1995.

  Sukumar, Srivastava, `Exact imposition of boundary conditions with distance functions in physics-informed deep
  neural networks <https://arxiv.org/abs/2104.08426>`_, Computer Methods in Applied Mechanics and Engineering 389, 2022
  (formulas of segments and joins; here a segment's lengths are in units of its own).
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnjax import checks
from pinnjax.sampling import _r_functions
from pinnjax.sampling._arguments import numbers

Distance = Callable[[Array], Array]


def segment(start: Sequence[float], end: Sequence[float]) -> Distance:
    r"""Approximate distance to a segment in the plane, zero on it and nowhere else.

    φ = \sqrt{f^2 + ((\sqrt{t^2 + f^4} - t) / 2)^2}, with f the distance to the line and t = 1/4 - |x - c|², positive in
    the circle around the segment, all in units of the segment's length. To the right of it, as one goes from start to
    end, points that are off by rounding alone have a negative distance, so that slopes on the segment itself are those
    from the left.

    Args:
        start: two numbers.
        end: two others.

    Raises:
        ValueError: when these are not two points.

    Example:
        >>> φ = segment((0.0, 0.0), (2.0, 0.0))
        >>> print(φ(jnp.array([1.0, 0.0])), φ(jnp.array([4.0, 0.0])))
        0.0 4.0
    """
    a, b = (np.asarray(numbers(f"segment: {name}", p)) for name, p in (("start", start), ("end", end)))
    length = float(np.hypot(*(b - a))) if a.shape == b.shape == (2,) else 0.0
    if length == 0.0:
        raise ValueError(f"segment: ends {start} and {end}; expected two points in the plane")

    def distance(x: Array) -> Array:
        x = checks.point("segment", x, 2)
        left, signed, f, t = _r_functions.about(x, a, b)
        return length * jnp.where((t > 0) & (abs(f) <= _r_functions.rounding(x)), signed, left)

    return distance


def disk(center: Sequence[float], radius: float) -> Distance:
    """Approximate distance to a circle, (R² - |x - c|²) / 2R, negative outside; a sphere in three dimensions.

    Args:
        center: c, d numbers.
        radius: R > 0.

    Raises:
        ValueError: when the radius is not positive.

    Example:
        >>> print(disk((0.0, 0.0), 2.0)(jnp.array([0.0, 0.0])), disk((0.0, 0.0), 2.0)(jnp.array([2.0, 0.0])))
        1.0 0.0
    """
    c, (r,) = np.asarray(numbers("disk: center", center)), numbers("disk: radius", (radius,))
    if r <= 0:
        raise ValueError(f"disk: radius is {radius}; expected a positive number")

    def distance(x: Array) -> Array:
        y = checks.point("disk", x, c.size)
        y = (y - c.astype(y.dtype)) / r
        return r * (1 - jnp.sum(y**2)) / 2

    return distance


def box(lower: Sequence[float], upper: Sequence[float]) -> Distance:
    """Approximate distance to the faces of a box, or the ends of an interval, negative outside.

    (x - a) (b - x) / (b - a) along each axis, and their `intersection`.

    Args:
        lower: corner a, d numbers.
        upper: corner b, each larger.

    Raises:
        ValueError: when these are no corners.

    Example:
        >>> print(box((0.0,), (4.0,))(jnp.array([2.0])), box((0.0, 0.0), (4.0, 1.0))(jnp.array([4.0, 0.5])))
        1.0 0.0
    """
    a, b = (np.asarray(numbers(f"box: {name}", p)) for name, p in (("lower", lower), ("upper", upper)))
    if a.shape != b.shape or not (a < b).all():
        raise ValueError(f"box: corners {lower} and {upper}; expected equal lengths, the second larger")

    def distance(x: Array) -> Array:
        x = checks.point("box", x, a.size)
        low, high = a.astype(x.dtype), b.astype(x.dtype)
        along = (x - low) * (high - x) / (high - low)
        return functools.reduce(_r_functions.conjunction, list(along))

    return distance


def polygon(vertices: Sequence[Sequence[float]]) -> Distance:
    """Approximate distance to the edges of a simple polygon, the `join` of them; negative outside.

    Args:
        vertices: at least three, each two numbers, in order around the polygon, either way.

    Raises:
        ValueError: when these are not three points in the plane.

    Example:
        >>> corner = polygon(((0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)))
        >>> print(corner(jnp.array([1.0, 1.5])), bool(corner(jnp.array([1.5, 1.5])) < 0))
        0.0 True
    """
    a = np.asarray([numbers("polygon: vertex", vertex) for vertex in vertices])
    if a.ndim != 2 or len(a) < 3 or a.shape[1] != 2:
        raise ValueError(f"polygon: vertices {vertices}; expected three or more points in the plane")
    b = np.roll(a, -1, axis=0)
    if np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) < 0:
        a, b = b[::-1], a[::-1]  # the inside is to the left of an edge
    lengths = np.hypot(*(b - a).T)

    def distance(x: Array) -> Array:
        x = checks.point("polygon", x, 2)
        parts, signed, f, t = _r_functions.about(x, a, b)
        on_edge = (t > 0) & (abs(f) <= _r_functions.rounding(x))
        sign = jnp.where(_r_functions.inside(x, a, b), 1, -1)
        lengths_of = lengths.astype(x.dtype)
        return _r_functions.joined(parts * lengths_of, 1, jnp.where(on_edge, signed, sign * parts) * lengths_of)

    return distance


def join(*distances: Distance, order: int = 1) -> Distance:
    r"""Distance to several pieces of a boundary, by R-equivalence: zero where one of them is.

    φ = (Σ_i φ_i^{-m})^{-1/m}, which on piece i agrees with φ_i up to its m-th derivatives.

    Args:
        distances: φ_i, functions of a point.
        order: m >= 1, dimensionless.

    Raises:
        TypeError: when one of these is no function.
        ValueError: when there are none, or the order is no integer >= 1.

    Example:
        >>> φ = join(lambda x: x[0], lambda x: x[1])
        >>> print(φ(jnp.array([2.0, 2.0])))
        1.0
    """
    _check("join", distances)
    checks.count("join: order", order)
    return lambda x: _r_functions.joined(jnp.stack([distance(x) for distance in distances]), order)


def intersection(*distances: Distance) -> Distance:
    r"""Distance to the boundary of what is in all of several domains: φ_1 + φ_2 - \sqrt{φ_1^2 + φ_2^2}, R-conjunction.

    Args:
        distances: negative outside of their domains, as those of boxes, disks and polygons are.

    Raises:
        TypeError: when one of these is no function.
        ValueError: when there are none.

    Example:
        >>> φ = intersection(lambda x: x[0], lambda x: x[1])
        >>> print(φ(jnp.array([3.0, 4.0])))
        2.0
    """
    _check("intersection", distances)
    return lambda x: functools.reduce(_r_functions.conjunction, [distance(x) for distance in distances])


def union(*distances: Distance) -> Distance:
    r"""Distance to the boundary of what is in one of several domains: φ_1 + φ_2 + \sqrt{φ_1^2 + φ_2^2}, R-disjunction.

    Where two boundaries coincide it is zero too, but its slope is not one. Let parts overlap rather than touch: along
    an edge that they share it would vanish inside.

    Args:
        distances: negative outside of their domains, as those of boxes, disks and polygons are.

    Raises:
        TypeError: when one of these is no function.
        ValueError: when there are none.

    Example:
        >>> φ = union(lambda x: x[0], lambda x: x[1])
        >>> print(φ(jnp.array([3.0, 4.0])), φ(jnp.array([3.0, -4.0])))
        12.0 4.0
    """
    _check("union", distances)
    return lambda x: -functools.reduce(_r_functions.conjunction, [-distance(x) for distance in distances])


def difference(whole: Distance, hole: Distance) -> Distance:
    """Distance to the boundary of what is in one domain and not in another, an `intersection` with its outside.

    Args:
        whole: negative outside of the domain.
        hole: negative outside of what is taken out.

    Raises:
        TypeError: when one of these is no function.

    Example:
        >>> ring = difference(disk((0.0, 0.0), 2.0), disk((0.0, 0.0), 1.0))
        >>> print(abs(ring(jnp.array([1.0, 0.0]))), bool(ring(jnp.array([1.5, 0.0])) > 0))
        0.0 True
    """
    _check("difference", (whole, hole))
    return intersection(whole, lambda x: -hole(x))


def _check(what: str, distances: Sequence[Any]) -> None:
    if not distances:
        raise ValueError(f"{what}: there are no distances; expected at least one")
    for given in distances:
        if not callable(given) or isinstance(given, type):
            raise TypeError(f"{what}: a distance is {checks.described(given)}; expected a function of a point")
