"""A square plate under a load, simply supported: Δ²u = q, with u = 0 and u_nn = 0 on the sides; u = sin πx sin πy.

References:
  Timoshenko, Woinowsky-Krieger, Theory of Plates and Shells, 1959: Section 5 (Navier's solution).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import diff
from pinnjax.problems._problem import Problem


def exact(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """The deflection."""
    return jnp.sin(jnp.pi * x[0]) * jnp.sin(jnp.pi * x[1])


def plate_equation(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_xxxx + 2 u_xxyy + u_yyyy - q."""
    fourth = diff(u, 0, 0, 0, 0)(x) + 2 * diff(u, 0, 0, 1, 1)(x) + diff(u, 1, 1, 1, 1)(x)
    return fourth - 4 * jnp.pi**4 * exact(x)


def supported(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u."""
    return u(x)


def free_to_turn(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual Δu, which is u_nn where u = 0 along the side."""
    return diff(u, 0, 0)(x) + diff(u, 1, 1)(x)


def draw(key: Array) -> dict[str, Array]:
    """Points inside and on the sides."""
    inside, one, two = jax.random.split(key, 3)
    sides = lambda key: sampling.box_faces(key, [0.0, 0.0], [1.0, 1.0], 50)
    return {
        "plate": sampling.box(inside, [0.0, 0.0], [1.0, 1.0], 1000),
        "supported": sides(one),
        "free_to_turn": sides(two),
    }


plate = Problem(
    name="plate",
    title="A plate under a load, Δ²u = q",
    terms={"plate": plate_equation, "supported": supported, "free_to_turn": free_to_turn},
    draw=draw,
    reference=exact,
)
