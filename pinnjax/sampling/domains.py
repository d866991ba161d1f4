"""Domains: uniform points inside, and on the boundary with outward normals.

All draws are pure functions of a key with fixed shapes.
"""

import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from pinnjax.sampling.box import Corner, box
from pinnjax.sampling.rejection import reject

Points = Float[Array, "n d"]
Dtype = jnp.dtype | None


class Domain(Protocol):
    """What a domain can do.

    Attributes:
        volume: its measure; an upper bound for unions and differences.
        surface: the measure of its boundary; likewise.
    """

    @property
    def volume(self) -> float:
        """Its measure."""

    @property
    def surface(self) -> float:
        """The measure of its boundary."""

    def contains(self, x: Points) -> Bool[Array, " n"]:
        """Whether each point is inside."""

    def inside(self, key: Array, n: int, dtype: Dtype = None) -> Points:
        """Uniform points inside."""

    def boundary(self, key: Array, n: int, dtype: Dtype = None) -> tuple[Points, Points]:
        """Uniform points on the boundary, and the outward unit normals there."""


@dataclasses.dataclass(frozen=True)
class Box:
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
        if len(self.lower) != len(self.upper) or not all(a < b for a, b in zip(self.lower, self.upper, strict=True)):
            raise ValueError(f"Box: corners {self.lower} and {self.upper}; expected equal lengths, the second larger")

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

    def contains(self, x: Points) -> Bool[Array, " n"]:
        """Whether each point is inside; the boundary is."""
        low, high = _array(self.lower, x.dtype), _array(self.upper, x.dtype)
        return jnp.all((x >= low[None]) & (x <= high[None]), axis=1)

    def inside(self, key: Array, n: int, dtype: Dtype = None) -> Points:
        """Uniform points inside."""
        return box(key, self.lower, self.upper, n, dtype)

    def boundary(self, key: Array, n: int, dtype: Dtype = None) -> tuple[Points, Points]:
        """Uniform points on the faces, and the outward unit normals there."""
        first, second, third = jax.random.split(key, 3)
        x = self.inside(first, n, dtype)
        areas = _array(self.volume / self.sides, dtype)
        axis = jax.random.choice(second, areas.size, (n,), p=areas / areas.sum())
        side = jax.random.bernoulli(third, shape=(n,))
        on = jax.nn.one_hot(axis, areas.size, dtype=x.dtype)
        low, high = _array(self.lower, dtype), _array(self.upper, dtype)
        face = jnp.where(side[:, None], high[None], low[None])
        return x * (1 - on) + face * on, on * jnp.where(side, 1.0, -1.0).astype(x.dtype)[:, None]


@dataclasses.dataclass(frozen=True)
class Disk:
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
        if self.radius <= 0:
            raise ValueError(f"Disk: radius is {self.radius}; expected a positive number")

    @property
    def volume(self) -> float:
        """π r²."""
        return float(np.pi * self.radius**2)

    @property
    def surface(self) -> float:
        """2π r."""
        return float(2 * np.pi * self.radius)

    def contains(self, x: Points) -> Bool[Array, " n"]:
        """Whether each point is inside; the boundary is."""
        return jnp.sum((x - _array(self.center, x.dtype)[None]) ** 2, axis=1) <= self.radius**2

    def inside(self, key: Array, n: int, dtype: Dtype = None) -> Points:
        """Uniform points inside."""
        first, second = jax.random.split(key)
        center = _array(self.center, dtype)
        radius = self.radius * jnp.sqrt(jax.random.uniform(first, (n, 1), center.dtype))
        return center[None] + radius * _directions(second, n, center.dtype)

    def boundary(self, key: Array, n: int, dtype: Dtype = None) -> tuple[Points, Points]:
        """Uniform points on the circle, and the outward unit normals there."""
        center = _array(self.center, dtype)
        normals = _directions(key, n, center.dtype)
        return center[None] + self.radius * normals, normals


@dataclasses.dataclass(frozen=True)
class Polygon:
    """A simple polygon in the plane, convex or not.

    Args:
        vertices: at least three, each two numbers, in order around the polygon, either way.

    Example:
        >>> import jax
        >>> corner = Polygon(((0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)))
        >>> print(corner.volume, bool(corner.contains(corner.inside(jax.random.key(0), 100)).all()))
        3.0 True
    """

    vertices: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.vertices) < 3 or abs(self._signed) == 0:
            raise ValueError(f"Polygon: vertices {self.vertices}; expected three or more that enclose an area")

    @property
    def _corners(self) -> np.ndarray:
        return np.asarray(self.vertices, float)

    @property
    def _signed(self) -> float:
        a, b = self._corners, np.roll(self._corners, -1, axis=0)
        return float(np.sum(a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1]) / 2)

    @property
    def volume(self) -> float:
        """The shoelace formula."""
        return abs(self._signed)

    @property
    def surface(self) -> float:
        """Sum of the edges."""
        return float(np.sum(np.linalg.norm(np.roll(self._corners, -1, axis=0) - self._corners, axis=1)))

    def contains(self, x: Points) -> Bool[Array, " n"]:
        """Whether each point is inside, by the parity of crossings to its right."""
        a = _array(self._corners, x.dtype)
        b = jnp.roll(a, -1, axis=0)
        ax, ay, bx, by = a[None, :, 0], a[None, :, 1], b[None, :, 0], b[None, :, 1]
        px, py = x[:, 0][:, None], x[:, 1][:, None]
        straddles = (ay > py) != (by > py)
        cut = ax + (py - ay) * (bx - ax) / jnp.where(straddles, by - ay, 1)
        return jnp.sum(straddles & (px < cut), axis=1) % 2 == 1

    def inside(self, key: Array, n: int, dtype: Dtype = None) -> Points:
        """Uniform points inside, by rejection from the bounding box."""
        low, high = self._corners.min(axis=0), self._corners.max(axis=0)
        return reject(key, n, lambda k: box(k, low, high, n, dtype), self.contains)

    def boundary(self, key: Array, n: int, dtype: Dtype = None) -> tuple[Points, Points]:
        """Uniform points on the edges, and the outward unit normals there."""
        first, second = jax.random.split(key)
        a = _array(self._corners, dtype)
        edges = jnp.roll(a, -1, axis=0) - a
        lengths = jnp.linalg.norm(edges, axis=1)
        i = jax.random.choice(first, len(lengths), (n,), p=lengths / lengths.sum())
        x = a[i] + jax.random.uniform(second, (n, 1), a.dtype) * edges[i]
        turned = jnp.stack([edges[:, 1], -edges[:, 0]], axis=1) / lengths[:, None] * np.sign(self._signed)
        return x, turned[i]


def _directions(key: Array, n: int, dtype: jnp.dtype) -> Points:
    angle = 2 * jnp.pi * jax.random.uniform(key, (n,), dtype)
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)


def _array(values: Corner, dtype: Dtype) -> Array:
    return jnp.asarray(values, jnp.result_type(float) if dtype is None else dtype)
