"""Gradients of the residual at each point: the rows of J, of which the rest of the library only needs products."""

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
        chunk: points whose gradients are in memory at once; 256 when None or "auto".

    Returns:
        `evaluate(params, batch) -> {name: (n,)}`.

    Cost: one gradient a point and residual component, that is n products of a vector with a Jacobian.

    Example:
        >>> import jax.numpy as jnp
        >>> evaluate = point_grad_norms({"data": lambda u, x: u(x) - 1.0}, lambda p, x: p[0] * x[0] + p[1])
        >>> print(evaluate(jnp.array([2.0, 0.0]), {"data": jnp.array([[0.75], [-0.75]])})["data"])  # ‖(x, 1)‖
        [1.25 1.25]
    """
    return _each(terms, definition, constants, chunk, _norm, lambda rows: jnp.linalg.norm(rows, axis=(1, 2)))


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
    return _each(terms, definition, constants, chunk, _rows, lambda rows: rows)


def _each(
    terms: Mapping[str, Any],
    definition: Any,
    constants: PyTree,
    chunk: chunks.Chunk,
    measure: Callable[[Callable, dict[str, Array], str], Array],
    of_rows: Callable[[Float[Array, "n m P"]], Array],
) -> Callable[[PyTree, Mapping[str, PyTree]], dict[str, Array]]:
    """What is measured on the gradients at a point, at every point of every term.

    Args:
        terms: as the public functions have them, like the next three.
        definition: likewise.
        constants: likewise.
        chunk: likewise.
        measure: `measure(pull, values, equation)` at one point.
        of_rows: the same of all rows of J, for residuals without points of their own: one row each.
    """
    checks.terms(terms)
    checks.chunk(chunk)

    def evaluate(params: PyTree, batch: Mapping[str, PyTree]) -> dict[str, Array]:
        checks.batch(terms, batch)
        found: dict[str, Array] = {}
        for name, function in terms.items():
            if isinstance(function, Batchwise):
                residuals = evaluation.residuals({name: function}, definition, constants)
                values, pull = jax.vjp(lambda p, r=residuals, name=name: r(p, {name: batch[name]}), params)
                for key, r in values.items():
                    found[key] = of_rows(_rows(pull, values, key).reshape(len(r), r.size // len(r), -1))
                continue
            one = evaluation.at_point(name, function, definition)

            def at(x: PyTree, one: Callable = one) -> dict[str, Array]:
                values, pull = jax.vjp(lambda p: one(p, constants, x), params)
                return {key: measure(pull, values, key) for key in values}

            found |= jax.lax.map(at, batch[name], batch_size=chunk if isinstance(chunk, int) else CHUNK)
        return found

    return evaluate


def _units(values: dict[str, Array], key: str) -> list[dict[str, Array]]:
    """The cotangents of each component of an equation."""
    zeros, size = jax.tree.map(jnp.zeros_like, values), values[key].size
    units = jnp.eye(size, dtype=values[key].dtype).reshape(size, *values[key].shape)
    return [zeros | {key: unit} for unit in units]


def _rows(pull: Callable, values: dict[str, Array], key: str) -> Float[Array, "m P"]:
    """One pullback a component, each a row in the order of `ravel_pytree`."""
    return jnp.stack([ravel_pytree(pull(unit)[0])[0] for unit in _units(values, key)])


def _norm(pull: Callable, values: dict[str, Array], key: str) -> Array:
    """The norm of these rows, which are not made; `jax.jacrev` batches them, in a layout that costs a third more."""
    leaves = [leaf for unit in _units(values, key) for leaf in jax.tree.leaves(pull(unit))]
    return jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in leaves))
