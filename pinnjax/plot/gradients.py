"""Gradients of the terms: histograms by layer, norms against a parameter."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from pinnjax.plot import style

BINS = 60


def gradient_histograms(layers: Mapping[str, Mapping[str, Float[np.ndarray, " p"]]], *, title: str = "") -> Figure:
    """Densities of each term's gradient, one panel a layer, as in Figures 2 and 6 of Wang, Teng & Perdikaris (2021).

    The horizontal scale is linear about zero and logarithmic beyond, at one range for all layers: a term whose gradient
    vanishes is a spike at zero.

    Args:
        layers: `{layer: {term: gradient}}`, as `pinnjax.diagnostics.by_layer` returns it.
        title: of the figure.
    """
    magnitudes = np.abs(np.concatenate([np.ravel(g) for terms in layers.values() for g in terms.values()]))
    largest = float(magnitudes.max()) or 1.0
    linear = max(float(np.quantile(magnitudes[magnitudes > 0], 0.1)) if np.any(magnitudes > 0) else 1.0, 1e-6 * largest)
    bins = np.sinh(np.linspace(-1, 1, BINS + 1) * np.arcsinh(largest / linear)) * linear
    figure, axes = plt.subplots(
        1, len(layers), figsize=(2.3 * len(layers), 2.6), layout="constrained", squeeze=False, sharex=True, sharey=True
    )
    for ax, (layer, terms) in zip(axes[0], layers.items(), strict=True):
        for colour, (term, gradient) in zip(style.COLOURS, terms.items(), strict=False):
            counts, _ = np.histogram(gradient, bins)
            ax.stairs(counts / max(1, np.size(gradient)), bins, color=colour, label=term)
        ax.set_xscale("symlog", linthresh=linear)
        ax.set_title(layer, fontsize="small")
        ax.set_xticks([-largest, 0, largest], [f"{-largest:.0e}", "0", f"{largest:.0e}"], fontsize="x-small")
        style.finish(ax, "", "")
    axes[0][0].set_ylabel("share of the entries")
    axes[0][0].legend(frameon=False, fontsize="small")
    figure.suptitle(title)
    return figure
