"""The harmonic oscillator, the smallest problem that shows the loss-balance crisis.

u'' + ω² u = 0 on [0, 1] with ω = 2π, u(0) = 1 and u'(0) = 0, so u = cos(2πt). With one weight λ on the initial
conditions, a small λ lets the network forget them (u = 0 solves the equation), and a large λ drowns the equation; in
between lies the Goldilocks zone. With the start built into the field there is one term, and no λ.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn
from pinnjax.derivatives import diff
from pinnjax.problems._problem import Problem, Recipe
from pinnjax.problems._schedules import cosine
from pinnjax.term_weights import fixed, lr_annealing, ntk

OMEGA = 2 * np.pi


def pde(u: Callable, t: Float[Array, " 1"]) -> Float[Array, ""]:
    """Residual u'' + ω² u."""
    return diff(u, 0, 0)(t) + OMEGA**2 * u(t)


def ic(u: Callable, t: Float[Array, " 1"]) -> Float[Array, " 2"]:
    """Residuals u - 1 and u', whose loss is the sum of their squares."""
    return jnp.stack([u(t) - 1.0, diff(u, 0)(t)])


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """`points["pde"]` equidistant points, and t = 0; nothing is random."""
    del key
    dtype = jnp.result_type(float) if dtype is None else dtype
    return {"pde": jnp.linspace(0, 1, points["pde"], dtype=dtype)[:, None], "ic": jnp.zeros((1, 1), dtype)}


def started(**network: Any) -> nn.WithConditions:
    """The model u = 1 + t² N, whose start is right whatever the network does: nothing is left to balance."""
    return nn.WithConditions(nn.MLP(**network), [nn.Initial(1.0, velocity=0.0)])


GRID = np.linspace(0.0, 1.0, 201)[:, None]
SETUP: dict[str, Any] = {"model": nn.MLP, "schedule": cosine(1e-3), "steps": 20_000}

harmonic = Problem(
    name="harmonic",
    title="Harmonic oscillator, u'' + (2π)² u = 0, u(0) = 1, u'(0) = 0 on [0, 1]",
    source="-",
    terms={"pde": pde, "ic": ic},
    balance_against="pde",
    draw=draw,
    points={"pde": 50},
    network={"in_features": 1, "out_features": "scalar", "width": 32, "depth": 3},
    grid=GRID,
    time=0,
    reference=np.cos(OMEGA * GRID[:, 0]),
    grid_shape=(201,),
    recipes={
        "plain": Recipe("equal weights", **SETUP),
        "annealed": Recipe("learning-rate annealing", term_weights=lr_annealing("pde"), **SETUP),
        "ntk": Recipe("NTK weights", term_weights=ntk(), **SETUP),
        "hard": Recipe("its start built in, u = 1 + t² N: one term", **{**SETUP, "model": started}, built_in=("ic",)),
        "fixed": Recipe("λ_ic = 100, from the Goldilocks zone", term_weights=fixed({"ic": 100.0}), **SETUP),
    },
    default_methods=("plain", "ntk"),
)
