"""Input maps, the first layer of a network."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float


class Standardize(nnx.Module):
    """Inputs to zero mean and unit variance, (x - mean) / deviation; the numbers are part of the network's definition.

    Args:
        mean: `(d,)`, in the units of x.
        deviation: `(d,)`, standard deviation of the points, positive, in the units of x.

    Example:
        >>> import jax.numpy as jnp
        >>> print(Standardize([1.0, 0.0], [2.0, 0.5])(jnp.array([3.0, 1.0])))
        [1. 2.]
    """

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]):
        self.mean = tuple(map(float, mean))
        self.deviation = tuple(map(float, deviation))
        if len(self.mean) != len(self.deviation) or min(self.deviation, default=0.0) <= 0:
            raise ValueError(f"mean {self.mean} and deviation {self.deviation}; expected equal lengths, deviations > 0")

    @classmethod
    def box(cls, lower: Sequence[float], upper: Sequence[float]) -> "Standardize":
        """For points uniform in a box: the mean is its centre, the deviation its side over √12.

        Example:
            >>> print(Standardize.box([-1.0], [1.0]).deviation[0] ** 2)
            0.333...
        """
        low, high = np.asarray(lower, float), np.asarray(upper, float)
        return cls(tuple((low + high) / 2), tuple((high - low) / np.sqrt(12)))

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """Map one point."""
        return (x - jnp.asarray(self.mean, x.dtype)) / jnp.asarray(self.deviation, x.dtype)
