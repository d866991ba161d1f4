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
    prefix = "weighted_loss/" if weighted else "loss/"
    _check("losses", history, prefix)
    ax = style.axes(ax)
    _lines(ax, history, prefix)
    ax.set_yscale("log")
    ax.legend(frameon=False)
    return style.finish(ax, "step", "weighted loss" if weighted else "loss")


def weights(history: History, *, ax: Axes | None = None) -> Axes:
    """Weight of each term over the steps."""
    _check("weights", history, "weight/")
    ax = style.axes(ax)
    _lines(ax, history, "weight/")
    ax.set_yscale("log")
    ax.legend(frameon=False)
    return style.finish(ax, "step", "term weight λ")


def errors(histories: Mapping[str, History], *, name: str | None = None, ax: Axes | None = None) -> Axes:
    """Error over the steps, one line a run.

    Args:
        histories: `{label: history}`, of `pinnjax.fit` with `evaluate`.
        name: of the evaluation in the history; the first that the first history has when None: `error`, where
            `evaluate` returns a number.
        ax: where to draw.

    Raises:
        ValueError: when a history has no such evaluation.
    """
    for label, history in histories.items():
        known = [n.removeprefix("evaluation/") for n in history if n.startswith("evaluation/")]
        known = [n for n in known if n not in ("step", "seconds")]
        name = known[0] if name is None and known else name
        if name not in known:
            raise ValueError(
                f"plot.errors: the history of {label!r} has no evaluation{'' if name is None else f' {name!r}'}, only "
                f"{known}; expected a run with pinnjax.fit(..., evaluate=...)"
            )
    ax = style.axes(ax)
    for colour, (label, history) in zip(_colours(len(histories)), histories.items(), strict=True):
        ax.plot(history["evaluation/step"], history[f"evaluation/{name}"], color=colour, label=label, marker=".")
    ax.set_yscale("log")
    ax.legend(frameon=False)
    return style.finish(ax, "step", "relative $L_2$ error" if name == "relative_l2" else str(name))


def _check(plot: str, history: History, prefix: str) -> None:
    if not any(name.startswith(prefix) for name in history) or not len(history.get("step", ())):
        raise ValueError(
            f"plot.{plot}: the history has no step with a metric {prefix}...; expected that of pinnjax.fit, with "
            "record_every no larger than its steps"
        )


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
