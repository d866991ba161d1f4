"""Fast transport, u_t + 100 u_x = 0, u(0, x) = sin(x), periodic on [0, 2π]: sixteen periods go by until t = 1.

Networks of (t, x) settle near u = 0, which solves the equation; in the frame that moves with the wave there is next to
nothing to learn.

References:
  Krishnapriyan, Gholami, Zhe, Kirby, Mahoney, `Characterizing possible failure modes in physics-informed neural
  networks <https://arxiv.org/abs/2109.01050>`_, Advances in Neural Information Processing Systems, 2021 (the problem,
  at lower speeds).

  Wang, Sankaran, Wang, Perdikaris, `An expert's guide to training physics-informed neural networks
  <https://arxiv.org/abs/2308.08468>`_, 2023 (speed 100).

  Braga-Neto, `Characteristics-informed neural networks for forward and inverse hyperbolic problems
  <https://arxiv.org/abs/2212.14012>`_, 2022 (networks of x - ct).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn, sampling
from pinnjax.derivatives import diff
from pinnjax.problems._problem import Problem, Recipe, grid
from pinnjax.problems._schedules import decaying

LOWER, UPPER = (0.0, 0.0), (1.0, 2 * np.pi)  # of (t, x)
SPEED = 100.0


def exact(t: Any, x: Any, xp: Any = jnp) -> Any:
    """The solution."""
    return xp.sin(x - SPEED * t)


def pde(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_t + 100 u_x."""
    return diff(u, 0)(x) + SPEED * diff(u, 1)(x)


def ic(u: Callable, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u - sin(x) at t = 0."""
    return u(x) - jnp.sin(x[1])


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """Random points inside, equidistant ones at t = 0; the network is periodic by itself."""
    dtype = jnp.result_type(float) if dtype is None else dtype
    x = jnp.linspace(0, 2 * np.pi, points["ic"], dtype=dtype)
    return {
        "pde": sampling.box(key, LOWER, UPPER, points["pde"], dtype),
        "ic": jnp.stack([jnp.zeros_like(x), x], axis=1),
    }


class MovingFrame(nn.Module):
    """t, cos(x - 100 t) and sin(x - 100 t)."""

    def __call__(self, x: Float[Array, " 2"]) -> Float[Array, " 3"]:
        """Map one point."""
        angle = x[1] - SPEED * x[0]
        return jnp.stack([x[0], jnp.cos(angle), jnp.sin(angle)])


def moving(in_features: int, out_features: Any, *, inputs: Any, **options: Any) -> nn.MLP:
    """An MLP in the frame that moves with the wave, where the equation is u_t = 0."""
    del inputs
    return nn.MLP(in_features, out_features, inputs=MovingFrame(), **options)


GRID = grid(np.linspace(0, 1, 201), np.linspace(0, 2 * np.pi, 65))
SETUP: dict[str, Any] = {"schedule": decaying(2000), "steps": 20_000}

advection = Problem(
    name="advection",
    title="Advection equation, u_t + 100 u_x = 0, u(0, x) = sin(x), periodic",
    source="Wang, Sankaran, Wang & Perdikaris 2023 (set-up)",
    terms={"pde": pde, "ic": ic},
    balance_against="pde",
    draw=draw,
    points={"pde": 1000, "ic": 128},
    network={
        "in_features": 3,
        "out_features": "scalar",
        "width": 64,
        "depth": 3,
        "inputs": nn.Periodic([None, 2 * np.pi]),
    },
    grid=GRID,
    time=0,
    reference=exact(GRID[:, 0], GRID[:, 1], np),
    grid_shape=(201, 65),
    recipes={
        "plain": Recipe("MLP, every weight 1", nn.MLP, **SETUP),
        "moving": Recipe("MLP in the moving frame", moving, **SETUP),
    },
    second_order={"model": moving},
    default_methods=("plain", "moving"),
)
