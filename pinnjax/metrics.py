"""Errors of a field against a reference."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float


def relative_l2(
    u: Callable[[Array], Array], points: Float[ArrayLike, "n d"], reference: Float[ArrayLike, "n *m"]
) -> Float[Array, ""]:
    """Relative L2 error ‖u - u*‖ / ‖u*‖ on a grid, dimensionless.

    Args:
        u: field.
        points: the grid, `(n, d)`.
        reference: u* at the grid, `(n,)` for a scalar field, `(n, m)` for a vector field.

    Returns:
        The error `()`.

    Raises:
        ValueError: when the grid has another shape, or the field and the reference differ in theirs.

    Example:
        >>> import jax.numpy as jnp
        >>> print(relative_l2(lambda x: 1.5 * x[0], jnp.array([[1.0], [2.0]]), jnp.array([1.0, 2.0])))
        0.5
    """
    points, reference = jnp.asarray(points), jnp.asarray(reference)
    if points.ndim != 2 or points.size == 0:
        raise ValueError(f"relative_l2: the grid has shape {points.shape}; expected (n, d), one row a point")
    values = jax.vmap(u)(points)
    if values.shape != reference.shape:
        raise ValueError(
            f"relative_l2: the field has shape {values.shape} on the grid; expected the reference's {reference.shape} "
            '(a scalar field comes from a model with out_features="scalar", and its reference is (n,))'
        )
    # In units of the reference, whose square may be outside what float32 can hold.
    unit = jnp.max(jnp.abs(reference))
    unit = jnp.where(unit > 0, unit, 1)
    return jnp.linalg.norm((values - reference) / unit) / jnp.linalg.norm(reference / unit)
