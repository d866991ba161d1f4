"""Which coordinate is time, from where the conditions are."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float


def time_axis(places: Mapping[str, Float[np.ndarray, "_ d"]], equations: Sequence[str]) -> tuple[int, float] | None:
    """The coordinate at whose beginning some condition holds, and at whose end none does; and where it begins.

    Args:
        places: `{term: places}` of all terms.
        equations: those that are no conditions.

    Example:
        >>> x = np.linspace(0, 1, 9)
        >>> places = {"pde": np.stack([x, x**2], 1), "ic": np.stack([0 * x, x], 1), "bc": np.stack([x, np.round(x)], 1)}
        >>> print(time_axis(places, ["pde"]))
        (0, 0.0)
    """
    together = np.concatenate(list(places.values()))
    low, high = together.min(axis=0), together.max(axis=0)
    conditions = [x for t, x in places.items() if t not in equations]
    for axis in range(len(low)):
        near = 1e-9 * (high[axis] - low[axis])
        at = lambda end, x, axis=axis, near=near: bool(np.all(np.abs(x[:, axis] - end[axis]) <= near))
        if any(at(low, x) for x in conditions) and not any(at(high, x) for x in conditions):
            return axis, float(low[axis])
    return None
