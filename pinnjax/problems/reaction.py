"""A reaction without diffusion, u_t = 5 u (1 - u) from a Gaussian on [0, 2π]: u = 0 solves it too.

Every place has an ordinary differential equation of its own. The solution has equal values at both ends, which the
term `bc` asks for as in the paper, but not equal slopes (±0.2 at t = 1), so a network that is periodic by itself would
have to bend there.

References:
  Krishnapriyan, Gholami, Zhe, Kirby, Mahoney, `Characterizing possible failure modes in physics-informed neural
  networks <https://arxiv.org/abs/2109.01050>`_, Advances in Neural Information Processing Systems, 2021: Section 3.2.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn, sampling
from pinnjax.derivatives import diff
from pinnjax.point_weights import causal
from pinnjax.problems._exact_start import exact_start, starting_right
from pinnjax.problems._problem import Problem, Recipe, grid
from pinnjax.problems._schedules import cosine
from pinnjax.term_weights import fixed

LOWER, UPPER = (0.0, 0.0), (1.0, 2 * np.pi)  # of (t, x)
RATE = 5.0
WIDTH = np.pi / 4  # of the Gaussian


def exact(t: Any, x: Any, xp: Any = jnp) -> Any:
    """The solution: the logistic curve at each place."""
    start = xp.exp(-((x - np.pi) ** 2) / (2 * WIDTH**2))
    return start / (start + (1 - start) * xp.exp(-RATE * t))


def pde(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_t - 5 u (1 - u)."""
    return diff(u, 0)(x) - RATE * u(x) * (1 - u(x))


def initial(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """The solution at t = 0, exp(-(x - π)² / 2(π/4)²)."""
    return exact(0.0, x[1])


def ic(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u - exp(-(x - π)² / 2(π/4)²) at t = 0."""
    return u(x) - initial(x)


def bc(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u(t, 0) - u(t, 2π), for points at x = 0."""
    return u(x) - u(x + jnp.array([0.0, 2 * np.pi], x.dtype))


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """Random points inside, equidistant ones at t = 0 and at x = 0."""
    dtype = jnp.result_type(float) if dtype is None else dtype
    x, t = jnp.linspace(0, 2 * np.pi, points["ic"], dtype=dtype), jnp.linspace(0, 1, points["bc"], dtype=dtype)
    return {
        "pde": sampling.box(key, LOWER, UPPER, points["pde"], dtype),
        "ic": jnp.stack([jnp.zeros_like(x), x], axis=1),
        "bc": jnp.stack([t, jnp.zeros_like(t)], axis=1),
    }


SIDE = np.linspace(0, 1, 101)
GRID = grid(SIDE, 2 * np.pi * np.linspace(0, 1, 129))
SETUP: dict[str, Any] = {"model": nn.MLP, "schedule": cosine(2e-3), "steps": 10_000}

reaction = Problem(
    name="reaction",
    title="Reaction equation, u_t = 5 u (1 - u) from a Gaussian, periodic",
    source="Krishnapriyan et al. 2021 (set-up)",
    terms={"pde": pde, "ic": ic, "bc": bc},
    balance_against="pde",
    draw=draw,
    points={"pde": 1000, "ic": 128, "bc": 64},
    network={
        "in_features": 2,
        "out_features": "scalar",
        "width": 50,
        "depth": 4,
        "inputs": nn.Standardize.box(LOWER, UPPER),
    },
    grid=GRID,
    time=0,
    reference=exact(GRID[:, 0], GRID[:, 1], np),
    grid_shape=(101, 129),
    recipes={
        "plain": Recipe("every weight 1", **SETUP),
        "weighted": Recipe("λ_ic = 100", term_weights=fixed({"ic": 100.0}), **SETUP),
        "causal": Recipe(
            "causal weights, λ_ic = 100",
            point_weights=causal(["pde"], interval=(0.0, 1.0)),
            term_weights=fixed({"ic": 100.0}),
            **SETUP,
        ),
        "early": exact_start(initial, rate=RATE, steps=5000, points={"pde": 512}),
    },
    second_order={"model": starting_right(initial)},
    default_methods=("plain", "early"),
)
