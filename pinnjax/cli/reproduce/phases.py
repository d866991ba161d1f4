"""Phases of learning: signal and noise of the gradient, even residuals and saturation, along the fall of the error.

The recipe is that of the authors' code: a tanh network of six hidden layers, every weight 1, Adam from 1e-3, RBA that
starts at 0, fixed points, and raw gradients of fixed parts of them. Theirs has 128 units, 25 600 points in 100 parts
and 300 000 steps; ours is smaller, to end within hours on a processor.

References:
  Anagnostopoulos, Toscano, Stergiopulos, Karniadakis, `Learning in PINNs: phase transition, total diffusion, and
  generalization <https://arxiv.org/abs/2403.18494>`_, 2024; `their code and the histories of their runs
  <https://github.com/soanagno/diffusion-equilibrium>`_.
"""

import dataclasses
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from pinnjax import diagnostics, monitors, nn, plot
from pinnjax.cli.reproduce.study import Claims, Result, Results, Run, Study, Watch
from pinnjax.plot import style
from pinnjax.point_weights import residual_attention
from pinnjax.problems import Problem, Recipe, allen_cahn, helmholtz
from pinnjax.term_weights import fixed
from pinnjax.terms import losses
from pinnjax.train.monitor import StepInfo

PARTS = 10  # of the equation's points; each part is a batch of 256, as theirs, on which the level of the SNR depends
STEPS, MOMENTS = 45_000, 450
NETWORK: dict[str, Any] = {"in_features": 2, "out_features": "scalar", "width": 32, "depth": 6}
# Problem, numbers of points, term weights: the sides of the square count with their mean square.
SETUPS: dict[str, tuple[Problem, dict[str, int], dict[str, float]]] = {
    "Allen-Cahn": (allen_cahn, {"pde": 2560, "ic": 512}, {"ic": 1.0}),
    "Helmholtz": (helmholtz, {"pde": 2560, "bc": 100}, {"bc": 0.25}),
}
RULES = {"equal points": None, "RBA": residual_attention(eta=1e-3)}
LEVEL = 1.0  # of the signal to noise, below which gradients of parts disagree
MOST = 0.5  # of the fall of the error, as a logarithm


def _runs() -> dict[str, Run]:
    """Each problem with each rule."""
    found = {}
    for name, (problem, points, weights) in SETUPS.items():
        for rule, transform in RULES.items():
            recipe = Recipe(
                f"{name}, {rule}",
                nn.MLP,
                lambda steps: optax.exponential_decay(1e-3, 5000, 0.9, staircase=True),
                STEPS,
                point_weights=transform,
                term_weights=fixed(weights),
                points=points,
                resampled=False,
            )
            found[recipe.summary] = Run(dataclasses.replace(problem, network=NETWORK), recipe)
    return found


def part_gradients(info: StepInfo) -> Float[Array, "B p"]:
    """The gradient of the weighted loss on each part of the equation's points, with all of the conditions' points."""
    evaluate = losses.value_and_grads(info.terms, info.definition, info.constants)
    split = lambda values: jnp.swapaxes(values.reshape(-1, PARTS, *values.shape[1:]), 0, 1)
    points, weights = split(info.points["pde"]), split(info.point_weights["pde"])

    def one(part: tuple[Array, Array]) -> Array:
        batch, at = {**info.points, "pde": part[0]}, {**info.point_weights, "pde": part[1]}
        _, grads = evaluate(info.params, batch, at)
        flat = [info.term_weights[t] * jax.flatten_util.ravel_pytree(grad)[0] for t, grad in grads.items()]
        return jnp.sum(jnp.stack(flat), axis=0)

    return jax.lax.map(one, (points, weights))


def measure(info: StepInfo) -> dict[str, Array]:
    """Signal to noise, how each part's gradient agrees with the mean, homogeneity, and saturation layer by layer."""
    rows = part_gradients(info)
    mean = jnp.mean(rows, axis=0)
    cosines = rows @ mean / (jnp.linalg.norm(rows, axis=1) * jnp.linalg.norm(mean))
    found = {"snr": diagnostics.signal_to_noise(rows), "cosines": cosines}
    found["homogeneity"] = diagnostics.homogeneity(info.residuals["pde"])
    return found | monitors.saturation(term="pde").measure(info)


