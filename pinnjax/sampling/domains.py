"""Domains: uniform points inside, and on the boundary with outward normals.

All draws are pure functions of a key with fixed shapes. A domain is a tree of shapes (`Box`, `Disk`, `Polygon`, or your
own `Shape`), joined by `Union` and `Difference`. A shape computes in coordinates from its own centre, so a domain far
from the origin, or tiny, or huge, is as exact as one at the origin until the last rounding of its points.
"""

import abc
import dataclasses
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from pinnjax import checks

Points = Float[Array, "n d"]
Dtype = jax.typing.DTypeLike | None


class Domain(abc.ABC):
    """What a domain can do. Write your own as a `Shape`."""

    @property
    @abc.abstractmethod
    def volume(self) -> float:
        """Its measure."""

    @property
    @abc.abstractmethod
    def surface(self) -> float:
        """The measure of its boundary."""

    @abc.abstractmethod
    def contains(self, x: Points) -> Bool[Array, " n"]:
        """Whether each point is inside."""

    @abc.abstractmethod
    def inside(self, key: Array, n: int, dtype: Dtype = None) -> Points:
        """Uniform points inside."""

    @abc.abstractmethod
    def boundary(self, key: Array, n: int, dtype: Dtype = None) -> tuple[Points, Points]:
        """Uniform points on the boundary, and the outward unit normals there."""

    @property
    @abc.abstractmethod
    def leaves(self) -> tuple["Shape", ...]:
        """The shapes that it is made of."""

    @property
    @abc.abstractmethod
    def solid(self) -> tuple[bool, ...]:
        """For each leaf, whether it adds points; the leaves of a hole only take them away."""

    @abc.abstractmethod
    def joined(self, held: Sequence[Any]) -> Any:
        """Whether the domain holds a point, from whether each leaf does."""


