"""What `pinnjax.diagnostics` measures: conflicts, signal and phases, spectra, and values at points."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from pinnjax.diagnostics import Phases
from pinnjax.plot import style

History = Mapping[str, np.ndarray]
PHASES = {"fitting": "#56B4E9", "diffusion": "#E69F00", "total diffusion": "#009E73"}


def conflicts(history: History, *, ax: Axes | None = None) -> Axes:
    """Median cosine of every pair of terms as a matrix: blue terms agree, red ones undo each other's steps.

    Args:
        history: of a run with `pinnjax.monitors.gradients`.
        ax: where to draw.

    Raises:
        ValueError: when the history has no cosines.
    """
    pairs = {name.removeprefix("cosine/"): values for name, values in history.items() if name.startswith("cosine/")}
    for pair, values in pairs.items():
        measured("conflicts", f"cosine/{pair}", values, "gradients()")
    if not pairs:
        raise ValueError(
            "plot.conflicts: the history has no metric cosine/...; expected that of a run of two terms or more with "
            "monitors=[pj.monitors.gradients()]"
        )
    ax = style.axes(ax)
    names = sorted({term for pair in pairs for term in pair.split("|")})
    matrix = np.full((len(names), len(names)), np.nan)
    np.fill_diagonal(matrix, 1.0)
    for pair, values in pairs.items():
        i, j = (names.index(term) for term in pair.split("|"))
        matrix[i, j] = matrix[j, i] = np.nanmedian(values)
    image = ax.imshow(matrix, cmap="RdBu", vmin=-1, vmax=1)
    for (i, j), cosine in np.ndenumerate(matrix):
        ax.text(j, i, f"{cosine:.2f}", ha="center", va="center", color="white" if abs(cosine) > 0.6 else "black")
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.figure.colorbar(image, ax=ax, shrink=0.85, label="cosine of the gradients")
    return ax


def signal_to_noise(
    steps: Float[np.ndarray, " E"],
    snr: Float[np.ndarray, " E"],
    phases: Phases | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Signal-to-noise ratio of the gradient over the steps, the phases of learning behind it.

    Args:
        steps: of the measurements; NaN values are left out.
        snr: from `pinnjax.monitors.signal_to_noise`.
        phases: from `pinnjax.diagnostics.phases`.
        ax: where to draw.

    Raises:
        ValueError: when no measurement is finite.
    """
    measured("signal_to_noise", "snr", snr, "signal_to_noise()")
    ax = style.axes(ax)
    seen = np.isfinite(snr)
    steps, snr = np.asarray(steps)[seen], np.asarray(snr)[seen]
    ax.plot(steps, snr, color="black", linewidth=0.8)
    ax.axhline(1.0, color="grey", linewidth=0.6, linestyle="--")
    if phases is not None and len(steps):
        starts = {"fitting": steps[0], "diffusion": phases.diffusion, "total diffusion": phases.total_diffusion}
        begun = [(name, start) for name, start in starts.items() if start is not None]
        for (name, start), end in zip(begun, [start for _, start in begun[1:]] + [steps[-1]], strict=True):
            if start == end:
                continue
            ax.axvspan(start, end, color=PHASES[name], alpha=0.2, linewidth=0, label=name)
        ax.legend(frameon=False, fontsize="small")
    ax.set_yscale("log")
    return style.finish(ax, "step", "signal / noise of the gradient")


def measured(plot: str, name: str, values: Any, monitor: str) -> None:
    """There is something to draw: a monitor measured, in a step that was recorded."""
    if not np.isfinite(np.asarray(values, float)).any():
        raise ValueError(
            f"plot.{plot}: {name} has no finite value; expected the history of a run with "
            f"monitors=[pj.monitors.{monitor}], which has measured in a recorded step: record_every has to be a "
            "divisor of its every, or the same"
        )


def spectra(eigenvalues: Mapping[str, Float[np.ndarray, " n"]], *, ax: Axes | None = None) -> Axes:
    """Eigenvalues by rank, largest first; negative ones by their magnitude, as hollow marks.

    Args:
        eigenvalues: `{label: eigenvalues}`, of tangent kernels or Ritz values of a Hessian, in any order.
        ax: where to draw.

    Raises:
        ValueError: when there are none.
    """
    for label, values in eigenvalues.items() or [("eigenvalues", np.array([]))]:
        measured("spectra", label, values, "tangent_kernel() or curvature()")
    ax = style.axes(ax)
    for i, (label, values) in enumerate(eigenvalues.items()):
        colour = style.COLOURS[i % len(style.COLOURS)]
        values = np.sort(np.asarray(values))[::-1]
        rank, size = 1 + np.arange(len(values)), np.abs(values)
        shown = size > 1e-12 * size.max(initial=0)
        ax.plot(rank[shown], size[shown], color=colour, linewidth=0.8, label=label)
        for sign, face in ((values > 0, colour), (values < 0, "white")):
            ax.plot(rank[shown & sign], size[shown & sign], "o", color=colour, markerfacecolor=face, markersize=3)
    ax.set_yscale("log")
    ax.legend(frameon=False)
    return style.finish(ax, "rank", "eigenvalue")


def point_values(
    points: Float[np.ndarray, "n d"],
    values: Float[np.ndarray, " n"],
    *,
    label: str = "|residual|",
    ax: Axes | None = None,
) -> Axes:
    """A positive value at each point, over its first two coordinates or its only one: residuals, point weights.

    Args:
        points: collocation points, `(n, 1)` or more coordinates.
        values: there; their magnitudes are shown, on a logarithmic scale.
        label: of the values.
        ax: where to draw.
    """
    ax = style.axes(ax)
    points, values = np.asarray(points), np.abs(np.asarray(values))
    if points.shape[1] == 1:
        order = np.argsort(points[:, 0])
        ax.plot(points[order, 0], values[order], color=style.COLOURS[0], marker=".", linewidth=0.8)
        ax.set_yscale("log")
        return style.finish(ax, "$x_0$", label)
    largest = float(values.max(initial=0)) or 1.0
    dots = ax.scatter(
        points[:, 0],
        points[:, 1],
        c=np.maximum(values, 1e-4 * largest),
        s=6,
        cmap="viridis",
        norm="log",
        linewidths=0,
        rasterized=True,
    )
    ax.figure.colorbar(dots, ax=ax, shrink=0.85, label=label)
    return style.finish(ax, "$x_0$", "$x_1$")
