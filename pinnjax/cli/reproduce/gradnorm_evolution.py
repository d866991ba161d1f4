"""GradNorm's weights over the steps: they add up to the number of terms, and bring the gradients' norms together.

References:
  Chen, Badrinarayanan, Lee, Rabinovich, `GradNorm: gradient normalization for adaptive loss balancing in deep multitask
  networks <https://arxiv.org/abs/1711.02257>`_, ICML 2018: Figure 3, the weights over the steps.
"""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from pinnjax.cli.reproduce.study import Claims, Result, Results, Run, Study
from pinnjax.plot import style
from pinnjax.problems import helmholtz
from pinnjax.term_weights import gradnorm

ALPHAS = (0.0, 0.5, 1.5)
PLAIN = dataclasses.replace(helmholtz.recipes["M1"], steps=20_000)


def _runs() -> dict[str, Run]:
    runs = {"equal weights": Run(helmholtz, PLAIN)}
    for alpha in ALPHAS:
        recipe = dataclasses.replace(PLAIN, summary=f"GradNorm, α = {alpha:g}", term_weights=gradnorm(alpha=alpha))
        runs[f"α = {alpha:g}"] = Run(helmholtz, recipe)
    return runs


def imbalance(result: Result) -> np.ndarray:
    """The weighted gradients' norms, the equation's over the boundary's, `(E, K)`."""
    norm = {t: result.history[f"grad_norm/{t}"] * result.history[f"weight/{t}"] for t in ("pde", "bc")}
    return norm["pde"] / norm["bc"]


def _late(result: Result) -> float:
    """Median over the second half of the run and the seeds."""
    ratio = imbalance(result)
    return float(np.median(ratio[len(ratio) // 2 :]))


def claims(results: Results) -> Claims:
    """Sums hold; GradNorm shrinks the imbalance."""
    sums = [results[f"α = {a:g}"].history["weight/pde"] + results[f"α = {a:g}"].history["weight/bc"] for a in ALPHAS]
    plain = _late(results["equal weights"])
    return {
        "the weights add up to 2 at all times": all(np.allclose(total, 2.0, rtol=1e-5) for total in sums),
        "with equal weights the equation's gradient is more than 5 times the boundary's": plain > 5,
        **{f"α = {a:g} makes the imbalance smaller": _late(results[f"α = {a:g}"]) < plain for a in ALPHAS},
    }


def figures(results: Results) -> dict[str, Figure]:
    """The boundary's weight, the imbalance and the error over the steps."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
    for colour, (label, result) in zip(style.COLOURS, results.items(), strict=False):
        for ax, values in zip(
            axes, (result.history["weight/bc"], imbalance(result), result.history["relative_l2"]), strict=True
        ):
            ax.plot(result.steps, np.median(values, axis=1), color=colour, label=label)
            ax.fill_between(result.steps, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.12, linewidth=0)
    axes[1].axhline(1.0, color="black", linewidth=0.5)
    names = ("weight of the boundary", "weighted gradients, equation / boundary", "relative $L_2$ error")
    for ax, name in zip(axes, names, strict=True):
        style.finish(ax, "step", name)
    axes[1].set_yscale("log")
    axes[2].set_yscale("log")
    axes[0].legend(frameon=False)
    return {"evolution": figure}


STUDY = Study(
    name="gradnorm",
    title="GradNorm on the Helmholtz equation: weights, imbalance and error over the steps",
    source="Chen et al. 2018, Figure 3 (on another problem)",
    runs=_runs(),
    claims=claims,
    quick_claims=claims,
    figures=figures,
)
