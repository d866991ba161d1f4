"""Domains: uniform points inside, and on the boundary with outward normals.

All draws are pure functions of a key with fixed shapes. A domain is a tree of shapes (`Box`, `Disk`, `Polygon`, or your
own `Shape`), joined by `Union` and `Difference`. A shape computes in coordinates from its own centre, so a domain far
from the origin, or tiny, or huge, is as exact as one at the origin until the last rounding of its points.
"""

import abc
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from pinnjax.sampling import _arguments
from pinnjax.sampling._arguments import Dtype, Points


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

    def distance(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """Approximate distance of one point to the boundary, negative outside; see `pinnjax.sampling.distances`."""
        raise NotImplementedError(f"{type(self).__name__} has no distance; expected a method distance(self, x) of it")

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
        x = _arguments.points(type(self).__name__, x, len(self.middle))
        middle, low, high, half = frame(self.leaves, x.dtype)
        y = jnp.clip(x - middle, -half, half)
        return jnp.all((x >= low) & (x <= high), axis=1) & self.holds(y, jnp)

    def inside(self, key: Array, n: int, dtype: Dtype = None) -> Points:
        """Uniform points inside."""
        dtype, work = _arguments.request(f"{type(self).__name__}.inside", key, n, dtype)
        y = self.interior(jax.random.uniform(key, (n, len(self.middle) + 1), work), jnp)
        return place(y, frame(self.leaves, work)).astype(dtype)

    def boundary(self, key: Array, n: int, dtype: Dtype = None) -> tuple[Points, Points]:
        """Uniform points on the boundary, and the outward unit normals there."""
        dtype, work = _arguments.request(f"{type(self).__name__}.boundary", key, n, dtype)
        y, normals = self.edge(jax.random.uniform(key, (n, len(self.middle) + 1), work), jnp)
        return place(y, frame(self.leaves, work)).astype(dtype), normals.astype(dtype)


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
