"""Input maps, the first layer of a network."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, ArrayLike, Float

from pinnjax import checks
from pinnjax.nn import mlp

Numbers = ArrayLike | Sequence[float]


class Standardize(nnx.Module):
    """Inputs of zero mean and unit variance.

    x becomes (x - mean) / deviation; the numbers are part of the network's definition.

    Args:
        mean: `(d,)`, in the units of x.
        deviation: `(d,)`, standard deviation of the points, positive, in the units of x.

    Raises:
        ValueError: when the numbers are not as above; when called, for anything but one point `(d,)`.

    Example:
        >>> import jax.numpy as jnp
        >>> print(Standardize([1.0, 0.0], [2.0, 0.5])(jnp.array([3.0, 1.0])))
        [1. 2.]
    """

    def __init__(self, mean: Numbers, deviation: Numbers):
        self.mean, self.deviation = _numbers("mean", mean), _numbers("deviation", deviation)
        if len(self.mean) != len(self.deviation) or min(self.deviation) <= 0:
            raise ValueError(f"mean {self.mean} and deviation {self.deviation}; expected equal lengths, deviations > 0")

    @classmethod
    def box(cls, lower: Numbers, upper: Numbers) -> "Standardize":
        """For points uniform in a box: the mean is its centre, the deviation its side over √12.

        Raises:
            ValueError: when the corners do not span a box.

        Example:
            >>> print(Standardize.box([-1.0], [1.0]).deviation[0] ** 2)
            0.333...
        """
        low, high = np.array(_numbers("lower", lower)), np.array(_numbers("upper", upper))
        if low.shape != high.shape or np.any(low >= high):
            raise ValueError(f"lower {low.tolist()} and upper {high.tolist()}; expected equal lengths, lower < upper")
        return cls(tuple((low + high) / 2), tuple((high - low) / np.sqrt(12)))

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """Map one point."""
        x = checks.point("Standardize", x, len(self.mean))
        return (x - jnp.asarray(self.mean, x.dtype)) / jnp.asarray(self.deviation, x.dtype)


class Periodic(nnx.Module):
    """Exactly periodic fields, by sines and cosines of the point.

    x_i becomes cos(2πk x_i / P), sin(2πk x_i / P) for k = 1..harmonics. Coordinates come out in their order; those
    without a period pass as they are. What follows takes `features` inputs.

    Args:
        periods: `(d,)`, the period of each coordinate in its own units, None where it has none.
        harmonics: k goes from 1 to this, >= 1.

    Raises:
        ValueError: when a period or `harmonics` is not positive; when called, for anything but one point `(d,)`.

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
        numbers = _numbers("periods", [1.0 if p is None else p for p in periods] if np.iterable(periods) else periods)
        self.periods = tuple(None if p is None else number for p, number in zip(periods, numbers, strict=True))
        self.harmonics = harmonics
        checks.count("harmonics", harmonics)
        if min(numbers) <= 0:
            raise ValueError(f"periods {self.periods}; expected positive numbers, or None")

    @property
    def features(self) -> int:
        """Number of coordinates that come out."""
        return sum(1 if p is None else 2 * self.harmonics for p in self.periods)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " features"]:
        """Map one point."""
        x = checks.point("Periodic", x, len(self.periods))
        parts = []
        for value, period in zip(x, self.periods, strict=True):
            if period is None:
                parts.append(value)
                continue
            for k in range(1, self.harmonics + 1):
                angle = (2 * np.pi * k / period) * value
                parts += [jnp.cos(angle), jnp.sin(angle)]
        return jnp.stack(parts)


class FourierFeatures(nnx.Module):
    """Random waves of the point, for high frequencies.

    x becomes cos(2πBx) and sin(2πBx) with B ~ N(0, scale²), which are not trained.

    A network of these learns frequencies around `scale` first, where one of x learns low ones first.

    Args:
        in_features: d, the coordinates of a point.
        waves: number of rows of B; `features`, what the network behind takes, is twice that.
        scale: standard deviation of the frequencies, in waves per unit of x; one number, or one for each coordinate.
        param_dtype: of B; when None JAX's default, float64 where `jax_enable_x64` is on.
        rngs: random numbers for B.

    Raises:
        ValueError: when a number is not positive; when called, for anything but one point `(d,)`.

    References:
      Tancik et al., `Fourier features let networks learn high frequency functions in low dimensional domains
      <https://arxiv.org/abs/2006.10739>`_, 2020: Section 5, Gaussian features.

      Wang, Wang, Perdikaris, `On the eigenvector bias of Fourier feature networks
      <https://arxiv.org/abs/2012.10047>`_, Computer Methods in Applied Mechanics and Engineering 384, 2021.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> inputs = FourierFeatures(2, 32, scale=4.0, rngs=nnx.Rngs(0))
        >>> print(inputs.features, inputs(jnp.zeros(2))[:2], inputs(jnp.zeros(2))[-2:])
        64 [1. 1.] [0. 0.]
    """

    def __init__(
        self,
        in_features: int,
        waves: int,
        *,
        scale: float | Sequence[float],
        param_dtype: Any = None,
        rngs: nnx.Rngs,
    ):
        checks.count("in_features", in_features)
        checks.count("waves", waves)
        mlp.check_rngs(rngs)
        param_dtype = checks.floating("param_dtype", param_dtype)
        scales = _numbers("scale", np.broadcast_to(scale, in_features) if np.ndim(scale) == 0 else scale)
        if len(scales) != in_features or min(scales) <= 0:
            raise ValueError(f"scale is {scales}; expected a positive number, or {in_features} of them")
        deviations = jnp.asarray(scales, param_dtype)
        self.frequencies = nnx.Variable(
            jax.random.normal(rngs.params(), (waves, in_features), param_dtype) * deviations[None, :]
        )
        self.features = 2 * waves

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " features"]:
        """Map one point."""
        x = checks.point("FourierFeatures", x, self.frequencies.shape[1])
        angles = 2 * np.pi * (self.frequencies[...] @ x)
        return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)])


def _numbers(what: str, given: Any) -> tuple[float, ...]:
    """Finite numbers, at least one."""
    try:
        numbers = tuple(map(float, given))
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or not np.all(np.isfinite(numbers)):
        raise ValueError(f"{what} is {given!r}; expected finite numbers, one for each coordinate")
    return numbers
