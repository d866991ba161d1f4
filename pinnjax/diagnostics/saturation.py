"""Saturated and dead activations, layer by layer, of any field: read off its traced program.

A tanh whose input is large has derivative zero: the units behind it get no gradient, and the derivatives of the field
lose them too. Networks need no hooks for this, and activations no names. An activation is what the program computes of
one array element by element, and not linearly; its slope is found by differentiating just that part of the program.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jaxtyping import Array, Float

Values = dict[core.Var, Array | np.ndarray]

LOST = 0.05  # a unit is saturated where its slope is below this share of the largest
UNIT = 1.0  # the inputs |z| up to this have the slope of an activation that grows steeper for ever, as exp(z) and z²
GRID = np.sort(
    [-UNIT, UNIT, *np.sinh(np.linspace(-9.0, 9.0, 801))]
)  # where the largest slope is sought: dense near 0, up to |z| = 4000

ELEMENTWISE = str.split(  # primitives of jax.lax whose outputs are of one element each
    "abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil clamp convert_element_type copy cos cosh "
    "digamma div eq erf erf_inv erfc exp exp2 expm1 floor ge gt integer_pow is_finite le lgamma log log1p logistic lt "
    "max min mul ne neg nextafter not or pow reduce_precision rem round rsqrt select_n sign sin sinh sqrt square "
    "stop_gradient sub tan tanh xor"
)
LINEAR = {"add", "add_any", "convert_element_type", "copy", "neg", "sub"}  # in all operands together
CALLS = {"checkpoint", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "jit", "pjit", "remat"}


def activations(u: Callable[[Array], Array], x: Float[Array, " d"]) -> list[Float[Array, " units"]]:
    """|derivative| of every activation at one point over its largest value, in [0, 1], one array a layer.

    Layers are in the order of the program. What several units share, as in a softmax, a gate's product or a lift of
    single numbers, is no activation; what is inside loops (`lax.scan`) is not seen.

    Args:
        u: field.
        x: point.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> u = lambda x: jnp.sum(jnp.tanh(jnp.array([0.0, 20.0]) * x[0]))
        >>> print(activations(u, jnp.ones(1))[0])
        [1. 0.]
        >>> u = lambda x: jnp.sum(jax.nn.softplus(jnp.array([-2.0, 0.0, 50.0]) * x[0]))  # its slope is the logistic
        >>> print(activations(u, jnp.ones(1))[0].round(2))
        [0.12 0.5  1.  ]
    """
    program = jax.make_jaxpr(lambda x: _inlined(jax.make_jaxpr(u)(x), [x]))(x)
    parts = _parts(program.jaxpr)
    values = _evaluate(program.jaxpr.eqns, dict(zip(program.jaxpr.invars, [x], strict=True)) | _constants(program))
    return [_slopes(part, values) for part in parts]


def saturation(
    u: Callable[[Array], Array], points: Float[Array, "n d"], *, threshold: float = LOST
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
    u: Callable[[Array], Array], points: Float[Array, "n d"], *, threshold: float = LOST
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


class _Part(NamedTuple):
    """A part of the program that is an activation: its input, its equations, and what leaves it for the rest."""

    input: core.Var
    equations: list[core.JaxprEqn]
    outputs: list[core.Var]


def _parts(jaxpr: core.Jaxpr) -> list[_Part]:
    """Every variable belongs to one input, the last array that was not computed from one other element by element."""
    owner = {v: v for v in jaxpr.invars}  # of the variables that depend on the point
    linear = set(jaxpr.invars)
    equations: dict[core.Var, list[core.JaxprEqn]] = {v: [] for v in jaxpr.invars}
    leaving: dict[core.Var, list[core.Var]] = {v: [] for v in jaxpr.invars}
    shape = lambda v: v.aval.shape
    used = [v for equation in jaxpr.eqns for v in equation.invars if not isinstance(v, core.Literal)]
    for equation in jaxpr.eqns:
        inputs = [v for v in equation.invars if not isinstance(v, core.Literal) and v in owner]
        if not inputs:
            continue
        first, outputs = owner[inputs[0]], equation.outvars
        alone = all(owner[v] is first for v in inputs) and all(shape(v) == shape(first) for v in outputs)
        stays_linear = _linear(equation, inputs, linear)
        # A bias or a factor on the way to the activation: its input is what comes out.
        on_the_way = stays_linear and inputs == [first] and used.count(first) == 1
        if alone and _elementwise(equation) and not on_the_way:
            equations[first].append(equation)
            owner.update(dict.fromkeys(outputs, first))
            linear.update(outputs if stays_linear else ())
            continue
        for v in inputs:
            leaving[owner[v]].append(v)
        owner.update({v: v for v in outputs})
        linear.update(outputs)
        equations.update({v: [] for v in outputs})
        leaving.update({v: [] for v in outputs})
    for out in jaxpr.outvars:
        if not isinstance(out, core.Literal) and out in owner:
            leaving[owner[out]].append(out)
    floating = lambda v: jnp.issubdtype(v.aval.dtype, jnp.floating)
    parts = []
    for v, left in leaving.items():
        bent = [w for w in dict.fromkeys(left) if w not in linear and floating(w)]
        if bent and floating(v) and shape(v):
            parts.append(_Part(v, equations[v], bent))
    return parts


def _linear(equation: core.JaxprEqn, inputs: list[core.Var], linear: set[core.Var]) -> bool:
    """Whether the outputs are linear in what the inputs are linear in, but for a constant."""
    name = equation.primitive.name
    one = (name == "mul" and len(inputs) == 1) or (name == "div" and inputs == [equation.invars[0]])
    return (name in LINEAR or one) and linear.issuperset(inputs)


def _elementwise(equation: core.JaxprEqn) -> bool:
    inner = _inner(equation)
    return equation.primitive.name in ELEMENTWISE if inner is None else all(map(_elementwise, inner.jaxpr.eqns))


def _slopes(part: _Part, values: Values) -> Float[Array, " units"]:
    """The largest |slope| of the outputs, each over the largest that it has anywhere."""

    def activation(z: Array) -> list[Array | np.ndarray]:
        found = _evaluate(part.equations, values | {part.input: z})
        return [found[v] for v in part.outputs]

    slopes = lambda z: [jnp.abs(slope) for slope in jax.jvp(activation, (z,), (jnp.ones_like(z),))[1]]
    z = values[part.input]
    found = []
    for slope, elsewhere in zip(
        slopes(z), jax.vmap(lambda t: slopes(jnp.full_like(z, t)))(jnp.asarray(GRID, z.dtype)), strict=True
    ):
        near = jnp.nanmax(jnp.where((jnp.abs(GRID) <= UNIT)[:, *[None] * z.ndim], elsewhere, 0), axis=0)
        largest = jnp.nanmax(elsewhere, axis=0)
        largest = jnp.where(largest <= 2 * near, largest, near)
        found.append(jnp.minimum(slope / jnp.where(largest > 0, largest, 1), 1))
    return jnp.ravel(jnp.max(jnp.stack(found), axis=0))


def _evaluate(equations: list[core.JaxprEqn], values: Values) -> Values:
    """Run equations; the values of all variables."""
    values = dict(values)
    for equation in equations:
        inputs = [v.val if isinstance(v, core.Literal) else values[v] for v in equation.invars]
        values.update(zip(equation.outvars, _outputs(equation, inputs), strict=True))
    return values


def _outputs(equation: core.JaxprEqn, inputs: list) -> list:
    """One equation, with the derivative that its function was given."""
    pairs = zip(equation.invars, inputs, strict=True)
    named = {v: value for v, value in pairs if not isinstance(v, core.Literal)}
    alone = _empty().jaxpr.replace(invars=list(named), outvars=equation.outvars, eqns=[equation])
    return core.jaxpr_as_fun(_empty().replace(jaxpr=alone))(*named.values())


@functools.cache
def _empty() -> core.ClosedJaxpr:
    return jax.make_jaxpr(lambda: ())()


def _inlined(program: core.ClosedJaxpr, arguments: list) -> list:
    """Run a program without its calls, but for elementwise functions that have a derivative of their own."""
    values = dict(zip(program.jaxpr.invars, arguments, strict=True)) | _constants(program)
    for equation in program.jaxpr.eqns:
        inputs = [v.val if isinstance(v, core.Literal) else values[v] for v in equation.invars]
        inner = _inner(equation)
        keeps = equation.primitive.name.startswith("custom") and _elementwise(equation)
        outputs = _outputs(equation, inputs) if inner is None or keeps else _inlined(inner, inputs)
        values.update(zip(equation.outvars, outputs, strict=True))
    return [v.val if isinstance(v, core.Literal) else values[v] for v in program.jaxpr.outvars]


def _inner(equation: core.JaxprEqn) -> core.ClosedJaxpr | None:
    """The program that an equation calls."""
    if equation.primitive.name not in CALLS:
        return None
    inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
    return inner if inner is None or isinstance(inner, core.ClosedJaxpr) else core.ClosedJaxpr(inner, ())


def _constants(program: core.ClosedJaxpr) -> Values:
    return dict(zip(program.jaxpr.constvars, program.consts, strict=True))
