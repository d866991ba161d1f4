"""Gradients of the residual at each point: the rows of J, of which the rest of the library only needs products."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from pinnjax import checks
from pinnjax.terms import evaluation
from pinnjax.terms.evaluation import Batchwise

PyTree = Any
CHUNK = 256  # points whose gradients are in memory at once: 256 rows of J


def point_grad_norms(
    terms: Mapping[str, Any], definition: Any, constants: PyTree = None, *, chunk: int | None = None
) -> Callable[[PyTree, Mapping[str, PyTree]], dict[str, Float[Array, " n"]]]:
    """‖∇_θ r_ti‖ at every point of every term, in the residual's units per parameter's.

    The norm of a vector residual is that of its Jacobian, over all components. The squares sum to the trace of the
    neural tangent kernel, tr K_tt = Σ_i ‖∇_θ r_ti‖².

    Args:
        terms: `{name: residual function}`; see `pinnjax.residuals`.
        definition: an `nnx.GraphDef`, or `apply(params, x)`.
        constants: a module's variables that are not trained.
        chunk: points whose gradients are in memory at once; 256 when None.

    Returns:
        `evaluate(params, batch) -> {name: (n,)}`.

    Cost: one gradient a point and residual component, that is n products of a vector with a Jacobian.

    Example:
        >>> import jax.numpy as jnp
        >>> evaluate = point_grad_norms({"data": lambda u, x: u(x) - 1.0}, lambda p, x: p[0] * x[0] + p[1])
        >>> print(evaluate(jnp.array([2.0, 0.0]), {"data": jnp.array([[0.75], [-0.75]])})["data"])  # ‖(x, 1)‖
        [1.25 1.25]
    """
    checks.terms(terms)
    checks.chunk(chunk)

    def evaluate(params: PyTree, batch: Mapping[str, PyTree]) -> dict[str, Array]:
        checks.batch(terms, batch)
        norms: dict[str, Array] = {}
        for name, function in terms.items():
            if isinstance(function, Batchwise):
                # Its residuals have no points of their own: one row of J each.
                residuals = evaluation.residuals({name: function}, definition, constants)
                rows = jax.jacrev(lambda p, r=residuals, name=name: r(p, {name: batch[name]}))(params)
                norms |= {key: _row_norms(row) for key, row in rows.items()}
                continue
            one = evaluation.at_point(name, function, definition)

            def at(x: PyTree, one: Callable = one) -> dict[str, Array]:
                values, pull = jax.vjp(lambda p: one(p, constants, x), params)
                return {key: _norm(pull, values, key) for key in values}

            norms |= jax.lax.map(at, batch[name], batch_size=CHUNK if chunk is None else chunk)
        return norms

    return evaluate


def point_jacobians(
    terms: Mapping[str, Any], definition: Any, constants: PyTree = None, *, chunk: int | None = None
) -> Callable[[PyTree, Mapping[str, PyTree]], dict[str, Float[Array, "n m P"]]]:
    """∂r_ti/∂θ at every point of every term: the rows of J, in the residual's units per parameter's.

    A point's residual depends on that point alone, so a row costs one gradient at one point, where `jax.jacrev` of all
    residuals would cost one gradient over all points.

    Args:
        terms: `{name: residual function}`; see `pinnjax.residuals`.
        definition: an `nnx.GraphDef`, or `apply(params, x)`.
        constants: a module's variables that are not trained.
        chunk: points whose gradients are computed at once; 256 when None.

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
        rows: dict[str, Array] = {}
        for name, function in terms.items():
            if isinstance(function, Batchwise):
                residuals = evaluation.residuals({name: function}, definition, constants)
                values, pull = jax.vjp(lambda p, r=residuals, name=name: r(p, {name: batch[name]}), params)
                rows |= {key: _rows(pull, values, key).reshape(*_sizes(values[key]), -1) for key in values}
                continue
            one = evaluation.at_point(name, function, definition)

            def at(x: PyTree, one: Callable = one) -> dict[str, Array]:
                values, pull = jax.vjp(lambda p: one(p, constants, x), params)
                return {key: _rows(pull, values, key) for key in values}

            rows |= jax.lax.map(at, batch[name], batch_size=CHUNK if chunk is None else chunk)
        return rows

    return evaluate


def _sizes(values: Array) -> tuple[int, int]:
    return values.shape[0], values.size // values.shape[0]


def _rows(pull: Callable, values: dict[str, Array], key: str) -> Float[Array, "m P"]:
    """One pullback a component, each a row in the order of `ravel_pytree`."""
    zeros = jax.tree.map(jnp.zeros_like, values)
    size = values[key].size
    units = jnp.eye(size, dtype=values[key].dtype).reshape(size, *values[key].shape)
    return jnp.stack([ravel_pytree(pull(zeros | {key: unit})[0])[0] for unit in units])


def _norm(pull: Callable, values: dict[str, Array], key: str) -> Array:
    """One pullback a component; `jax.jacrev` batches them, in a layout that costs a third more."""
    zeros = jax.tree.map(jnp.zeros_like, values)
    size = values[key].size
    units = jnp.eye(size, dtype=values[key].dtype).reshape(size, *values[key].shape)
    leaves = [leaf for unit in units for leaf in jax.tree.leaves(pull(zeros | {key: unit}))]
    return jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in leaves))


def _row_norms(row: PyTree) -> Array:
    squares = [jnp.sum(jnp.square(leaf), axis=tuple(range(1, leaf.ndim))) for leaf in jax.tree.leaves(row)]
    return jnp.sqrt(sum(squares[1:], squares[0]))
