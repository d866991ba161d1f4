"""Gradients of the weighted terms layer by layer, for the figure of Wang, Teng & Perdikaris (2021)."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pinnjax.diagnostics import by_layer
from pinnjax.problems import Problem
from pinnjax.terms import losses
from pinnjax.train.state import TrainState


def layer_gradients(
    problem: Problem, state: TrainState, weights: Mapping[str, float]
) -> dict[str, dict[str, Float[np.ndarray, " p"]]]:
    """`{layer: {term: λ_t ∇L_t}}` at a state, on points drawn anew, which no point rule has weighed.

    Args:
        problem: whose terms and points.
        state: where.
        weights: λ_t.
    """
    batch = problem.draw(jax.random.key(0), problem.points, jnp.result_type(float))
    evaluate = jax.jit(losses.value_and_grads(problem.terms, state.definition, state.constants))
    _, term_grads = evaluate(state.params, batch)
    return {
        layer: {term: weights[term] * np.asarray(gradient) for term, gradient in found.items()}
        for layer, found in by_layer(term_grads).items()
    }
