"""Scalar fields over one coordinate or two."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable

from pinnjax.plot import style


def field(
    grid: Float[np.ndarray, "n 2"],
    values: Float[np.ndarray, " n"],
    shape: tuple[int, ...],
    *,
    title: str = "",
    limit: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A field as an image, on a diverging scale about zero.

    Args:
        grid: test points, the first coordinate varying slowest.
        values: the field there.
        shape: of the grid; `(n,)` for points that are none, which are drawn as dots.
        title: of the image.
        limit: end of the colour scale; the largest magnitude when None.
        ax: where to draw.
    """
    bound = float(np.max(np.abs(values))) if limit is None else limit
    return _image(grid, values, shape, title, ax, cmap="RdBu_r", vmin=-bound, vmax=bound)


def error_field(
    grid: Float[np.ndarray, "n 2"],
    values: Float[np.ndarray, " n"],
    reference: Float[np.ndarray, " n"],
    shape: tuple[int, ...],
    *,
    title: str = "|u - u*|",
    ax: Axes | None = None,
) -> Axes:
    """The magnitude of the error as an image; arguments as in `field`."""
    return _image(grid, np.abs(values - reference), shape, title, ax, cmap="viridis", vmin=0.0)


def profile(
    grid: Float[np.ndarray, "n 1"],
    values: Mapping[str, Float[np.ndarray, " n"]],
    reference: Float[np.ndarray, " n"] | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Fields over one coordinate, beside the reference.

    Args:
        grid: test points, sorted.
        values: `{label: field there}`.
        reference: the solution there, where it is known.
        ax: where to draw.
    """
    ax = style.axes(ax)
    if reference is not None:
        ax.plot(grid[:, 0], reference, color="black", linewidth=3, alpha=0.3, label="reference")
    for i, (label, found) in enumerate(values.items()):
        ax.plot(grid[:, 0], found, color=style.COLOURS[i % len(style.COLOURS)], linewidth=1, label=label)
    ax.legend(frameon=False)
    return style.finish(ax, "$x_0$", "u")


def _image(
    grid: np.ndarray, values: np.ndarray, shape: tuple[int, ...], title: str, ax: Axes | None, **how: Any
) -> Axes:
    ax = style.axes(ax)
    x, y, values = (np.asarray(a).reshape(shape) for a in (grid[:, 0], grid[:, 1], values))
    mesh: ScalarMappable
    if len(shape) == 1:
        mesh = ax.scatter(x, y, c=values, s=8, rasterized=True, **how)
    else:
        mesh = ax.pcolormesh(x, y, values, shading="gouraud", rasterized=True, **how)
    ax.figure.colorbar(mesh, ax=ax, shrink=0.85)
    ax.set(title=title, xlabel="$x_0$", ylabel="$x_1$")
    return ax
