"""The network of a run: made for the points, in units of the field that the residuals ask for."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnjax import diagnostics, nn
from pinnjax.terms import bridge, evaluation, losses

PyTree = Any
WIDTH, DEPTH = 20, 3  # some 1000 parameters, whose inverse Hessian is 8 MB


class Made(NamedTuple):
    """A network and its scales.

    Attributes:
        network: `network(key) -> model`.
        scale: of the field, `()` or `(m,)`; None for a model of the user's.
        sizes: of each residual.
        code: of the network.
        box: corners of the smallest one around all points; None for a model of the user's.
        outputs: components of the field.
        whole: from a plain network to the model: in units of the field, with the unknown coefficients.
        code_of_whole: of that.
        scaled: from a plain network to one in units of the field.
        coefficients: the unknown ones, and where they begin.
    """

    network: Callable[[Array], Any]
    scale: Any
    sizes: Mapping[str, float]
    code: str
    box: Any = None
    outputs: Any = None
    whole: Callable[[Any], Any] = lambda plain: plain
    code_of_whole: str = ""
    scaled: Callable[[Any], Any] = lambda plain: plain
    coefficients: Mapping[str, float] = {}


SCALED = "pj.nn.Constrained(network, lift=lambda x: jnp.zeros((), x.dtype), factor=scale)"


def corrected(made: Made, field: Any) -> Made:
    """What makes of a plain network a correction to a field that is known, and of its coefficients."""
    found = {name: float(getattr(field, name)) for name in made.coefficients}
    known = lambda u: nn.WithCoefficients(u, found) if found else u
    scale = made.code_of_whole.splitlines()[0]
    code = f"{scale}\nmodel = pj.nn.Corrected(u, {SCALED}, 1.0)" + _with(found)
    whole = lambda plain: known(nn.Corrected(field, made.scaled(plain), 1.0))
    return made._replace(whole=whole, code_of_whole=code, coefficients=found)


def made(
    terms: Mapping[str, Any],
    places: Mapping[str, np.ndarray],
    batch: Any,
    outputs: Any,
    coefficients: Mapping[str, float],
    key: Array,
) -> Made:
    """A network made for these points, in units of the field, with the unknown coefficients."""
    low = np.min([x.min(axis=0) for x in places.values()], axis=0)
    high = np.max([x.max(axis=0) for x in places.values()], axis=0)
    if not (low < high).all():
        raise ValueError(
            f"solve: all points share the coordinates {np.flatnonzero(low >= high).tolist()}, at {low.tolist()}; "
            "expected points that span the domain, or a model"
        )
    d, components = len(low), None if outputs == "scalar" else int(outputs)
    inputs = nn.Standardize.box(low, high)
    plain = lambda key: nn.ModifiedMLP(d, outputs, width=WIDTH, depth=DEPTH, inputs=inputs, rngs=nn.Rngs(key))
    known = lambda field: nn.WithCoefficients(field, coefficients) if coefficients else field
    scales = diagnostics.scales(terms, known(plain(key)), batch, components)
    factor = float(scales.field) if components is None else tuple(map(float, scales.field))
    # One function, so that two networks share their programs; of no point's dtype, which may be single precision.
    multiply = lambda x: jnp.asarray(factor, float)
    scaled = lambda network: nn.Constrained(network, lift=_zero, factor=multiply)
    whole = lambda network: known(scaled(network))
    code = (
        f"network = pj.nn.ModifiedMLP(\n    {d}, {outputs!r}, width={WIDTH}, depth={DEPTH}, "
        f"rngs=pj.nn.Rngs(network_key),\n    inputs=pj.nn.Standardize.box({low.tolist()}, {high.tolist()}),\n)\n"
    )
    code_of_whole = f"scale = lambda x: jnp.asarray({factor}, float)\nmodel = {SCALED}" + _with(coefficients)
    network = lambda key: whole(plain(key))
    sizes = scales.residuals
    begins = dict(coefficients)
    box, code = (low, high), code + code_of_whole
    return Made(network, scales.field, sizes, code, box, outputs, whole, code_of_whole, scaled, begins)


def sizes(terms: Mapping[str, Any], model: Any, batch: Mapping[str, PyTree]) -> dict[str, float]:
    """Of the residuals before training, for a model of the user's, which may be more than a field."""
    definition, params, constants = bridge.split(model)
    found = jax.jit(evaluation.residuals(terms, definition, constants))(params, batch)
    sizes = {name: float(np.sqrt(losses.loss(r))) for name, r in found.items()}
    return {name: size if size > 0 and np.isfinite(size) else 1.0 for name, size in sizes.items()}


def _with(coefficients: Mapping[str, float]) -> str:
    return f"\nmodel = pj.nn.WithCoefficients(model, {dict(coefficients)})" if coefficients else ""


def _zero(x: Array) -> Array:
    return jnp.zeros((), x.dtype)
