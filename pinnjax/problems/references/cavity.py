"""Steady lid-driven cavity: u·∇u = -∇p + Δu/Re, ∇·u = 0 on the unit square, u = (1, 0) on the lid y = 1, else u = 0.

With u = ψ_y, v = -ψ_x the stream function satisfies Δ²ψ = Re (ψ_y Δψ_x - ψ_x Δψ_y), ψ = 0 on all walls, ψ_n = 0 on
three of them and ψ_y = 1 on the lid. Where the lid meets a wall the velocity jumps, and the vorticity is as 1/r.

*Corners.* ψ_left and ψ_right, the flow about the two corners of the lid, are sums of a few terms: see `_corners`.

*The rest.* ψ = ψ_left + ψ_right + a polynomial, whose boundary values make good those of the sums. Its basis in one
dimension is four cubics, which carry the values and slopes at the ends, and twice integrated Legendre polynomials φ,
which vanish there with φ'. The Galerkin equations, where Δ²(ψ_left + ψ_right) is known in closed form, are

    (Δ polynomial, Δφ) + (Δ²(ψ_left + ψ_right), φ) + Re (Δψ, ψ_y φ_x - ψ_x φ_y) = 0.

They need no derivative above the second. Newton's method solves them, from low Re and few modes to those wanted.

*Pressure.* H = p + |u|²/2 has ∇H = Δψ ∇ψ + (Δψ_y, -Δψ_x)/Re. Its corner terms follow from g_k; a Legendre sum fits the
rest of the gradient in least squares. p = 0 at the centre.

References:
  Botella, Peyret, `Benchmark spectral results on the lid-driven cavity flow
  <https://doi.org/10.1016/S0045-7930(98)00002-4>`_, Computers & Fluids 27, 1998: subtraction of two corner terms.

  Shen, `Efficient spectral-Galerkin method I <https://doi.org/10.1137/0915089>`_, SIAM Journal on Scientific Computing
  15, 1994: the basis for the biharmonic equation.
"""

import functools
from typing import NamedTuple

import numpy as np
import scipy.linalg
from jaxtyping import Float
from numpy.polynomial import legendre

from pinnjax.problems.references import _corners

EASY = 100.0  # Re that Newton's method reaches from Stokes flow; from there Re doubles
COARSE = 32  # modes of that continuation
TOLERANCE, ITERATIONS = 1e-10, 20  # of Newton steps in the root mean square velocity; convergence is quadratic


class Flow(NamedTuple):
    """A steady flow in the cavity.

    Attributes:
        reynolds: Re = lid speed * side / viscosity.
        psi: coefficients of the polynomial part of ψ in the basis of the module's docstring, (n+4, n+4) for x and y.
        head: Legendre coefficients of the polynomial part of H = p + |u|²/2, (n+4, n+4).
    """

    reynolds: float
    psi: Float[np.ndarray, "k k"]
    head: Float[np.ndarray, "k k"]

    def __call__(self, x: Float[np.ndarray, " m"], y: Float[np.ndarray, " m"]) -> Float[np.ndarray, "4 m"]:
        """ψ, u, v, p at any points. In the upper corners u and v are the lid's, and p, which is infinite, is nan."""
        k = len(self.psi)
        bx, by, lx, ly = _basis(k - 4, x), _basis(k - 4, y), _legendre(k, x), _legendre(k, y)
        smooth = [np.sum(bx[i] @ self.psi * by[j], axis=1) for i, j in ((0, 0), (1, 0), (0, 1))]
        psi, psi_x, psi_y = _corners.summed("psi", self.reynolds, x, y) + smooth
        inside = np.where((y == 1) & ((x == 0) | (x == 1)), np.nan, x)
        head = _corners.summed("head", self.reynolds, inside, y)[0] + np.sum(lx @ self.head * ly, axis=1)
        return np.stack([psi, psi_y, -psi_x, head - (psi_x**2 + psi_y**2) / 2])


