"""Parts of a page as data for `figures.js`: controls, curves with bands, and the arrays that they refer to."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Figure = dict[str, Any]


def slider(name: str, label: str, values: Sequence[float], *, start: int | None = None, **more: Any) -> Figure:
    """A slider through values, at the last one where no start is given.

    Args:
        name: by which references mean its place.
        label: in words.
        values: what the places stand for.
        start: the place where it is at first.
        more: `shown`, texts in place of the values; `play`, whether it has a button; `only`, `[choice, place]` where
            it has a meaning under that choice alone.
    """
    place = len(values) - 1 if start is None else start
    return {"name": name, "label": label, "values": values, "start": place, **more}


def choice(name: str, label: str, options: Sequence[str], start: int = 0) -> Figure:
    """One of several options."""
    return {"name": name, "label": label, "options": options, "start": start}


def curve(label: str, x: str, y: str, *, band: bool = False, **look: Any) -> Figure:
    """A line, with the band of `spread` around it.

    Example:
        >>> print(curve("error", "steps", "error[step]", band=True)["low"])
        error_low[step]
    """
    name, bracket, index = y.partition("[")
    around = {part: f"{name}_{part}{bracket}{index}" for part in ("low", "high")} if band else {}
    return {"label": label, "x": x, "y": y, **around, **look}


def plot(title: str, x: str, y: str, curves: Sequence[Figure], **look: Any) -> Figure:
    """Curves over one axis; `look` is `logx`, `logy`, `range`, `xrange`, `cursor`, `mark` or `shades`."""
    return {"kind": "lines", "title": title, "x": x, "y": y, "lines": curves, **look}


def spread(name: str, values: Any, axis: int) -> dict[str, Any]:
    """Median, least and largest over an axis, of an array or of each in a list, as a curve with a band has them.

    Example:
        >>> print(spread("u", np.array([[1.0, 2.0, 6.0]]), 1))
        {'u': array([2.]), 'u_low': array([1.]), 'u_high': array([6.])}
    """
    found = {}
    for suffix, reduce in (("", np.median), ("_low", np.min), ("_high", np.max)):
        found[name + suffix] = [reduce(v, axis) for v in values] if isinstance(values, list) else reduce(values, axis)
    return found
