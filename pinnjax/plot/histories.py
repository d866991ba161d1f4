"""Losses, weights and errors over the steps of a run."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from pinnjax.plot import style

History = Mapping[str, np.ndarray]
SHOWN_POINTS = 400


def losses(history: History, *, weighted: bool = False, ax: Axes | None = None) -> Axes:
    """Loss of each term over the steps, as medians over windows, raw or as the optimiser sees it.

    Args:
        history: of `pinnjax.fit`.
        weighted: whether to show λ_t mean w |r|² instead of mean |r|².
        ax: where to draw.
    """
    ax = style.axes(ax)
    _lines(ax, history, "weighted_loss/" if weighted else "loss/")
    ax.set_yscale("log")
    ax.legend(frameon=False)
    return style.finish(ax, "step", "weighted loss" if weighted else "loss")


def weights(history: History, *, ax: Axes | None = None) -> Axes:
    """Weight of each term over the steps."""
    ax = style.axes(ax)
    _lines(ax, history, "weight/")
    ax.set_yscale("log")
    ax.legend(frameon=False)
    return style.finish(ax, "step", "term weight λ")


def errors(histories: Mapping[str, History], *, name: str = "relative_l2", ax: Axes | None = None) -> Axes:
    """Error over the steps, one line a run.

    Args:
        histories: `{label: history}`.
        name: of the evaluation in the history.
        ax: where to draw.
    """
    ax = style.axes(ax)
    for colour, (label, history) in zip(_colours(len(histories)), histories.items(), strict=True):
        ax.plot(history["evaluation/step"], history[f"evaluation/{name}"], color=colour, label=label, marker=".")
    ax.set_yscale("log")
    ax.legend(frameon=False)
    return style.finish(ax, "step", "relative $L_2$ error" if name == "relative_l2" else name)


def _lines(ax: Axes, history: History, prefix: str) -> None:
    names = [name for name in history if name.startswith(prefix)]
    for colour, name in zip(_colours(len(names)), names, strict=True):
        step, value = _windows(history["step"]), _windows(history[name])
        ax.plot(step, value, color=colour, label=name.removeprefix(prefix), linewidth=1)


def _windows(values: np.ndarray) -> np.ndarray:
    """Medians over at most SHOWN_POINTS windows, since points that change in every step make a loss a thick band."""
    size = max(1, len(values) // SHOWN_POINTS)
    whole = len(values) // size * size
    return np.median(values[:whole].reshape(-1, size), axis=1)


def _colours(n: int) -> list[str]:
    return [style.COLOURS[i % len(style.COLOURS)] for i in range(n)]
