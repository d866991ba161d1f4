"""The stream function ψ about the upper corners of the lid-driven cavity, where the velocity jumps.

With r, θ about the left corner, θ from the lid down, ψ ~ Σ_k Re^{k-1} r^k g_k(θ): Stokes flow, then inertia.
Then Δψ ~ Σ_k Re^{k-1} r^{k-2} w_k, w_k = g_k'' + k² g_k, and

    w_k'' + (k-2)² w_k = Σ_{i+j=k} (i g_i w_j' - (j-2) g_i' w_j),   g_k = g_k' = 0 at both walls, but g_1'(0) = -1,

which Chebyshev collocation in θ solves. The right corner is the mirror image with -Re for Re. What TERMS terms leave is
r^{TERMS+1}, and Moffatt's eddies r^3.74, in all four corners.

References:
  Hancock, Lewis, Moffatt, "Effects of inertia in forced corner flows", Journal of Fluid Mechanics 112, 1981: the
  corner expansion.
"""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.polynomial import Chebyshev

TERMS = 3  # of the corner expansion; the last leaves r⁴, weaker than Moffatt's r^3.74. Re^{k-1} r^k costs digits
DEGREE = 28  # of g_k(θ) in Chebyshev polynomials: the equations of the first five hold to 1e-14
RIGHT_ANGLE = (0.0, np.pi / 2)


class Series(NamedTuple):
    """Σ_k Re^{k-first} r^{k-down} functions[k-1](θ) + log * log r."""

    functions: list[Chebyshev]
    first: int
    down: int
    log: float = 0.0


@functools.cache
def expansion() -> dict[str, Series]:
    """ψ, Δψ, Δ²ψ and H about the left corner."""
    theta = np.pi / 4 * (1 - np.cos(np.pi * (np.arange(DEGREE - 3) + 0.5) / (DEGREE - 3)))
    basis = [Chebyshev.basis(m, RIGHT_ANGLE) for m in range(DEGREE + 1)]
    at = lambda order, where: np.stack([f.deriv(order)(where) if order else f(where) for f in basis], axis=1)
    walls = np.concatenate([at(order, np.array(RIGHT_ANGLE)) for order in (0, 1)])
    g: list[Chebyshev] = []
    w: list[Chebyshev] = []
    bilaplacian, h, log = [], [], 0.0
    for k in range(1, TERMS + 1):
        pairs = [(i, k - i, g[i - 1], w[k - i - 1]) for i in range(1, k)]
        zero = Chebyshev([0.0], RIGHT_ANGLE)
        right = sum((i * gi * wj.deriv() - (j - 2) * gi.deriv() * wj for i, j, gi, wj in pairs), zero)
        left = at(4, theta) + (k**2 + (k - 2) ** 2) * at(2, theta) + k**2 * (k - 2) ** 2 * at(0, theta)
        conditions = [0.0, 0.0, -1.0 if k == 1 else 0.0, 0.0]
        coefficients = np.linalg.solve(np.concatenate([left, walls]), np.append(right(theta), conditions))
        g.append(Chebyshev(coefficients, RIGHT_ANGLE))
        w.append(g[-1].deriv(2) + k**2 * g[-1])
        bilaplacian.append(right)
        radial = sum((i * gi * wj for i, j, gi, wj in pairs), zero) - w[-1].deriv()  # H_r = Σ Re^{k-2} r^{k-3} radial
        if k == 2:  # radial does not depend on θ, H_θ is g_1' w_1
            log = float(radial(0.0))
            h.append((g[0].deriv() * w[0]).integ())
        else:
            h.append(radial / (k - 2))
    return {
        "psi": Series(g, 1, 0),
        "laplacian": Series(w, 1, 2),
        "bilaplacian": Series(bilaplacian, 1, 4),
        "head": Series(h, 2, 2, log),
    }


def summed(name: str, reynolds: float, x: np.ndarray, y: np.ndarray) -> Float[np.ndarray, "3 ..."]:
    """A quantity of `expansion`, its x and its y derivative, summed over both corners."""
    functions, first, down, log = expansion()[name]
    total = np.zeros((3, *x.shape))
    for along, re, sign in ((x, reynolds, 1), (1 - x, -reynolds, -1)):
        r, theta = np.hypot(along, 1 - y), np.arctan2(1 - y, along)
        value, radial = (log * np.log(r), log / r) if log else (np.zeros_like(r), np.zeros_like(r))
        angular = np.zeros_like(r)
        for k, f in enumerate(functions, 1):
            factor, at, power = re ** (k - first), f(theta), k - down
            value += factor * r**power * at
            radial += factor * power * r ** (power - 1) * at
            angular += factor * r ** (power - 1) * f.deriv()(theta)
        cos, sin = np.cos(theta), np.sin(theta)
        total += np.stack([value, sign * (cos * radial - sin * angular), -sin * radial - cos * angular])
    return total
