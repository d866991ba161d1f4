"""Unions and differences of domains: trees of shapes, sampled as one."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float

from pinnjax.sampling import _arguments, _tree, distances
from pinnjax.sampling._arguments import Dtype, Points
from pinnjax.sampling.domains import Domain, Shape
from pinnjax.sampling.shapes import Box


class Combined(Domain):
    """What unions and differences share."""

    @functools.cached_property
    def volume(self) -> float:
        """Exact where no shapes' boundaries cross; else by quasi-random points, good to some 1e-3 of those shapes'."""
        return _tree.volume(self)

    @functools.cached_property
    def surface(self) -> float:
        """Exact where no shapes' boundaries cross; else by quasi-random points, good to some 1e-3 of those shapes'."""
        return _tree.surface(self)

    def contains(self, x: Points) -> Bool[Array, " n"]:
        """Whether each point is inside."""
        x = _arguments.points(type(self).__name__, x, _tree.dimension(self))
        return self.joined([leaf.contains(x) for leaf in self.leaves])

    def inside(self, key: Array, n: int, dtype: Dtype = None) -> Points:
        """Uniform points inside.

        Raises:
            ValueError: when the domain is empty, or less than some 2e-5 of its parts.
        """
        dtype, _ = _arguments.request(f"{type(self).__name__}.inside", key, n, dtype)
        return _tree.drawn(key, self, "inside", n, dtype)[0]

    def boundary(self, key: Array, n: int, dtype: Dtype = None) -> tuple[Points, Points]:
        """Uniform points on the boundary, on edges that coincide once, and the outward unit normals there.

        Raises:
            ValueError: when the domain is empty, or its boundary less than some 2e-5 of its parts'.
        """
        dtype, _ = _arguments.request(f"{type(self).__name__}.boundary", key, n, dtype)
        x, normals = _tree.drawn(key, self, "boundary", n, dtype)
        return x, normals


@dataclasses.dataclass(frozen=True)
class Union(Combined):
    """All that is in one domain or another.

    Args:
        parts: domains of one dimension.

    Example:
        >>> import jax
        >>> from pinnjax.sampling import Box, Disk
        >>> both = Union((Box((0.0, 0.0), (2.0, 1.0)), Disk((2.0, 0.5), 0.5)))
        >>> x, normals = both.boundary(jax.random.key(0), 200)
        >>> print(bool(both.contains(x - 1e-3 * normals).all()), bool(both.contains(x + 1e-3 * normals).any()))
        True False
    """

    parts: tuple[Domain, ...]

    def __post_init__(self) -> None:
        if isinstance(self.parts, Domain) or not isinstance(self.parts, Iterable):
            raise TypeError(f"Union: parts is {self.parts!r}; expected a sequence of domains")
        object.__setattr__(self, "parts", tuple(self.parts))
        _check("Union: a part", self.parts)

    @property
    def leaves(self) -> tuple[Shape, ...]:
        """Those of the parts."""
        return sum((part.leaves for part in self.parts), ())

    @property
    def solid(self) -> tuple[bool, ...]:
        """As in the parts."""
        return sum((part.solid for part in self.parts), ())

    def joined(self, held: Sequence[Any]) -> Any:
        """Whether one of the parts holds a point."""
        ends = np.cumsum([len(part.leaves) for part in self.parts])
        mine = [part.joined(held[end - len(part.leaves) : end]) for part, end in zip(self.parts, ends, strict=True)]
        return functools.reduce(lambda a, b: a | b, mine)

    def distance(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """That of `distances.union`."""
        return distances.union(*(part.distance for part in self.parts))(x)


@dataclasses.dataclass(frozen=True)
class Difference(Combined):
    """What is in a domain and not in another, such as a box with a hole.

    Args:
        whole: domain.
        hole: domain that is taken out.

    Example:
        >>> import jax
        >>> from pinnjax.sampling import Box, Disk
        >>> plate = Difference(Box((0.0, 0.0), (1.0, 1.0)), Disk((0.5, 0.5), 0.25))
        >>> print(f"{plate.volume:.4f} {plate.surface:.4f}")
        0.8037 5.5708
        >>> print(bool(plate.contains(plate.inside(jax.random.key(0), 200)).all()))
        True
    """

    whole: Domain
    hole: Domain

    def __post_init__(self) -> None:
        _check("Difference: whole or hole", (self.whole, self.hole))

    @property
    def leaves(self) -> tuple[Shape, ...]:
        """Those of both, boxes of the hole cut near the whole: a huge one may stand for a half-space."""
        low, high = (np.stack([leaf.bounds[side] for leaf in self.whole.leaves]) for side in (0, 1))
        low, high = low.min(axis=0), high.max(axis=0)
        return self.whole.leaves + tuple(_near(leaf, 2 * low - high, 2 * high - low) for leaf in self.hole.leaves)

    @property
    def solid(self) -> tuple[bool, ...]:
        """As in the whole, and none of the hole."""
        return self.whole.solid + (False,) * len(self.hole.leaves)

    def joined(self, held: Sequence[Any]) -> Any:
        """Whether the whole holds a point and the hole does not."""
        first = len(self.whole.leaves)
        return self.whole.joined(held[:first]) & ~self.hole.joined(held[first:])

    def distance(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """That of `distances.difference`."""
        return distances.difference(self.whole.distance, self.hole.distance)(x)


def _near(leaf: Shape, low: np.ndarray, high: np.ndarray) -> Shape:
    """A box cut to the corners given, unless nothing is left of it; other shapes as they are."""
    if not isinstance(leaf, Box):
        return leaf
    low, high = np.maximum(leaf.lower, low), np.minimum(leaf.upper, high)
    return Box(tuple(low), tuple(high)) if (low < high).all() else leaf


def _check(what: str, parts: Sequence[Any]) -> None:
    for part in parts:
        if not isinstance(part, Domain):
            raise TypeError(f"{what} is {part!r}; expected a domain such as Box, Disk or Polygon")
    dimensions = {_tree.dimension(part) for part in parts}
    if len(dimensions) != 1:
        raise ValueError(
            f"{what} differs in dimension, {sorted(dimensions)}; expected at least one, all of one dimension"
        )
