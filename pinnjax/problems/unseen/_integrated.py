"""References of ordinary differential equations."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float


def integrated(
    slopes: Callable[[float, np.ndarray], Any], start: Any, times: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n m"]:
    """The solution at increasing times, by the method of Dormand and Prince of order 8, tolerances 2.5e-14."""
    import scipy.integrate  # slow to import

    found = scipy.integrate.solve_ivp(
        slopes, (times[0], times[-1]), start, method="DOP853", t_eval=times, rtol=2.5e-14, atol=2.5e-14
    )
    return found.y.T
