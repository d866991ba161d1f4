"""Saturated and dead activations, layer by layer, of any field: read off its traced program.

A tanh whose input is large has derivative zero: the units behind it get no gradient, and the derivatives of the field
lose them too. Networks need no hooks for this; the activations are the bounded functions in the program of u.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.extend import core
from jaxtyping import Array, Float

BOUNDED = {"tanh": 1.0, "logistic": 0.25, "erf": 1.1283791670955126}  # largest derivative of each
KINKED = {"max"}  # relu is max(x, 0)


def activations(u: Callable[[Array], Array], x: Float[Array, " d"]) -> list[Float[Array, " units"]]:
    """|derivative| of every activation at one point over its largest value, in [0, 1], one array a layer.

    Layers are in the order of the program. tanh, the logistic function, erf and relu are known; others are left out.

    Args:
        u: field.
        x: point.

    Example:
        >>> import jax.numpy as jnp
        >>> u = lambda x: jnp.sum(jnp.tanh(jnp.array([0.0, 20.0]) * x[0]))
        >>> print(activations(u, jnp.ones(1))[0])
        [1. 0.]
    """
    program = jax.make_jaxpr(u)(x)
    found: list[Array] = []
    _evaluate(program.jaxpr, program.consts, [x], found)
    return found


def saturation(
    u: Callable[[Array], Array], points: Float[Array, "n d"], *, threshold: float = 0.05
) -> list[Float[Array, ""]]:
    """Share of the units, over all points, whose activation has lost its slope; one number a layer, in [0, 1].

    Args:
        u: field.
        points: where.
        threshold: a unit is saturated where its derivative is below this share of the largest, dimensionless.

    Returns:
        The share of each layer, as `activations` orders them.

    Example:
        >>> import jax.numpy as jnp
        >>> u = lambda x: jnp.sum(jnp.tanh(jnp.array([0.1, 20.0]) * x[0]))
        >>> print([float(share) for share in saturation(u, jnp.ones((3, 1)))])
        [0.5]
    """
    slopes = jax.vmap(lambda x: activations(u, x))(points)
    return [jnp.mean(slope < threshold) for slope in slopes]


def dead(
    u: Callable[[Array], Array], points: Float[Array, "n d"], *, threshold: float = 0.05
) -> list[Float[Array, ""]]:
    """Share of the units that are saturated at every point, one number a layer: they learn nothing more.

    Example:
        >>> import jax.numpy as jnp
        >>> u = lambda x: jnp.sum(jnp.tanh(20 * x[0] + jnp.array([0.0, 100.0])))
        >>> print([float(share) for share in dead(u, jnp.array([[0.0], [1.0]]))])
        [0.5]
    """
    slopes = jax.vmap(lambda x: activations(u, x))(points)
    return [jnp.mean(jnp.all(slope < threshold, axis=0)) for slope in slopes]


def _evaluate(jaxpr: core.Jaxpr, consts: list, arguments: list, found: list[Array]) -> list:
    """Run a program equation by equation, and note the slope of every activation on the way."""
    values: dict = dict(zip(jaxpr.constvars, consts, strict=True)) | dict(zip(jaxpr.invars, arguments, strict=True))
    read = lambda v: v.val if isinstance(v, core.Literal) else values[v]
    for equation in jaxpr.eqns:
        inputs = [read(v) for v in equation.invars]
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        name = equation.primitive.name
        if inner is not None and name in ("pjit", "jit", "closed_call", "core_call", "custom_jvp_call", "remat"):
            closed = inner if hasattr(inner, "consts") else core.ClosedJaxpr(inner, ())
            outputs = _evaluate(closed.jaxpr, list(closed.consts), inputs, found)
        else:
            bind = equation.primitive.bind
            outputs = bind(*inputs, **equation.params)
            outputs = outputs if equation.primitive.multiple_results else [outputs]
            slope = _slope(name, inputs)
            if slope is not None:
                found.append(jnp.ravel(slope))
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _slope(name: str, inputs: list) -> Array | None:
    if name in BOUNDED:
        function = {"tanh": jnp.tanh, "logistic": jax.nn.sigmoid, "erf": jax.lax.erf}[name]
        derivative = jax.vmap(jax.grad(function))(jnp.ravel(inputs[0]))
        return jnp.abs(derivative) / BOUNDED[name]
    if name in KINKED and any(jnp.ndim(v) == 0 for v in inputs):
        array = next(v for v in inputs if jnp.ndim(v) > 0) if any(jnp.ndim(v) > 0 for v in inputs) else None
        return None if array is None else (array > 0).astype(array.dtype)
    return None
