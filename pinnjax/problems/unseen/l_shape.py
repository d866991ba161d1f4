"""Poisson's equation on an L: -Δu = 1 on [-1, 1]² without its fourth quadrant, u = 0 on the boundary.

At the corner that points inwards the slope is infinite, u ~ r^{2/3}. The reference is a sum of functions that satisfy
the equation: a particular solution, the singular ones of all corners, and harmonic polynomials, fitted to u = 0 on the
boundary by least squares. By the maximum principle its error is nowhere larger than on the boundary, where it is below
1e-11.

References:
  Fox, Henrici, Moler, `Approximations and bounds for eigenvalues of elliptic operators
  <https://doi.org/10.1137/0704008>`_, SIAM Journal on Numerical Analysis 4, 1967 (the method, for eigenvalues).
"""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import laplacian
from pinnjax.problems._points import grid
from pinnjax.problems._problem import Problem

DOMAIN = sampling.Difference(sampling.Box((-1.0, -1.0), (1.0, 1.0)), sampling.Box((0.0, -1.0), (1.0, 0.0)))
TERMS, ON_EDGE = 60, 300  # of the inward corner's series; points of an edge
CORNERS = (  # place and direction of the edge from which the angle is counted
    ((1, 0), np.pi / 2),
    ((1, 1), np.pi),
    ((-1, 1), 3 * np.pi / 2),
    ((-1, -1), 0.0),
    ((0, -1), np.pi / 2),
)
EDGES = (
    ((0, 0), (1, 0)),
    ((1, 0), (1, 1)),
    ((1, 1), (-1, 1)),
    ((-1, 1), (-1, -1)),
    ((-1, -1), (0, -1)),
    ((0, -1), (0, 0)),
)


def _polar(x: np.ndarray, at: Any = (0, 0), start: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Distance and angle about a corner, continuous in the domain."""
    from_corner = x - np.asarray(at, float)
    angle = (np.arctan2(from_corner[:, 1], from_corner[:, 0]) - start) % (2 * np.pi)
    return np.maximum(np.hypot(*from_corner.T), 1e-300), np.where(angle > 1.75 * np.pi, angle - 2 * np.pi, angle)


def _with_logarithm(r: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Im z² log z, harmonic."""
    return r**2 * (np.log(r) * np.sin(2 * angle) + angle * np.cos(2 * angle))


def _particular(x: np.ndarray) -> np.ndarray:
    """Of -Δu = 1, and zero on both edges at the inward corner."""
    return -(x[:, 1] ** 2) / 2 - _with_logarithm(*_polar(x)) / (3 * np.pi)


def _harmonic(x: np.ndarray) -> np.ndarray:
    """The functions that are fitted, `(n, functions)`."""
    r, angle = _polar(x)
    size = np.sqrt(2)
    inward = [(r / size) ** (2 * k / 3) * np.sin(2 * k * angle / 3) for k in range(1, TERMS + 1) if k % 3]
    outward = [_with_logarithm(*_polar(x, *corner)) for corner in CORNERS]
    z = (x[:, 0] + 1j * x[:, 1]) / size
    smooth = [part(z**k) for k in range(1, TERMS // 3) for part in (np.real, np.imag)]
    return np.stack([*inward, *outward, np.ones(len(x)), *smooth], axis=1)


def edges(n: int) -> Float[np.ndarray, "m 2"]:
    """Points on the boundary, close together at the corners."""
    share = (1 - np.cos(np.linspace(0, np.pi, n)))[:, None] / 2
    return np.concatenate([np.array(a, float) + share * (np.array(b, float) - a) for a, b in EDGES])


_BOUNDARY = edges(ON_EDGE)
_COEFFICIENTS = np.linalg.lstsq(_harmonic(_BOUNDARY), -_particular(_BOUNDARY), rcond=None)[0]


def exact(x: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    """The solution at many points, by NumPy."""
    return _particular(x) + _harmonic(x) @ _COEFFICIENTS


def pde(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual Δu + 1."""
    return laplacian(u)(x) + 1.0


def bc(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u."""
    return u(x)


def draw(key: Array) -> dict[str, Array]:
    """Points inside and on the boundary."""
    inside, boundary = jax.random.split(key)
    return {"pde": DOMAIN.inside(inside, 3000), "bc": DOMAIN.boundary(boundary, 400)[0]}


_SIDE = (np.arange(60) + 0.5) / 30 - 1
_SQUARE = grid(_SIDE, _SIDE)
GRID = _SQUARE[(_SQUARE[:, 0] < 0) | (_SQUARE[:, 1] > 0)]

l_shape = Problem(
    name="l_shape",
    title="Poisson's equation on an L, -Δu = 1",
    terms={"pde": pde, "bc": bc},
    draw=draw,
    grid=GRID,
    reference=exact(GRID),
)