def solve(reynolds: float, n: int) -> Flow:
    """The steady flow at one Reynolds number.

    Args:
        reynolds: Re = lid speed * side / viscosity, > 0.
        n: modes φ in each direction. A Newton step takes O(n⁶) time, and some 50 n⁴ bytes.

    Returns:
        The flow, a function of points.

    Raises:
        RuntimeError: if Newton's method does not converge.
    """
    stages = [reynolds]
    while stages[0] > EASY:
        stages.insert(0, max(stages[0] / 2, EASY))
    coarse = min(n, COARSE)
    guess = 0.0, _newton(0.0, coarse, (0.0, np.zeros((4, 4))))  # Stokes flow, whatever the guess
    for stage in stages:
        guess = stage, _newton(stage, coarse, guess)
    return _with_head(reynolds, _newton(reynolds, n, guess) if n > coarse else guess[1])


@functools.cache
def _modes(n: int) -> Float[np.ndarray, "n+4 n+4"]:
    """Legendre coefficients in columns: the cubics with f(0), f(1), f'(0) or f'(1) = 1, then φ with normalised φ''."""
    cubics = np.array([[2, -3, 0, 1], [2, 3, 0, -1], [0.5, -0.5, -0.5, 0.5], [-0.5, -0.5, 0.5, 0.5]]) / 4
    columns = [legendre.poly2leg(c) for c in cubics]
    columns += [np.sqrt(2 * m + 1) * legendre.legint(np.eye(m + 1)[m], 2, lbnd=-1) for m in range(2, n + 2)]
    return np.stack([np.pad(c, (0, n + 4 - len(c))) for c in columns], axis=1)


