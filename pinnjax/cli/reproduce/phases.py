"""Phases of learning: signal and noise of the gradient, even residuals and saturation, along the fall of the error.

The problems are the paper's; network, points, batches and numbers of steps are ours, and small enough for minutes on a
processor. So the claims are of this set-up. Gradients are raw, as in the paper, not brought to unit length.

References:
  Anagnostopoulos, Toscano, Stergiopulos, Karniadakis, `Learning in PINNs: phase transition, total diffusion, and
  generalization <https://arxiv.org/abs/2403.18494>`_, 2024.
"""

from collections.abc import Callable

import jax
import jax.flatten_util
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from pinnjax import diagnostics, monitors, nn, plot
from pinnjax.cli.reproduce.study import Claims, Result, Results, Run, Study, Watch
from pinnjax.plot import style
from pinnjax.point_weights import residual_attention
from pinnjax.problems import Recipe, allen_cahn, helmholtz
from pinnjax.term_weights import fixed
from pinnjax.terms import losses
from pinnjax.train.monitor import StepInfo

PARTS = 16  # of the equation's points; each part is a batch of 64
STEPS, MOMENTS = 6000, 60
SETUPS = {  # problem, numbers of points, term weights, learning rate
    "Allen-Cahn": (allen_cahn, {"pde": 1024, "ic": 128}, {"ic": 100.0}, 2e-3),
    "Helmholtz": (helmholtz, {"pde": 1024, "bc": 64}, {"bc": 1.0}, 2e-4),
}
RULES = {"equal points": None, "RBA": residual_attention()}
LEVEL = 1.0  # of the signal to noise, below which gradients of parts disagree
NEAR = 5  # looks: an event within so many of another one marks it


def _runs() -> dict[str, Run]:
    """Each problem with each rule: a modified MLP, fixed points, Adam at one rate."""
    found = {}
    for name, (problem, points, weights, rate) in SETUPS.items():
        for rule, transform in RULES.items():
            label = f"{name}, {rule}"
            found[label] = Run(
                problem,
                Recipe(
                    label,
                    nn.ModifiedMLP,
                    _constant(rate),
                    STEPS,
                    point_weights=transform,
                    term_weights=fixed(weights),
                    points=points,
                    resampled=False,
                ),
            )
    return found


def _constant(rate: float) -> Callable[[int], float]:
    return lambda steps: rate


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


def fastest_fall(result: Result, width: int = 2) -> Float[np.ndarray, " K"]:
    """The middle of the few looks over which the error falls by the largest factor, in steps, one a seed.

    The first tenth of the run is left out: there every network falls from where it was drawn.
    """
    error = np.log(result.history["relative_l2"])
    first = len(error) // 10
    fall = error[first : -2 * width] - error[first + 2 * width :]
    return result.steps[first + width + np.argmax(fall, axis=0)]


def middle_of_rise(steps: np.ndarray, values: Float[np.ndarray, "E K"], factor: float) -> Float[np.ndarray, " K"]:
    """Where a smoothed curve is half way, on a logarithmic scale, from its lowest point to the highest after it.

    Infinite where it does not rise by the factor.

    Example:
        >>> print(middle_of_rise(np.arange(5), np.array([[9.0, 4.0], [1.0, 3.0], [1.0, 2.0], [4.0, 1.0]]), 3.0))
        [ 3. inf]
    """
    found = []
    for curve in np.log(values).T:
        low = int(np.argmin(curve))
        high = low + int(np.argmax(curve[low:]))
        half = (curve[low] + curve[high]) / 2
        middle = steps[low + int(np.argmax(curve[low : high + 1] >= half))]
        found.append(middle if curve[high] - curve[low] >= np.log(factor) else np.inf)
    return np.array(found, float)


def regimes(result: Result) -> list[diagnostics.Phases]:
    """Where the signal to noise says that diffusion and total diffusion begin, one a seed."""
    return [diagnostics.phases(result.steps, snr) for snr in result.history["snr"].T]


def rises(result: Result) -> dict[str, np.ndarray]:
    """At which step the signal to noise and the homogeneity rise, one a seed; infinite where they do not."""
    factors = {"snr": 3.0, "homogeneity": 1.1}
    return {name: middle_of_rise(result.steps, smooth(result.history[name]), f) for name, f in factors.items()}


def marks(result: Result) -> dict[str, np.ndarray]:
    """How many looks lie between the error's fastest fall and these rises, one a seed."""
    fall, every = fastest_fall(result), result.steps[1] - result.steps[0]
    return {name: np.abs(rise - fall) / every for name, rise in rises(result).items()}


def claims(results: Results) -> Claims:
    """What attention does, and that parts of the batch come to disagree.

    Whether a rise of the signal marks the fall of the error is not among it: `pinnjax page phases` has the numbers.
    """
    last = lambda label, name: float(np.median(smooth(results[label].history[name])[-1]))
    found = {}
    for name in SETUPS:
        equal, attended = f"{name}, equal points", f"{name}, RBA"
        found[f"{name}: with RBA the residuals are more even at the end"] = last(attended, "homogeneity") > last(
            equal, "homogeneity"
        )
        found[f"{name}: with RBA the error is smaller"] = results[attended].median() < results[equal].median()
    for label, result in results.items():
        diffusion = [regime.diffusion is not None for regime in regimes(result)]
        found[f"{label}: the SNR falls below {LEVEL:g}, from fitting to diffusion"] = all(diffusion)
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
        steps, history = result.steps, result.history
        column[0].plot(steps, history["relative_l2"], color=style.COLOURS[0], linewidth=1)
        column[0].set(yscale="log", title=label)
        plot.signal_to_noise(steps, smooth(history["snr"])[:, 0], regimes(result)[0], ax=column[1])
        column[2].plot(steps, smooth(history["homogeneity"]), color=style.COLOURS[2], linewidth=1)
        for i, share in enumerate(history["saturation"][:, 0].T):
            column[3].plot(steps, share, color=style.COLOURS[i], linewidth=1, label=f"{i + 1}")
        for ax in column:
            ax.axvline(fastest_fall(result)[0], color="black", linewidth=0.8, linestyle=":")
        for i, words in {0: "relative $L_2$ error", 2: "homogeneity", 3: "saturated units"}.items():
            style.finish(column[i], "step", words)
    axes[3, 0].legend(frameon=False, title="activation", fontsize="small")
    return {"evolution": figure}


STUDY = Study(
    name="phases",
    title="Phases of learning: signal to noise, even residuals and saturation along the fall of the error",
    source="Anagnostopoulos et al. 2024 (their problems, smaller)",
    runs=_runs(),
    claims=claims,
    quick_claims=quick_claims,
    figures=figures,
    watch=Watch(measure, MOMENTS),
)
