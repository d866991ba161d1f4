"""Vector calculus: gradient, Hessian, Laplacian, divergence and curl."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import checks
from pinnjax.derivatives import _arguments, _fields
from pinnjax.derivatives._fields import Field


@_fields.of_fields
def grad(u: Field) -> Field:
    """Gradient ∇u of a scalar field `(d,)`, or Jacobian ∂u_i/∂x_j of a vector field `(m, d)`.

    Example:
        >>> import jax.numpy as jnp
        >>> print(grad(lambda x: x[0] ** 2 * x[1])(jnp.array([3.0, 5.0])))
        [30.  9.]
    """

    def gradient(x: Float[Array, " d"]) -> Float[Array, "*m d"]:
        x = checks.point("grad", x)
        return _fields.along_axes(lambda v: _fields.slope("grad", u, x, v), x, range(x.size))

    return gradient


@_fields.of_fields
def hessian(u: Field) -> Field:
    """Second derivatives ∂²u/∂x_i∂x_j: `(d, d)` of a scalar field, `(m, d, d)` of a vector field.

    Example:
        >>> import jax.numpy as jnp
        >>> print(hessian(lambda x: x[0] ** 2 * x[1])(jnp.array([3.0, 5.0])))
        [[10.  6.]
         [ 6.  0.]]
    """
    return grad(grad(u))


@_fields.of_fields
def laplacian(u: Field, axes: Sequence[int] | None = None) -> Field:
    """Laplacian Δu = Σ_i ∂²u/∂x_i², of each component.

    Args:
        u: field, `(d,)` to `()` or `(m,)`.
        axes: the coordinates to sum over; all of them when None. `axes=(0, 1)` leaves out time in points `(x, y, t)`.

    Returns:
        The field Δu, of the shape of `u(x)`.

    Raises:
        ValueError: when an axis is not a coordinate of the point.

    Example:
        >>> import jax.numpy as jnp
        >>> u = lambda x: x[0] ** 2 * x[1] ** 2
        >>> print(laplacian(u)(jnp.array([3.0, 5.0])))  # 2·25 + 2·9
        68.0
        >>> print(laplacian(laplacian(u))(jnp.array([3.0, 5.0])))
        8.0
    """

    def laplace(x: Float[Array, " d"]) -> Float[Array, "*m"]:
        x = checks.point("laplacian", x)

        def second(v: Array) -> Array:
            return _fields.slope("laplacian", lambda y: _fields.slope("laplacian", u, y, v), x, v)

        return _fields.over_axes(second, x, _arguments.coordinates("laplacian", chosen, x))

    chosen = None if axes is None else _arguments.integers("laplacian", axes)
    return laplace


@_fields.of_fields
def divergence(u: Field, axes: Sequence[int] | None = None) -> Field:
    """Divergence ∇·u = Σ_i ∂u_i/∂x_i of a vector field.

    Args:
        u: field, `(d,)` to `(m,)`.
        axes: the coordinate that each component belongs to; all coordinates in order when None.

    Returns:
        The scalar field ∇·u.

    Raises:
        ValueError: when the field does not have one component per axis.

    Example:
        >>> import jax.numpy as jnp
        >>> print(divergence(lambda x: jnp.stack([x[0] ** 2, x[0] * x[1]]))(jnp.array([3.0, 5.0])))  # 2·3 + 3
        9.0
    """

    def div(x: Float[Array, " d"]) -> Float[Array, ""]:
        x = checks.point("divergence", x)
        along = _arguments.coordinates("divergence", chosen, x)

        def own(v: Array, component: int | Array) -> Array:
            slope = _fields.slope("divergence", u, x, v)
            _arguments.check_components("divergence", slope.shape, (len(along),))
            return slope[component]

        return _fields.over_axes(own, x, along, np.arange(len(along)))

    chosen = None if axes is None else _arguments.integers("divergence", axes)
    return div


@_fields.of_fields
def curl(u: Field, axes: Sequence[int] | None = None) -> Field:
    """Curl ∇×u: the scalar ∂v/∂x - ∂u/∂y in two dimensions, a vector `(3,)` in three.

    Args:
        u: field, `(d,)` to `(2,)` or `(3,)`.
        axes: the two or three space coordinates; all coordinates when None.

    Returns:
        The field ∇×u, `()` in two dimensions and `(3,)` in three.

    Raises:
        ValueError: when there are not two or three axes, or the field does not have one component per axis.

    Example:
        >>> import jax.numpy as jnp
        >>> print(curl(lambda x: jnp.stack([-x[1], x[0]]))(jnp.array([3.0, 5.0])))  # a rigid rotation: twice its rate
        2.0
    """

    def rotation(x: Float[Array, " d"]) -> Float[Array, "*m"]:
        x = checks.point("curl", x)
        along = _arguments.coordinates("curl", chosen, x)
        if len(along) not in (2, 3):
            raise ValueError(f"curl: {len(along)} axes; expected 2 or 3, chosen with `axes`")
        j = _fields.along_axes(lambda v: _fields.slope("curl", u, x, v), x, along)
        _arguments.check_components("curl", j.shape[:-1], (len(along),))
        if len(along) == 2:
            return j[1, 0] - j[0, 1]
        return jnp.stack([j[2, 1] - j[1, 2], j[0, 2] - j[2, 0], j[1, 0] - j[0, 1]])

    chosen = None if axes is None else _arguments.integers("curl", axes)
    return rotation
