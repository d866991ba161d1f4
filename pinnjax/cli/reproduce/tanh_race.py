"""The race of point weights on a front: uniform, per-point gradient norms, self-adaptive; and attention besides."""

import dataclasses

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from matplotlib.figure import Figure

from pinnjax import plot, point_weights
from pinnjax.cli.race import Outcome
from pinnjax.cli.reproduce.study import Claims, Results, Run, Study
from pinnjax.problems import Problem, tanh
from pinnjax.problems.tanh import FRONT

RULES = {
    "uniform": None,
    "inverse_point_gradients": point_weights.inverse_point_gradients(),
    "self_adaptive": point_weights.self_adaptive(optax.adam(5e-3), mask=jnp.square, initial=1.0),
    "residual_attention": point_weights.residual_attention(),
}
RATIO = "front_over_rest"


def _runs() -> dict[str, Run]:
    plain = dataclasses.replace(tanh.recipes["plain"], resampled=False)
    return {
        label: Run(
            tanh,
            dataclasses.replace(plain, summary=label, point_weights=rule),
            "half the ratio of uniform" if label == "self_adaptive" else None,
        )
        for label, rule in RULES.items()
    }


def masks(problem: Problem, outcome: Outcome) -> dict[str, np.ndarray]:
    """Points, and their weights at the end."""
    del problem
    return {"points": outcome.points["data"], "weights": outcome.point_weights["data"]} if outcome.point_weights else {}


def claims(results: Results) -> Claims:
    """Self-adaptive weights halve the ratio, and are highest in the front."""
    adaptive = results["self_adaptive"]
    x, weights = np.abs(adaptive.extras["points"][0, :, 0]), np.median(adaptive.extras["weights"], axis=0)
    return {
        "self_adaptive has at most half the ratio of uniform": adaptive.median(RATIO)
        <= 0.5 * results["uniform"].median(RATIO),
        "its largest weight is in the front": bool(x[np.argmax(weights)] < FRONT),
        "inverse_point_gradients over-corrects: a larger ratio than self_adaptive": results[
            "inverse_point_gradients"
        ].median(RATIO)
        > adaptive.median(RATIO),
    }


def figures(results: Results) -> dict[str, Figure]:
    """The weights over x."""
    weighed = {label: result for label, result in results.items() if result.extras}
    figure, ax = plt.subplots(figsize=(4.5, 3.2), layout="constrained")
    points = {label: result.extras["points"][0] for label, result in weighed.items()}
    plot.masks(points, {label: result.extras["weights"] for label, result in weighed.items()}, ax=ax)
    return {"masks": figure}


STUDY = Study(
    name="tanh",
    title="Regression of tanh(20x): residual in the front over that elsewhere",
    source="McClenny & Braga-Neto 2023 (self-adaptive weights)",
    runs=_runs(),
    claims=claims,
    quick_claims=claims,
    figures=figures,
    extras=masks,
    seeds=10,
    quick=1.0,
    compared=RATIO,
)
