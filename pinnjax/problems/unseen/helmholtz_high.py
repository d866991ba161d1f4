"""Helmholtz' equation Δu + u = q on [-1, 1]², u = sin aπx sin aπy, with more waves than the library's: a = 6 and 10.

References:
  Wang, Teng, Perdikaris, `Understanding and mitigating gradient pathologies in physics-informed neural networks
  <https://arxiv.org/abs/2001.04536>`_, SIAM Journal on Scientific Computing 43(5), 2021: Section 3.1 (a₁ = 1, a₂ = 4).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import laplacian
from pinnjax.problems._problem import Problem

LOWER, UPPER = (-1.0, -1.0), (1.0, 1.0)


def helmholtz_with(a: int) -> Problem:
    """The problem with a half waves in each direction and unit length."""

    def exact(x: Float[Array, " 2"]) -> Float[Array, ""]:
        return jnp.sin(a * jnp.pi * x[0]) * jnp.sin(a * jnp.pi * x[1])

    def pde(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
        return laplacian(u)(x) + u(x) - (1 - 2 * (a * jnp.pi) ** 2) * exact(x)

    return Problem(
        name=f"helmholtz_{a}",
        title=f"Helmholtz' equation with u = sin {a}πx sin {a}πy",
        terms={"pde": pde, "bc": lambda u, x: u(x)},
        draw=draw,
        reference=exact,
    )


def draw(key: Array) -> dict[str, Array]:
    """Points inside and on the sides."""
    inside, sides = jax.random.split(key)
    return {
        "pde": sampling.box(inside, LOWER, UPPER, 3000),
        "bc": sampling.box_faces(sides, LOWER, UPPER, 100),
    }


helmholtz_6, helmholtz_10 = helmholtz_with(6), helmholtz_with(10)
