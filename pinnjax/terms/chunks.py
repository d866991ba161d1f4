"""Maps and sums over points in chunks, so that memory is bounded by the chunk and not by the number of points."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any


def some(points: PyTree, n: int) -> PyTree:
    """At most n of the points, evenly spaced in their order.

    Example:
        >>> import jax.numpy as jnp
        >>> print(some(jnp.arange(10), 4), some(jnp.arange(3), 4))
        [0 3 6 9] [0 1 2]
    """
    total = jax.tree.leaves(points)[0].shape[0]
    return points if total <= n else jax.tree.map(lambda leaf: leaf[jnp.linspace(0, total - 1, n).astype(int)], points)


def over_points(function: Callable[[PyTree], PyTree], points: PyTree, chunk: int | None) -> PyTree:
    """Apply `function` to each point: `vmap`, or `lax.map` in chunks of `chunk` points."""
    if chunk is None:
        return jax.vmap(function)(points)
    return jax.lax.map(function, points, batch_size=chunk)


def total(function: Callable[[PyTree], PyTree], points: PyTree, chunk: int | None) -> PyTree:
    """Sum of `function(some points)` over chunks of points; the last chunk may be smaller.

    Example:
        >>> import jax.numpy as jnp
        >>> print(total(jnp.sum, jnp.arange(5.0), 2))
        10.0
    """
    n = jax.tree.leaves(points)[0].shape[0]
    if chunk is None or chunk >= n:
        return function(points)
    whole, rest = divmod(n, chunk)
    stacked = jax.tree.map(lambda p: p[: whole * chunk].reshape(whole, chunk, *p.shape[1:]), points)
    first = jax.tree.map(lambda p: p[0], stacked)
    start = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(function, first))

    def add(carry: PyTree, part: PyTree) -> tuple[PyTree, None]:
        return jax.tree.map(jnp.add, carry, function(part)), None

    result, _ = jax.lax.scan(add, start, stacked)
    if rest:
        result = jax.tree.map(jnp.add, result, function(jax.tree.map(lambda p: p[whole * chunk :], points)))
    return result
