"""Gradients at each point, as the factors that layers give: their norms cost little, and none of them is made.

A derivative in a residual r applies a dense layer several times at one point, to a value and to tangents, z_k = W h_k.
So ∂r/∂W = Σ_k δ_k h_kᵀ with δ_k = ∂r/∂z_k, and all δ come out of one pullback to the z_k. From these factors,

    ‖∂r/∂W‖² = Σ_kl (δ_k·δ_l) (h_k·h_l)            at each point,
    Σ_i c_i ∂r_i/∂W = Σ_ik c_i δ_ik h_ikᵀ           over all points, for any cotangent c.

This is read off the traced program, so no network needs a rule for it; a parameter that is used otherwise than in a
product or a sum is differentiated.

References:
  Goodfellow, `Efficient per-example gradient computations <https://arxiv.org/abs/1510.01799>`_, 2015 (one application).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core
from jaxtyping import Array, Float

from pinnjax.terms import inline

PyTree = Any
Values = dict[core.Var, Any]
Rows = tuple[Float[Array, "*n k a"], Float[Array, "*n k b"]]
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


class Factors(NamedTuple):
    """Of the gradient of one component of one residual, at one point or with a leading axis of points.

    Attributes:
        layers: `{parameter: (h, δ) of each use}`, in rows.
        alone: `{parameter: gradient}` of those that are differentiated.
    """

    layers: dict[int, list[Rows]]
    alone: dict[int, Array]


class Program:
    """A program of residuals at one point whose first arguments are parameters.

    Args:
        program: as `jax.make_jaxpr` traces it.
        trained: how many of its arguments are parameters.

    Example:
        >>> r = lambda w, x: jnp.sum(jnp.tanh(x @ w))
        >>> w, x = jnp.array([[1.0, 0.0], [0.5, 2.0]]), jnp.array([0.3, -0.2])
        >>> program = Program(jax.make_jaxpr(r)(w, x), 1)
        >>> _, ((factors,),) = program.factors(w, x)
        >>> print(jnp.allclose(square(factors), jnp.sum(jax.grad(r)(w, x) ** 2)))
        True
    """

    def __init__(self, program: core.ClosedJaxpr, trained: int) -> None:
        self.jaxpr, self.trained = program.jaxpr, trained
        self.constants = dict(zip(program.jaxpr.constvars, program.consts, strict=True))
        self.layers, self.alone = _uses(program.jaxpr, trained)
        self.at: dict[int, list[Use]] = {}
        for use in (use for uses in self.layers.values() for use in uses):
            self.at.setdefault(use.equation, []).append(use)

    def factors(self, *arguments: Array) -> tuple[list[Array], list[list[Factors]]]:
        """Outputs, and for each of them the factors of each component's gradient."""
        result = lambda place: self.jaxpr.eqns[place].outvars[0].aval
        shifts = {place: jnp.zeros(result(place).shape, result(place).dtype) for place in self.at}
        own = {leaf: arguments[leaf] for leaf in self.alone}
        run = lambda shifts, own: self._run(shifts, own, arguments)
        outputs, pull, multiplied = jax.vjp(run, shifts, own, has_aux=True)
        found: list[list[Factors]] = []
        for i, output in enumerate(outputs):
            found.append([])
            for unit in jnp.eye(output.size, dtype=output.dtype).reshape(-1, *output.shape):
                slopes, alone = pull([unit if j == i else jnp.zeros_like(other) for j, other in enumerate(outputs)])
                rows = lambda use, back=slopes: self._rows(use, multiplied[use], back[use.equation])
                found[i].append(Factors({leaf: list(map(rows, uses)) for leaf, uses in self.layers.items()}, alone))
        return outputs, found

    def _run(
        self, shifts: dict[int, Array], own: dict[int, Array], arguments: Sequence[Array]
    ) -> tuple[list[Array], dict[Use, Array]]:
        """Outputs, with the results of these equations shifted; and what parameters were multiplied with."""
        values: Values = self.constants | dict(zip(self.jaxpr.invars, arguments, strict=True))
        values |= {self.jaxpr.invars[leaf]: value for leaf, value in own.items()}
        multiplied: dict[Use, Array] = {}
        for place, equation in enumerate(self.jaxpr.eqns):
            operands = {v: values[v] for v in equation.invars if not isinstance(v, core.Literal)}
            values |= inline.evaluated(self.jaxpr, equation, operands)
            if place in shifts:
                values[equation.outvars[0]] += shifts[place]
                multiplied |= {use: _read(equation.invars[1 - use.operand], values) for use in self.at[place]}
        return [_read(v, values) for v in self.jaxpr.outvars], multiplied

    def _rows(self, use: Use, factor: Array, slope: Array) -> Rows:
        """The h_k and the δ_k of one use, a row each: several where it multiplies a matrix."""
        if use.contracted is None:
            return jnp.ones((1, 1), slope.dtype), slope.reshape(1, -1)
        contracted, _ = self.jaxpr.eqns[use.equation].params["dimension_numbers"]
        pairs = sorted(zip(contracted[use.operand], contracted[1 - use.operand], strict=True))
        dimensions = [dimension for _, dimension in pairs]
        free = [i for i in range(factor.ndim) if i not in dimensions]
        k = math.prod(factor.shape[i] for i in free)
        h = factor.transpose(*free, *dimensions).reshape(k, -1)
        return h, slope.reshape(k, -1) if use.operand else slope.reshape(-1, k).T

    def gradient(self, components: list[Factors], cotangent: Float[Array, "n *m"]) -> list[Array]:
        """Σ_i c_i ∂r_i/∂θ of each parameter, from the factors of one output with a leading axis of points."""
        weights = cotangent.reshape(len(cotangent), -1).T
        both = list(zip(components, weights, strict=True))
        found = []
        for leaf, v in enumerate(self.jaxpr.invars[: self.trained]):
            total = jnp.zeros(v.aval.shape, v.aval.dtype)
            if leaf in self.alone:
                total = sum((jnp.tensordot(c, part.alone[leaf], 1) for part, c in both), total)
            elif leaf in self.layers:
                uses = self.layers[leaf]
                products = []
                for k in range(len(uses)):  # h is that of all components
                    h = components[0].layers[leaf][k][0]
                    d = [c[:, None, None] * part.layers[leaf][k][1] for part, c in both]
                    products.append(h.reshape(-1, h.shape[-1]).T @ sum(d[1:], d[0]).reshape(-1, d[0].shape[-1]))
                total = _in_place(sum(products[1:], products[0]), uses[0].contracted, v.aval.shape)
            found.append(total)
        return found


