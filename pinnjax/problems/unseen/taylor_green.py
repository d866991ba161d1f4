"""Taylor-Green vortices that decay: Navier-Stokes in two dimensions and time, ν = 0.1, on [0, π]².

u = -cos x sin y e^{-2νt}, v = sin x cos y e^{-2νt}, p = -(cos 2x + cos 2y) e^{-4νt} / 4; the velocity is given at the
start and on the sides, and the pressure, which is known up to a function of time, at one corner.

References:
  Taylor, Green, `Mechanism of the production of small eddies from large ones
  <https://doi.org/10.1098/rspa.1937.0036>`_, Proceedings of the Royal Society A 158, 1937.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import diff
from pinnjax.problems._problem import Problem

VISCOSITY = 0.1
LOWER, UPPER = (0.0, 0.0, 0.0), (1.0, float(jnp.pi), float(jnp.pi))  # of (t, x, y)


def exact(x: Float[Array, " 3"]) -> Float[Array, " 3"]:
    """Velocity and pressure."""
    t, x, y = x
    slower = jnp.exp(-2 * VISCOSITY * t)
    return jnp.stack(
        [
            -jnp.cos(x) * jnp.sin(y) * slower,
            jnp.sin(x) * jnp.cos(y) * slower,
            -(jnp.cos(2 * x) + jnp.cos(2 * y)) * slower**2 / 4,
        ]
    )


def flow(w: Any, x: Float[Array, " 3"]) -> dict[str, Array]:
    """Momentum and mass."""
    u, v, _ = w(x)
    w_t, w_x, w_y = diff(w, 0)(x), diff(w, 1)(x), diff(w, 2)(x)
    friction = VISCOSITY * (diff(w, 1, 1)(x) + diff(w, 2, 2)(x))
    moved = w_t + u * w_x + v * w_y - friction
    return {"x": moved[0] + w_x[2], "y": moved[1] + w_y[2], "mass": w_x[0] + w_y[1]}


def velocity(w: Any, x: Float[Array, " 3"]) -> Float[Array, " 2"]:
    """The velocity at the start and on the sides."""
    return (w(x) - exact(x))[:2]


def pressure(w: Any, x: Float[Array, " 3"]) -> Float[Array, ""]:
    """The pressure at a corner, at all times."""
    return (w(x) - exact(x))[2]


def draw(key: Array) -> dict[str, Array]:
    """Points inside, at the start, on the four sides, and at the corner."""
    inside, start, sides, corner = jax.random.split(key, 4)
    face = lambda i, at: sampling.box(
        jax.random.fold_in(sides, 2 * i + at),
        [LOWER[j] if j != i else (LOWER, UPPER)[at][i] for j in range(3)],
        [UPPER[j] if j != i else (LOWER, UPPER)[at][i] for j in range(3)],
        100,
    )
    return {
        "flow": sampling.box(inside, LOWER, UPPER, 2000),
        "start": sampling.box(start, LOWER, (0.0, *UPPER[1:]), 200),
        "sides": jnp.concatenate([face(i, at) for i in (1, 2) for at in (0, 1)]),
        "corner": sampling.box(corner, LOWER, (1.0, 0.0, 0.0), 50),
    }


taylor_green = Problem(
    name="taylor_green",
    title="Taylor-Green vortices, Navier-Stokes with ν = 0.1",
    terms={"flow": flow, "start": velocity, "sides": velocity, "corner": pressure},
    draw=draw,
    reference=exact,
    time=0,
)
