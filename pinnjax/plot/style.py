"""Colours that colour-blind readers can tell apart (Okabe & Ito), and sizes for a two-column paper."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
COLUMN_WIDTH = 3.4  # inches


def axes(ax: Axes | None) -> Axes:
    """The given axes, or new ones one column wide."""
    return plt.subplots(figsize=(COLUMN_WIDTH, 2.6), layout="constrained")[1] if ax is None else ax


def finish(ax: Axes, x: str, y: str) -> Axes:
    """Labels, a light grid and no box."""
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.grid(alpha=0.25, linewidth=0.5)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
