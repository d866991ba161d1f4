"""Beltrami flow: Navier-Stokes in three dimensions and time, ν = 1, on [-1, 1]³ and t in [0, 1], velocity on all sides.

With a = d = 1, (u, v, w) and p of (t, x, y, z) are the exact solution of Ethier and Steinman, in which curl and
velocity are parallel.

References:
  Ethier, Steinman, `Exact fully 3D Navier-Stokes solutions for benchmarking
  <https://doi.org/10.1002/fld.1650190502>`_, International Journal for Numerical Methods in Fluids 19, 1994.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import diff, laplacian
from pinnjax.problems._problem import Problem

LOWER, UPPER = (-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)
CORNER = (1.0, 1.0, 1.0)  # where the pressure is given, at all times


def exact(x: Float[Array, " 4"]) -> Float[Array, " 4"]:
    """Velocity and pressure."""
    t, place = x[0], x[1:]
    one, two, three = (jnp.roll(place, -k) for k in range(3))  # (x, y, z), (y, z, x), (z, x, y)
    growth = jnp.exp(place)
    velocity = -(growth * jnp.sin(two + three) + jnp.exp(three) * jnp.cos(one + two)) * jnp.exp(-t)
    mixed = 2 * jnp.sin(one + two) * jnp.cos(three + one) * jnp.exp(two + three)
    pressure = -0.5 * jnp.sum(growth**2 + mixed) * jnp.exp(-2 * t)
    return jnp.append(velocity, pressure)


def flow(w: Any, x: Float[Array, " 4"]) -> dict[str, Array]:
    """Momentum and mass."""
    velocity, slopes = w(x)[:3], [diff(w, i)(x) for i in range(1, 4)]
    moved = diff(w, 0)(x) + sum(c * slope for c, slope in zip(velocity, slopes, strict=True))
    force = moved[:3] + jnp.stack([slope[3] for slope in slopes]) - laplacian(w, axes=(1, 2, 3))(x)[:3]
    return {"momentum": force, "mass": sum(slope[i] for i, slope in enumerate(slopes))}


def velocity(w: Any, x: Float[Array, " 4"]) -> Float[Array, " 3"]:
    """The velocity on the sides, and at t = 0."""
    return (w(x) - exact(x))[:3]


def corner(w: Any, x: Float[Array, " 4"]) -> Float[Array, ""]:
    """The pressure in one corner."""
    return (w(x) - exact(x))[3]


def draw(key: Array) -> dict[str, Array]:
    """Points inside, on the sides, at t = 0, and in the corner."""
    keys = jax.random.split(key, 4)
    sides = sampling.box_faces(keys[0], LOWER, UPPER, 200)
    times = sampling.box(keys[1], [0.0], [1.0], len(sides))
    return {
        "flow": sampling.box(keys[2], (0.0, *LOWER), (1.0, *UPPER), 3000),
        "sides": jnp.concatenate([times, sides], axis=1),
        "start": sampling.box(keys[3], (0.0, *LOWER), (0.0, *UPPER), 500),
        "corner": jnp.concatenate([times[:100], jnp.tile(jnp.asarray(CORNER, times.dtype), (100, 1))], axis=1),
    }


beltrami = Problem(
    name="beltrami",
    title="Beltrami flow, Navier-Stokes in three dimensions and time, ν = 1",
    terms={"flow": flow, "sides": velocity, "start": velocity, "corner": corner},
    draw=draw,
    reference=exact,
)
