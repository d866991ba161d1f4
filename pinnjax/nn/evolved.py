"""A field whose coefficients are known functions of time: what `pinnjax.evolve` makes."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, ArrayLike, Float

from pinnjax import checks
from pinnjax.nn.corrected import Known
from pinnjax.nn.mlp import OutFeatures

DEGREE = 5  # of a piece in time: values and two derivatives at both ends


def waves(x: Float[Array, ""], lower: Any, upper: Any, number: int, stretch: Any) -> Float[Array, " p"]:
    """1, and cos and sin of so many waves on an interval that is `stretch` times as long, in turns.

    Waves of an interval longer than the one on which they are used are a frame for functions that are not periodic
    (Huybrechs, *On the Fourier extension of nonperiodic functions*, SIAM Journal on Numerical Analysis 47, 2010).

    Example:
        >>> print(waves(jnp.array(1.0), 0.0, 2.0, 2, 1.0))
        [1. 1. 0. 1. 0.]
    """
    z = (2 * x - lower - upper) / (upper - lower)
    angles = jnp.arange(1, number + 1) * (jnp.pi / stretch) * z
    return jnp.concatenate([jnp.ones(1, z.dtype), jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1).ravel()])


class Evolved(nnx.Module):
    """u(t, x) = Σ_j c_j(t) φ_j(x), with waves φ_j and c_j(t) polynomials of degree 5 on each of many intervals of time.

    Args:
        lower: least x, in its units; None where there is no x, and the field is one of time alone: waves are one then,
            which is constant.
        upper: largest x, or None.
        out_features: as in `MLP`.
        axis: which of the coordinates is the time, 0 or 1.
        stretch: of the waves; 1 for a field that is periodic.
        times: `(n + 1,)`, increasing, where the intervals begin, and the end, in units of time.
        values: `(n + 1, p, m)`, the coefficients there, in units of u.
        slopes: `(n + 1, p, m)`, their derivatives.
        curvatures: `(n + 1, p, m)`, the second ones.

    Raises:
        ValueError: when shapes do not fit, or when called with anything but one point `(2,)`, or `(1,)`.

    Example:
        >>> import jax.numpy as jnp
        >>> times, one = jnp.array([0.0, 2.0]), jnp.ones((2, 1, 1))
        >>> u = Evolved(0.0, 1.0, "scalar", 0, 1.0, times, times[:, None, None], one, 0 * one)
        >>> print(u(jnp.array([0.5, 0.3])))  # c(t) = t
        0.5
    """

    def __init__(
        self,
        lower: float | None,
        upper: float | None,
        out_features: OutFeatures,
        axis: int,
        stretch: float,
        times: ArrayLike,
        values: ArrayLike,
        slopes: ArrayLike,
        curvatures: ArrayLike,
    ):
        times, *given = (np.asarray(array) for array in (times, values, slopes, curvatures))
        if len({array.shape for array in given}) > 1 or given[0].ndim != 3 or len(times) != len(given[0]):
            shapes = [array.shape for array in (times, *given)]
            raise ValueError(f"Evolved: arrays have shapes {shapes}; expected (n + 1,) and three times (n + 1, p, m)")
        if (lower is None or upper is None) and (lower, upper, axis, given[0].shape[1]) != (None, None, 0, 1):
            raise ValueError(
                f"Evolved: lower, upper and axis are {lower}, {upper} and {axis}, with {given[0].shape[1]} waves; "
                "expected two numbers, or None, None and 0 with one"
            )
        self.lower, self.upper, self.out_features, self.axis = lower, upper, out_features, axis
        self.stretch = Known(jnp.asarray(stretch, float))  # no part of the definition, which other fields may have
        self.times = Known(jnp.asarray(times))
        self.pieces = Known(jnp.asarray(pieces(np.diff(times), *given)))

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point; before and after all intervals the first and the last polynomial go on."""
        x = checks.point("Evolved", x, 1 if self.lower is None else 2)
        times, known = self.times[...], self.pieces[...]
        t = x[self.axis].astype(times.dtype)
        i = jnp.clip(jnp.searchsorted(times, jax.lax.stop_gradient(t), side="right") - 1, 0, len(times) - 2)
        coefficients = polynomial(known[i], (t - times[i]) / (times[i + 1] - times[i]))
        if self.lower is None:
            found = coefficients[0]
        else:
            place, number = x[1 - self.axis].astype(times.dtype), (known.shape[2] - 1) // 2
            found = waves(place, self.lower, self.upper, number, self.stretch[...]) @ coefficients
        return (found[0] if self.out_features == "scalar" else found).astype(x.dtype)


def polynomial(powers: Sequence[Array] | Float[Array, "6 *shape"], s: Float[Array, ""]) -> Float[Array, "*shape"]:
    """Of a part of an interval that has passed, by Horner's rule."""
    value = powers[DEGREE]
    for k in range(DEGREE - 1, -1, -1):
        value = value * s + powers[k]
    return value


def pieces(
    h: Float[np.ndarray, " n"], values: np.ndarray, slopes: np.ndarray, curvatures: np.ndarray
) -> Float[np.ndarray, "n 6 *shape"]:
    """Powers of the part of each interval that has passed, for what is known where intervals meet."""
    given = (values, slopes, curvatures)
    h = h.reshape(-1, *[1] * (values.ndim - 1))
    return np.stack(hermite(h, [x[:-1] for x in given], [x[1:] for x in given]), axis=1)


def hermite(h: Any, begin: Sequence[Any], end: Sequence[Any]) -> tuple[Any, ...]:
    """The polynomial of degree 5 with these values and two derivatives at both ends, in powers of the part passed.

    Example:
        >>> print(hermite(2.0, [0.0, 1.0, 0.0], [2.0, 1.0, 0.0]))  # of length 2, with slope 1
        (0.0, 2.0, 0.0, 0.0, 0.0, 0.0)
    """
    a, b, c = begin[0], begin[1] * h, begin[2] * h**2 / 2
    value, slope = end[0] - a - b - c, end[1] * h - b - 2 * c
    bend = end[2] * h**2 - 2 * c
    return a, b, c, 10 * value - 4 * slope + bend / 2, -15 * value + 7 * slope - bend, 6 * value - 3 * slope + bend / 2