class Shape(Domain):
    """A domain with formulas of its own: with these seven, its points and those of unions and differences follow.

    Formulas take `xp`, which is `jax.numpy` for points and `numpy` for the measures of unions and differences, and work
    in coordinates `y = x - middle` and in the precision of what they are given.

    Example:
        >>> import jax, numpy as np
        >>> class Ball(Shape):
        ...     middle, bounds = np.zeros(3), (-np.ones(3), np.ones(3))
        ...     volume, surface = 4 * np.pi / 3, 4 * np.pi
        ...     def holds(self, y, xp):
        ...         return (y**2).sum(axis=1) <= 1
        ...     def interior(self, u, xp):
        ...         return u[:, 2:3] ** (1 / 3) * self.edge(u, xp)[0]
        ...     def edge(self, u, xp):
        ...         z, angle = 2 * u[:, 0] - 1, 2 * np.pi * u[:, 1]
        ...         r = xp.sqrt(1 - z**2)
        ...         normals = xp.stack([r * xp.cos(angle), r * xp.sin(angle), z], axis=1)
        ...         return normals, normals
        >>> print(bool(Ball().contains(Ball().inside(jax.random.key(0), 100)).all()))
        True
    """

    @property
    @abc.abstractmethod
    def middle(self) -> np.ndarray:
        """Where its coordinates start, the centre of its bounds: `(d,)`."""

    @property
    @abc.abstractmethod
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Corners of the smallest box around it."""

    @abc.abstractmethod
    def holds(self, y: Any, xp: ModuleType) -> Any:
        """Whether each point `y: (n, d)` is inside; which side the boundary is on does not matter."""

    @abc.abstractmethod
    def interior(self, u: Any, xp: ModuleType) -> Any:
        """Uniform points inside, `(n, d)`, made of uniform numbers in [0, 1), `u: (n, d + 1)`."""

    @abc.abstractmethod
    def edge(self, u: Any, xp: ModuleType) -> tuple[Any, Any]:
        """Uniform points on the boundary and outward unit normals, each `(n, d)`, made of the same."""

    @property
    def leaves(self) -> tuple["Shape", ...]:
        """Itself."""
        return (self,)

    @property
    def solid(self) -> tuple[bool, ...]:
        """It adds points."""
        return (True,)

    def joined(self, held: Sequence[Any]) -> Any:
        """What it holds itself."""
        return held[0]

    def contains(self, x: Points) -> Bool[Array, " n"]:
        """Whether each point is inside, the boundary included up to rounding."""
        x = points(type(self).__name__, x, len(self.middle))
        middle, low, high, half = frame(self.leaves, x.dtype)
        y = jnp.clip(x - middle, -half, half)
        return jnp.all((x >= low) & (x <= high), axis=1) & self.holds(y, jnp)

    def inside(self, key: Array, n: int, dtype: Dtype = None) -> Points:
        """Uniform points inside."""
        dtype, work = request(f"{type(self).__name__}.inside", key, n, dtype)
        y = self.interior(jax.random.uniform(key, (n, len(self.middle) + 1), work), jnp)
        return place(y, frame(self.leaves, work)).astype(dtype)

    def boundary(self, key: Array, n: int, dtype: Dtype = None) -> tuple[Points, Points]:
        """Uniform points on the boundary, and the outward unit normals there."""
        dtype, work = request(f"{type(self).__name__}.boundary", key, n, dtype)
        y, normals = self.edge(jax.random.uniform(key, (n, len(self.middle) + 1), work), jnp)
        return place(y, frame(self.leaves, work)).astype(dtype), normals.astype(dtype)


@dataclasses.dataclass(frozen=True)
class Box(Shape):
    """A box; an interval in one dimension.

    Args:
        lower: corner, d numbers.
        upper: corner, d numbers, each larger.

    Example:
        >>> import jax
        >>> x, normals = Box((0.0,), (2.0,)).boundary(jax.random.key(0), 3)
        >>> print(bool(((x == 2) == (normals == 1)).all()))
        True
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("lower", "upper"):
            object.__setattr__(self, name, numbers(f"Box: {name}", getattr(self, name)))
        if len(self.lower) != len(self.upper) or not all(a < b for a, b in zip(self.lower, self.upper, strict=True)):
            raise ValueError(f"Box: corners {self.lower} and {self.upper}; expected equal lengths, the second larger")

    @property
    def middle(self) -> np.ndarray:
        """Half-way between the corners."""
        return np.asarray(self.lower) / 2 + np.asarray(self.upper) / 2

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The corners."""
        return np.asarray(self.lower), np.asarray(self.upper)

    @property
    def sides(self) -> np.ndarray:
        """Lengths of the sides."""
        return np.subtract(self.upper, self.lower)

    @property
    def volume(self) -> float:
        """Product of the sides."""
        return float(np.prod(self.sides))

    @property
    def surface(self) -> float:
        """Sum over the faces; 2 for an interval, whose boundary is two points."""
        return float(2 * np.sum(self.volume / self.sides))

    def holds(self, y: Any, xp: ModuleType) -> Any:
        """|y| is at most half the sides."""
        return xp.all(abs(y) <= xp.asarray(self.sides / 2, y.dtype)[None], axis=1)

    def interior(self, u: Any, xp: ModuleType) -> Any:
        """Scaled."""
        return (2 * u[:, 1:] - 1) * xp.asarray(self.sides / 2, u.dtype)[None]

    def edge(self, u: Any, xp: ModuleType) -> tuple[Any, Any]:
        """A face by its measure, then a point of it."""
        face = pick(u[:, 0], np.repeat(self.volume / self.sides, 2), xp)
        sign = xp.asarray(2 * (face % 2) - 1, u.dtype)[:, None]
        on = (face // 2)[:, None] == xp.arange(len(self.sides))[None]
        half = xp.asarray(self.sides / 2, u.dtype)[None]
        return xp.where(on, sign * half, self.interior(u, xp)), xp.where(on, sign, xp.zeros_like(sign))


@dataclasses.dataclass(frozen=True)
class Disk(Shape):
    """A disk in the plane.

    Args:
        center: two numbers.
        radius: > 0.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> disk = Disk((1.0, 0.0), 2.0)
        >>> x, normals = disk.boundary(jax.random.key(0), 5)
        >>> print(bool(jnp.allclose(x, jnp.array([[1.0, 0.0]]) + 2 * normals)))
        True
    """

    center: tuple[float, float]
    radius: float

    def __post_init__(self) -> None:
        center, (radius,) = numbers("Disk: center", self.center), numbers("Disk: radius", (self.radius,))
        if len(center) != 2:
            raise ValueError(f"Disk: center is {center}; expected two numbers")
        if radius <= 0:
            raise ValueError(f"Disk: radius is {radius}; expected a positive number")
        object.__setattr__(self, "center", center)
        object.__setattr__(self, "radius", radius)

    @property
    def middle(self) -> np.ndarray:
        """The centre."""
        return np.asarray(self.center)

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre less and plus the radius."""
        return self.middle - self.radius, self.middle + self.radius

    @property
    def volume(self) -> float:
        """π r²."""
        return float(np.pi * self.radius**2)

    @property
    def surface(self) -> float:
        """2π r."""
        return float(2 * np.pi * self.radius)

    def holds(self, y: Any, xp: ModuleType) -> Any:
        """|y| is at most the radius, whose square may not exist in single precision."""
        return xp.sum((y / self.radius) ** 2, axis=1) <= 1

    def interior(self, u: Any, xp: ModuleType) -> Any:
        """The radius goes as the root of a uniform number."""
        return self.radius * xp.sqrt(u[:, 1:2]) * _direction(u[:, 0], xp)

    def edge(self, u: Any, xp: ModuleType) -> tuple[Any, Any]:
        """A uniform angle."""
        normals = _direction(u[:, 0], xp)
        return self.radius * normals, normals


