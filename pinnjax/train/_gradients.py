"""From residuals over point weights to the gradient of each term, in as few passes as the rules allow."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from pinnjax.terms import chunks, evaluation, losses
from pinnjax.train import _known_before

PyTree = Any


class Gradients(NamedTuple):
    """What a step has found before its terms are balanced.

    Attributes:
        residuals: `{name: (n,) or (n, m)}`.
        weights: of the points, `{name: (n,)}`.
        point_state: the next state of the point-space chain.
        term_losses: weighted, `{name: ()}`.
        term_grads: `{name: like params}`.
        norms: ‖∂r/∂θ‖ at the points, where they came out of the same pass; None where not.
    """

    residuals: dict[str, Array]
    weights: dict[str, Array]
    point_state: PyTree
    term_losses: dict[str, Array]
    term_grads: dict[str, PyTree]
    norms: dict[str, Array] | None

    @property
    def extra(self) -> dict[str, Any]:
        """What a term rule is offered of it."""
        residuals = jax.lax.stop_gradient(self.residuals)
        found = {"residuals": residuals, "losses": self.term_losses, "point_weights": self.weights}
        return found if self.norms is None else found | {"point_grad_norms": lambda: self.norms}


def of_terms(
    traced: Mapping[str, evaluation.Traced],
    params: PyTree,
    points: Mapping[str, PyTree],
    chunk: chunks.Chunk,
    weigh: Callable[[Mapping[str, Array]], tuple[dict[str, Array], PyTree]],
    balance: Callable[[Gradients], PyTree],
) -> Gradients:
    """Residuals, weights and gradients.

    Args:
        traced: the terms.
        params: the parameters.
        points: of the terms.
        chunk: points at once.
        weigh: `weigh(residuals) -> (weights, state)` of the point-space chain. Where weights are known before the
            residuals are, points go once there and back.
        balance: what follows; where it takes `norms` at every step, these are of the same pass.
    """
    shapes = evaluation.shapes(traced)
    weights_known, state_known = _known_before.without_residuals(weigh, shapes)
    if not weights_known:
        residuals, pull = evaluation.pulled(traced, params, points, chunk)
        weights, state = weigh(jax.lax.stop_gradient(residuals))
        term_grads = pull({name: losses.loss_cotangent(r, weights[name]) for name, r in residuals.items()})
        return _found(residuals, weights, state, term_grads, None)
    zeros = {name: jnp.zeros(r.shape, r.dtype) for name, r in shapes.items()}
    weights, state = weigh(zeros)
    norms = None
    if _wanted(traced, params, zeros, weights, state, balance):
        residuals, term_grads, norms = losses.residuals_grads_and_norms(traced, params, points, weights, chunk)
    else:
        residuals, term_grads = losses.residuals_and_grads(traced, params, points, weights, chunk)
    if not state_known:
        weights, state = weigh(jax.lax.stop_gradient(residuals))
    return _found(residuals, weights, state, term_grads, norms)


def _found(
    residuals: dict[str, Array],
    weights: dict[str, Array],
    state: PyTree,
    term_grads: dict[str, PyTree],
    norms: dict[str, Array] | None,
) -> Gradients:
    term_losses = {name: losses.loss(r, weights[name]) for name, r in residuals.items()}
    return Gradients(residuals, weights, state, term_losses, term_grads, norms)


def _wanted(
    traced: Mapping[str, evaluation.Traced],
    params: PyTree,
    residuals: dict[str, Array],
    weights: dict[str, Array],
    state: PyTree,
    balance: Callable[[Gradients], PyTree],
) -> bool:
    """Whether norms are used at every step, seen from the program of what follows."""
    if any(term.at_point is None for term in traced.values()):
        return False
    grads = {name: optax.tree.zeros_like(params) for name in residuals}
    norms = {name: jax.ShapeDtypeStruct(r.shape[:1], r.dtype) for name, r in residuals.items()}
    return _known_before.used_always(lambda n: balance(_found(residuals, weights, state, grads, n)), norms)
