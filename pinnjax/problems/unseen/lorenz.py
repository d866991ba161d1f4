"""Lorenz' system, σ = 10, ρ = 28, β = 8/3, from (1, 1, 1) up to t = 1: one large swing, before chaos is felt.

The reference is that of an integrator of order 8, 2e-14 from Taylor's series with 30 digits.

References:
  Lorenz, `Deterministic nonperiodic flow <https://doi.org/10.1175/1520-0469(1963)020%3C0130:DNF%3E2.0.CO;2>`_, Journal
  of the Atmospheric Sciences 20, 1963.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import diff
from pinnjax.problems._problem import Problem
from pinnjax.problems.unseen._integrated import integrated

SIGMA, RHO, BETA = 10.0, 28.0, 8 / 3
START, END = (1.0, 1.0, 1.0), 1.0
GRID = np.linspace(0.0, END, 201)[:, None]


def _slopes(t: Any, z: Any) -> list[Any]:
    del t
    x, y, z = z
    return [SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z]


def ode(u: Any, t: Float[Array, " 1"]) -> Float[Array, " 3"]:
    """Residuals of the three equations."""
    return diff(u, 0)(t) - jnp.stack(_slopes(t, u(t)))


def start(u: Any, t: Float[Array, " 1"]) -> Float[Array, " 3"]:
    """Residual of the start."""
    return u(t) - jnp.array(START)


def draw(key: Array) -> dict[str, Array]:
    """Random times, and the start."""
    return {"ode": sampling.box(key, (0.0,), (END,), 500), "start": jnp.zeros((1, 1))}


lorenz = Problem(
    name="lorenz",
    title="Lorenz' system up to t = 1",
    terms={"ode": ode, "start": start},
    draw=draw,
    grid=GRID,
    reference=integrated(_slopes, START, GRID[:, 0]),
    time=0,
)
