"""‖∂r/∂θ‖² at a point without ∂r/∂θ: a dense layer's part is a sum of outer products, whose norm their factors have.

A derivative in a residual applies a layer several times at one point, to a value and to tangents, z_k = W h_k. So

    ∂r/∂W = Σ_k δ_k h_kᵀ,   ‖∂r/∂W‖² = Σ_kl (δ_k·δ_l) (h_k·h_l),   δ_k = ∂r/∂z_k,

and all δ come out of one pullback to the z_k. This is read off the traced program, so no network needs a rule for it;
parameters that are used otherwise than by a product or a sum are differentiated.

References:
  Goodfellow, `Efficient per-example gradient computations <https://arxiv.org/abs/1510.01799>`_, 2015 (one application).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core
from jaxtyping import Array, Float

from pinnjax.terms import inline

Values = dict[core.Var, Any]
FEW = 8  # applications up to which products are taken pair by pair, which is faster than as small matrices


class Use(NamedTuple):
    """One application of a parameter.

    Attributes:
        equation: its place in the program.
        operand: which operand of it is the parameter.
        contracted: its dimensions that a product contracts, in order; None for a sum.
    """

    equation: int
    operand: int
    contracted: tuple[int, ...] | None


def point_squares(program: core.ClosedJaxpr, trained: int) -> Callable[..., list[Float[Array, ""]]]:
    """From the arguments of a program at one point to ‖∂r/∂θ‖² of each of its outputs r, over all components.

    Args:
        program: residuals at one point, as `jax.make_jaxpr` traces them.
        trained: how many of its arguments, the first, are parameters.

    Example:
        >>> r = lambda w, x: jnp.sum(jnp.tanh(x @ w))
        >>> w, x = jnp.array([[1.0, 0.0], [0.5, 2.0]]), jnp.array([0.3, -0.2])
        >>> (found,) = point_squares(jax.make_jaxpr(r)(w, x), 1)(w, x)
        >>> print(jnp.allclose(found, jnp.sum(jax.grad(r)(w, x) ** 2)))
        True
    """
    jaxpr, constants = program.jaxpr, dict(zip(program.jaxpr.constvars, program.consts, strict=True))
    layers, alone = _uses(jaxpr, trained)
    moved = sorted({use.equation for uses in layers.values() for use in uses})

    def run(
        shifts: dict[int, Array], own: Sequence[Array], arguments: Sequence[Array]
    ) -> tuple[list[Array], dict[Use, Array]]:
        """Outputs, with the results of these equations shifted; and what parameters were multiplied with."""
        values: Values = constants | dict(zip(jaxpr.invars, arguments, strict=True))
        values |= {jaxpr.invars[leaf]: value for leaf, value in zip(alone, own, strict=True)}
        factors: dict[Use, Array] = {}
        for place, equation in enumerate(jaxpr.eqns):
            operands = {v: values[v] for v in equation.invars if not isinstance(v, core.Literal)}
            values |= inline.evaluated(jaxpr, equation, operands)
            if place in shifts:
                values[equation.outvars[0]] += shifts[place]
                factors |= {use: _read(equation.invars[1 - use.operand], values) for use in by_equation[place]}
        return [_read(v, values) for v in jaxpr.outvars], factors

    by_equation = {place: [u for uses in layers.values() for u in uses if u.equation == place] for place in moved}

    def at(*arguments: Array) -> list[Array]:
        shifts = {place: jnp.zeros(v.aval.shape, v.aval.dtype) for place in moved for v in jaxpr.eqns[place].outvars}
        own = [arguments[leaf] for leaf in alone]
        outputs, pull, factors = jax.vjp(lambda s, o: run(s, o, arguments), shifts, own, has_aux=True)
        found = []
        for i, output in enumerate(outputs):
            parts = []
            for unit in jnp.eye(output.size, dtype=output.dtype).reshape(-1, *output.shape):
                slopes, direct = pull([unit if j == i else jnp.zeros_like(other) for j, other in enumerate(outputs)])
                parts += [jnp.vdot(slope, slope) for slope in direct]
                for uses in layers.values():
                    rows = [_rows(use, jaxpr.eqns[use.equation], factors[use], slopes[use.equation]) for use in uses]
                    h, d = (jnp.concatenate(side) for side in zip(*rows, strict=True))
                    parts.append(_square_of_sum(h, d))
            found.append(sum(parts[1:], parts[0]) if parts else jnp.zeros((), output.dtype))
        return found

    return at


def _uses(jaxpr: core.Jaxpr, trained: int) -> tuple[dict[int, list[Use]], list[int]]:
    """The parameters that are only multiplied or only added, each with its uses, and the others that are used."""
    places = {v: leaf for leaf, v in enumerate(jaxpr.invars[:trained])}
    layers: dict[int, list[Use]] = {leaf: [] for leaf in places.values()}
    alone = {places[v] for v in jaxpr.outvars if not isinstance(v, core.Literal) and v in places}
    for place, equation in enumerate(jaxpr.eqns):
        for operand, v in enumerate(equation.invars):
            if isinstance(v, core.Literal) or v not in places:
                continue
            use = _use(place, equation, operand)
            known = layers[places[v]]
            if use is None or (known and known[0].contracted != use.contracted):
                alone.add(places[v])
            else:
                known.append(use)
    return {leaf: uses for leaf, uses in layers.items() if uses and leaf not in alone}, sorted(alone)


def _use(place: int, equation: core.JaxprEqn, operand: int) -> Use | None:
    """A product with something else, over some dimensions, or a sum with something of its shape."""
    both = equation.invars
    if len(both) != 2 or both[0] is both[1]:
        return None
    if equation.primitive.name == "dot_general":
        contracted, batched = equation.params["dimension_numbers"]
        return None if any(batched) else Use(place, operand, tuple(sorted(contracted[operand])))
    if equation.primitive.name in ("add", "add_any"):
        return Use(place, operand, None)
    return None


def _rows(
    use: Use, equation: core.JaxprEqn, factor: Array, slope: Array
) -> tuple[Float[Array, "k a"], Float[Array, "k b"]]:
    """The h_k and the δ_k of one use, a row each: several where it multiplies a matrix."""
    if use.contracted is None:
        return jnp.ones((1, 1), slope.dtype), slope.reshape(1, -1)
    (contracted, _), other = equation.params["dimension_numbers"], 1 - use.operand
    pairs = sorted(zip(contracted[use.operand], contracted[other], strict=True))
    dimensions = [dimension for _, dimension in pairs]
    free = [i for i in range(factor.ndim) if i not in dimensions]
    k = math.prod(factor.shape[i] for i in free)
    h = factor.transpose(*free, *dimensions).reshape(k, -1)
    return h, slope.reshape(k, -1) if use.operand else slope.reshape(-1, k).T


def _read(v: core.Var | core.Literal, values: Values) -> Any:
    return v.val if isinstance(v, core.Literal) else values[v]


def _square_of_sum(h: Float[Array, "k a"], d: Float[Array, "k b"]) -> Float[Array, ""]:
    """‖Σ_k d_k h_kᵀ‖², by the factors where these are few."""
    k, a = h.shape
    b = d.shape[1]
    if k > FEW or k * (k + 1) * (a + b) > 4 * k * a * b:
        return jnp.sum(jnp.square(h.T @ d))
    dot = lambda x, i, j: jnp.sum(x[i] * x[j])
    pairs = [(1 + (i < j)) * dot(h, i, j) * dot(d, i, j) for i in range(k) for j in range(i, k)]
    return jnp.maximum(sum(pairs[1:], pairs[0]), 0)
