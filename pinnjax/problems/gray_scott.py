"""Gray-Scott, two substances that react and spread into a pattern, in two dimensions of space and time.

u_t = 0.2 Δu + 40 (1 - u) - 1000 u v² and v_t = 0.1 Δv - 100 v + 1000 u v² on [-1, 1]², periodic, t in [0, 2], from
1 - exp(-10 |x - a|²) and exp(-10 |x - b|²) with a = (-0.05, -0.02) and b = -a. The published figures are of ten
networks, each for a window of time, and of u and v apart, as `measure` gives them.

References:
  Pearson, `Complex patterns in a simple system <https://doi.org/10.1126/science.261.5118.189>`_, Science 261, 1993 (the
  model).

  Wang, Li, Chen, Perdikaris, `PirateNets: physics-informed deep learning with residual adaptive networks
  <https://arxiv.org/abs/2402.00326>`_, 2024 (the set-up, with the numbers of its released code).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import nn, sampling
from pinnjax.derivatives import diff, laplacian
from pinnjax.point_weights import causal
from pinnjax.problems._problem import Problem, Recipe, grid
from pinnjax.problems._schedules import decaying
from pinnjax.problems.references import load
from pinnjax.term_weights import fixed

LOWER, UPPER = (0.0, -1.0, -1.0), (2.0, 1.0, 1.0)  # of (t, x, y)
CENTRE = 0.05, 0.02


def initial(x: Float[Array, " 3"]) -> Float[Array, " 2"]:
    """(u, v) at t = 0."""
    centre = jnp.array(CENTRE, x.dtype)
    return jnp.stack([1 - jnp.exp(-10 * jnp.sum((x[1:] + centre) ** 2)), jnp.exp(-10 * jnp.sum((x[1:] - centre) ** 2))])


def pde(w: Callable, x: Float[Array, " 3"]) -> Float[Array, " 2"]:
    """Residuals of both equations, whose loss is the sum of their squares; w = (u, v)."""
    (u, v), (u_t, v_t), (spread_u, spread_v) = w(x), diff(w, 0)(x), laplacian(w, axes=(1, 2))(x)
    reaction = 1000 * u * v**2
    return jnp.stack([u_t - 0.2 * spread_u - 40 * (1 - u) + reaction, v_t - 0.1 * spread_v + 100 * v - reaction])


def ic(w: Callable, x: Float[Array, " 3"]) -> Float[Array, " 2"]:
    """Residuals of u and v at t = 0."""
    return w(x) - initial(x)


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """Random points inside and at t = 0; the network is periodic by itself."""
    inside, start = jax.random.split(key)
    return {
        "pde": sampling.box(inside, LOWER, UPPER, points["pde"], dtype),
        "ic": sampling.box(start, LOWER, (0.0, 1.0, 1.0), points["ic"], dtype),
    }


def apart(w: Callable[[Array], Array]) -> dict[str, Array]:
    """Relative L2 errors of u and of v."""
    dtype = jnp.result_type(float)
    found, expected = jax.vmap(w)(jnp.asarray(GRID, dtype)), jnp.asarray(SOLUTION, dtype)
    errors = jnp.linalg.norm(found - expected, axis=0) / jnp.linalg.norm(expected, axis=0)
    return {"relative_l2_u": errors[0], "relative_l2_v": errors[1]}


REFERENCE = load("gray_scott")
GRID = grid(REFERENCE["t"], REFERENCE["x"], REFERENCE["x"])
SOLUTION = REFERENCE["u"].reshape(-1, 2)
SETUP: dict[str, Any] = {"schedule": decaying(2000), "steps": 20_000}

gray_scott = Problem(
    name="gray_scott",
    title="Gray-Scott equations in two dimensions, from two Gaussians, periodic",
    source="Wang, Li, Chen & Perdikaris 2024 (set-up)",
    terms={"pde": pde, "ic": ic},
    balance_against="pde",
    draw=draw,
    points={"pde": 1000, "ic": 500},
    network={
        "in_features": 5,
        "out_features": 2,
        "width": 64,
        "depth": 4,
        "inputs": nn.Periodic([None, 2.0, 2.0]),
    },
    grid=GRID,
    time=0,
    reference=SOLUTION,
    grid_shape=REFERENCE["u"].shape[:-1],
    recipes={
        "plain": Recipe("MLP, every weight 1", nn.MLP, **SETUP),
        "causal": Recipe(
            "modified MLP, causal weights, λ_ic = 1000",
            nn.ModifiedMLP,
            point_weights=causal(["pde"], interval=(0.0, 2.0)),
            term_weights=fixed({"ic": 1000.0}),
            **SETUP,
        ),
    },
    default_methods=("plain", "causal"),
    measure=apart,
)
