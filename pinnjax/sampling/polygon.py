"""Polygons in the plane."""

import dataclasses
import itertools
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from pinnjax.sampling import distances
from pinnjax.sampling._arguments import numbers
from pinnjax.sampling.domains import Shape, pick


@dataclasses.dataclass(frozen=True)
class Polygon(Shape):
    """A simple polygon in the plane, convex or not.

    Args:
        vertices: at least three, each two numbers, in order around the polygon, either way; one that repeats its
            neighbour is left out, as is a last one that repeats the first.

    Example:
        >>> import jax
        >>> corner = Polygon(((0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)))
        >>> print(corner.volume, bool(corner.contains(corner.inside(jax.random.key(0), 100)).all()))
        3.0 True
    """

    vertices: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        try:
            given = [numbers("Polygon: vertex", vertex) for vertex in self.vertices]
        except TypeError as error:
            raise TypeError(f"Polygon: vertices {self.vertices!r}; expected pairs of numbers") from error
        if any(len(vertex) != 2 for vertex in given):
            raise ValueError(f"Polygon: vertices {self.vertices!r}; expected pairs of numbers")
        kept = tuple(v for v, after in zip(given, given[1:] + given[:1], strict=True) if v != after)
        object.__setattr__(self, "vertices", kept)
        if len(kept) < 3 or self.volume <= 1e-14 * np.prod(np.ptp(kept, axis=0)):
            raise ValueError(f"Polygon: vertices {self.vertices}; expected three or more that enclose an area")
        crossing = _first_crossing(self._corners)
        if crossing is not None:
            raise ValueError(
                f"Polygon: its edges {crossing[0]} and {crossing[1]} cross or overlap; expected a simple one"
            )

    @property
    def middle(self) -> np.ndarray:
        """Centre of the bounds."""
        return self.bounds[0] / 2 + self.bounds[1] / 2

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest coordinates."""
        return np.min(self.vertices, axis=0), np.max(self.vertices, axis=0)

    @property
    def volume(self) -> float:
        """The shoelace formula."""
        return abs(self._signed)

    @property
    def surface(self) -> float:
        """Sum of the edges."""
        return float(self._lengths.sum())

    def distance(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """That of `distances.polygon`."""
        return distances.polygon(self.vertices)(x)

    def holds(self, y: Any, xp: ModuleType) -> Any:
        """By the parity of the edges that a ray to the right crosses."""
        a, b = (xp.asarray(ends, y.dtype)[None] for ends in (self._corners, np.roll(self._corners, -1, axis=0)))
        (ax, ay), (bx, by), px, py = (a[..., 0], a[..., 1]), (b[..., 0], b[..., 1]), y[:, :1], y[:, 1:]
        left = ((bx - ax) * (py - ay) > (px - ax) * (by - ay)) == (by > ay)
        return xp.sum(((ay > py) != (by > py)) & left, axis=1) % 2 == 1

    def interior(self, u: Any, xp: ModuleType) -> Any:
        """A triangle by its area, then a point of it."""
        triangles = _triangles(self._corners)
        a, b, c = (xp.asarray(corner, u.dtype) for corner in np.moveaxis(triangles, 1, 0))
        i = pick(u[:, 0], _areas(triangles), xp)
        far = xp.sqrt(u[:, 1:2])
        return a[i] + far * ((b - a)[i] + u[:, 2:] * (c - b)[i])

    def edge(self, u: Any, xp: ModuleType) -> tuple[Any, Any]:
        """An edge by its length, then a point of it."""
        edges = self._edges
        outward = np.stack([edges[:, 1], -edges[:, 0]], axis=1) / self._lengths[:, None] * np.sign(self._signed)
        start, along, normals = (xp.asarray(values, u.dtype) for values in (self._corners, edges, outward))
        i = pick(u[:, 0], self._lengths, xp)
        return start[i] + u[:, 1:2] * along[i], normals[i]

    @property
    def _corners(self) -> np.ndarray:
        return np.asarray(self.vertices) - self.middle[None]

    @property
    def _edges(self) -> np.ndarray:
        return np.roll(self._corners, -1, axis=0) - self._corners

    @property
    def _lengths(self) -> np.ndarray:
        return np.hypot(*self._edges.T)

    @property
    def _signed(self) -> float:
        return float(_cross(self._corners, np.roll(self._corners, -1, axis=0)).sum() / 2)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _areas(triangles: np.ndarray) -> np.ndarray:
    return abs(_cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])) / 2


def _triangles(corners: np.ndarray) -> np.ndarray:
    """A simple polygon cut at the heights of its vertices, `(triangles, 3, 2)`: between two cuts edges pair up."""
    a, b = corners, np.roll(corners, -1, axis=0)
    heights = np.unique(corners[:, 1])
    found = []
    for low, high in itertools.pairwise(heights):
        through = (np.minimum(a[:, 1], b[:, 1]) <= low) & (np.maximum(a[:, 1], b[:, 1]) >= high)
        start, along = a[through], (b - a)[through]
        ends = [start[:, 0] + (height - start[:, 1]) / along[:, 1] * along[:, 0] for height in (low, high)]
        order = np.argsort(ends[0] + ends[1])
        bottom, top = (
            np.stack([end[order], np.full(len(order), height)], axis=1)
            for end, height in zip(ends, (low, high), strict=True)
        )
        for left, right in zip(range(0, len(order), 2), range(1, len(order), 2), strict=True):
            found += [(bottom[left], bottom[right], top[right]), (bottom[left], top[right], top[left])]
    return np.asarray(found)


def _first_crossing(corners: np.ndarray) -> tuple[int, int] | None:
    """Numbers of two edges that cross, or that overlap along a line; edges that only touch may stay."""
    a, b = corners, np.roll(corners, -1, axis=0)
    side = lambda p: _cross((b - a)[:, None], p[None] - a[:, None])  # of edge i is point j
    noise = 1e-12 * np.hypot(*(b - a).T)[:, None] * np.abs(corners).max()
    sa, sb = (np.where(abs(s) <= noise, 0.0, s) for s in (side(a), side(b)))
    crosses = (sa * sb < 0) & ((sa * sb).T < 0)
    # On one line: edge j's ends along edge i, whose own are 0 and 1.
    along = lambda p: np.sum((p[None] - a[:, None]) * (b - a)[:, None], axis=2) / np.sum((b - a) ** 2, axis=1)[:, None]
    first, last = np.minimum(along(a), along(b)), np.maximum(along(a), along(b))
    overlaps = (sa == 0) & (sb == 0) & (np.minimum(last, 1) - np.maximum(first, 0) > 1e-12)
    pairs = np.argwhere(np.triu(crosses | overlaps, 1))
    return (int(pairs[0][0]), int(pairs[0][1])) if len(pairs) else None
