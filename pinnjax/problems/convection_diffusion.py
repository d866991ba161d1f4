"""A boundary layer, -ε u'' + u' = 1 on (0, 1) with u(0) = u(1) = 0 and ε = 0.01.

Outside a layer of width ε at x = 1 the solution is x. A plain network misses the layer and keeps an error of 0.9,
whether the boundary has a weight of 1 or of 1000. One that sees (x - 1) / ε too gets below 2e-3.

References:
  Zhuang, Yao, Zhang, Karniadakis, `Two-scale neural networks for partial differential equations with small parameters
  <https://arxiv.org/abs/2402.17232>`_, 2024.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn, sampling
from pinnjax.derivatives import diff
from pinnjax.point_weights import residual_attention
from pinnjax.problems._problem import Problem, Recipe
from pinnjax.problems._schedules import cosine

EPSILON = 0.01


def exact(x: Any, xp: Any = jnp) -> Any:
    """The solution, x - (e^{x/ε} - 1) / (e^{1/ε} - 1), in exponentials that do not overflow."""
    last = np.exp(-1 / EPSILON)
    return x - (xp.exp((x - 1) / EPSILON) - last) / (1 - last)


def pde(u: Callable, x: Float[Array, " 1"]) -> Float[Array, ""]:
    """Residual -ε u'' + u' - 1."""
    return -EPSILON * diff(u, 0, 0)(x) + diff(u, 0)(x) - 1.0


def bc(u: Callable, x: Float[Array, " 1"]) -> Float[Array, ""]:
    """Residual u at x = 0 and x = 1."""
    return u(x)


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """Random points inside, and both ends."""
    dtype = jnp.result_type(float) if dtype is None else dtype
    return {
        "pde": sampling.box(key, (0.0,), (1.0,), points["pde"], dtype),
        "bc": jnp.array([[0.0], [1.0]], dtype),
    }


class TwoScales(nn.Module):
    """x and (x - 1) / ε."""

    def __call__(self, x: Float[Array, " 1"]) -> Float[Array, " 2"]:
        """Map one point."""
        return jnp.concatenate([x, (x - 1) / EPSILON])


def two_scale(in_features: int, out_features: Any, *, inputs: Any, **options: Any) -> nn.MLP:
    """An MLP that sees x at both scales, the paper's with γ = -1 and the centre at the layer."""
    del in_features, inputs
    return nn.MLP(2, out_features, inputs=TwoScales(), **options)


GRID = np.linspace(0.0, 1.0, 1001)[:, None]
SETUP: dict[str, Any] = {"schedule": cosine(2e-3), "steps": 10_000}

convection_diffusion = Problem(
    name="convection_diffusion",
    title="Convection and diffusion, -0.01 u'' + u' = 1, u(0) = u(1) = 0",
    source="-",
    terms={"pde": pde, "bc": bc},
    balance_against="pde",
    draw=draw,
    points={"pde": 200},
    network={
        "in_features": 1,
        "out_features": "scalar",
        "width": 32,
        "depth": 3,
        "inputs": nn.Standardize.box((0.0,), (1.0,)),
    },
    grid=GRID,
    reference=exact(GRID[:, 0], np),
    grid_shape=(1001,),
    recipes={
        "plain": Recipe("MLP", nn.MLP, **SETUP),
        "attention": Recipe("MLP, residual-based attention", nn.MLP, point_weights=residual_attention(), **SETUP),
        "two_scale": Recipe("MLP that sees x and (x - 1) / ε", two_scale, **SETUP),
    },
    default_methods=("plain", "two_scale"),
)