def pick(u: Any, sizes: Any, xp: ModuleType) -> Any:
    """Indices of sizes, each as often as its size, made of uniform numbers `u: (n,)`."""
    return xp.searchsorted(xp.asarray((np.cumsum(sizes) / np.sum(sizes))[:-1], u.dtype), u, side="right")


def frame(leaves: Sequence[Shape], dtype: jnp.dtype) -> tuple[Array, ...]:
    """What `place` needs of each leaf: middle, corners and half the sides, each `(leaves, d)`."""
    low, high = (np.stack([leaf.bounds[side] for leaf in leaves]) for side in (0, 1))
    middle = np.stack([leaf.middle for leaf in leaves])
    return tuple(jnp.asarray(values, dtype) for values in (middle, low, high, (high - low) / 2))


def place(y: Points, rows: tuple[Array, ...]) -> Points:
    """Points from their coordinates about a middle: never out of the bounds, and exactly on them where `y` is."""
    middle, low, high, half = rows
    return jnp.where(y >= half, high, jnp.where(y <= -half, low, jnp.clip(middle + y, low, high)))


def request(what: str, key: Any, n: Any, dtype: Dtype) -> tuple[jnp.dtype, jnp.dtype]:
    """The precision of the points and, at least single, that of the work; or an error that says what was wrong."""
    checks.key(f"{what}: key", key)
    checks.count(f"{what}: n", n)
    dtype = checks.floating(f"{what}: dtype", dtype)
    return dtype, jnp.promote_types(dtype, jnp.float32)


def points(what: str, x: Any, d: int) -> Points:
    """Points as an array `(n, d)`, or an error that says what they are."""
    x = jnp.asarray(x)
    if x.ndim != 2 or x.shape[1] != d:
        raise ValueError(f"{what}.contains: points of shape {x.shape}; expected (n, {d})")
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))


def numbers(what: str, given: Any) -> tuple[float, ...]:
    """Finite numbers known before compilation, as a tuple, which has a hash."""
    expected = "expected numbers such as (0.0, 1.0), known before compilation"
    try:
        values = np.asarray(given, float)
    except (TypeError, ValueError) as error:  # words, ragged lists, traced arrays
        raise TypeError(f"{what} is {given!r}; {expected}") from error
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"{what} is {given!r}; {expected} and finite")
    return tuple(values.tolist())


def _direction(u: Any, xp: ModuleType) -> Any:
    return xp.stack([xp.cos(2 * np.pi * u), xp.sin(2 * np.pi * u)], axis=1)
