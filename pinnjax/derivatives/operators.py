"""Differential operators on fields, by nested forward mode.

A field `u` maps one point `x: (d,)` to `()` or `(m,)`; every operator here maps a field to a field, so they compose:
`laplacian(laplacian(u))` is the biharmonic operator. Points have few coordinates, so a Jacobian-vector product along
each axis is cheaper than reverse mode. What several derivatives of one field share is computed once: see
`pinnjax.sharing`, which every residual function goes through.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from pinnjax import checks
from pinnjax.derivatives import _arguments

Field = Callable[[Float[Array, " d"]], Float[Array, "*m"]]
Factory = TypeVar("Factory", bound=Callable[..., Field])

# Up to here the axes are unrolled in the program, beyond it vmapped: a 100-dimensional Laplacian still compiles.
UNROLLED_AXES = 8


def _of_fields(factory: Factory) -> Factory:
    """Say what to write where an operator is given a point, `grad(u, x)`, or a field's value, `grad(u(x))`."""
    name = factory.__name__
    takes = {"diff": ", 0", "component": ", 0", "directional": ", v"}.get(name, "")

    @functools.wraps(factory)
    def checked(u: Field, *arguments: Any, **options: Any) -> Field:
        if not callable(u) or isinstance(u, type):
            raise TypeError(
                f"{name}: the field is {checks.described(u)}; expected a function, as in pj.{name}(u{takes})(x)"
            )
        arrays = [a for a in arguments if isinstance(a, jax.Array | np.ndarray)]
        if len(arrays) > (name == "directional") and jnp.issubdtype(arrays[-1].dtype, jnp.floating):
            raise TypeError(f"{name}: a point is no argument; expected pj.{name}(u{takes})(x)")
        return factory(u, *arguments, **options)

    return checked  # type: ignore[return-value]


@_of_fields
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
        return _slope("directional", u, x, v)

    if callable(direction):
        raise TypeError("directional: the direction is a function; expected a vector, as in directional(u, v(x))(x)")
    return derivative


@_of_fields
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


@_of_fields
def grad(u: Field) -> Field:
    """Gradient ∇u of a scalar field `(d,)`, or Jacobian ∂u_i/∂x_j of a vector field `(m, d)`.

    Example:
        >>> import jax.numpy as jnp
        >>> print(grad(lambda x: x[0] ** 2 * x[1])(jnp.array([3.0, 5.0])))
        [30.  9.]
    """

    def gradient(x: Float[Array, " d"]) -> Float[Array, "*m d"]:
        x = checks.point("grad", x)
        return _along_axes(lambda v: _slope("grad", u, x, v), x, range(x.size))

    return gradient


@_of_fields
def hessian(u: Field) -> Field:
    """Second derivatives ∂²u/∂x_i∂x_j: `(d, d)` of a scalar field, `(m, d, d)` of a vector field.

    Example:
        >>> import jax.numpy as jnp
        >>> print(hessian(lambda x: x[0] ** 2 * x[1])(jnp.array([3.0, 5.0])))
        [[10.  6.]
         [ 6.  0.]]
    """
    return grad(grad(u))


@_of_fields
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
            return _slope("laplacian", lambda y: _slope("laplacian", u, y, v), x, v)

        return _along_axes(second, x, _arguments.coordinates("laplacian", chosen, x)).sum(-1)

    chosen = None if axes is None else _arguments.integers("laplacian", axes)
    return laplace


@_of_fields
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
        jacobian = _along_axes(lambda v: _slope("divergence", u, x, v), x, along)
        _arguments.check_components("divergence", jacobian.shape[:-1], (len(along),))
        return jnp.trace(jacobian)

    chosen = None if axes is None else _arguments.integers("divergence", axes)
    return div


@_of_fields
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
        j = _along_axes(lambda v: _slope("curl", u, x, v), x, along)
        _arguments.check_components("curl", j.shape[:-1], (len(along),))
        if len(along) == 2:
            return j[1, 0] - j[0, 1]
        return jnp.stack([j[2, 1] - j[1, 2], j[0, 2] - j[2, 0], j[1, 0] - j[0, 1]])

    chosen = None if axes is None else _arguments.integers("curl", axes)
    return rotation


@_of_fields
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
        return _slope("diff", u, x, _basis(x, along))

    return derivative


def _along_axes(derivative: Callable[[Array], Array], x: Array, axes: Sequence[int]) -> Array:
    """Stack `derivative(e_i)` over the axes, last: one unrolled product each, or one vmapped when there are many."""
    basis = [_basis(x, axis) for axis in axes]
    if len(basis) <= UNROLLED_AXES:
        return jnp.stack([derivative(v) for v in basis], axis=-1)
    return jax.vmap(derivative, out_axes=-1)(jnp.stack(basis))


def _basis(x: Array, axis: int) -> Array:
    return jnp.zeros_like(x).at[axis].set(1)


def _slope(name: str, u: Field, x: Array, v: Array) -> Array:
    """The derivative along v of a field that is one."""
    value, slope = jax.jvp(u, (x,), (v,))
    # An integer has a slope of no number type, a dict a dict of slopes.
    if not isinstance(slope, jax.Array) or not jnp.issubdtype(slope.dtype, jnp.inexact):
        raise TypeError(f"{name}: the field is {checks.described(value)} at a point; expected floating () or (m,)")
    return slope
