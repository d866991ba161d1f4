"""A field on a grid of a periodic box at many times: what `pinnjax.evolve` makes of several coordinates."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, ArrayLike, Float

from pinnjax import checks
from pinnjax.nn.corrected import Known
from pinnjax.nn.evolved import hermite, polynomial
from pinnjax.nn.mlp import OutFeatures

DEGREE = 7  # of the splines in space, odd: six derivatives are continuous


class Splined(nnx.Module):
    """u(t, x) = Σ_i c_i(t) B(x / h - i) on a periodic box: splines that meet the values at the places of a grid.

    B is the product of B-splines of degree 7, and c_i(t) are polynomials of degree 5 on each of many intervals of time.
    A point evaluates the splines that reach it, 8 along each coordinate, however fine the grid is.

    Args:
        lower: `(d,)`, least x, in its units.
        upper: `(d,)`, the same a period on.
        out_features: as in `MLP`.
        axis: which of the `d + 1` coordinates is the time.
        times: `(n + 1,)`, increasing, where the intervals begin, and the end, in units of time.
        values: `(n + 1, *grid, m)`, u at the places of an equidistant grid, the first of them at `lower`.
        slopes: `(n + 1, *grid, m)`, its derivatives in time.
        curvatures: `(n + 1, *grid, m)`, the second ones.

    Raises:
        ValueError: when shapes do not fit, or when called with anything but one point `(d + 1,)`.

    References:
      Unser, Aldroubi, Eden, *B-spline signal processing*, IEEE Transactions on Signal Processing 41, 1993.

    Example:
        >>> import jax.numpy as jnp
        >>> times, x = jnp.array([0.0, 2.0]), jnp.arange(32) / 32
        >>> wave = jnp.broadcast_to(jnp.sin(2 * jnp.pi * x)[None, :, None], (2, 32, 1))
        >>> u = Splined([0.0], [1.0], "scalar", 0, times, times[:, None, None] * wave, wave, 0 * wave)
        >>> print(u(jnp.array([0.5, 0.3])) - 0.5 * jnp.sin(0.6 * jnp.pi) < 1e-6)  # c(t) = t
        True
    """

    def __init__(
        self,
        lower: Sequence[float],
        upper: Sequence[float],
        out_features: OutFeatures,
        axis: int,
        times: ArrayLike,
        values: ArrayLike,
        slopes: ArrayLike,
        curvatures: ArrayLike,
    ):
        times, *given = (np.asarray(array) for array in (times, values, slopes, curvatures))
        d = len(lower)
        if len({array.shape for array in given}) > 1 or given[0].ndim != d + 2 or len(times) != len(given[0]):
            shapes = [array.shape for array in (times, *given)]
            raise ValueError(
                f"Splined: arrays have shapes {shapes}; expected (n + 1,) and three times (n + 1, *grid, m)"
            )
        if len(upper) != d or not 0 <= axis <= d or min(given[0].shape[1:-1]) <= DEGREE:
            raise ValueError(
                f"Splined: lower, upper and axis are {lower}, {upper} and {axis}, on a grid {given[0].shape[1:-1]}; "
                f"expected as many numbers in both, an axis of {d + 1}, and more than {DEGREE} places along each"
            )
        self.lower, self.upper = tuple(map(float, lower)), tuple(map(float, upper))
        self.out_features, self.axis = out_features, axis
        self.times = Known(jnp.asarray(times))
        self.known = Known(jnp.asarray(np.stack([_coefficients(array) for array in given], axis=-2)))

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point; before and after all intervals the first and the last polynomial go on."""
        x = checks.point("Splined", x, len(self.lower) + 1)
        times, known = self.times[...], self.known[...]  # (n + 1, *grid, 3, m)
        t, place = (
            x[self.axis].astype(times.dtype),
            jnp.concatenate([x[: self.axis], x[self.axis + 1 :]]).astype(times.dtype),
        )
        i = jnp.clip(jnp.searchsorted(times, jax.lax.stop_gradient(t), side="right") - 1, 0, len(times) - 2)
        numbers, factors = [], []
        for a, (low, up) in enumerate(zip(self.lower, self.upper, strict=True)):
            many = known.shape[1 + a]
            scaled = (place[a] - low) / (up - low) * many
            first = jnp.floor(jax.lax.stop_gradient(scaled))
            numbers.append((first.astype(int) - (DEGREE - 1) // 2 + jnp.arange(DEGREE + 1)) % many)
            factors.append(b_splines(scaled - first))
        ends: Array = known[(jnp.stack([i, i + 1]).reshape(2, *[1] * len(numbers)), *jnp.ix_(*numbers))]
        for factor in factors:
            ends = jnp.tensordot(factor, ends, (0, 1))
        h = times[i + 1] - times[i]
        found = polynomial(hermite(h, *ends), (t - times[i]) / h)
        return (found[0] if self.out_features == "scalar" else found).astype(x.dtype)


def b_splines(s: Float[Array, ""], degree: int = DEGREE) -> Float[Array, " degree+1"]:
    """Those that reach a place between two others, s of their distance behind the first.

    Example:
        >>> print(b_splines(jnp.array(0.0), 3) * 6)
        [1. 4. 1. 0.]
    """
    powers = _powers(degree).astype(s.dtype)
    found = powers[-1]
    for row in powers[-2::-1]:
        found = found * s + row
    return found


@functools.cache
def _powers(degree: int) -> Float[np.ndarray, "degree+1 degree+1"]:
    """Of s, the least first, in each of the splines: de Boor's recursion."""
    splines = [np.polynomial.Polynomial([1.0])]
    s = np.polynomial.Polynomial([0.0, 1.0])
    for k in range(1, degree + 1):
        none = np.polynomial.Polynomial([0.0])
        padded = [none, *splines, none]
        splines = [((s + k - j) * padded[j] + (1 - s + j) * padded[j + 1]) / k for j in range(k + 1)]
    return np.stack([np.pad(one.coef, (0, degree + 1 - len(one.coef))) for one in splines], axis=1)


def _coefficients(values: Float[np.ndarray, "n *grid m"]) -> Float[np.ndarray, "n *grid m"]:
    """Of the splines that meet the values, by the waves along each coordinate."""
    at_nodes = np.asarray(b_splines(jnp.zeros(())), float)[:DEGREE]  # the last one is zero there
    for axis in range(1, values.ndim - 1):
        many = values.shape[axis]
        angles = 2 * np.pi * np.fft.rfftfreq(many)
        symbol = np.cos(angles[:, None] * (np.arange(DEGREE) - (DEGREE - 1) / 2)) @ at_nodes
        shape = [-1 if a == axis else 1 for a in range(values.ndim)]
        values = np.fft.irfft(np.fft.rfft(values, axis=axis) / symbol.reshape(shape), many, axis=axis)
    return values
