"""Maps and sums over points in chunks, so that memory is bounded by the chunk and not by the number of points."""

import math
import os
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.extend import core

PyTree = Any
Chunk = int | Literal["auto"] | None
# Bytes of all that is computed on the way: what a chunk has on a CPU. One core is fastest where it stays in its own
# cache; several share every product, which pays for large ones. Below 32 MiB the allocator keeps memory from one call
# to the next, and a loop in Python does not wait for the kernel to clear it. Measured with `pinnjax bench step`.
CACHE, OF_ONE_CORE = 2**26, 2**23
MEMORY = 2**30  # bytes: what residuals may take that no chunk was asked for
SHARE = 0.25  # of an accelerator's memory, which streams at full speed: what a chunk holds there
LEAST = 64  # points


def automatic(per_point: int, n: int, room: int | None = None) -> int | None:
    """Points of a chunk for which there is room; None where all n have it.

    Args:
        per_point: bytes that a point needs.
        n: number of points.
        room: bytes on a CPU, `cache()` when None; on an accelerator it is a share of its memory.

    Example:
        >>> automatic(2**20, 10) is None, automatic(2**20, 1024)
        (True, 64)
    """
    device = jax.devices()[0]
    if device.platform == "cpu":
        room = cache() if room is None else room
    else:
        room = int(SHARE * (device.memory_stats() or {}).get("bytes_limit", 2**33))
    most = max(LEAST, room // max(per_point, 1))
    if n <= most:
        return None
    parts = -(-n // most)
    even = next((k for k in range(parts, 2 * parts) if n % k == 0), parts)  # a rest would be a program of its own
    return -(-n // even)


def cache() -> int:
    """Bytes that a chunk has on the cores of this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return OF_ONE_CORE if cores == 1 else CACHE


def footprint(program: core.ClosedJaxpr) -> int:
    """Bytes of all that a program computes on the way: what a backward pass keeps, about."""
    sizes = [v.aval for equation in program.jaxpr.eqns for v in equation.outvars]
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in sizes if hasattr(a, "shape"))


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
    """Apply `function` to each point, to `chunk` of them at once; None for all."""
    return swept(lambda some: ((), jax.vmap(function)(some)), points, chunk)[1]


def swept(function: Callable[[PyTree], tuple[PyTree, PyTree]], points: PyTree, chunk: int | None) -> Any:
    """`function(some points)` gives a sum and something for each of them: the whole sum, and that of all points.

    Example:
        >>> import jax.numpy as jnp
        >>> print(*swept(lambda x: (x.sum(), 2 * x), jnp.arange(5.0), 2))
        10.0 [0. 2. 4. 6. 8.]
    """
    n = jax.tree.leaves(points)[0].shape[0]
    if chunk is None or chunk >= n:
        return function(points)
    whole, rest = divmod(n, chunk)
    # Chunk k has the points k, k + whole, ...: where points are spread over devices, each has its part of every chunk.
    stacked = jax.tree.map(lambda p: jnp.moveaxis(p[: whole * chunk].reshape(chunk, whole, *p.shape[1:]), 1, 0), points)
    start, _ = jax.eval_shape(function, jax.tree.map(lambda p: p[0], stacked))
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), start)

    def add(carry: PyTree, part: PyTree) -> tuple[PyTree, PyTree]:
        more, each = function(part)
        return jax.tree.map(jnp.add, carry, more), each

    result, each = jax.lax.scan(add, zeros, stacked)
    each = jax.tree.map(lambda e: jnp.moveaxis(e, 0, 1).reshape(whole * chunk, *e.shape[2:]), each)
    if rest:
        more, last = function(jax.tree.map(lambda p: p[whole * chunk :], points))
        result = jax.tree.map(jnp.add, result, more)
        each = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), each, last)
    return result, each


def total(function: Callable[[PyTree], PyTree], points: PyTree, chunk: int | None) -> PyTree:
    """Sum of `function(some points)` over chunks of points; the last chunk may be smaller.

    Example:
        >>> import jax.numpy as jnp
        >>> print(total(jnp.sum, jnp.arange(5.0), 2))
        10.0
    """
    return swept(lambda some: (function(some), ()), points, chunk)[0]
