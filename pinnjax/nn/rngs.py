"""Random numbers for the parameters of a network."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


class Rngs(nnx.Rngs):
    """Flax's `nnx.Rngs`, from seeds that may also be arrays, as under `jax.vmap`.

    Args:
        default: seed or random key of the streams that have none of their own.
        streams: seed or random key of a stream, e.g. `params`.

    Example:
        >>> from pinnjax import nn
        >>> def start(seed):
        ...     return nn.MLP(1, "scalar", width=4, depth=1, rngs=Rngs(seed))(jnp.ones(1))
        >>> values = jax.vmap(start)(jnp.arange(3))
        >>> print(values.shape, bool(values[2] == start(2)))
        (3,) True
    """

    def __init__(self, default: Any = None, **streams: Any):
        super().__init__(_key(default), **{name: _key(seed) for name, seed in streams.items()})


def _key(seed: Any) -> Any:
    """An integer array `()` as a key, which flax makes of Python's integers only."""
    is_seed = isinstance(seed, jax.Array | np.ndarray | np.integer) and jnp.issubdtype(seed.dtype, jnp.integer)
    return jax.random.key(seed) if is_seed and seed.ndim == 0 else seed
