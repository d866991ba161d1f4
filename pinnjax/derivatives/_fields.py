"""What operators share: fields are checked, and derived along vectors and axes by forward mode.

Points have few coordinates, so a Jacobian-vector product along each axis is cheaper than reverse mode.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import checks

Field = Callable[[Float[Array, " d"]], Float[Array, "*m"]]
Factory = TypeVar("Factory", bound=Callable[..., Field])

# Up to here the axes are unrolled in the program, beyond it vmapped: a 100-dimensional Laplacian still compiles.
UNROLLED_AXES = 8


def of_fields(factory: Factory) -> Factory:
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


def along_axes(derivative: Callable[[Array], Array], x: Array, axes: Sequence[int]) -> Array:
    """Stack `derivative(e_i)` over the axes, last: one unrolled product each, or one vmapped when there are many."""
    basis = [unit(x, axis) for axis in axes]
    if len(basis) <= UNROLLED_AXES:
        return jnp.stack([derivative(v) for v in basis], axis=-1)
    return jax.vmap(derivative, out_axes=-1)(jnp.stack(basis))


def over_axes(derivative: Callable[..., Array], x: Array, axes: Sequence[int], *each: np.ndarray) -> Array:
    """Sum of `derivative(e_i, ...)` over the axes; `each`: further arguments `(number of axes,)`, one for each."""
    basis = [unit(x, axis) for axis in axes]
    if len(basis) <= UNROLLED_AXES:
        return functools.reduce(operator.add, map(derivative, basis, *(values.tolist() for values in each)))
    return jax.vmap(derivative)(jnp.stack(basis), *each).sum(0)


def unit(x: Array, axis: int) -> Array:
    """The unit vector along a coordinate."""
    return jnp.zeros_like(x).at[axis].set(1)


def slope(name: str, u: Field, x: Array, v: Array) -> Array:
    """The derivative along v of a field that is one."""
    value, along = jax.jvp(u, (x,), (v,))
    # An integer has a slope of no number type, a dict a dict of slopes.
    if not isinstance(along, jax.Array) or not jnp.issubdtype(along.dtype, jnp.inexact):
        raise TypeError(f"{name}: the field is {checks.described(value)} at a point; expected floating () or (m,)")
    return along
