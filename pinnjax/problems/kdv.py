"""Korteweg-de Vries, a wave that breaks up into solitons: u_t + u u_x + 0.022² u_xxx = 0, u(0, x) = cos(πx), periodic.

References:
  Zabusky, Kruskal, `Interaction of "solitons" in a collisionless plasma and the recurrence of initial states
  <https://doi.org/10.1103/PhysRevLett.15.240>`_, Physical Review Letters 15, 1965 (the problem).

  Wang, Li, Chen, Perdikaris, `PirateNets: physics-informed deep learning with residual adaptive networks
  <https://arxiv.org/abs/2402.00326>`_, 2024 (t in [0, 1]; causal weights with 16 slices).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import nn, sampling
from pinnjax.derivatives import diff
from pinnjax.point_weights import causal, residual_attention
from pinnjax.problems._exact_start import exact_start, starting_right
from pinnjax.problems._problem import Problem, Recipe, grid
from pinnjax.problems._schedules import cosine
from pinnjax.problems.references import load
from pinnjax.term_weights import fixed

LOWER, UPPER = (0.0, -1.0), (1.0, 1.0)  # of (t, x)
DISPERSION = 0.022**2


def pde(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_t + u u_x + 0.022² u_xxx."""
    return diff(u, 0)(x) + u(x) * diff(u, 1)(x) + DISPERSION * diff(u, 1, 1, 1)(x)


def initial(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """The solution at t = 0."""
    return jnp.cos(jnp.pi * x[1])


def ic(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u - cos(πx) at t = 0."""
    return u(x) - initial(x)


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """Random points inside, equidistant ones at t = 0; the network is periodic by itself."""
    dtype = jnp.result_type(float) if dtype is None else dtype
    x = jnp.linspace(-1, 1, points["ic"], dtype=dtype)
    return {
        "pde": sampling.box(key, LOWER, UPPER, points["pde"], dtype),
        "ic": jnp.stack([jnp.zeros_like(x), x], axis=1),
    }


REFERENCE = load("kdv")
GRID = grid(REFERENCE["t"], REFERENCE["x"])
SETUP: dict[str, Any] = {"schedule": cosine(2e-3), "steps": 30_000}

kdv = Problem(
    name="kdv",
    title="Korteweg-de Vries equation, u_t + u u_x + 0.022² u_xxx = 0, u(0, x) = cos(πx), periodic",
    source="Wang, Li, Chen & Perdikaris 2024 (set-up)",
    terms={"pde": pde, "ic": ic},
    balance_against="pde",
    draw=draw,
    points={"pde": 1024, "ic": 200},
    network={
        "in_features": 3,
        "out_features": "scalar",
        "width": 48,
        "depth": 3,
        "inputs": nn.Periodic([None, 2.0]),
    },
    grid=GRID,
    time=0,
    reference=REFERENCE["u"].ravel(),
    grid_shape=REFERENCE["u"].shape,
    recipes={
        "plain": Recipe("MLP, every weight 1", nn.MLP, **SETUP),
        "causal": Recipe(
            "modified MLP, causal weights, λ_ic = 100",
            nn.ModifiedMLP,
            point_weights=causal(["pde"], interval=(0.0, 1.0), slices=16, epsilon=0.1),
            term_weights=fixed({"ic": 100.0}),
            **SETUP,
        ),
        "attention": Recipe(
            "modified MLP, residual-based attention, λ_ic = 100",
            nn.ModifiedMLP,
            point_weights=residual_attention(),
            term_weights=fixed({"ic": 100.0}),
            **SETUP,
        ),
        # More harmonics in the inputs do worse: 4e-3 with one, 7e-3 with two, 3e-2 with five (20 000 steps).
        "early": exact_start(initial, rate=5.0, steps=40_000),
    },
    second_order={"model": starting_right(initial)},
    default_methods=("plain", "early"),
)
