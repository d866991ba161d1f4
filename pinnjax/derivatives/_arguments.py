"""Axes and components that operators are given, checked."""

import operator
from collections.abc import Sequence

import numpy as np
from jaxtyping import Array


def integers(name: str, axes: Sequence[int]) -> tuple[int, ...]:
    """Axes as integers; True would be taken for a mask of all coordinates."""
    try:
        found = tuple(operator.index(axis) for axis in axes)
    except TypeError:
        found = None
    if found is None or any(isinstance(axis, bool | np.bool_) for axis in axes):
        raise TypeError(f"{name}: coordinates or components {axes!r}; expected integers, such as (0, 1)")
    return found


def coordinates(name: str, axes: tuple[int, ...] | None, x: Array) -> tuple[int, ...]:
    """Distinct coordinates of the point, at least one; all when None."""
    if axes is None:
        return tuple(range(x.size))
    for axis in axes:
        if not -x.size <= axis < x.size:
            raise ValueError(f"{name}: axis {axis} is not a coordinate of a point with {x.size} coordinates")
    if not axes or len({axis % x.size for axis in axes}) < len(axes):
        raise ValueError(f"{name}: axes are {axes}; expected different coordinates, at least one")
    return axes


def check_components(name: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """The field has one component for each axis."""
    if shape != expected:
        raise ValueError(f"{name}: the field has shape {shape} at a point; expected {expected}, a component per axis")
