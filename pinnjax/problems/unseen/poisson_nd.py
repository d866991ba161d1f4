"""Poisson's equation in three and in five dimensions, Δu = f on [0, 1]^d with u given on the sides.

In three dimensions u = sin πx sin πy sin πz, in five u = Σ x_i² x_{i+1} + cos Σ x_i, where the last neighbour is x_1.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import laplacian
from pinnjax.problems._problem import Problem


def waves(x: Float[Array, " d"]) -> Float[Array, ""]:
    """One half wave in each direction."""
    return jnp.prod(jnp.sin(jnp.pi * x))


def neighbours(x: Float[Array, " d"]) -> Float[Array, ""]:
    """Each coordinate with the next, and all together."""
    return jnp.sum(x**2 * jnp.roll(x, -1)) + jnp.cos(jnp.sum(x))


def _problem(d: int, exact: Callable[[Array], Array]) -> Problem:
    low, high = (0.0,) * d, (1.0,) * d

    def pde(u: Any, x: Float[Array, " d"]) -> Float[Array, ""]:
        return laplacian(u)(x) - laplacian(exact)(x)

    def draw(key: Array) -> dict[str, Array]:
        inside, sides = jax.random.split(key)
        return {
            "pde": sampling.box(inside, low, high, 2000),
            "bc": sampling.box_faces(sides, low, high, 100),
        }

    return Problem(
        name=f"poisson_{d}d",
        title=f"Poisson's equation in {d} dimensions",
        terms={"pde": pde, "bc": lambda u, x: u(x) - exact(x)},
        draw=draw,
        reference=exact,
    )


poisson_3d, poisson_5d = _problem(3, waves), _problem(5, neighbours)
