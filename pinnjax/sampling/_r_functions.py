"""R-functions without cancellation, and with finite slopes where they are zero; see `distances`."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


def rounding(x: Array) -> float:
    """What counts as on an edge, in units of its length: a gap of a polygon is wider."""
    return float(jnp.finfo(x.dtype).eps) ** 0.5


def about(x: Array, a: np.ndarray, b: np.ndarray) -> tuple[Array, Array, Array, Array]:
    """Of segments from a to b φ >= 0, φ with the sign of f, f, positive to their left, and t, positive beside them.

    All are in units of their lengths. Close to a segment the second is to be taken, and no sign that is compared with
    zero elsewhere: compiled twice, f may be rounded to either side of it.
    """
    a, b = a.astype(x.dtype), b.astype(x.dtype)
    along = b - a
    length = np.hypot(along[..., 0], along[..., 1])
    from_a = x[(None,) * (a.ndim - 1)] - a
    f = (along[..., 0] * from_a[..., 1] - along[..., 1] * from_a[..., 0]) / length**2
    share = (along * from_a).sum(-1) / length**2
    t = share * (1 - share) - f**2  # 1/4 - |x - c|² without the cancellation
    near = t > 0
    bent = root(t**2 + f**4)
    size = jnp.where(f < 0, -f, f)  # whose slope on the line is one, where that of jnp.abs is zero
    past = size**3 / (2 * jnp.where(near, bent + t, 1))
    away = root(jnp.where(near, 1, f**2 + ((bent - t) / 2) ** 2))
    longer = jnp.sqrt(1 + past**2)
    return jnp.where(near, size * longer, away), jnp.where(near, f * longer, away), f, t


def root(square: Array) -> Array:
    """√, with slope zero at zero."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)


def inside(x: Array, a: np.ndarray, b: np.ndarray) -> Array:
    """By the parity of the edges that a ray to the right crosses."""
    a, b = a.astype(x.dtype), b.astype(x.dtype)
    cross = (b[:, 0] - a[:, 0]) * (x[1] - a[:, 1]) > (x[0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    over = (a[:, 1] > x[1]) != (b[:, 1] > x[1])
    return jnp.sum(over & (cross == (b[:, 1] > a[:, 1]))) % 2 == 1


def joined(parts: Array, order: int, signed: Array | None = None) -> Array:
    """(Σ φ_i^{-m})^{-1/m} as the least φ_i times what is finite, with its slope, where that is zero.

    The least with its sign, where `signed` has all of them with theirs.
    """
    i = jnp.argmin(abs(parts))
    least = parts[i]
    others = jnp.where((jnp.arange(len(parts)) == i) | (parts == 0), 1, parts)
    ratios = jnp.where(jnp.arange(len(parts)) == i, 1, least / others)
    return (least if signed is None else signed[i]) * (ratios**order).sum() ** (-1 / order)


def conjunction(a: Array, b: Array) -> Array:
    """R-conjunction, a + b - √(a² + b²), without cancellation, and with finite slopes where both are zero."""
    low, high = jnp.where(a <= b, a, b), jnp.where(a <= b, b, a)  # at ties with the slope of one of them
    positive = a + b > 0
    up = jnp.where(positive, low, 0) / jnp.where(positive, high, 1)
    below = ~positive & (low < 0)
    down = jnp.where(below, high, 0) / jnp.where(below, low, 1)
    return low * jnp.where(positive, 2 / (1 + up + jnp.sqrt(1 + up**2)), 1 + down + jnp.sqrt(1 + down**2))
