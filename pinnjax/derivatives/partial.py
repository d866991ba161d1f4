"""Derivatives of a field along a direction or along coordinates, and its components."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from pinnjax import checks
from pinnjax.derivatives import _arguments, _fields
from pinnjax.derivatives._fields import Field


@_fields.of_fields
def directional(u: Field, direction: ArrayLike) -> Field:
    """Derivative of a field along a constant vector, (v · ∇) u.

    Args:
        u: field, `(d,)` to `()` or `(m,)`.
        direction: vector `v: (d,)` in the units of `x`; not normalised.

    Returns:
        The field x ↦ Σ_i v_i ∂u/∂x_i, of the shape of `u(x)`.

    Raises:
        ValueError: when a point does not have the shape of `direction`.

    Example:
        >>> import jax.numpy as jnp
        >>> u = lambda x: x[0] ** 2 * x[1]
        >>> print(directional(u, jnp.array([1.0, 2.0]))(jnp.array([3.0, 5.0])))  # 2·3·5 + 2·3²
        48.0
    """

    def derivative(x: Float[Array, " d"]) -> Float[Array, "*m"]:
        x = checks.point("directional", x)
        v = jnp.asarray(direction, x.dtype)
        if v.shape != x.shape:
            raise ValueError(f"directional: the direction has shape {v.shape}; expected the point's shape {x.shape}")
        return _fields.slope("directional", u, x, v)

    if callable(direction):
        raise TypeError("directional: the direction is a function; expected a vector, as in directional(u, v(x))(x)")
    return derivative


@_fields.of_fields
def diff(u: Field, *axes: int) -> Field:
    """Partial derivative of any mixed order: `diff(u, 0, 1)` is u_xy.

    Args:
        u: field, `(d,)` to `()` or `(m,)`.
        *axes: one coordinate index for each differentiation; negative ones count from the end. None gives `u` back.

    Returns:
        The field of that derivative, of the shape of `u(x)`.

    Raises:
        ValueError: when an axis is not a coordinate of the point.

    Example:
        >>> import jax.numpy as jnp
        >>> u = lambda x: x[0] ** 3 * x[1]
        >>> print(diff(u, 0, 0)(jnp.array([2.0, 5.0])))  # 6·2·5
        60.0
    """
    for axis in _arguments.integers("diff", axes):
        u = _partial(u, axis)
    return u


@_fields.of_fields
def component(u: Field, index: int) -> Field:
    """One component of a vector field as a scalar field: `diff(component(u, 1), 0)` is ∂v/∂x.

    Raises:
        ValueError: when the field has no such component.

    Example:
        >>> import jax.numpy as jnp
        >>> print(component(lambda x: jnp.stack([x[0], x[0] * x[1]]), 1)(jnp.array([3.0, 5.0])))
        15.0
    """

    def scalar(x: Float[Array, " d"]) -> Float[Array, ""]:
        value = jnp.asarray(u(x))
        if value.ndim != 1 or not -value.size <= index < value.size:
            raise ValueError(f"component: the field has shape {value.shape}; expected (m,) with a component {index}")
        return value[index]

    (index,) = _arguments.integers("component", (index,))
    return scalar


def _partial(u: Field, axis: int) -> Field:
    def derivative(x: Float[Array, " d"]) -> Float[Array, "*m"]:
        x = checks.point("diff", x)
        (along,) = _arguments.coordinates("diff", (axis,), x)
        return _fields.slope("diff", u, x, _fields.unit(x, along))

    return derivative
