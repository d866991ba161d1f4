"""Flow behind a grid: steady Navier-Stokes at Re = 40 on [-0.5, 1] x [-0.5, 1.5], with the velocity on the sides.

u = 1 - e^{λx} cos 2πy, v = λ / 2π e^{λx} sin 2πy, p = (1 - e^{2λx}) / 2, with λ = Re/2 - √(Re²/4 + 4π²).

References:
  Kovasznay, `Laminar flow behind a two-dimensional grid <https://doi.org/10.1017/S0305004100023999>`_, Mathematical
  Proceedings of the Cambridge Philosophical Society 44, 1948.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import diff
from pinnjax.problems._problem import Problem

REYNOLDS = 40.0
RATE = float(REYNOLDS / 2 - np.sqrt(REYNOLDS**2 / 4 + 4 * np.pi**2))
LOWER, UPPER = (-0.5, -0.5), (1.0, 1.5)
OUTLET = (1.0, -0.5)  # where the pressure is given


def exact(x: Float[Array, " 2"]) -> Float[Array, " 3"]:
    """Velocity and pressure."""
    x, y = x
    decay = jnp.exp(RATE * x)
    return jnp.stack(
        [
            1 - decay * jnp.cos(2 * jnp.pi * y),
            RATE / (2 * jnp.pi) * decay * jnp.sin(2 * jnp.pi * y),
            (1 - decay**2) / 2,
        ]
    )


def flow(w: Any, x: Float[Array, " 2"]) -> dict[str, Array]:
    """Momentum and mass."""
    u, v, _ = w(x)
    w_x, w_y = diff(w, 0)(x), diff(w, 1)(x)
    friction = (diff(w, 0, 0)(x) + diff(w, 1, 1)(x)) / REYNOLDS
    moved = u * w_x + v * w_y - friction
    return {"x": moved[0] + w_x[2], "y": moved[1] + w_y[2], "mass": w_x[0] + w_y[1]}


def sides(w: Any, x: Float[Array, " 2"]) -> Float[Array, " 2"]:
    """The velocity on the sides."""
    return (w(x) - exact(x))[:2]


def outlet(w: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """The pressure at one point."""
    return (w(x) - exact(x))[2]


def draw(key: Array) -> dict[str, Array]:
    """Points inside, on the sides, and the one of the pressure."""
    inside, around = jax.random.split(key)
    return {
        "flow": sampling.box(inside, LOWER, UPPER, 2000),
        "sides": sampling.box_faces(around, LOWER, UPPER, 100),
        "outlet": jnp.array([OUTLET]),
    }


kovasznay = Problem(
    name="kovasznay",
    title="Kovasznay flow, Navier-Stokes at Re = 40",
    terms={"flow": flow, "sides": sides, "outlet": outlet},
    draw=draw,
    reference=exact,
)
