"""Terms: named residual functions over points, evaluated with one pullback each.

A term's residual function sees one point and reads like the equation. Here the functions are vmapped over their
points, and each keeps a pullback of its own: for terms that own their points this costs the FLOPs of the gradient of
the summed loss, since the forward passes are separate anyway (`tests/test_losses.py` shows XLA's cost analysis).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import checks
from pinnjax.terms import bridge, chunks, cse, names

PyTree = Any
Residuals = dict[str, Float[Array, "n *m"]]
AtPoint = dict[str, Float[Array, "*m"]]


class Batchwise(NamedTuple):
    """A residual function of all the points of its term at once; see `batchwise`.

    Attributes:
        residual: the function.
        a_point: whether its residuals are one a point, in the points' order, so that weights of points are theirs.
    """

    residual: Callable[[Any, PyTree], Any]
    a_point: bool = False

    def __call__(self, u: Any, points: PyTree) -> Any:
        """The residual of all points."""
        return self.residual(u, points)


def batchwise(residual: Callable[[Any, PyTree], Any]) -> Batchwise:
    """Mark a residual function that is not pointwise: an integral constraint, a mean, a spectrum.

    Args:
        residual: function of the field and *all* points of the term, `(n, d)`, returning one residual `()`, several
            `(k,)`, or a dict of those. It is never chunked.

    Returns:
        The marked function, to be used as a term.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> @batchwise
        ... def unit_mass(u, x):  # ∫ u = 1 on [0, 1], by the mean over the points
        ...     return jnp.mean(jax.vmap(u)(x)) - 1.0
        >>> u = (lambda a, x: a * x[0], 3.0)
        >>> values = residuals({"mass": unit_mass}, u[0])(u[1], {"mass": jnp.array([[0.0], [1.0]])})
        >>> print(values["mass"])
        [0.5]
    """
    return Batchwise(residual)


def residuals(
    terms: Mapping[str, Any], definition: Any, constants: PyTree = None, *, chunk: int | None = None
) -> Callable[[PyTree, Mapping[str, PyTree]], Residuals]:
    """Residuals of every term at its points.

    Args:
        terms: `{name: residual function}`. A function maps the field and one point to `()`, to `(m,)`, or to a dict
            of those for coupled equations on shared points, which appear as `"name/equation"`.
        definition: an `nnx.GraphDef`, or `apply(params, x)`.
        constants: a module's variables that are not trained.
        chunk: points in memory at once; None for all. Changes no result beyond rounding.

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
        checks.batch(terms, batch)
        found = {
            name: _residuals_of(name, function, definition, constants, chunk)(params, batch[name])
            for name, function in terms.items()
        }
        names.distinct(found)
        return {key: value for values in found.values() for key, value in values.items()}

    return evaluate


def pullback(
    terms: Mapping[str, Any], definition: Any, constants: PyTree = None, *, chunk: int | None = None
) -> Callable[[PyTree, Mapping[str, PyTree]], tuple[Residuals, Callable[[Residuals], dict[str, PyTree]]]]:
    """Residuals of every term, and the map Jᵀ that takes cotangents in point space to gradients in parameter space.

    Args:
        terms: as in `residuals`.
        definition: as in `residuals`.
        constants: as in `residuals`.
        chunk: as in `residuals`; the residuals are then computed again, chunk by chunk, in the pullback.

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
        checks.batch(terms, batch)
        values: Residuals = {}
        pulls: dict[str, Callable[[Array], PyTree]] = {}
        own: dict[str, list[str]] = {}
        for name, function in terms.items():
            evaluate = _residuals_of(name, function, definition, constants, chunk)
            points = batch[name]
            in_chunks = chunk is not None and not isinstance(function, Batchwise)
            if in_chunks:
                found = evaluate(params, points)
                values |= found
                own[name] = list(found)
                whole = _residuals_of(name, function, definition, constants, None)
                pulls |= {key: _pull_in_chunks(whole, key, params, points, chunk) for key in found}
            else:
                # One vjp an equation: equations on shared points repeat the forward pass here, and XLA merges it.
                own[name] = list(jax.eval_shape(evaluate, params, points))
                for key in own[name]:
                    values[key], pulls[key] = _pull_at_once(evaluate, key, params, points)
        names.distinct(own)
        return values, lambda cotangents: {key: pull(cotangents[key]) for key, pull in pulls.items()}

    return linearize


def without_points(function: Any) -> bool:
    """Whether the residuals of a term belong to no point of their own."""
    return isinstance(function, Batchwise) and not function.a_point


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

    return at if isinstance(function, Batchwise) else cse.shared(at)


def _residuals_of(
    name: str, function: Any, definition: Any, constants: PyTree, chunk: int | None
) -> Callable[[PyTree, PyTree], Residuals]:
    """The residuals of one term as a function of `(params, points)`, a dict with an entry an equation."""
    at = at_point(name, function, definition)

    def evaluate(params: PyTree, points: PyTree) -> Residuals:
        if isinstance(function, Batchwise):
            return jax.tree.map(jnp.atleast_1d, at(params, constants, points))
        return chunks.over_points(lambda x: at(params, constants, x), points, chunk)

    return evaluate


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
