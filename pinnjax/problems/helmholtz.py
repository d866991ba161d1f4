"""Helmholtz equation in two dimensions, the problem on which the gradient pathology was found.

u_xx + u_yy + u = q on [-1, 1]², u = 0 on the boundary, with q such that u = sin(πx) sin(4πy).

References:
  Wang, Teng, Perdikaris, `Understanding and mitigating gradient pathologies in physics-informed neural networks
  <https://arxiv.org/abs/2001.04536>`_, SIAM Journal on Scientific Computing 43(5), 2021: Section 3.1 and Table 2;
  the set-up is that of the authors' code (three hidden layers of 50, float32, 40 000 steps of Adam).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn, sampling
from pinnjax.derivatives import laplacian
from pinnjax.problems._four_methods import four_methods
from pinnjax.problems._problem import Problem, Recipe, grid
from pinnjax.problems._schedules import cosine
from pinnjax.term_weights import fixed, lr_annealing

LOWER, UPPER = (-1.0, -1.0), (1.0, 1.0)


def exact(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """The solution u = sin(πx) sin(4πy)."""
    return jnp.sin(jnp.pi * x[0]) * jnp.sin(4 * jnp.pi * x[1])


def source(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Q = Δu + u of the solution."""
    return (1 - jnp.pi**2 - (4 * jnp.pi) ** 2) * exact(x)


def pde(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """u_xx + u_yy + u - q."""
    return laplacian(u)(x) + u(x) - source(x)


def bc(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """2u: the paper adds up the mean squares of the four sides, which is four times the mean over all of them."""
    return 2 * u(x)


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """`points["pde"]` points inside and `points["bc"]` on each of the four sides."""
    inside, sides = jax.random.split(key)
    return {
        "pde": sampling.box(inside, LOWER, UPPER, points["pde"], dtype),
        "bc": sampling.box_faces(sides, LOWER, UPPER, points["bc"], dtype),
    }


SIDE = np.linspace(-1, 1, 100)
GRID = grid(SIDE, SIDE)

helmholtz = Problem(
    name="helmholtz",
    title="Helmholtz equation, u = sin(πx) sin(4πy) on [-1, 1]²",
    source="Wang, Teng & Perdikaris 2021, Table 2",
    terms={"pde": pde, "bc": bc},
    balance_against="pde",
    draw=draw,
    points={"pde": 128, "bc": 128},
    network={
        "in_features": 2,
        "out_features": "scalar",
        "width": 50,
        "depth": 3,
        "inputs": nn.Standardize.box(LOWER, UPPER),
    },
    grid=GRID,
    reference=np.sin(np.pi * GRID[:, 0]) * np.sin(4 * np.pi * GRID[:, 1]),
    grid_shape=(100, 100),
    recipes={
        **four_methods(lr_annealing("pde"), nn.ModifiedMLP, {"M1": 1.81e-1, "M2": 1.27e-2, "M4": 3.69e-3}),
        # λ = 1000 was found by trial: 300 ends at 8e-4; with 512 points, annealing (λ near 44) at 1.6e-3.
        "best": Recipe(
            "modified MLP, λ_bc = 1000, 256 points inside, cosine decay from 3e-3",
            nn.ModifiedMLP,
            cosine(3e-3),
            40_000,
            term_weights=fixed({"bc": 1000.0}),
            points={"pde": 256, "bc": 64},
        ),
    },
    default_methods=("M1", "M4"),
)
