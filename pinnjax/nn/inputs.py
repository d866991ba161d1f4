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


class Periodic(nnx.Module):
    """Exactly periodic fields: x_i becomes cos(2πk x_i / P), sin(2πk x_i / P) for k = 1..harmonics.

    Coordinates come out in their order; those without a period pass as they are. What follows takes
    `features` inputs.

    Args:
        periods: `(d,)`, the period of each coordinate in its own units, None where it has none.
        harmonics: k goes from 1 to this, >= 1.

    Raises:
        ValueError: when a period is not positive, or `harmonics` is not.

    References:
      Dong, Ni, `A method for representing periodic functions and enforcing exactly periodic boundary conditions with
      deep neural networks <https://arxiv.org/abs/2007.07442>`_, Journal of Computational Physics 435, 2021.

    Example:
        >>> import jax.numpy as jnp
        >>> embed = Periodic([None, 2.0])
        >>> print(embed.features, embed(jnp.array([0.5, 1.0])).round(3))
        3 [ 0.5 -1.  -0. ]
    """

    def __init__(self, periods: Sequence[float | None], harmonics: int = 1):
        self.periods = tuple(None if p is None else float(p) for p in periods)
        self.harmonics = harmonics
        if min((p for p in self.periods if p is not None), default=1.0) <= 0 or harmonics < 1:
            raise ValueError(f"periods {self.periods}, harmonics {harmonics}; expected positive numbers, or None")

    @property
    def features(self) -> int:
        """Number of coordinates that come out."""
        return sum(1 if p is None else 2 * self.harmonics for p in self.periods)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " features"]:
        """Map one point."""
        parts = []
        for value, period in zip(x, self.periods, strict=True):
            if period is None:
                parts.append(value)
                continue
            for k in range(1, self.harmonics + 1):
                angle = (2 * np.pi * k / period) * value
                parts += [jnp.cos(angle), jnp.sin(angle)]
        return jnp.stack(parts)
