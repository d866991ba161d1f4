"""Van der Pol's oscillator, x'' - μ (1 - x²) x' + x = 0 with μ = 1, x(0) = 2, x'(0) = 0, up to t = 10.

The reference is that of an integrator of order 8 with tolerances of 2.5e-14.

References:
  van der Pol, `On relaxation-oscillations <https://doi.org/10.1080/14786442608564127>`_, Philosophical Magazine 2,
  1926.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import diff
from pinnjax.problems._problem import Problem
from pinnjax.problems.unseen._integrated import integrated

MU, END = 1.0, 10.0
GRID = np.linspace(0.0, END, 201)[:, None]


def ode(u: Any, t: Float[Array, " 1"]) -> Float[Array, ""]:
    """Residual x'' - μ (1 - x²) x' + x."""
    return diff(u, 0, 0)(t) - MU * (1 - u(t) ** 2) * diff(u, 0)(t) + u(t)


def start(u: Any, t: Float[Array, " 1"]) -> Float[Array, " 2"]:
    """Residuals x - 2 and x'."""
    return jnp.stack([u(t) - 2.0, diff(u, 0)(t)])


def draw(key: Array) -> dict[str, Array]:
    """Random times, and the start."""
    return {"ode": sampling.box(key, (0.0,), (END,), 500), "start": jnp.zeros((1, 1))}


def _slopes(t: float, z: np.ndarray) -> list[float]:
    del t
    return [z[1], MU * (1 - z[0] ** 2) * z[1] - z[0]]


van_der_pol = Problem(
    name="van_der_pol",
    title="Van der Pol's oscillator, μ = 1, up to t = 10",
    terms={"ode": ode, "start": start},
    draw=draw,
    grid=GRID,
    reference=integrated(_slopes, [2.0, 0.0], GRID[:, 0])[:, 0],
    time=0,
)
