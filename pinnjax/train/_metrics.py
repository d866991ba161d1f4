"""The metrics of a step, a flat dict of arrays."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Array, Float

from pinnjax.term_weights import EVENTS, numbers_by_term
from pinnjax.terms import losses
from pinnjax.train.state import Metrics, TrainState

PyTree = Any


def of_step(
    state: TrainState,
    residuals: Mapping[str, Array],
    sampling_weights: Mapping[str, Float[Array, " n"]],
    *,
    value: Float[Array, ""],
    weighted: Mapping[str, Float[Array, ""]],
    term_weights: Mapping[str, Float[Array, ""]],
    grad_norms: Mapping[str, Float[Array, ""]],
) -> Metrics:
    """The total, each term's losses, weight and gradient, and the counters of the new state."""
    metrics: Metrics = {"loss": value, "skipped": state.skipped}
    for name, r in residuals.items():
        metrics[f"loss/{name}"] = losses.loss(r, sampling_weights[name])
        metrics[f"weighted_loss/{name}"] = term_weights[name] * weighted[name]
        metrics[f"weight/{name}"] = term_weights[name]
        metrics[f"grad_norm/{name}"] = grad_norms[name]
        metrics[f"nonfinite/{name}"] = state.nonfinite[name]
    for event in EVENTS:
        for counts in numbers_by_term(state.term_weights, event, residuals):
            for name, count in counts.items():
                metrics[f"{event}/{name}"] = metrics.get(f"{event}/{name}", 0) + count
    return metrics
