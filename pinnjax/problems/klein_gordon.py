"""Klein-Gordon equation with a cubic term, u_tt - u_xx + u³ = f on [0, 1]², u = x cos(5πt) + (tx)³.

References:
  Wang, Teng, Perdikaris, `Understanding and mitigating gradient pathologies in physics-informed neural networks
  <https://arxiv.org/abs/2001.04536>`_, SIAM Journal on Scientific Computing 43(5), 2021: Section 3.2; the set-up is
  that of the authors' code (five hidden layers of 50, float32, 40 000 steps of Adam).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn, sampling
from pinnjax.derivatives import diff
from pinnjax.problems._four_methods import authors_network, four_methods
from pinnjax.problems._problem import Problem, grid
from pinnjax.term_weights import lr_annealing

LOWER, UPPER = (0.0, 0.0), (1.0, 1.0)  # of (t, x)


def exact(t: Any, x: Any, xp: Any = jnp) -> Any:
    """The solution u = x cos(5πt) + (tx)³."""
    return x * xp.cos(5 * np.pi * t) + (t * x) ** 3


def source(t: Any, x: Any) -> Any:
    """The right-hand side f = u_tt - u_xx + u³ of the solution."""
    u_tt = -25 * np.pi**2 * x * jnp.cos(5 * np.pi * t) + 6 * t * x**3
    return u_tt - 6 * t**3 * x + exact(t, x) ** 3


def pde(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_tt - u_xx + u³ - f."""
    return diff(u, 0, 0)(x) - diff(u, 1, 1)(x) + u(x) ** 3 - source(x[0], x[1])


def ic(u: Callable, x: Float[Array, " 2"]) -> Float[Array, " 2"]:
    """Residuals u - x and u_t at t = 0, whose loss is the sum of their squares."""
    return jnp.stack([u(x) - x[1], diff(u, 0)(x)])


def bc(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """√2 (u - u*) at x = 0 and x = 1: the authors add up the mean squares of the two ends."""
    return jnp.sqrt(2.0) * (u(x) - exact(x[0], x[1]))


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """Random points inside, at t = 0, and at each end."""
    inside, start, left, right = jax.random.split(key, 4)
    return {
        "pde": sampling.box(inside, LOWER, UPPER, points["pde"], dtype),
        "ic": sampling.box(start, (0.0, 0.0), (0.0, 1.0), points["ic"], dtype),
        "bc": jnp.concatenate(
            [
                sampling.box(left, (0.0, 0.0), (1.0, 0.0), points["bc"], dtype),
                sampling.box(right, (0.0, 1.0), (1.0, 1.0), points["bc"], dtype),
            ]
        ),
    }


SIDE = np.linspace(0, 1, 100)
GRID = grid(SIDE, SIDE)

klein_gordon = Problem(
    name="klein_gordon",
    title="Klein-Gordon equation, u = x cos(5πt) + (tx)³",
    source="Wang, Teng & Perdikaris 2021",
    terms={"pde": pde, "ic": ic, "bc": bc},
    balance_against="pde",
    draw=draw,
    points={"pde": 128, "ic": 128, "bc": 128},
    network={
        "in_features": 2,
        "out_features": "scalar",
        "width": 50,
        "depth": 5,
        "inputs": nn.Standardize.box(LOWER, UPPER),
    },
    grid=GRID,
    time=0,
    reference=exact(GRID[:, 0], GRID[:, 1], np),
    grid_shape=(100, 100),
    # With encoders whose biases start at zero M4 ends at 5.0e-3.
    recipes=four_methods(lr_annealing("pde"), authors_network, {"M1": 1.8e-1, "M4": 2.81e-3}),
    default_methods=("M1", "M4"),
)