class AtPoint:
    """Residuals at one point, with all that is needed to take their gradients apart.

    Args:
        program: of the leaves of `(params, constants, point)`.
        params: what parameters look like.
        constants: a module's variables that are not trained.
        outputs: what the residuals look like, `{name: ...}`.

    Attributes:
        components: of all residuals; each has a pullback.
        bytes: of the gradients that are made.
    """

    def __init__(self, program: core.ClosedJaxpr, params: PyTree, constants: PyTree, outputs: dict[str, Any]) -> None:
        self.program = Program(program, len(jax.tree.leaves(params)))
        self.params, self.constants = jax.tree.structure(params), constants
        self.names = list(outputs)
        self.components = sum(math.prod(shape.shape) for shape in outputs.values())
        made = [self.program.jaxpr.invars[leaf].aval for leaf in self.program.alone]
        self.bytes = self.components * sum(math.prod(a.shape) * a.dtype.itemsize for a in made)

    def factors(self, params: PyTree, x: PyTree) -> tuple[dict[str, Array], dict[str, list[Factors]]]:
        """Residuals, and the factors of the gradient of each component of each."""
        outputs, factors = self.program.factors(*jax.tree.leaves((params, self.constants, x)))
        return dict(zip(self.names, outputs, strict=True)), dict(zip(self.names, factors, strict=True))

    def norms(self, params: PyTree, x: PyTree) -> dict[str, Float[Array, ""]]:
        """‖∂r/∂θ‖ of each residual, over all of its components."""
        return {name: norm(components) for name, components in self.factors(params, x)[1].items()}

    def gradient(self, components: list[Factors], cotangent: Float[Array, "n *m"]) -> PyTree:
        """Σ_i c_i ∂r_i/∂θ over points, of one residual."""
        return jax.tree.unflatten(self.params, self.program.gradient(components, cotangent))


def norm(components: list[Factors]) -> Float[Array, ""]:
    """‖∂r/∂θ‖ of a residual, over all of its components, at one point."""
    parts = list(map(square, components))
    return jnp.sqrt(sum(parts[1:], parts[0]))


def square(factors: Factors) -> Float[Array, ""]:
    """The gradient's squared norm, at one point."""
    parts = [jnp.vdot(slope, slope) for slope in factors.alone.values()]
    for rows in factors.layers.values():
        parts.append(_square_of_sum(*(jnp.concatenate(side) for side in zip(*rows, strict=True))))
    return sum(parts[1:], parts[0]) if parts else jnp.zeros(())


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


def _read(v: core.Var | core.Literal, values: Values) -> Any:
    return v.val if isinstance(v, core.Literal) else values[v]


def _in_place(gradient: Float[Array, "a b"], contracted: tuple[int, ...] | None, shape: tuple[int, ...]) -> Array:
    """A gradient whose first dimensions are those that were contracted, as the parameter has them."""
    if contracted is None:
        return gradient.reshape(shape)
    order = [*contracted, *(i for i in range(len(shape)) if i not in contracted)]
    return gradient.reshape([shape[i] for i in order]).transpose([order.index(i) for i in range(len(shape))])


def _square_of_sum(h: Float[Array, "k a"], d: Float[Array, "k b"]) -> Float[Array, ""]:
    """‖Σ_k d_k h_kᵀ‖², by the factors where these are few."""
    k, a = h.shape
    b = d.shape[1]
    if k > FEW or k * (k + 1) * (a + b) > 4 * k * a * b:
        return jnp.sum(jnp.square(h.T @ d))
    dot = lambda x, i, j: jnp.sum(x[i] * x[j])
    pairs = [(1 + (i < j)) * dot(h, i, j) * dot(d, i, j) for i in range(k) for j in range(i, k)]
    return jnp.maximum(sum(pairs[1:], pairs[0]), 0)
