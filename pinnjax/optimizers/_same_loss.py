"""Whether the loss is still the function that an optimiser remembers, told by its value."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def same_loss(value: Float[Array, ""], remembered: Float[Array, ""]) -> Bool[Array, ""]:
    """Whether the loss has, to rounding, the value that it had here when the last step ended.

    New points or other weights change it by far more. NaN is remembered where there was no step yet.

    Example:
        >>> print(same_loss(jnp.float32(2.0), jnp.float32(2.0001)), same_loss(jnp.float32(2.0), jnp.float32(2.1)))
        True False
    """
    return jnp.abs(value - remembered) <= jnp.finfo(value.dtype).eps ** (1 / 3) * jnp.abs(remembered)