def smooth(values: Float[np.ndarray, "E K"], width: int = 4) -> Float[np.ndarray, "E K"]:
    """Geometric means over neighbours: Adam bounces from wall to wall of a valley, and the parts agree on one wall."""
    logarithms = np.log(np.maximum(values, 1e-9))
    around = [slice(max(0, i - width), i + width + 1) for i in range(len(values))]
    return np.exp(np.stack([logarithms[part].mean(axis=0) for part in around]))


def regimes(result: Result) -> list[diagnostics.Phases]:
    """Where the signal to noise says that diffusion and total diffusion begin, one a seed."""
    return [diagnostics.phases(result.steps, snr) for snr in result.history["snr"].T]


def around_total_diffusion(result: Result) -> dict[str, Float[np.ndarray, " K"]]:
    """What its onset marks, one number a seed; NaN where it does not begin.

    `share`: how much of the fall of the error, as a logarithm, comes after it, above 1 where the error had risen;
    `even_before` and `even_after`: the mean homogeneity of the residuals before and after.
    """
    found = []
    for k, regime in enumerate(regimes(result)):
        onset = regime.total_diffusion
        if onset is None:
            found.append((np.nan, np.nan, np.nan))
            continue
        later = result.steps >= onset
        error, even = np.log(result.history["relative_l2"][:, k]), result.history["homogeneity"][:, k]
        share = (error[later][0] - error[-1]) / (error[0] - error[-1])
        found.append((share, even[~later].mean(), even[later].mean()))
    return dict(zip(("share", "even_before", "even_after"), np.array(found).T, strict=True))


def claims(results: Results) -> Claims:
    """What total diffusion marks where it is reached, and what attention does."""
    last = lambda label, name: float(np.median(smooth(results[label].history[name])[-1]))
    found = {}
    for label, result in results.items():
        around = around_total_diffusion(result)
        reached = np.isfinite(around["share"])
        found[f"{label}: the SNR rises to O(1), and stays for a while"] = bool(np.mean(reached) > 0.5)
        if reached.any():
            middle = {name: float(np.nanmedian(values)) for name, values in around.items()}
            found[f"{label}: most of the error's fall comes after it"] = middle["share"] >= MOST
            found[f"{label}: residuals are more even after it"] = middle["even_after"] > middle["even_before"]
    for name in SETUPS:
        equal, attended = f"{name}, equal points", f"{name}, RBA"
        found[f"{name}: with RBA the residuals are more even at the end"] = last(attended, "homogeneity") > last(
            equal, "homogeneity"
        )
        found[f"{name}: with RBA the error is smaller"] = results[attended].median() < results[equal].median()
    return found


def quick_claims(results: Results) -> Claims:
    """What holds of short runs: parts of the batch come to disagree."""
    return {
        f"{label}: the SNR falls below {LEVEL:g}": bool(np.min(result.history["snr"]) < LEVEL)
        for label, result in results.items()
    }


def figures(results: Results) -> dict[str, Figure]:
    """Error, signal to noise with its phases, homogeneity and saturation over the steps, of the first seed."""
    figure, axes = plt.subplots(4, len(results), figsize=(3.1 * len(results), 9), layout="constrained", squeeze=False)
    for column, (label, result) in zip(axes.T, results.items(), strict=True):
        steps, history, regime = result.steps, result.history, regimes(result)[0]
        column[0].plot(steps, history["relative_l2"], color=style.COLOURS[0], linewidth=1)
        column[0].set(yscale="log", title=label)
        plot.signal_to_noise(steps, smooth(history["snr"])[:, 0], regime, ax=column[1])
        column[2].plot(steps, smooth(history["homogeneity"]), color=style.COLOURS[2], linewidth=1)
        for i, share in enumerate(history["saturation"][:, 0].T):
            column[3].plot(steps, share, color=style.COLOURS[i], linewidth=1, label=f"{i + 1}")
        for ax in column if regime.total_diffusion is not None else ():
            ax.axvline(regime.total_diffusion, color="black", linewidth=0.8, linestyle=":")
        for i, words in {0: "relative $L_2$ error", 2: "homogeneity", 3: "saturated units"}.items():
            style.finish(column[i], "step", words)
    axes[3, 0].legend(frameon=False, title="activation", fontsize="small")
    return {"evolution": figure}


STUDY = Study(
    name="phases",
    title="Phases of learning: signal to noise, even residuals and saturation along the fall of the error",
    source="Anagnostopoulos et al. 2024 (their recipe, smaller)",
    runs=_runs(),
    claims=claims,
    quick_claims=quick_claims,
    figures=figures,
    watch=Watch(measure, MOMENTS),
)
