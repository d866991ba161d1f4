"""Gray-Scott in two dimensions from two Gaussians, by Fourier and ETDRK4.

References:
  Pearson, `Complex patterns in a simple system <https://doi.org/10.1126/science.261.5118.189>`_, Science 261, 1993 (the
  model).

  Wang, Li, Chen, Perdikaris, `PirateNets: physics-informed deep learning with residual adaptive networks
  <https://arxiv.org/abs/2402.00326>`_, 2024 (the set-up, with the numbers of its released code).
"""

import numpy as np
import scipy.special
from jaxtyping import Complex, Float

from pinnjax.problems.references import etdrk4

CENTRES = (-0.05, -0.02), (0.05, 0.02)  # of the Gaussians of u and of v
SHARPNESS = 10.0


def initial(x: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
    """(u, v) at t = 0: 1 - exp(-10 |x - a|²) and exp(-10 |x - b|²)."""
    u, v = (np.exp(-SHARPNESS * np.sum((x - np.array(centre)) ** 2, axis=-1)) for centre in CENTRES)
    return np.stack([1 - u, v], axis=-1)


def gray_scott(
    modes: int = 192, steps: int = 1000, times: int = 11, points: int = 48, end: float = 2.0
) -> Float[np.ndarray, "t x y 2"]:
    """u_t = 0.2 Δu + 40 (1 - u) - 1000 u v², v_t = 0.1 Δv - 100 v + 1000 u v², at equidistant times in [0, end].

    The places are x = -1 + 2 i / points in both coordinates; x = 1 is x = -1. The Gaussians are not periodic: their
    periodic extension jumps by 1e-4 at the edges, which diffusion smooths at once. Samples would alias the jump for
    ever, so the solver starts from the exact Fourier coefficients.

    Args:
        modes: grid points of the solver along an axis, a multiple of `points`.
        steps: time steps between two of the times.
        times: number of times.
        points: number of places along an axis.
        end: the last time.
    """
    wave = np.pi * np.fft.fftfreq(modes, 1 / modes)
    k = wave[:, None] ** 2 + wave[: modes // 2 + 1] ** 2
    linear = np.stack([-0.2 * k - 40, -0.1 * k - 100])
    start = [np.fft.irfft2(_gaussian(modes, centre), (modes, modes)) for centre in CENTRES]

    def reaction(w: Complex[np.ndarray, "2 k l"]) -> Complex[np.ndarray, "2 k l"]:
        u, v = np.fft.irfft2(w, (modes, modes))
        made = np.fft.rfft2(1000 * u * v**2)
        result = np.stack([-made, made])
        result[0, 0, 0] += 40 * modes**2  # the mean of 40, in the modes of rfft2
        return result

    found = etdrk4.solve(
        np.stack([1 - start[0], start[1]]), linear, reaction, np.linspace(0, end, times), steps, dimensions=2
    )
    every = modes // points
    found = np.moveaxis(found[:, :, ::every, ::every], 1, -1)
    found[0] = initial(places(points))
    return found


def places(points: int) -> Float[np.ndarray, "x y 2"]:
    """The places of `gray_scott`."""
    side = -1 + 2 * np.arange(points) / points
    return np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1)


def _gaussian(modes: int, centre: tuple[float, float]) -> Complex[np.ndarray, "k l"]:
    """Modes of `rfft2` of exp(-10 |x - centre|²) on [-1, 1]², of its exact Fourier coefficients."""
    along = [_coefficients(modes, c) for c in centre]
    return modes**2 * along[0][:, None] * along[1][: modes // 2 + 1]


def _coefficients(modes: int, c: float) -> Complex[np.ndarray, " k"]:
    """½ ∫ exp(-10 (x - c)²) e^{-iπk(x+1)} dx over [-1, 1], by Gauss-Legendre quadrature that resolves every mode."""
    x, weight = scipy.special.roots_legendre(2 * modes + 100)
    k = np.fft.fftfreq(modes, 1 / modes)
    return 0.5 * np.exp(-1j * np.pi * k[:, None] * (x + 1)) @ (weight * np.exp(-SHARPNESS * (x - c) ** 2))
