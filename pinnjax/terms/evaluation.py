"""Terms: named residual functions over points, evaluated with one pullback each.

A term's residual function sees one point and reads like the equation. Here the functions are vmapped over their
points, and each keeps a pullback of its own: for terms that own their points this costs the FLOPs of the gradient of
the summed loss, since the forward passes are separate anyway (`tests/test_losses.py` shows XLA's cost analysis).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core
from jaxtyping import Array, Float

from pinnjax import checks
from pinnjax.terms import bridge, chunks, factors, names
from pinnjax.terms.all_points import Batchwise
from pinnjax.terms.simplified import simplified

PyTree = Any
Residuals = dict[str, Float[Array, "n *m"]]
AtPoint = dict[str, Float[Array, "*m"]]


def residuals(
    terms: Mapping[str, Any], definition: Any, constants: PyTree = None, *, chunk: chunks.Chunk = None
) -> Callable[[PyTree, Mapping[str, PyTree]], Residuals]:
    """Residuals of every term at its points.

    Args:
        terms: `{name: residual function}`. A function maps the field and one point to `()`, to `(m,)`, or to a dict
            of those for coupled equations on shared points, which appear as `"name/equation"`.
        definition: an `nnx.GraphDef`, or `apply(params, x)`.
        constants: a module's variables that are not trained.
        chunk: points in memory at once; None for all, "auto" for as many as the memory has room for. Changes no result
            beyond rounding.

    Returns:
        `evaluate(params, batch) -> {name: (n,) or (n, m)}`.

    Raises:
        ValueError, TypeError: when terms, points or a residual's shape are not as above (see `pinnjax.checks`).

    Example:
        >>> import jax.numpy as jnp
        >>> def pair(u, x):
        ...     return {"value": u(x) - 1.0, "slope": u(x) - x[0]}
        >>> evaluate = residuals({"fit": pair}, lambda a, x: a * x[0])
        >>> print(evaluate(2.0, {"fit": jnp.array([[1.0], [3.0]])}))
        {'fit/slope': Array([1., 3.], dtype=float32), 'fit/value': Array([1., 5.], dtype=float32)}
    """
    checks.terms(terms)
    checks.chunk(chunk)

    def evaluate(params: PyTree, batch: Mapping[str, PyTree]) -> Residuals:
        found: Residuals = {}
        for name, term in traced(terms, definition, constants)(params, batch).items():
            found |= term.evaluate(params, batch[name], term.chunk(chunk, chunks.MEMORY))
        return found

    return evaluate


def pullback(
    terms: Mapping[str, Any], definition: Any, constants: PyTree = None, *, chunk: chunks.Chunk = None
) -> Callable[[PyTree, Mapping[str, PyTree]], tuple[Residuals, Callable[[Residuals], dict[str, PyTree]]]]:
    """Residuals of every term, and the map Jᵀ that takes cotangents in point space to gradients in parameter space.

    Args:
        terms: as in `residuals`.
        definition: as in `residuals`.
        constants: as in `residuals`.
        chunk: as in `residuals`, with "auto" for as many as the cache has room for; the residuals are then computed
            again, chunk by chunk, in the pullback.

    Returns:
        `linearize(params, batch) -> (residuals, pull)` with `pull({name: like residuals}) -> {name: like params}`.

    Example:
        >>> import jax.numpy as jnp
        >>> linearize = pullback({"data": lambda u, x: u(x) - 1.0}, lambda a, x: a * x[0])
        >>> values, pull = linearize(jnp.float32(2.0), {"data": jnp.array([[1.0], [3.0]])})
        >>> print(pull({"data": jnp.array([1.0, 1.0])})["data"])  # Σ ∂r_i/∂a = 1 + 3
        4.0
    """
    checks.terms(terms)
    checks.chunk(chunk)

    def linearize(params: PyTree, batch: Mapping[str, PyTree]) -> tuple[Residuals, Callable]:
        return pulled(traced(terms, definition, constants)(params, batch), params, batch, chunk)

    return linearize


class Traced(NamedTuple):
    """A term as it was traced for one batch.

    Attributes:
        residuals: `{name: shape and dtype}` of all points.
        evaluate: `evaluate(params, points, chunk=None) -> {name: residuals}`.
        per_point: bytes that a point needs on the way; None where the residual needs all points at once.
        at_point: takes gradients at a point apart, see `pinnjax.terms.factors`; None where there are no points.
    """

    residuals: dict[str, jax.ShapeDtypeStruct]
    evaluate: Callable[..., Residuals]
    per_point: int | None
    at_point: factors.AtPoint | None = None

    def chunk(self, asked: chunks.Chunk, room: int | None = None, apart: bool = False) -> int | None:
        """Points at once, with "auto" as many as there is room for, in bytes; None for all.

        Args:
            asked: an argument `chunk`.
            room: bytes.
            apart: whether gradients are taken apart, and what comes back is kept at each point.
        """
        if self.per_point is None or asked is None:
            return None
        n = next(iter(self.residuals.values())).shape[0]
        each = self.per_point
        if apart and self.at_point is not None:
            each = (1 + self.at_point.components) * each + self.at_point.bytes
        return chunks.automatic(each, n, room) if asked == "auto" else asked


def traced(
    terms: Mapping[str, Any], definition: Any, constants: PyTree = None
) -> Callable[[PyTree, Mapping[str, PyTree]], dict[str, Traced]]:
    """Every term at one point as a program, of which those of all points are made."""

    def trace(params: PyTree, batch: Mapping[str, PyTree]) -> dict[str, Traced]:
        checks.batch(terms, batch)
        found = {name: _traced(name, f, definition, constants, params, batch[name]) for name, f in terms.items()}
        names.distinct({name: list(term.residuals) for name, term in found.items()})
        return found

    return trace


def shapes(traced: Mapping[str, Traced]) -> dict[str, jax.ShapeDtypeStruct]:
    """Of all residuals."""
    return {name: shape for term in traced.values() for name, shape in term.residuals.items()}


def pulled(
    traced: Mapping[str, Traced], params: PyTree, batch: Mapping[str, PyTree], chunk: chunks.Chunk
) -> tuple[Residuals, Callable[[Residuals], dict[str, PyTree]]]:
    """Residuals and pullback of terms that were traced; see `pullback`."""
    values: Residuals = {}
    pulls: dict[str, Callable[[Array], PyTree]] = {}
    for name, term in traced.items():
        points, some = batch[name], term.chunk(chunk)
        if some is not None:
            values |= term.evaluate(params, points, some)
        for key in term.residuals:
            # One vjp an equation: equations on shared points repeat the forward pass here, and XLA merges it.
            if some is None:
                values[key], pulls[key] = _pull_at_once(term.evaluate, key, params, points)
            else:
                pulls[key] = _pull_in_chunks(term.evaluate, key, params, points, some)
    return values, lambda cotangents: {key: pull(cotangents[key]) for key, pull in pulls.items()}


def some_of_each(terms: Mapping[str, Any], batch: Mapping[str, PyTree], n: int) -> dict[str, PyTree]:
    """At most n points of every term but those whose residual needs all."""
    return {t: p if isinstance(terms[t], Batchwise) else chunks.some(p, n) for t, p in batch.items()}


def at_point(name: str, function: Any, definition: Any) -> Callable[[PyTree, PyTree, PyTree], AtPoint]:
    """One term as a function of `(params, constants, point)`, a dict with an entry an equation."""

    def at(params: PyTree, constants: PyTree, x: PyTree) -> AtPoint:
        u = bridge.field(definition, params, constants)
        try:
            with bridge.only_read(u):
                found = names.equations(name, function(u, x))
            return {key: checks.residual(key, value) for key, value in found.items()}
        except Exception as error:
            error.add_note(_where(name, function, x))
            raise

    return at if isinstance(function, Batchwise) else simplified(at)


def _traced(name: str, function: Any, definition: Any, constants: PyTree, params: PyTree, points: PyTree) -> Traced:
    at = at_point(name, function, definition)
    if isinstance(function, Batchwise):
        whole = lambda params, points, chunk=None: jax.tree.map(jnp.atleast_1d, at(params, constants, points))
        return Traced(jax.eval_shape(whole, params, points), whole, None)
    point = jax.tree.map(lambda p: jax.ShapeDtypeStruct(jnp.shape(p)[1:], jnp.result_type(p)), points)
    program, one = jax.make_jaxpr(at, return_shape=True)(params, constants, point)
    run, n = core.jaxpr_as_fun(program), jax.tree.leaves(points)[0].shape[0]

    def evaluate(params: PyTree, points: PyTree, chunk: int | None = None) -> Residuals:
        of_point = lambda x: jax.tree.unflatten(jax.tree.structure(one), run(*jax.tree.leaves((params, constants, x))))
        return chunks.over_points(of_point, points, chunk)

    residuals = jax.tree.map(lambda r: jax.ShapeDtypeStruct((n, *r.shape), r.dtype), one)
    return Traced(residuals, evaluate, chunks.footprint(program), factors.AtPoint(program, params, constants, one))


def _where(name: str, function: Any, x: PyTree) -> str:
    """What to say of an error inside a residual function."""
    what = "all points" if isinstance(function, Batchwise) else "one point"
    shapes = jax.tree.map(jnp.shape, x)
    return (
        f"This is the residual function of term {name!r}, called as (u, x) with {what} of shape {shapes}. The field u "
        "takes one point (d,), with d the in_features of the network, and returns () or (m,); operators take the field "
        "first and the point second, as in pj.laplacian(u)(x)."
    )


def _pull_at_once(
    evaluate: Callable[[PyTree, PyTree], Residuals], key: str, params: PyTree, points: PyTree
) -> tuple[Array, Callable[[Array], PyTree]]:
    value, vjp = jax.vjp(lambda p: evaluate(p, points)[key], params)
    return value, lambda cotangent: vjp(cotangent)[0]


def _pull_in_chunks(
    evaluate: Callable[[PyTree, PyTree], Residuals], key: str, params: PyTree, points: PyTree, chunk: int | None
) -> Callable[[Array], PyTree]:
    def pull(cotangent: Array) -> PyTree:
        def piece(part: tuple[PyTree, Array]) -> PyTree:
            some, their_cotangent = part
            return jax.vjp(lambda p: evaluate(p, some)[key], params)[1](their_cotangent)[0]

        return chunks.total(piece, (points, cotangent), chunk)

    return pull
