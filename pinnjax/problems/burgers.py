"""Viscous Burgers, whose front steepens to a width of 0.01: u_t + u u_x = ν u_xx, ν = 0.01/π, u(0, x) = -sin(πx).

On t in [0, 1] and x in [-1, 1] with u = 0 at both ends; the reference is the Cole-Hopf transform's quadrature.

References:
  Raissi, Perdikaris, Karniadakis, `Physics-informed neural networks <https://doi.org/10.1016/j.jcp.2018.10.045>`_,
  Journal of Computational Physics 378, 2019 (the set-up).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn, sampling
from pinnjax.derivatives import diff
from pinnjax.problems._exact_start import exact_start, starting_right
from pinnjax.problems._problem import Problem, Recipe, grid
from pinnjax.problems._schedules import cosine
from pinnjax.problems.references.cole_hopf import burgers as cole_hopf
from pinnjax.term_weights import fixed

VISCOSITY = 0.01 / np.pi
LOWER, UPPER = (0.0, -1.0), (1.0, 1.0)  # of (t, x)


def pde(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_t + u u_x - ν u_xx."""
    return diff(u, 0)(x) + u(x) * diff(u, 1)(x) - VISCOSITY * diff(u, 1, 1)(x)


def initial(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """The solution at t = 0."""
    return -jnp.sin(jnp.pi * x[1])


def vanishing(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """0 at t = 0 and at both ends, where u is known."""
    return x[0] * (1 - x[1] ** 2)


def ic(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u + sin(πx) at t = 0."""
    return u(x) - initial(x)


def bc(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u at x = ±1."""
    return u(x)


def inside(key: Array, n: int, dtype: Any = None) -> Float[Array, "n 2"]:
    """`n` points uniform in time and space."""
    return sampling.box(key, LOWER, UPPER, n, dtype)


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """Random points inside, equidistant ones at t = 0 and at both ends."""
    dtype = jnp.result_type(float) if dtype is None else dtype
    x, t = jnp.linspace(-1, 1, points["ic"], dtype=dtype), jnp.linspace(0, 1, points["bc"], dtype=dtype)
    ends = jnp.tile(jnp.array([-1.0, 1.0], dtype), (points["bc"], 1)).T.ravel()
    return {
        "pde": inside(key, points["pde"], dtype),
        "ic": jnp.stack([jnp.zeros_like(x), x], axis=1),
        "bc": jnp.stack([jnp.tile(t, 2), ends], axis=1),
    }


def rad(points: Mapping[str, int], dtype: Any) -> sampling.Sampler:
    """RAD for the points inside, every 20 steps; the others stay."""
    n = points["pde"]
    fixed = {name: value for name, value in draw(jax.random.key(0), points, dtype).items() if name != "pde"}
    adaptive = sampling.rad("pde", lambda key, m: inside(key, m, dtype), n, candidates=4 * n, every=20)
    return sampling.combine(adaptive, sampling.minibatches(fixed, {}))


T, X = np.linspace(0, 1, 101), np.linspace(-1, 1, 201)
GRID = grid(T, X)
SETUP: dict[str, Any] = {
    "model": nn.MLP,
    "schedule": cosine(2e-3),
    "steps": 15_000,
    "term_weights": fixed({"ic": 10.0, "bc": 10.0}),
}

burgers = Problem(
    name="burgers",
    title="Viscous Burgers equation, ν = 0.01/π, u(0, x) = -sin(πx)",
    source="Raissi, Perdikaris & Karniadakis 2019 (set-up)",
    terms={"pde": pde, "ic": ic, "bc": bc},
    balance_against="pde",
    draw=draw,
    points={"pde": 500, "ic": 100, "bc": 50},
    network={
        "in_features": 2,
        "out_features": "scalar",
        "width": 32,
        "depth": 4,
        "inputs": nn.Standardize.box(LOWER, UPPER),
    },
    grid=GRID,
    time=0,
    reference=cole_hopf(X, T, VISCOSITY).ravel(),
    grid_shape=(101, 201),
    recipes={
        "uniform": Recipe("random points that stay", resampled=False, **SETUP),
        "resampled": Recipe("new random points in every step", **SETUP),
        "rad": Recipe("RAD every 20 steps", sampler=rad, **SETUP),
        "early": exact_start(initial, rate=4.0, steps=15_000, factor=vanishing),
    },
    second_order={"model": starting_right(initial, factor=vanishing)},
    default_methods=("uniform", "early"),
)
