"""Of which order along a coordinate equations are, and what stands before that derivative, seen from residuals."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax.terms import bridge

PyTree = Any
MOST = 4  # derivatives that are looked for
SOME = 50  # points at which
ROUNDED = 1e-9  # change of the residuals that is none, relative


def orders_of(term: Callable, u: Any, points: Float[Array, "n d"], axis: int) -> tuple[PyTree, PyTree]:
    """The highest derivative along the coordinate that each residual sees, and the root mean square of its factor.

    To a field with nothing special t_0^k / k! is added around each point, which changes the k-th derivative there by 1
    and no other one.

    Args:
        term: the residual function.
        u: a field, whose attributes the residual may read.
        points: where it is asked.
        axis: number of the coordinate.

    Returns:
        Orders k and factors, each shaped as the residual of one point; 0 and 1.0 where it sees no such derivative.

    Example:
        >>> from pinnjax import diff
        >>> heat = lambda u, x: 3.0 * diff(u, 0)(x) - diff(u, 1, 1)(x)
        >>> [tuple(map(float, orders_of(heat, jnp.sum, jnp.ones((5, 2)), axis))) for axis in (0, 1)]
        [(1.0, 3.0), (2.0, 1.0)]
    """

    @jax.jit
    def changes(x: Float[Array, "n d"]) -> list[Any]:
        def at(x: Float[Array, " d"]) -> list[Any]:
            slopes = jnp.sqrt(jnp.arange(2.0, 2.0 + x.size)).astype(x.dtype)
            plain = lambda y: u(y) + 1.5 + jnp.cos(slopes @ (y - x))
            bent = lambda k: lambda y: plain(y) + (y[axis] - x[axis]) ** k / math.factorial(k)
            return [term(bridge.Derived(field, u), x) for field in (plain, *map(bent, range(1, MOST + 1)))]

        return jax.vmap(at)(x)

    plain, *bent = changes(points[:SOME])
    each = [_order(*values) for values in zip(*map(jax.tree.leaves, (plain, *bent)), strict=True)]
    orders, factors = (jax.tree.unflatten(jax.tree.structure(plain), part) for part in zip(*each, strict=True))
    return orders, factors


def _order(*values: Array) -> tuple[np.ndarray, np.ndarray]:
    plain, *bent = map(np.asarray, values)
    order, factor = np.zeros(plain.shape[1:], int), np.ones(plain.shape[1:])
    for k, other in enumerate(bent, 1):
        change = other - plain
        seen = np.abs(change) > ROUNDED * np.max(np.abs(plain), axis=0)
        size = np.sqrt(np.sum(np.where(seen, change, 0) ** 2, axis=0) / np.maximum(seen.sum(axis=0), 1))
        order, factor = np.where(seen.any(axis=0), k, order), np.where(seen.any(axis=0), size, factor)
    return order, factor
