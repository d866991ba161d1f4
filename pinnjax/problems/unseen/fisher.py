"""Fisher's equation, u_t = u_xx + u (1 - u), for a wave that travels: u = (1 + e^{(x - 5t/√6) / √6})^{-2}.

References:
  Ablowitz, Zeppetella, `Explicit solutions of Fisher's equation for a special wave speed
  <https://doi.org/10.1007/BF02462380>`_, Bulletin of Mathematical Biology 41, 1979.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import diff
from pinnjax.problems._problem import Problem

LOWER, UPPER = (0.0, -10.0), (4.0, 20.0)  # of (t, x)


def exact(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """The wave."""
    t, x = x
    return jax.nn.sigmoid(-(x - 5 * t / np.sqrt(6)) / np.sqrt(6)) ** 2


def pde(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_t - u_xx - u (1 - u)."""
    return diff(u, 0)(x) - diff(u, 1, 1)(x) - u(x) * (1 - u(x))


def given(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u - u* at the start and at the ends."""
    return u(x) - exact(x)


def draw(key: Array) -> dict[str, Array]:
    """Points inside, at the start and at the ends."""
    keys = jax.random.split(key, 4)
    return {
        "pde": sampling.box(keys[0], LOWER, UPPER, 1000),
        "start": sampling.box(keys[1], LOWER, (0.0, 20.0), 100),
        "ends": jnp.concatenate(
            [
                sampling.box(keys[2], LOWER, (4.0, -10.0), 50),
                sampling.box(keys[3], (0.0, 20.0), UPPER, 50),
            ]
        ),
    }


fisher = Problem(
    name="fisher",
    title="Fisher's equation, u_t = u_xx + u (1 - u)",
    terms={"pde": pde, "start": given, "ends": given},
    draw=draw,
    reference=exact,
    time=0,
)
