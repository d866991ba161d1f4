"""Advection and diffusion with a boundary layer in two dimensions: -0.05 Δu + u_x = f on [0, 1]², u = 0 on the sides.

u = (x - (e^{(x-1)/ε} - e^{-1/ε}) / (1 - e^{-1/ε})) sin πy: a layer of width ε at x = 1.

References:
  Roos, Stynes, Tobiska, Robust Numerical Methods for Singularly Perturbed Differential Equations, 2008: Chapter III.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import diff, laplacian
from pinnjax.problems._problem import Problem

EPSILON = 0.05


def across(x: Array) -> Array:
    """The factor of x, which satisfies -ε f'' + f' = 1."""
    last = np.exp(-1 / EPSILON)
    return x - (jnp.exp((x - 1) / EPSILON) - last) / (1 - last)


def exact(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """The solution."""
    return across(x[0]) * jnp.sin(jnp.pi * x[1])


def pde(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual -ε Δu + u_x - f."""
    f = jnp.sin(jnp.pi * x[1]) * (1 + EPSILON * jnp.pi**2 * across(x[0]))
    return -EPSILON * laplacian(u)(x) + diff(u, 0)(x) - f


def bc(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u."""
    return u(x)


def draw(key: Array) -> dict[str, Array]:
    """Points inside and on the sides."""
    inside, sides = jax.random.split(key)
    return {
        "pde": sampling.box(inside, (0.0, 0.0), (1.0, 1.0), 2000),
        "bc": sampling.box_faces(sides, (0.0, 0.0), (1.0, 1.0), 50),
    }


boundary_layer = Problem(
    name="boundary_layer",
    title="Advection and diffusion with a boundary layer, -0.05 Δu + u_x = f",
    terms={"pde": pde, "bc": bc},
    draw=draw,
    reference=exact,
)
