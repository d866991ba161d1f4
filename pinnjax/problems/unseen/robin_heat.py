"""Heat in a rod that loses it at both ends: u_t = u_xx on [0, 1], u_x = u at x = 0, u_x = -u at x = 1 (Robin).

u = Σ a_k e^{-μ_k² t} (μ_k cos μ_k x + sin μ_k x), where tan μ = 2μ / (μ² - 1).

References:
  Carslaw, Jaeger, Conduction of Heat in Solids, 1959: Section 3.9.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import diff
from pinnjax.problems._problem import Problem

_BETWEEN = [(1.1, 1.5), (3.2, 4.0), (6.3, 7.0)]
_CONDITION = lambda mu: (mu**2 - 1) * np.sin(mu) - 2 * mu * np.cos(mu)
MODES = np.array([scipy.optimize.brentq(_CONDITION, *ends, xtol=1e-15) for ends in _BETWEEN])
SHARES = np.array([0.5, 0.2, 0.1])


def exact(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """The temperature at (t, x)."""
    t, x = x
    return jnp.sum(SHARES * jnp.exp(-(MODES**2) * t) * (MODES * jnp.cos(MODES * x) + jnp.sin(MODES * x)))


def pde(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_t - u_xx."""
    return diff(u, 0)(x) - diff(u, 1, 1)(x)


def start(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u - u* at t = 0."""
    return u(x) - exact(x)


def left(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_x - u."""
    return diff(u, 1)(x) - u(x)


def right(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_x + u."""
    return diff(u, 1)(x) + u(x)


def draw(key: Array) -> dict[str, Array]:
    """Points inside, at the start and at the ends."""
    keys = jax.random.split(key, 4)
    return {
        "pde": sampling.box(keys[0], (0.0, 0.0), (0.5, 1.0), 1000),
        "start": sampling.box(keys[1], (0.0, 0.0), (0.0, 1.0), 100),
        "left": sampling.box(keys[2], (0.0, 0.0), (0.5, 0.0), 100),
        "right": sampling.box(keys[3], (0.0, 1.0), (0.5, 1.0), 100),
    }


robin_heat = Problem(
    name="robin_heat",
    title="Heat with Robin ends, u_t = u_xx",
    terms={"pde": pde, "start": start, "left": left, "right": right},
    draw=draw,
    reference=exact,
    time=0,
)
