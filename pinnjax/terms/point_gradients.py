"""Gradients of the residual at each point: the rows of J, of which the rest of the library only needs products."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from pinnjax import checks
from pinnjax.terms import chunks, evaluation
from pinnjax.terms.all_points import Batchwise

PyTree = Any
CHUNK = 256  # points whose gradients are in memory at once: 256 rows of J


def point_grad_norms(
    terms: Mapping[str, Any], definition: Any, constants: PyTree = None, *, chunk: chunks.Chunk = None
) -> Callable[[PyTree, Mapping[str, PyTree]], dict[str, Float[Array, " n"]]]:
    """‖∇_θ r_ti‖ at every point of every term, in the residual's units per parameter's.

    The norm of a vector residual is that of its Jacobian, over all components. The squares sum to the trace of the
    neural tangent kernel, tr K_tt = Σ_i ‖∇_θ r_ti‖².

    Args:
        terms: `{name: residual function}`; see `pinnjax.residuals`.
        definition: an `nnx.GraphDef`, or `apply(params, x)`.
        constants: a module's variables that are not trained.
        chunk: points at once; as many as stay in the cache when None or "auto".

    Returns:
        `evaluate(params, batch) -> {name: (n,)}`.

    Cost: a pullback for each residual component, and products of a few vectors a point and layer: no point's gradient
    is made, but that of parameters that are used otherwise than in products and sums (`pinnjax.terms.factors`).

    Example:
        >>> import jax.numpy as jnp
        >>> evaluate = point_grad_norms({"data": lambda u, x: u(x) - 1.0}, lambda p, x: p[0] * x[0] + p[1])
        >>> print(evaluate(jnp.array([2.0, 0.0]), {"data": jnp.array([[0.75], [-0.75]])})["data"])  # ‖(x, 1)‖
        [1.25 1.25]
    """
    checks.terms(terms)
    checks.chunk(chunk)
    trace = evaluation.traced(terms, definition, constants)

    def evaluate(params: PyTree, batch: Mapping[str, PyTree]) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for name, term in trace(params, batch).items():
            if term.at_point is None:
                rows = _of_all_points(name, terms[name], definition, constants, params, batch)
                found |= {key: jnp.linalg.norm(r, axis=(1, 2)) for key, r in rows.items()}
            else:
                norms = functools.partial(term.at_point.norms, params)
                found |= chunks.over_points(norms, batch[name], term.chunk(chunk or "auto", apart=True))
        return found

    return evaluate


def point_jacobians(
    terms: Mapping[str, Any], definition: Any, constants: PyTree = None, *, chunk: chunks.Chunk = None
) -> Callable[[PyTree, Mapping[str, PyTree]], dict[str, Float[Array, "n m P"]]]:
    """∂r_ti/∂θ at every point of every term: the rows of J, in the residual's units per parameter's.

    A point's residual depends on that point alone, so a row costs one gradient at one point, where `jax.jacrev` of all
    residuals would cost one gradient over all points.

    Args:
        terms: `{name: residual function}`; see `pinnjax.residuals`.
        definition: an `nnx.GraphDef`, or `apply(params, x)`.
        constants: a module's variables that are not trained.
        chunk: points whose gradients are computed at once; 256 when None or "auto".

    Returns:
        `evaluate(params, batch) -> {name: (n, m, P)}`, with m components (1 where the residual is a number) and P
        parameters in the order of `jax.flatten_util.ravel_pytree`.

    Cost: one gradient a point and residual component.

    Example:
        >>> import jax.numpy as jnp
        >>> evaluate = point_jacobians({"data": lambda u, x: u(x) - 1.0}, lambda p, x: p[0] * x[0] + p[1])
        >>> print(evaluate(jnp.array([2.0, 0.0]), {"data": jnp.array([[0.5], [3.0]])})["data"][:, 0])
        [[0.5 1. ]
         [3.  1. ]]
    """
    checks.terms(terms)
    checks.chunk(chunk)

    def evaluate(params: PyTree, batch: Mapping[str, PyTree]) -> dict[str, Array]:
        checks.batch(terms, batch)
        found: dict[str, Array] = {}
        for name, function in terms.items():
            if isinstance(function, Batchwise):
                found |= _of_all_points(name, function, definition, constants, params, batch)
                continue
            one = evaluation.at_point(name, function, definition)

            def at(x: PyTree, one: Callable = one) -> dict[str, Array]:
                values, pull = jax.vjp(lambda p: one(p, constants, x), params)
                return {key: _rows(pull, values, key) for key in values}

            found |= jax.lax.map(at, batch[name], batch_size=chunk if isinstance(chunk, int) else CHUNK)
        return found

    return evaluate


def _of_all_points(
    name: str, function: Any, definition: Any, constants: PyTree, params: PyTree, batch: Mapping[str, PyTree]
) -> dict[str, Float[Array, "n m P"]]:
    """All rows of J of residuals without points of their own."""
    residuals = evaluation.residuals({name: function}, definition, constants)
    values, pull = jax.vjp(lambda p: residuals(p, {name: batch[name]}), params)
    return {key: _rows(pull, values, key).reshape(len(r), r.size // len(r), -1) for key, r in values.items()}


def _rows(pull: Callable, values: dict[str, Array], key: str) -> Float[Array, "m P"]:
    """One pullback a component of an equation, each a row in the order of `ravel_pytree`."""
    zeros, size = jax.tree.map(jnp.zeros_like, values), values[key].size
    units = jnp.eye(size, dtype=values[key].dtype).reshape(size, *values[key].shape)
    return jnp.stack([ravel_pytree(pull(zeros | {key: unit})[0])[0] for unit in units])
