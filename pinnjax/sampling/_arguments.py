"""What a user gives to a domain, checked: keys, counts, dtypes, points and numbers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import checks

Points = Float[Array, "n d"]
Dtype = jax.typing.DTypeLike | None


def request(what: str, key: Any, n: Any, dtype: Dtype) -> tuple[jnp.dtype, jnp.dtype]:
    """The precision of the points and, at least single, that of the work; or an error that says what was wrong."""
    checks.key(f"{what}: key", key)
    checks.count(f"{what}: n", n)
    dtype = checks.floating(f"{what}: dtype", dtype)
    return dtype, jnp.promote_types(dtype, jnp.float32)


def points(what: str, x: Any, d: int) -> Points:
    """Points as an array `(n, d)`, or an error that says what they are."""
    x = jnp.asarray(x)
    if x.ndim != 2 or x.shape[1] != d:
        raise ValueError(f"{what}.contains: points of shape {x.shape}; expected (n, {d})")
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))


def numbers(what: str, given: Any) -> tuple[float, ...]:
    """Finite numbers known before compilation, as a tuple, which has a hash."""
    expected = "expected numbers such as (0.0, 1.0), known before compilation"
    try:
        values = np.asarray(given, float)
    except (TypeError, ValueError) as error:  # words, ragged lists, traced arrays
        raise TypeError(f"{what} is {given!r}; {expected}") from error
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"{what} is {given!r}; {expected} and finite")
    return tuple(values.tolist())
