"""Maps and sums over points in chunks, so that memory is bounded by the chunk and not by the number of points."""

from collections.abc import Callable
from typing import Any

import jax

PyTree = Any


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
    start = jax.tree.map(lambda s: jax.numpy.zeros(s.shape, s.dtype), jax.eval_shape(function, first))

    def add(carry: PyTree, part: PyTree) -> tuple[PyTree, None]:
        return jax.tree.map(jax.numpy.add, carry, function(part)), None

    result, _ = jax.lax.scan(add, start, stacked)
    if rest:
        result = jax.tree.map(jax.numpy.add, result, function(jax.tree.map(lambda p: p[whole * chunk :], points)))
    return result
