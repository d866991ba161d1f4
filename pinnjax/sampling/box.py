"""Uniform points in a box and on its faces."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pinnjax import checks

Corner = ArrayLike | Sequence[float]


def box(
    key: Array, lower: Corner, upper: Corner, n: int, dtype: jax.typing.DTypeLike | None = None
) -> Float[Array, "n d"]:
    """Points uniform in the box with corners `lower: (d,)` and `upper: (d,)`.

    Example:
        >>> import jax
        >>> print(box(jax.random.key(0), [-1.0], [1.0], 4).shape)
        (4, 1)
    """
    checks.key("box: key", key)
    checks.count("box: n", n)
    low, high = corners(lower, upper, dtype)
    x = low[None] + (high - low)[None] * jax.random.uniform(key, (n, low.size), low.dtype)
    return jnp.minimum(x, high[None])  # far from the origin the length may be rounded up


def box_faces(
    key: Array, lower: Corner, upper: Corner, n: int, dtype: jax.typing.DTypeLike | None = None
) -> Float[Array, "m d"]:
    """`n` points uniform on each face of a box, m = 2dn, face by face: x_0 = lower, x_0 = upper, x_1 = lower, ...

    Example:
        >>> import jax
        >>> x = box_faces(jax.random.key(0), [-1.0, 0.0], [1.0, 2.0], 2)
        >>> print(x[:4, 0], x[4:, 1])
        [-1. -1.  1.  1.] [0. 0. 2. 2.]
    """
    checks.key("box_faces: key", key)
    checks.count("box_faces: n", n)
    low, high = corners(lower, upper, dtype)
    d = low.size
    inside = box(key, low, high, 2 * d * n, dtype).reshape(d, 2, n, d)
    for axis in range(d):
        inside = inside.at[axis, 0, :, axis].set(low[axis]).at[axis, 1, :, axis].set(high[axis])
    return inside.reshape(2 * d * n, d)


def corners(lower: Corner, upper: Corner, dtype: jax.typing.DTypeLike | None) -> tuple[Array, Array]:
    """Both corners as arrays, `(d,)`, or an error that says what they are."""
    dtype = checks.floating("dtype", dtype)
    try:
        low, high = jnp.asarray(lower, dtype), jnp.asarray(upper, dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(f"corners {lower!r} and {upper!r}; expected d numbers each, such as (0.0, 1.0)") from error
    if low.ndim != 1 or low.shape != high.shape or not low.size:
        raise ValueError(f"corners of shapes {low.shape} and {high.shape}; expected (d,) twice")
    try:
        below, above = np.asarray(lower, float), np.asarray(upper, float)
    except TypeError:  # traced
        return low, high
    if not (np.isfinite(below) & np.isfinite(above) & (below <= above)).all():
        raise ValueError(f"corners {below.tolist()} and {above.tolist()}; expected finite, none lower in the second")
    return low, high
