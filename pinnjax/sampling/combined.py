"""Unions and differences of domains, by rejection."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from pinnjax.sampling.domains import Domain, Dtype, Points
from pinnjax.sampling.rejection import reject


@dataclasses.dataclass(frozen=True)
class Union:
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

    @property
    def volume(self) -> float:
        """Sum over the parts, an upper bound."""
        return sum(part.volume for part in self.parts)

    @property
    def surface(self) -> float:
        """Sum over the parts, an upper bound."""
        return sum(part.surface for part in self.parts)

    def contains(self, x: Points) -> Bool[Array, " n"]:
        """Whether each point is in one of the parts."""
        return jnp.any(jnp.stack([part.contains(x) for part in self.parts]), axis=0)

    def inside(self, key: Array, n: int, dtype: Dtype = None) -> Points:
        """Uniform points inside: from a part by its volume, unless an earlier part has the point too."""

        def draw(k: Array) -> tuple[Points, Array]:
            own = jax.random.split(k, len(self.parts) + 1)
            which = _by_size(own[0], [part.volume for part in self.parts], n)
            points = jnp.stack([part.inside(q, n, dtype) for part, q in zip(self.parts, own[1:], strict=True)])
            return points[which, jnp.arange(n)], which

        def first(drawn: tuple[Points, Array]) -> Bool[Array, " n"]:
            x, which = drawn
            return jnp.argmax(jnp.stack([part.contains(x) for part in self.parts]), axis=0) == which

        return reject(key, n, draw, first)[0]

    def boundary(self, key: Array, n: int, dtype: Dtype = None) -> tuple[Points, Points]:
        """Uniform points on the boundary: a part's with no part just outside; of common edges the first's."""

        def draw(k: Array) -> tuple[Points, Points, Array]:
            own = jax.random.split(k, len(self.parts) + 1)
            which = _by_size(own[0], [part.surface for part in self.parts], n)
            pairs = [part.boundary(q, n, dtype) for part, q in zip(self.parts, own[1:], strict=True)]
            rows = jnp.arange(n)
            return jnp.stack([p[0] for p in pairs])[which, rows], jnp.stack([p[1] for p in pairs])[which, rows], which

        def outer(drawn: tuple[Points, Points, Array]) -> Bool[Array, " n"]:
            x, normals, which = drawn
            step = _nudge(self, x) * normals
            earlier = jnp.stack([part.contains(x - step) & (i < which) for i, part in enumerate(self.parts)])
            return ~self.contains(x + step) & ~jnp.any(earlier, axis=0)

        x, normals, _ = reject(key, n, draw, outer)
        return x, normals


@dataclasses.dataclass(frozen=True)
class Difference:
    """What is in a domain and not in another, such as a box with a hole.

    Args:
        whole: domain.
        hole: domain that is taken out.

    Example:
        >>> import jax
        >>> from pinnjax.sampling import Box, Disk
        >>> plate = Difference(Box((0.0, 0.0), (1.0, 1.0)), Disk((0.5, 0.5), 0.25))
        >>> print(bool(plate.contains(plate.inside(jax.random.key(0), 200)).all()))
        True
    """

    whole: Domain
    hole: Domain

    @property
    def volume(self) -> float:
        """That of the whole, an upper bound."""
        return self.whole.volume

    @property
    def surface(self) -> float:
        """Sum of both, an upper bound."""
        return self.whole.surface + self.hole.surface

    def contains(self, x: Points) -> Bool[Array, " n"]:
        """Whether each point is in the whole and not in the hole."""
        return self.whole.contains(x) & ~self.hole.contains(x)

    def inside(self, key: Array, n: int, dtype: Dtype = None) -> Points:
        """Uniform points inside, by rejection from the whole."""
        return reject(key, n, lambda k: self.whole.inside(k, n, dtype), lambda x: ~self.hole.contains(x))

    def boundary(self, key: Array, n: int, dtype: Dtype = None) -> tuple[Points, Points]:
        """Uniform points on the outer boundary and on that of the hole, whose normals point into it."""

        def draw(k: Array) -> tuple[Points, Points, Array]:
            first, second, third = jax.random.split(k, 3)
            of_hole = _by_size(first, [self.whole.surface, self.hole.surface], n) == 1
            (x, outward), (y, inward) = self.whole.boundary(second, n, dtype), self.hole.boundary(third, n, dtype)
            pick = of_hole[:, None]
            return jnp.where(pick, y, x), jnp.where(pick, -inward, outward), of_hole

        def exposed(drawn: tuple[Points, Points, Array]) -> Bool[Array, " n"]:
            x, normals, of_hole = drawn
            within = x - _nudge(self, x) * normals
            return jnp.where(of_hole, self.whole.contains(within), ~self.hole.contains(within))

        x, normals, _ = reject(key, n, draw, exposed)
        return x, normals


def _nudge(domain: Domain, x: Points) -> float:
    """A step off the boundary, small against the domain and large against rounding."""
    return 1e-4 * domain.volume ** (1 / x.shape[1])


def _by_size(key: Array, sizes: Sequence[float], n: int) -> Array:
    share = jnp.asarray(np.asarray(sizes) / np.sum(sizes))
    return jax.random.choice(key, len(sizes), (n,), p=share)
