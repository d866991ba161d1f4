"""Rejection with fixed shapes: each place draws again until its point is admissible, so points are exactly uniform."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array


def reject(key: Array, n: int, draw: Callable, admissible: Callable) -> jax.Array:
    """Draw n rows until every place has seen an admissible one; uniform, since a place keeps the first it sees."""

    def more(carry: tuple) -> tuple:
        key, rows, good = carry
        key, now = jax.random.split(key)
        fresh = draw(now)
        take = ~good & admissible(fresh)
        rows = jax.tree.map(lambda old, new: jnp.where(_column(take, new), new, old), rows, fresh)
        return key, rows, good | take

    key, now = jax.random.split(key)
    first = draw(now)
    return jax.lax.while_loop(lambda carry: ~jnp.all(carry[2]), more, (key, first, admissible(first)))[1]


def _column(mask: Array, like: Array) -> Array:
    return mask.reshape(mask.shape + (1,) * (like.ndim - 1))
