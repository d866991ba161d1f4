"""Periodic equations u_t = L u + N(u) in one dimension: Fourier in space, ETDRK4 in time, double precision.

References:
  Cox, Matthews, `Exponential time differencing for stiff systems <https://doi.org/10.1006/jcph.2002.6995>`_, Journal of
  Computational Physics 176, 2002.

  Kassam, Trefethen, `Fourth-order time-stepping for stiff PDEs <https://doi.org/10.1137/S1064827502410633>`_, SIAM
  Journal on Scientific Computing 26, 2005: the contour integrals of the coefficients.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Complex, Float

CONTOUR = 64  # points on the circle about each eigenvalue; 32 give 1e-14 already


def solve(
    initial: Float[np.ndarray, " n"],
    linear: Complex[np.ndarray, " k"],
    nonlinear: Callable[[Complex[np.ndarray, " k"]], Complex[np.ndarray, " k"]],
    times: Float[np.ndarray, " m"],
    steps: int,
) -> Float[np.ndarray, "m n"]:
    """Integrate from `times[0]` through all the times, which are equidistant.

    Args:
        initial: u at the grid points, at `times[0]`.
        linear: the symbol of L for the modes of `numpy.fft.rfft`, n // 2 + 1 of them.
        nonlinear: from the modes of u to those of N(u).
        times: where u is wanted.
        steps: time steps between two of them.

    Returns:
        u at the times.
    """
    h = (times[1] - times[0]) / steps
    circle = np.exp(2j * np.pi * (np.arange(CONTOUR) + 0.5) / CONTOUR)
    z = h * linear[:, None] + circle[None, :]
    whole, half = np.exp(h * linear), np.exp(h * linear / 2)
    q = h * np.mean((np.exp(z / 2) - 1) / z, axis=1)
    f1 = h * np.mean((-4 - z + np.exp(z) * (4 - 3 * z + z**2)) / z**3, axis=1)
    f2 = h * np.mean((2 + z + np.exp(z) * (z - 2)) / z**3, axis=1)
    f3 = h * np.mean((-4 - 3 * z - z**2 + np.exp(z) * (4 - z)) / z**3, axis=1)
    if np.isrealobj(linear):
        q, f1, f2, f3 = q.real, f1.real, f2.real, f3.real
    n = len(initial)
    v, result = np.fft.rfft(initial), [np.asarray(initial, float)]
    for _ in times[1:]:
        for _ in range(steps):
            nv = nonlinear(v)
            a = half * v + q * nv
            na = nonlinear(a)
            b = half * v + q * na
            nb = nonlinear(b)
            c = half * a + q * (2 * nb - nv)
            nc = nonlinear(c)
            v = whole * v + f1 * nv + 2 * f2 * (na + nb) + f3 * nc
        result.append(np.fft.irfft(v, n))
    return np.stack(result)


def allen_cahn(modes: int = 4096, steps: int = 10, times: int = 101, points: int = 257) -> Float[np.ndarray, "t x"]:
    """u_t = 1e-4 u_xx + 5 u - 5 u³ from x² cos(πx), period 2, at equidistant times in [0, 1] and places in [-1, 1].

    The periodic extension of x² cos(πx) has a kink at x = ±1, so its Fourier series converges slowly; the viscosity
    takes the kink away within the first hundredth of the time. Samples at the grid points would alias the kink for
    ever, at second order, so the solver starts from the exact Fourier coefficients. The tests refine both grids.

    Args:
        modes: grid points of the solver, a multiple of `points - 1`.
        steps: time steps between two of the times.
        times: number of times.
        points: number of places.
    """
    k = np.pi * np.arange(modes // 2 + 1)

    def cubic(v: np.ndarray) -> np.ndarray:
        return -5 * np.fft.rfft(np.fft.irfft(v, modes) ** 3)

    u = solve(np.fft.irfft(modes * _kinked(modes), modes), 5 - 1e-4 * k**2, cubic, np.linspace(0, 1, times), steps)
    x = -1 + 2 * np.arange(modes) / modes
    u[0] = x**2 * np.cos(np.pi * x)
    sampled = u[:, :: modes // (points - 1)]
    return np.concatenate([sampled, sampled[:, :1]], axis=1)


def _kinked(modes: int) -> Float[np.ndarray, " k"]:
    """Fourier coefficients of x² cos(πx) on [-1, 1], of e^{iπk(x+1)}."""
    k = np.arange(modes // 2 + 1)

    def moment(m: np.ndarray) -> np.ndarray:  # ∫ x² cos(mπx) dx over [-1, 1]
        safe = np.where(m == 0, 1, m)
        return np.where(m == 0, 2 / 3, 4 * (-1.0) ** m / (np.pi * safe) ** 2)

    return (-1.0) ** k * (moment(k + 1) + moment(k - 1)) / 4
