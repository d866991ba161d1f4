"""Gradients of the terms: histograms by layer, norms against a parameter."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from pinnjax.plot import style

BINS = 61  # odd, so that zero is in the middle of a bin


def gradient_histograms(layers: Mapping[str, Mapping[str, Float[np.ndarray, " p"]]], *, title: str = "") -> Figure:
    """Densities of each term's gradient, one panel a layer, as in Figures 2 and 6 of Wang, Teng & Perdikaris (2021).

    A term whose gradient vanishes beside the others is a spike at zero. The range is the same for all layers and covers
    99 % of the entries of the widest term; what is beyond counts at its ends.

    Args:
        layers: `{layer: {term: gradient}}`, as `pinnjax.diagnostics.by_layer` returns it.
        title: of the figure.
    """
    if not layers:
        raise ValueError("plot.gradient_histograms: no layers; expected what pinnjax.diagnostics.by_layer returns")
    names = list(dict.fromkeys(term for terms in layers.values() for term in terms))
    whole = [np.concatenate([np.ravel(terms[name]) for terms in layers.values() if name in terms]) for name in names]
    end = max(float(np.quantile(np.abs(gradient), 0.99)) for gradient in whole) or 1.0
    bins = np.linspace(-end, end, BINS + 1)
    figure, axes = plt.subplots(
        1, len(layers), figsize=(2.3 * len(layers), 2.6), layout="constrained", squeeze=False, sharex=True, sharey=True
    )
    for ax, (layer, terms) in zip(axes[0], layers.items(), strict=True):
        for colour, (term, gradient) in zip(style.COLOURS, terms.items(), strict=False):
            counts, _ = np.histogram(np.clip(gradient, -end, end), bins)
            ax.stairs(counts / max(1, np.size(gradient)), bins, color=colour, label=term)
        ax.set_yscale("log")
        ax.set_title(layer, fontsize="small")
        style.finish(ax, "", "")
    axes[0][0].set_ylabel("share of the entries")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize="small")
    figure.suptitle(title)
    return figure
