"""Uniform points in a box and on its faces."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

Corner = ArrayLike | Sequence[float]


def box(key: Array, lower: Corner, upper: Corner, n: int, dtype: jnp.dtype | None = None) -> Float[Array, "n d"]:
    """Points uniform in the box with corners `lower: (d,)` and `upper: (d,)`.

    Example:
        >>> import jax
        >>> print(box(jax.random.key(0), [-1.0], [1.0], 4).shape)
        (4, 1)
    """
    low, high = corners(lower, upper, dtype)
    return low[None] + (high - low)[None] * jax.random.uniform(key, (n, low.size), low.dtype)


def box_faces(
    key: Array, lower: Corner, upper: Corner, n: int, dtype: jnp.dtype | None = None
) -> Float[Array, "2dn d"]:
    """`n` points uniform on each of the 2d faces of a box, face by face: x_0 = lower, x_0 = upper, x_1 = lower, ...

    Example:
        >>> import jax
        >>> x = box_faces(jax.random.key(0), [-1.0, 0.0], [1.0, 2.0], 2)
        >>> print(x[:4, 0], x[4:, 1])
        [-1. -1.  1.  1.] [0. 0. 2. 2.]
    """
    low, high = corners(lower, upper, dtype)
    d = low.size
    inside = box(key, low, high, 2 * d * n, dtype).reshape(d, 2, n, d)
    for axis in range(d):
        inside = inside.at[axis, 0, :, axis].set(low[axis]).at[axis, 1, :, axis].set(high[axis])
    return inside.reshape(2 * d * n, d)


def corners(lower: Corner, upper: Corner, dtype: jnp.dtype | None) -> tuple[Array, Array]:
    """Both corners as arrays, `(d,)`, or an error that says what they are."""
    dtype = jnp.result_type(float) if dtype is None else dtype
    low, high = jnp.asarray(lower, dtype), jnp.asarray(upper, dtype)
    if low.ndim != 1 or low.shape != high.shape:
        raise ValueError(f"corners of shapes {low.shape} and {high.shape}; expected (d,) twice")
    return low, high
