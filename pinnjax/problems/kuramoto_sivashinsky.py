"""Kuramoto-Sivashinsky in its chaotic regime: u_t + α u u_x + β u_xx + γ u_xxxx = 0, u(0, x) = cos(x) (1 + sin(x)).

α = 100/16, β = 100/16² and γ = 100/16⁴ on [0, 2π], periodic, t in [0, 1]. Small errors grow: three perturbations of the
initial condition that were tried had grown by factors of 10² to 10⁴ at t = 1.

References:
  Wang, Sankaran, Wang, Perdikaris, `An expert's guide to training physics-informed neural networks
  <https://arxiv.org/abs/2308.08468>`_, 2023 (the set-up; there the time is cut into windows, one network each).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn, sampling
from pinnjax.derivatives import diff
from pinnjax.point_weights import causal
from pinnjax.problems._problem import Problem, Recipe, grid
from pinnjax.problems._schedules import decaying
from pinnjax.problems.references import load
from pinnjax.term_weights import fixed

LOWER, UPPER = (0.0, 0.0), (1.0, 2 * np.pi)  # of (t, x)
ALPHA, BETA, GAMMA = 100 / 16, 100 / 16**2, 100 / 16**4


def pde(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_t + α u u_x + β u_xx + γ u_xxxx."""
    return diff(u, 0)(x) + ALPHA * u(x) * diff(u, 1)(x) + BETA * diff(u, 1, 1)(x) + GAMMA * diff(u, 1, 1, 1, 1)(x)


def ic(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u - cos(x) (1 + sin(x)) at t = 0."""
    return u(x) - jnp.cos(x[1]) * (1 + jnp.sin(x[1]))


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """Random points inside, equidistant ones at t = 0; the network is periodic by itself."""
    dtype = jnp.result_type(float) if dtype is None else dtype
    x = jnp.linspace(0, 2 * np.pi, points["ic"], dtype=dtype)
    return {
        "pde": sampling.box(key, LOWER, UPPER, points["pde"], dtype),
        "ic": jnp.stack([jnp.zeros_like(x), x], axis=1),
    }


REFERENCE = load("kuramoto_sivashinsky")
GRID = grid(REFERENCE["t"], REFERENCE["x"])
SETUP: dict[str, Any] = {"schedule": decaying(2000), "steps": 30_000}

kuramoto_sivashinsky = Problem(
    name="kuramoto_sivashinsky",
    title="Kuramoto-Sivashinsky equation, chaotic, u(0, x) = cos(x) (1 + sin(x)), periodic",
    source="Wang, Sankaran, Wang & Perdikaris 2023 (set-up)",
    terms={"pde": pde, "ic": ic},
    balance_against="pde",
    draw=draw,
    points={"pde": 2000, "ic": 200},
    network={
        "in_features": 3,
        "out_features": "scalar",
        "width": 64,
        "depth": 4,
        "inputs": nn.Periodic([None, 2 * np.pi]),
    },
    grid=GRID,
    time=0,
    reference=REFERENCE["u"].ravel(),
    grid_shape=REFERENCE["u"].shape,
    recipes={
        "plain": Recipe("MLP, every weight 1", nn.MLP, **SETUP),
        "causal": Recipe(
            "modified MLP, causal weights, λ_ic = 1000",
            nn.ModifiedMLP,
            point_weights=causal(["pde"], interval=(0.0, 1.0), slices=16),
            term_weights=fixed({"ic": 1000.0}),
            **SETUP,
        ),
    },
    default_methods=("plain", "causal"),
)