def _legendre(k: int, x: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m k"]:
    return legendre.legvander(2 * x - 1, k - 1)


def _basis(n: int, x: Float[np.ndarray, " m"]) -> list[Float[np.ndarray, "m n+4"]]:
    """The basis and its first three derivatives at points."""
    return [_legendre(n + 4 - d, x) @ (2**d * legendre.legder(_modes(n), d)) for d in range(4)]


def _gauss(n: int) -> tuple[Float[np.ndarray, " q"], Float[np.ndarray, " q"], Float[np.ndarray, "2 q q"]]:
    """Gauss points, exact for products of three modes; their weights; the grid of them."""
    s, weight = legendre.leggauss(3 * (n + 4) // 2)
    x = (1 + s) / 2
    return x, weight / 2, np.stack(np.meshgrid(x, x, indexing="ij"))


def _walls(reynolds: float, n: int) -> Float[np.ndarray, "n+4 n+4"]:
    """Coefficients that make ψ = ψ_n = 0 on the walls, but ψ_y = 1 on the lid, by interpolation; those of φφ are 0."""
    t = (1 - np.cos(np.pi * np.arange(n + 4) / (n + 3))) / 2
    coefficients = lambda *values: np.linalg.solve(_basis(n, t)[0], np.stack(values, axis=1))
    sides = ((0 * t, t), (0 * t + 1, t), (t, 0 * t), (t, 0 * t + 1))
    left, right, bottom, lid = (-_corners.summed("psi", reynolds, x, y) for x, y in sides)
    psi = np.zeros((n + 4, n + 4))
    psi[:4] = coefficients(left[0], right[0], left[1], right[1]).T
    psi[:, :4] = coefficients(bottom[0], lid[0], bottom[2], 1 + lid[2])
    return psi


def _newton(reynolds: float, n: int, guess: tuple[float, Float[np.ndarray, "m m"]]) -> Float[np.ndarray, "n+4 n+4"]:
    """Newton's method on the Galerkin equations.

    They are L ψ + B(ψ, ψ) = 0, so the step δ solves L δ + B(δ, old) + B(old, δ) = -(L ψ + B(ψ, old) + B(old, ψ - old)).
    Of the old flow only Δψ and ∇ψ are needed; at first it is the guess, whose corner terms and modes may be others.

    Args:
        reynolds: Re.
        n: modes φ in each direction.
        guess: Re and coefficients.
    """
    x, w, grid = _gauss(n)
    basis, weight = _basis(n, x), np.outer(w, w)
    phi = [b[:, 4:] for b in basis]
    at = lambda psi, a, b: basis[a] @ psi @ basis[b].T
    smooth = lambda psi: np.stack([at(psi, 2, 0) + at(psi, 0, 2), at(psi, 1, 0), at(psi, 0, 1)])  # Δψ, ψ_x, ψ_y
    corner = lambda re: np.stack([_corners.summed("laplacian", re, *grid)[0], *_corners.summed("psi", re, *grid)[1:]])
    test = lambda f, a, b: phi[a].T @ (weight * f) @ phi[b]  # (f, ∂_x^a ∂_y^b φ)
    convection = lambda c, d: reynolds * (test(c[0] * d[2], 1, 0) - test(c[0] * d[1], 0, 1))  # B(c, d)

    def form(f: np.ndarray | float, trial: tuple[int, int], tested: tuple[int, int]) -> np.ndarray:
        """(f ∂^trial δ, ∂^tested φ): rows are φ_k(x) δ_i(x), columns φ_l(y) δ_j(y)."""
        px, py = (np.einsum("qk,qi->qki", phi[tested[i]], phi[trial[i]]).reshape(-1, n * n) for i in (0, 1))
        return px.T @ ((weight * f) @ py)

    psi, singular = _walls(reynolds, n), corner(reynolds)
    old = corner(guess[0]) + smooth(np.pad(guess[1], (0, n + 4 - len(guess[1]))))
    load = test(_corners.summed("bilaplacian", reynolds, *grid)[0], 0, 0)
    xx, yy, dx, dy = (2, 0), (0, 2), (1, 0), (0, 1)
    linear = sum(form(1.0, trial, tested) for trial in (xx, yy) for tested in (xx, yy))
    for _ in range(ITERATIONS):
        lap, psi_x, psi_y = reynolds * old
        matrix = linear + form(lap, dy, dx) - form(lap, dx, dy)
        for trial in (xx, yy):
            matrix += form(psi_y, trial, dx) - form(psi_x, trial, dy)
        matrix = matrix.reshape(n, n, n, n).transpose(0, 2, 1, 3).reshape(n * n, n * n)  # rows (k, l), columns (i, j)
        now = smooth(psi)
        residual = load + test(now[0], 2, 0) + test(now[0], 0, 2)
        residual += convection(singular + now, old) + convection(old, singular + now - old)
        psi[4:, 4:] -= scipy.linalg.solve(matrix, residual.ravel(), overwrite_a=True, check_finite=False).reshape(n, n)
        new = singular + smooth(psi)
        change, old = np.sqrt(np.sum(weight * (new - old)[1:] ** 2)), new
        if change < TOLERANCE or reynolds == 0:
            return psi
    raise RuntimeError(f"no convergence at Re = {reynolds} with {n} modes; try more modes")


def _with_head(reynolds: float, psi: Float[np.ndarray, "k k"]) -> Flow:
    """Add H, the Legendre sum that minimises ∫ |∇H - (Δψ ∇ψ + (Δψ_y, -Δψ_x)/Re)|²."""
    k = len(psi)
    x, w, grid = _gauss(k - 4)
    basis, weight = _basis(k - 4, x), np.outer(w, w)
    at = lambda a, b: basis[a] @ psi @ basis[b].T
    _, psi_x, psi_y = _corners.summed("psi", reynolds, *grid) + np.stack([at(0, 0), at(1, 0), at(0, 1)])
    smooth = np.stack([at(2, 0) + at(0, 2), at(3, 0) + at(1, 2), at(2, 1) + at(0, 3)])
    lap, lap_x, lap_y = _corners.summed("laplacian", reynolds, *grid) + smooth
    _, head_x, head_y = _corners.summed("head", reynolds, *grid)
    value, slope = _legendre(k, x), 2 * _legendre(k - 1, x) @ legendre.legder(np.eye(k))
    right = slope.T @ (weight * (lap * psi_x + lap_y / reynolds - head_x)) @ value
    right += value.T @ (weight * (lap * psi_y - lap_x / reynolds - head_y)) @ slope
    mass, stiffness = (f.T @ (w[:, None] * f) for f in (value, slope))
    eigenvalues, v = scipy.linalg.eigh(stiffness, mass)  # of stiffness H mass + mass H stiffness = right
    total = eigenvalues[:, None] + eigenvalues
    total[0, 0] = np.inf  # the constant is free
    flow = Flow(reynolds, psi, v @ (v.T @ right @ v / total) @ v.T)
    flow.head[0, 0] -= flow(np.array([0.5]), np.array([0.5]))[3, 0]
    return flow
