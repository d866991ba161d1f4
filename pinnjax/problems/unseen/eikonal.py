"""Travel times from a circle in a medium of varying speed: |∇u| = s(x), u = 0 on |x| = 0.3, u known on |x| = 1.

u = (r - 0.3) (1 + 0.3 x) is given, and its slowness s follows. The equation alone does not know the sign of u; the
outer circle does.

References:
  Smith, Azizzadenesheli, Ross, `EikoNet: Solving the eikonal equation with deep neural networks
  <https://doi.org/10.1109/TGRS.2020.3039165>`_, IEEE Transactions on Geoscience and Remote Sensing 59, 2021.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.problems._problem import Problem

INNER, OUTER = 0.3, 1.0
RING = sampling.Difference(sampling.Disk((0.0, 0.0), OUTER), sampling.Disk((0.0, 0.0), INNER))


def exact(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """The travel time."""
    return (jnp.linalg.norm(x) - INNER) * (1 + 0.3 * x[0])


def pde(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual |∇u|² - s²."""
    return jnp.sum(jax.grad(u)(x) ** 2) - jnp.sum(jax.grad(exact)(x) ** 2)


def circles(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u - u* on both circles."""
    return u(x) - exact(x)


def draw(key: Array) -> dict[str, Array]:
    """Points in the ring and on its circles."""
    inside, around = jax.random.split(key)
    return {"pde": RING.inside(inside, 2000), "circles": RING.boundary(around, 200)[0]}


eikonal = Problem(
    name="eikonal",
    title="Travel times from a circle, |∇u| = s",
    terms={"pde": pde, "circles": circles},
    draw=draw,
    reference=exact,
)
