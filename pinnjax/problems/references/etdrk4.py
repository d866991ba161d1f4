"""Periodic equations u_t = L u + N(u), one or several: Fourier in space, ETDRK4 in time, double precision.

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
    initial: Float[np.ndarray, "*n"],
    linear: Complex[np.ndarray, "*k"],
    nonlinear: Callable[[Complex[np.ndarray, "*k"]], Complex[np.ndarray, "*k"]],
    times: Float[np.ndarray, " m"],
    steps: int,
    dimensions: int = 1,
) -> Float[np.ndarray, "m *n"]:
    """Integrate from `times[0]` through all the times, which are equidistant.

    Args:
        initial: u at the grid points, at `times[0]`.
        linear: the symbol of L for the modes of `numpy.fft.rfftn` over the last axes, n // 2 + 1 in the last of them.
        nonlinear: from the modes of u to those of N(u).
        times: where u is wanted.
        steps: time steps between two of them.
        dimensions: number of axes of space, the last ones; an axis before them numbers coupled equations.

    Returns:
        u at the times.
    """
    h = (times[1] - times[0]) / steps
    circle = np.exp(2j * np.pi * (np.arange(CONTOUR) + 0.5) / CONTOUR)
    z = h * linear[..., None] + circle
    whole, half = np.exp(h * linear), np.exp(h * linear / 2)
    q = h * np.mean((np.exp(z / 2) - 1) / z, axis=-1)
    f1 = h * np.mean((-4 - z + np.exp(z) * (4 - 3 * z + z**2)) / z**3, axis=-1)
    f2 = h * np.mean((2 + z + np.exp(z) * (z - 2)) / z**3, axis=-1)
    f3 = h * np.mean((-4 - 3 * z - z**2 + np.exp(z) * (4 - z)) / z**3, axis=-1)
    if np.isrealobj(linear):
        q, f1, f2, f3 = q.real, f1.real, f2.real, f3.real
    axes = tuple(range(-dimensions, 0))
    n = np.shape(initial)[-dimensions:]
    v, result = np.fft.rfftn(initial, axes=axes), [np.asarray(initial, float)]
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
        result.append(np.fft.irfftn(v, n, axes))
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
    return _places(u, points)


def _kinked(modes: int) -> Float[np.ndarray, " k"]:
    """Fourier coefficients of x² cos(πx) on [-1, 1], of e^{iπk(x+1)}."""
    k = np.arange(modes // 2 + 1)

    def moment(m: np.ndarray) -> np.ndarray:  # ∫ x² cos(mπx) dx over [-1, 1]
        safe = np.where(m == 0, 1, m)
        return np.where(m == 0, 2 / 3, 4 * (-1.0) ** m / (np.pi * safe) ** 2)

    return (-1.0) ** k * (moment(k + 1) + moment(k - 1)) / 4


def kdv(modes: int = 512, steps: int = 40, times: int = 101, points: int = 257) -> Float[np.ndarray, "t x"]:
    """u_t + u u_x + 0.022² u_xxx = 0 from cos(πx), period 2, at equidistant times in [0, 1] and places in [-1, 1].

    Args:
        modes: as in `allen_cahn`.
        steps: as in `allen_cahn`.
        times: as in `allen_cahn`.
        points: as in `allen_cahn`.
    """
    k = np.pi * np.arange(modes // 2 + 1)
    x = -1 + 2 * np.arange(modes) / modes
    u = solve(np.cos(np.pi * x), 0.022**2 * 1j * k**3, _transport(k), np.linspace(0, 1, times), steps)
    return _places(u, points)


def kuramoto_sivashinsky(
    modes: int = 512, steps: int = 40, times: int = 101, points: int = 257
) -> Float[np.ndarray, "t x"]:
    """u_t + 100/16 u u_x + 100/16² u_xx + 100/16⁴ u_xxxx = 0 from cos(x) (1 + sin(x)), period 2π, t in [0, 1].

    The solution is chaotic: three perturbations of the initial condition that were tried had grown by factors of 10² to
    10⁴ at t = 1. Errors of rounding grow too: with 300 to 2600 time steps a hundredth, results differ by 1e-9, and
    more steps are no better.

    Args:
        modes: as in `allen_cahn`.
        steps: as in `allen_cahn`.
        times: as in `allen_cahn`.
        points: as in `allen_cahn`.
    """
    k = np.arange(modes // 2 + 1)
    x = 2 * np.pi * np.arange(modes) / modes
    linear = 100 / 16**2 * k**2 - 100 / 16**4 * k**4
    transport = _transport(k)
    u = solve(np.cos(x) * (1 + np.sin(x)), linear, lambda v: 100 / 16 * transport(v), np.linspace(0, 1, times), steps)
    return _places(u, points)


def _transport(k: Float[np.ndarray, " k"]) -> Callable[[np.ndarray], np.ndarray]:
    """From the modes of u to those of -(u²/2)_x, for wave numbers k."""
    modes = 2 * (len(k) - 1)
    return lambda v: -0.5j * k * np.fft.rfft(np.fft.irfft(v, modes) ** 2)


def _places(u: Float[np.ndarray, "t n"], points: int) -> Float[np.ndarray, "t x"]:
    """Every so many grid points, and the first once more at the other end of the period."""
    sampled = u[:, :: u.shape[1] // (points - 1)]
    return np.concatenate([sampled, sampled[:, :1]], axis=1)
