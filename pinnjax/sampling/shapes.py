"""Shapes whose formulas are short: boxes and disks."""

import dataclasses
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from pinnjax.sampling import distances
from pinnjax.sampling._arguments import numbers
from pinnjax.sampling.domains import Shape, pick


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

    def distance(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """That of `distances.box`."""
        return distances.box(self.lower, self.upper)(x)

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

    def distance(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """That of `distances.disk`."""
        return distances.disk(self.center, self.radius)(x)

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


def _direction(u: Any, xp: ModuleType) -> Any:
    return xp.stack([xp.cos(2 * np.pi * u), xp.sin(2 * np.pi * u)], axis=1)
