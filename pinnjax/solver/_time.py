"""Which coordinate is time, from where the conditions are."""

from collections.abc import Mapping

import numpy as np


def time_axis(conditions: Mapping[str, np.ndarray], low: np.ndarray, high: np.ndarray) -> tuple[int, float] | None:
    """The coordinate at whose beginning some condition holds, and at whose end none does; and where it begins.

    Args:
        conditions: `{term: places}` of the terms that are not equations.
        low: the least coordinates of all points.
        high: the largest.

    Example:
        >>> x = np.linspace(0, 1, 9)
        >>> found = time_axis(
        ...     {"ic": np.stack([0 * x, x], 1), "bc": np.stack([x, np.round(x)], 1)}, np.zeros(2), np.ones(2)
        ... )
        >>> print(found)
        (0, 0.0)
    """
    close = 1e-9 * (high - low)
    for axis in range(len(low)):
        at = lambda end, x, axis=axis: bool(np.all(np.abs(x[:, axis] - end[axis]) <= close[axis]))
        if any(at(low, x) for x in conditions.values()) and not any(at(high, x) for x in conditions.values()):
            return axis, float(low[axis])
    return None
