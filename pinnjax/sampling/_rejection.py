"""Rejection with fixed shapes and a bounded number of rounds."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

SPARE = 64  # rows drawn beyond n, so that a few points do not wait for many rounds


def reject(key: Array, n: int, draw: Callable[[Array, int], tuple[Any, Array]], rate: float) -> Any:
    """The first n admissible rows of `draw(key, rows) -> (rows, admissible)`; uniform, since nothing is drawn twice.

    About a share `rate` of the rows is expected to be admissible. After four times the rounds that this needs (a chance
    below 1e-20, unless the rate is wrong) the rows still missing are NaN: a compiled program cannot raise, nor hang.
    """
    rows = n + SPARE
    rounds = int(np.ceil(4 / rate)) + 4

    def more(carry: tuple) -> tuple:
        key, kept, count, done = carry
        key, now = jax.random.split(key)
        fresh, good = draw(now, rows)
        place = jnp.where(good, count + jnp.cumsum(good) - 1, n)
        kept = jax.tree.map(lambda old, new: old.at[place].set(new, mode="drop"), kept, fresh)
        return key, kept, count + jnp.sum(good), done + 1

    like = jax.eval_shape(lambda k: draw(k, n)[0], key)
    empty = jax.tree.map(lambda leaf: jnp.full(leaf.shape, jnp.nan, leaf.dtype), like)
    start = (key, empty, jnp.zeros((), int), jnp.zeros((), int))
    return jax.lax.while_loop(lambda carry: (carry[2] < n) & (carry[3] < rounds), more, start)[1]
