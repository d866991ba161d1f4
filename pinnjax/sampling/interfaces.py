"""Interfaces between subdomains: which of them touch, and points with normals where they do."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnjax import checks
from pinnjax.sampling._arguments import Dtype, Points
from pinnjax.sampling.shapes import Box

ROUNDING = 1e-9  # of the shorter side: corners such as 0.1 + 0.2 and 0.3 are one place
LENGTH = 1e-3  # by which a unit vector of half precision may be too long or too short


@dataclasses.dataclass(frozen=True)
class Interface:
    """Where two subdomains touch.

    Args:
        first: number of a subdomain, from 0.
        second: number of the other one.
        draw: `draw(key, n, dtype) -> (points, normals)`, uniform points `(n, d)` on the interface and unit normals
            that point from the first subdomain to the second: `disk.boundary` where the first one is that disk.

    Raises:
        ValueError, TypeError: when the numbers are not two different ones, or `draw` is no function.

    Example:
        >>> import jax
        >>> from pinnjax.sampling import Disk
        >>> around = Interface(0, 1, Disk((0.0, 0.0), 2.0).boundary)
        >>> x, normals = around.points(jax.random.key(0), 5)
        >>> print(bool(abs(x - 2 * normals).max() < 1e-6))
        True
    """

    first: int
    second: int
    draw: Callable[[Array, int, Dtype], tuple[Points, Points]]

    def __post_init__(self) -> None:
        for name in ("first", "second"):
            number = getattr(self, name)
            if not isinstance(number, int) or isinstance(number, bool) or number < 0:
                raise ValueError(f"Interface: {name} is {checks.described(number)}; expected a subdomain's number >= 0")
        if self.first == self.second:
            raise ValueError(f"Interface: both subdomains are number {self.first}; expected two")
        if not callable(self.draw):
            raise TypeError(f"Interface: draw is {checks.described(self.draw)}; expected a function (key, n, dtype)")

    @property
    def name(self) -> str:
        """`first-second`, as in the names of its terms."""
        return f"{self.first}-{self.second}"

    def points(self, key: Array, n: int, dtype: Dtype = None) -> tuple[Points, Points]:
        """Points on the interface, and unit normals from the first subdomain to the second.

        Raises:
            ValueError: when `draw` gives other shapes, or normals that are not of length one.
        """
        checks.key("Interface.points: key", key)
        checks.count("Interface.points: n", n)
        x, normals = self.draw(key, n, dtype)
        if x.ndim != 2 or x.shape != normals.shape:
            raise ValueError(
                f"interface {self.name}: points of shape {x.shape}, normals of shape {normals.shape}; expected (n, d) "
                "twice"
            )
        if not isinstance(normals, jax.core.Tracer):
            lengths = np.linalg.norm(np.asarray(normals, float), axis=1)
            if not (abs(lengths - 1) <= LENGTH).all():
                worst = lengths[np.argmax(abs(lengths - 1))]
                raise ValueError(f"interface {self.name}: a normal has length {worst:g}; expected 1")
        return x, normals


def interfaces(boxes: Sequence[Box]) -> tuple[Interface, ...]:
    """The faces on which boxes touch, each between box i and a box j > i, with normals along a coordinate.

    In one dimension an interface is a single point, which is drawn once whatever n is.

    Args:
        boxes: in one, two, three or more dimensions; they may be of different sizes.

    Raises:
        TypeError, ValueError: when one is no box, two overlap, or one of several touches no other.

    Example:
        >>> import jax
        >>> from pinnjax.sampling import Box
        >>> (between,) = interfaces([Box((1.0,), (3.0,)), Box((0.0,), (1.0,))])
        >>> x, normals = between.points(jax.random.key(0), 5)
        >>> print(between.name, x, normals)
        0-1 [[1.]] [[-1.]]
    """
    for i, box in enumerate(boxes):
        if not isinstance(box, Box):
            raise TypeError(f"interfaces: subdomain {i} is {checks.described(box)}; expected a pinnjax.sampling.Box")
        if len(box.lower) != len(boxes[0].lower):
            raise ValueError(f"interfaces: box {i} has {len(box.lower)} dimensions; expected {len(boxes[0].lower)}")
    found = []
    for (i, a), (j, b) in itertools.combinations(enumerate(boxes), 2):
        lower, upper = np.maximum(a.lower, b.lower), np.minimum(a.upper, b.upper)
        slack = ROUNDING * np.minimum(a.sides, b.sides)
        wide, flat = upper - lower > slack, abs(upper - lower) <= slack
        if wide.all():
            raise ValueError(
                f"interfaces: boxes {i} and {j} overlap from {lower.tolist()} to {upper.tolist()}; expected boxes that "
                "only touch"
            )
        if flat.sum() == 1 and (wide | flat).all():
            axis = int(np.argmax(flat))
            sign = 1.0 if b.middle[axis] > a.middle[axis] else -1.0
            place = a.upper[axis] if sign > 0 else a.lower[axis]
            found.append(Interface(i, j, _face(lower, upper, axis, place, sign)))
    alone = set(range(len(boxes))) - {number for one in found for number in (one.first, one.second)}
    if alone and len(boxes) > 1:
        raise ValueError(f"interfaces: boxes {sorted(alone)} touch no other; expected boxes with faces in common")
    return tuple(found)


def _face(
    lower: np.ndarray, upper: np.ndarray, axis: int, place: float, sign: float
) -> Callable[[Array, int, Dtype], tuple[Points, Points]]:
    def draw(key: Array, n: int, dtype: Dtype = None) -> tuple[Points, Points]:
        kind = checks.floating("dtype", dtype)
        low, high = jnp.asarray(lower, kind)[None], jnp.asarray(upper, kind)[None]
        share = jax.random.uniform(key, (1 if lower.size == 1 else n, lower.size), kind)
        x = jnp.clip(low + (high - low) * share, jnp.minimum(low, high), high).at[:, axis].set(place)
        return x, jnp.zeros_like(x).at[:, axis].set(sign)

    return draw
