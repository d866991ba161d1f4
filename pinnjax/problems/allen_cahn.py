"""Allen-Cahn with sharp fronts: u_t = 1e-4 u_xx + 5 u - 5 u³, u(0, x) = x² cos(πx), periodic on [-1, 1].

References:
  Raissi, Perdikaris, Karniadakis, `Physics-informed neural networks <https://doi.org/10.1016/j.jcp.2018.10.045>`_,
  Journal of Computational Physics 378, 2019 (the problem).

  Wang, Sankaran, Perdikaris, `Respecting causality for training physics-informed neural networks
  <https://arxiv.org/abs/2203.07404>`_, 2022 (exact periodicity; causal weights).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import nn, sampling
from pinnjax.derivatives import diff
from pinnjax.point_weights import causal, residual_attention
from pinnjax.problems._exact_start import exact_start
from pinnjax.problems._problem import Problem, Recipe, grid
from pinnjax.problems._schedules import cosine
from pinnjax.problems.references import load
from pinnjax.term_weights import fixed

LOWER, UPPER = (0.0, -1.0), (1.0, 1.0)  # of (t, x)


def pde(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_t - 1e-4 u_xx + 5 u³ - 5 u."""
    return diff(u, 0)(x) - 1e-4 * diff(u, 1, 1)(x) + 5 * u(x) ** 3 - 5 * u(x)


def initial(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """The solution at t = 0."""
    return x[1] ** 2 * jnp.cos(jnp.pi * x[1])


def ic(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u - x² cos(πx) at t = 0."""
    return u(x) - initial(x)


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """Random points inside, equidistant ones at t = 0; the network is periodic by itself."""
    dtype = jnp.result_type(float) if dtype is None else dtype
    x = jnp.linspace(-1, 1, points["ic"], dtype=dtype)
    return {
        "pde": sampling.box(key, LOWER, UPPER, points["pde"], dtype),
        "ic": jnp.stack([jnp.zeros_like(x), x], axis=1),
    }


REFERENCE = load("allen_cahn")
GRID = grid(REFERENCE["t"], REFERENCE["x"])
HARMONICS = 5
SETUP: dict[str, Any] = {"schedule": cosine(2e-3), "steps": 30_000}
# Where u is near 0 an error obeys e_t = 5 e + r, so a residual at t has grown by e^{5 (1 - t)} at the end.
EARLY = exact_start(initial, rate=5.0, steps=40_000)

allen_cahn = Problem(
    name="allen_cahn",
    title="Allen-Cahn equation, u_t = 1e-4 u_xx + 5 u - 5 u³, u(0, x) = x² cos(πx), periodic",
    source="Wang, Sankaran & Perdikaris 2022 (set-up)",
    terms={"pde": pde, "ic": ic},
    balance_against="pde",
    draw=draw,
    points={"pde": 1024, "ic": 200},
    network={
        "in_features": 1 + 2 * HARMONICS,
        "out_features": "scalar",
        "width": 48,
        "depth": 3,
        "inputs": nn.Periodic([None, 2.0], HARMONICS),
    },
    grid=GRID,
    time=0,
    reference=REFERENCE["u"].ravel(),
    grid_shape=REFERENCE["u"].shape,
    recipes={
        "plain": Recipe("MLP, every weight 1", nn.MLP, **SETUP),
        "attention": Recipe(
            "modified MLP, residual-based attention",
            nn.ModifiedMLP,
            point_weights=residual_attention(),
            term_weights=fixed({"ic": 100.0}),
            **SETUP,
        ),
        "causal": dataclasses.replace(
            EARLY,
            summary="modified MLP, exact at t = 0, causal weights, Muon",
            point_weights=causal(["pde"], interval=(0.0, 1.0)),
        ),
        "early": EARLY,
    },
    default_methods=("plain", "early"),
)
