"""Wave equation with two frequencies, u_tt = 4 u_xx, u = sin(πx) cos(2πt) + ½ sin(4πx) cos(8πt) on [0, 1]².

References:
  Wang, Yu, Perdikaris, `When and why PINNs fail to train: a neural tangent kernel perspective
  <https://arxiv.org/abs/2007.14527>`_, Journal of Computational Physics 449, 2022: Section 7.3.
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
from pinnjax.problems._schedules import decaying
from pinnjax.term_weights import ntk

LOWER, UPPER = (0.0, 0.0), (1.0, 1.0)  # of (t, x)
SPEED = 2.0


def exact(t: Any, x: Any, xp: Any = jnp) -> Any:
    """The solution."""
    pi = np.pi
    return xp.sin(pi * x) * xp.cos(2 * pi * t) + 0.5 * xp.sin(4 * pi * x) * xp.cos(8 * pi * t)


def pde(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_tt - 4 u_xx."""
    return diff(u, 0, 0)(x) - SPEED**2 * diff(u, 1, 1)(x)


def initial(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """The solution at t = 0, where u_t = 0."""
    return exact(0.0, x[1])


def vanishing(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """0 with its slope at t = 0, and 0 at both ends, where u is known."""
    return x[0] ** 2 * 4 * x[1] * (1 - x[1])


def ic(u: Callable, x: Float[Array, " 2"]) -> dict[str, Array]:
    """Residuals of u and of u_t = 0 at t = 0, two terms on the same points."""
    return {"u": u(x) - initial(x), "u_t": diff(u, 0)(x)}


def bc(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u at x = 0 and x = 1."""
    return u(x)


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """Random points inside, at t = 0, and at both ends."""
    keys = jax.random.split(key, 3)
    start = sampling.box(keys[1], (0.0, 0.0), (0.0, 1.0), points["ic"], dtype)
    left = sampling.box(keys[2], (0.0, 0.0), (1.0, 0.0), points["bc"], dtype)
    return {
        "pde": sampling.box(keys[0], LOWER, UPPER, points["pde"], dtype),
        "ic": start,
        "bc": jnp.concatenate([left, left.at[:, 1].set(1.0)]),
    }


SIDE = np.linspace(0, 1, 101)
GRID = grid(SIDE, SIDE)
SETUP: dict[str, Any] = {"model": nn.ModifiedMLP, "schedule": decaying(1000), "steps": 20_000}

wave = Problem(
    name="wave",
    title="Wave equation, u = sin(πx) cos(2πt) + ½ sin(4πx) cos(8πt)",
    source="Wang, Yu & Perdikaris 2022 (set-up)",
    terms={"pde": pde, "ic": ic, "bc": bc},
    balance_against="pde",
    draw=draw,
    points={"pde": 300, "ic": 300, "bc": 150},
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
    grid_shape=(101, 101),
    recipes={
        "plain": Recipe("equal weights", **SETUP),
        "ntk": Recipe("NTK weights", term_weights=ntk(), **SETUP),
        "early": exact_start(initial, rate=5.0, steps=20_000, factor=vanishing),
    },
    second_order={"model": starting_right(initial, factor=vanishing)},
    default_methods=("plain", "early"),
)
