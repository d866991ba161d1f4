"""A race in one figure: losses, weights and errors of every rule over the steps, and the errors of every seed."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pinnjax.plot import style

History = Mapping[str, np.ndarray]
REST = "#BBBBBB"


def race(histories: Mapping[str, History], *, compared: str = "relative_l2") -> Figure:
    """Medians over the seeds, best rule first; with few rules also a band from the best seed to the worst.

    Of more rules than there are colours the best and the worst have one each, and a legend; the rest are a grey group.

    Args:
        histories: `{label: {"step": (E,), "relative_l2": (E, K), "loss/t": (E, K), "weight/t": (E, K)}}`.
        compared: the name in the histories that rules are ordered by, where it is another than `relative_l2`.

    Raises:
        ValueError: when there is no history, or one lacks these.
    """
    _check("race", histories)
    for label, history in histories.items():
        missing = [n for n in ("step", compared) if n not in history]
        missing += [f"{kind}..." for kind in ("loss/", "weight/") if not any(n.startswith(kind) for n in history)]
        if missing:
            raise ValueError(
                f"plot.race: the history of {label!r} has no metric {', '.join(missing)}; expected that of an "
                "outcome of pinnjax.cli.race.race, with its steps"
            )
    final = {label: np.nan_to_num(history[compared][-1], nan=np.inf) for label, history in histories.items()}
    title = "relative $L_2$ error" if compared == "relative_l2" else compared.replace("_", " ")
    order = sorted(histories, key=lambda label: np.median(final[label]))
    few = len(order) <= len(style.COLOURS)
    colours = dict(zip(order, style.COLOURS, strict=False)) if few else _best_and_worst(order, final)
    figure, axes = plt.subplots(
        1, 4, figsize=(15, max(3.2, 0.24 * len(order))), layout="constrained", width_ratios=[1, 1, 1, 1.1]
    )
    for label in sorted(order, key=lambda label: colours[label] != REST):  # the group lies below
        history = histories[label]
        step, colour = history["step"], colours[label]
        losses = np.sum([values for name, values in history.items() if name.startswith("loss/")], axis=0)
        _band(axes[0], step, losses, colour, few)
        _band(axes[1], step, _spread(history), colour, few)
        _band(axes[2], step, history[compared], colour, few)
    for ax, name in zip(axes, ("sum of the unweighted losses", "largest weight / smallest", title), strict=False):
        ax.set_yscale("log")
        style.finish(ax, "step", name)
    if not few:
        _legend(axes[2], colours)
    places = np.arange(len(order))
    for place, label in zip(places, order, strict=True):
        errors = final[label][np.isfinite(final[label])]
        axes[3].plot(errors, np.full(len(errors), place), "o", color=colours[label], markersize=4, alpha=0.7)
        if np.isfinite(np.median(final[label])):
            axes[3].plot(np.median(final[label]), place, "|", color="black", markersize=12)
    axes[3].set_yticks(places, order)
    axes[3].invert_yaxis()
    axes[3].set_xscale("log")
    style.finish(axes[3], f"final {title}, seeds and median", "")
    return figure


def masks(points: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray], *, ax: Axes | None = None) -> Axes:
    """Point weights over one coordinate, over their mean: one line a rule, medians and bands over the seeds.

    Args:
        points: `{label: (n, 1)}`.
        weights: `{label: (K, n)}`.
        ax: where to draw.

    Raises:
        ValueError: when there are none.
    """
    _check("masks", weights)
    ax = style.axes(ax)
    for i, (label, values) in enumerate(weights.items()):
        relative = values / values.mean(axis=1, keepdims=True)
        colour = style.COLOURS[i % len(style.COLOURS)]
        ax.plot(points[label][:, 0], np.median(relative, axis=0), color=colour, marker=".", linewidth=1, label=label)
        ax.fill_between(
            points[label][:, 0], relative.min(axis=0), relative.max(axis=0), color=colour, alpha=0.12, linewidth=0
        )
    ax.set_yscale("log")
    ax.legend(frameon=False)
    return style.finish(ax, "$x_0$", "point weight over its mean")


def clock(
    seconds: np.ndarray, errors: Mapping[str, np.ndarray], *, compared: str = "relative_l2", ax: Axes | None = None
) -> Axes:
    """Errors over wall time, both logarithmic: one line a method, medians and bands from best to worst over the seeds.

    Args:
        seconds: `(T,)`.
        errors: `{label: (T, K)}` of K seeds, NaN where there is none yet.
        compared: what they are.
        ax: where to draw.

    Raises:
        ValueError: when there are none.
    """
    _check("clock", errors)
    if ax is None:
        ax = plt.subplots(figsize=(5.5, 3.6), layout="constrained")[1]
    palette = [style.COLOURS[i % len(style.COLOURS)] for i in range(len(errors))]
    for (label, values), colour in zip(errors.items(), palette, strict=True):
        _band(ax, seconds, values, colour, band=True)
        ax.lines[-1].set_label(label)
    ax.set(xscale="log", yscale="log")
    ax.legend(frameon=False, fontsize="small")
    name = "relative $L_2$ error" if compared == "relative_l2" else compared.replace("_", " ")
    return style.finish(ax, "seconds", name)


def _check(plot: str, given: Mapping[str, object]) -> None:
    if not given:
        raise ValueError(f"plot.{plot}: nothing to draw; expected at least one run")


def _best_and_worst(order: Sequence[str], final: Mapping[str, np.ndarray]) -> dict[str, str]:
    """A colour for the best, one for the worst of those that are finite, and grey for the rest."""
    finite = [label for label in order if np.isfinite(np.median(final[label]))]
    named = zip((*finite[:1], *finite[1:][-1:]), style.COLOURS, strict=False)
    return dict.fromkeys(order, REST) | dict(named)


def _legend(ax: Axes, colours: Mapping[str, str]) -> None:
    named = [label for label, colour in colours.items() if colour != REST]
    handles = [Line2D([], [], color=colours[label]) for label in named]
    handles.append(Line2D([], [], color=REST))
    said = [f"{word}: {label}" for word, label in zip(("best", "worst"), named, strict=False)]
    ax.legend(handles, [*said, f"the other {len(colours) - len(named)}"], frameon=False, fontsize="small")


def _spread(history: History) -> np.ndarray:
    """Largest over smallest magnitude of a term weight, (E, K)."""
    weights = np.abs(np.stack([values for name, values in history.items() if name.startswith("weight/")]))
    smallest = weights.min(axis=0)
    return weights.max(axis=0) / np.where(smallest > 0, smallest, np.nan)


def _band(ax: Axes, step: np.ndarray, values: np.ndarray, colour: object, band: bool) -> None:
    shown = np.ma.masked_invalid(values)
    ax.plot(step, np.ma.median(shown, axis=1), color=colour, linewidth=1)
    if band:
        ax.fill_between(step, shown.min(axis=1), shown.max(axis=1), color=colour, alpha=0.12, linewidth=0)
