"""Per-term losses and gradients, at the cost of the gradient of their sum."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import checks
from pinnjax.terms import chunks, evaluation, factors

PyTree = Any


def loss(residuals: Float[Array, "n *m"], weights: Float[Array, " n"] | None = None) -> Float[Array, ""]:
    """Loss of a term, mean_i w_i |r_i|²; a vector residual counts with the sum of its squared components.

    Args:
        residuals: `(n,)` or `(n, m)`.
        weights: point weights `(n,)`, dimensionless; ones when None.

    Returns:
        The loss `()`.

    Example:
        >>> import jax.numpy as jnp
        >>> print(loss(jnp.array([1.0, 3.0])), loss(jnp.array([1.0, 3.0]), jnp.array([2.0, 0.0])))
        5.0 1.0
    """
    squares = squared(residuals)
    return jnp.mean(squares if weights is None else weights * squares)


def squared(residuals: Float[Array, "n *m"]) -> Float[Array, " n"]:
    """|r_i|² at each point."""
    return jnp.square(residuals) if residuals.ndim == 1 else jnp.sum(jnp.square(residuals), axis=1)


def magnitude(residuals: Float[Array, "n *m"]) -> Float[Array, " n"]:
    """|r_i| at each point, the Euclidean norm of a vector residual."""
    return jnp.abs(residuals) if residuals.ndim == 1 else jnp.sqrt(squared(residuals))


def loss_cotangent(
    residuals: Float[Array, "n *m"], weights: Float[Array, " n"], n: int | None = None
) -> Float[Array, "n *m"]:
    """∂loss/∂residuals = 2 w_i r_i / n, with the weights held fixed; n: of all points, where these are some."""
    scale = (2 / (residuals.shape[0] if n is None else n)) * weights
    return (scale if residuals.ndim == 1 else scale[:, None]) * residuals


def value_and_grads(
    terms: Mapping[str, Any], definition: Any, constants: PyTree = None, *, chunk: chunks.Chunk = None
) -> Callable[..., tuple[dict[str, Float[Array, ""]], dict[str, PyTree]]]:
    """Loss and gradient of every term, for a training loop of your own.

    Args:
        terms: `{name: residual function}`; see `pinnjax.residuals`.
        definition: `nnx.split(model, nnx.Param, ...)[0]`, or `apply(params, x)`.
        constants: a module's variables that are not trained.
        chunk: points in memory at once; None for all, "auto" for as many as stay in the cache.

    Returns:
        `evaluate(params, batch, point_weights=None) -> (losses, term_grads)`: `{name: ()}` and `{name: like params}`.

    Example:
        >>> import jax.numpy as jnp
        >>> evaluate = value_and_grads({"data": lambda u, x: u(x) - 1.0}, lambda a, x: a * x[0])
        >>> losses, term_grads = evaluate(jnp.float32(2.0), {"data": jnp.array([[1.0], [3.0]])})
        >>> print(losses["data"], term_grads["data"])  # (1² + 5²)/2 and (2·1·1 + 2·5·3)/2
        13.0 16.0
    """
    checks.terms(terms)
    checks.chunk(chunk)
    trace = evaluation.traced(terms, definition, constants)

    def evaluate(
        params: PyTree, batch: Mapping[str, PyTree], point_weights: Mapping[str, Array] | None = None
    ) -> tuple[dict[str, Array], dict[str, PyTree]]:
        found = trace(params, batch)
        weights = ones(evaluation.shapes(found)) if point_weights is None else point_weights
        residuals, term_grads = residuals_and_grads(found, params, batch, weights, chunk)
        return {name: loss(r, weights[name]) for name, r in residuals.items()}, term_grads

    return evaluate


def residuals_and_grads(
    traced: Mapping[str, evaluation.Traced],
    params: PyTree,
    batch: Mapping[str, PyTree],
    weights: Mapping[str, Float[Array, " n"]],
    chunk: chunks.Chunk,
) -> tuple[dict[str, Array], dict[str, PyTree]]:
    """Residuals and every term's gradient, with weights that are known: chunk by chunk, each once there and back.

    Args:
        traced: terms, see `pinnjax.terms.evaluation.traced`.
        params: the parameters.
        batch: `{term: points}`.
        weights: `{name: (n,)}` of the points.
        chunk: points at once; None for all, "auto" for as many as stay in the cache.

    Returns:
        `({name: (n,) or (n, m)}, {name: like params})`.
    """
    residuals: dict[str, Array] = {}
    grads: dict[str, PyTree] = {}
    for name, term in traced.items():
        n = {key: shape.shape[0] for key, shape in term.residuals.items()}

        def there_and_back(part: Any, term: evaluation.Traced = term, n: dict[str, int] = n) -> Any:
            points, own = part
            values, pulled = {}, {}
            for key in own:
                values[key], pull = jax.vjp(lambda p, key=key: term.evaluate(p, points)[key], params)
                (pulled[key],) = pull(loss_cotangent(values[key], own[key], n[key]))
            return pulled, values

        own = {key: weights[key] for key in term.residuals}
        found, values = chunks.swept(there_and_back, (batch[name], own), term.chunk(chunk))
        grads |= found
        residuals |= values
    return residuals, grads


def residuals_grads_and_norms(
    traced: Mapping[str, evaluation.Traced],
    params: PyTree,
    batch: Mapping[str, PyTree],
    weights: Mapping[str, Float[Array, " n"]],
    chunk: chunks.Chunk,
) -> tuple[dict[str, Array], dict[str, PyTree], dict[str, Float[Array, " n"]]]:
    """As `residuals_and_grads`, and ‖∂r/∂θ‖ at every point, from the same pass.

    Raises:
        ValueError: when a term has no points of its own.
    """
    residuals: dict[str, Array] = {}
    grads: dict[str, PyTree] = {}
    norms: dict[str, Array] = {}
    for name, term in traced.items():
        at_point, shapes = term.at_point, term.residuals
        if at_point is None:
            raise ValueError(f"the term {name!r} has no points of its own; expected one that sees one point")

        def there_and_back(part: Any, at: factors.AtPoint = at_point, shapes: Any = shapes) -> Any:
            points, own = part
            values, each = jax.vmap(functools.partial(at.factors, params))(points)
            lengths = jax.vmap(lambda each: {key: factors.norm(of_one) for key, of_one in each.items()})(each)
            cotangents = {key: loss_cotangent(r, own[key], shapes[key].shape[0]) for key, r in values.items()}
            return {key: at.gradient(each[key], c) for key, c in cotangents.items()}, (values, lengths)

        own = {key: weights[key] for key in shapes}
        found, (values, lengths) = chunks.swept(there_and_back, (batch[name], own), term.chunk(chunk, apart=True))
        residuals |= values
        grads |= found
        norms |= lengths
    return residuals, grads, norms


def ones(residuals: Mapping[str, Array | jax.ShapeDtypeStruct]) -> dict[str, Array]:
    """Point weights of one for each point of each term."""
    return {name: jnp.ones(r.shape[:1], r.dtype) for name, r in residuals.items()}


def sampling_weights(
    given: Mapping[str, Array] | None, residual: str, values: Float[Array, " n"]
) -> Float[Array, " n"]:
    """How the points of a residual count, from the extra arg `sampling_weights`; ones where a sampler gave none."""
    return jnp.ones_like(values) if given is None or residual not in given else given[residual].astype(values.dtype)


def sum_over_points(values: Float[Array, " n"], counts: Float[Array, " n"]) -> Float[Array, ""]:
    """The mean over the domain, mean_i μ_i v_i, times the number of points in use (those with μ_i > 0)."""
    return jnp.sum(counts > 0) * jnp.mean(counts * values)
