"""Errors of a field against a reference."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def relative_l2(
    u: Callable[[Array], Array], points: Float[Array, "n d"], reference: Float[Array, "n *m"]
) -> Float[Array, ""]:
    """Relative L2 error ‖u - u*‖ / ‖u*‖ on a grid, dimensionless.

    Args:
        u: field.
        points: the grid, `(n, d)`.
        reference: u* at the grid, `(n,)` for a scalar field, `(n, m)` for a vector field.

    Returns:
        The error `()`.

    Raises:
        ValueError: when the field and the reference differ in shape.

    Example:
        >>> import jax.numpy as jnp
        >>> print(relative_l2(lambda x: 1.5 * x[0], jnp.array([[1.0], [2.0]]), jnp.array([1.0, 2.0])))
        0.5
    """
    values = jax.vmap(u)(points)
    if values.shape != reference.shape:
        raise ValueError(
            f"relative_l2: the field has shape {values.shape} on the grid; expected the reference's {reference.shape} "
            '(a scalar field comes from a model with out_features="scalar")'
        )
    return jnp.linalg.norm(values - reference) / jnp.linalg.norm(reference)
