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
    """

    network: Callable[[Array], Any]
    scale: Any
    sizes: Mapping[str, float]
    code: str
    box: Any = None
    outputs: Any = None
    whole: Callable[[Any], Any] = lambda plain: plain
    code_of_whole: str = ""


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
    whole = lambda network: known(nn.Constrained(network, lift=_zero, factor=multiply))
    code = (
        f"network = pj.nn.ModifiedMLP(\n    {d}, {outputs!r}, width={WIDTH}, depth={DEPTH}, "
        f"rngs=pj.nn.Rngs(network_key),\n    inputs=pj.nn.Standardize.box({low.tolist()}, {high.tolist()}),\n)\n"
    )
    code_of_whole = (
        f"scale = lambda x: jnp.asarray({factor}, float)\n"
        "model = pj.nn.Constrained(network, lift=lambda x: jnp.zeros((), x.dtype), factor=scale)"
    )
    if coefficients:
        code_of_whole += f"\nmodel = pj.nn.WithCoefficients(model, {dict(coefficients)})"
    network = lambda key: whole(plain(key))
    sizes = scales.residuals
    return Made(network, scales.field, sizes, code + code_of_whole, (low, high), outputs, whole, code_of_whole)


def sizes(terms: Mapping[str, Any], model: Any, batch: Mapping[str, PyTree]) -> dict[str, float]:
    """Of the residuals before training, for a model of the user's, which may be more than a field."""
    definition, params, constants = bridge.split(model)
    found = jax.jit(evaluation.residuals(terms, definition, constants))(params, batch)
    sizes = {name: float(np.sqrt(losses.loss(r))) for name, r in found.items()}
    return {name: size if size > 0 and np.isfinite(size) else 1.0 for name, size in sizes.items()}


def _zero(x: Array) -> Array:
    return jnp.zeros((), x.dtype)
