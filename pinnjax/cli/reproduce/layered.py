"""A coefficient that jumps by a factor of 1000: (k u')' + f = 0 on [0, 1], k = 1 on the left and 1000 on the right.

u is continuous at x = 1/2, and so is the flux k u', while the slope u' falls to a thousandth. With f = 10 sin ax,
a = 3π, and G its second integral, k u' = c - G' and u = (c x - G) / k, but for constants, in each layer.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import diff
from pinnjax.problems import Problem

COEFFICIENTS = (1.0, 1000.0)
LAYERS = [sampling.Box((0.0,), (0.5,)), sampling.Box((0.5,), (1.0,))]
RATE = 3 * jnp.pi


def _source(x: Array) -> Array:
    return 10 * jnp.sin(RATE * x[0])


def _twice_integrated(s: Any) -> Any:
    """G, with G'' = f and G(0) = G'(0) = 0."""
    return 10 / RATE * (s - jnp.sin(RATE * s) / RATE)


def exact(x: Float[Array, " 1"]) -> Float[Array, ""]:
    """u, with u(0) = 0 and u(1) = 1."""
    (left, right), g = COEFFICIENTS, _twice_integrated
    c = (1 + (g(1.0) - g(0.5)) / right + g(0.5) / left) / (0.5 / left + 0.5 / right)
    on_left, on_right = (c * x[0] - g(x[0])) / left, 1 + (c * (x[0] - 1) - g(x[0]) + g(1.0)) / right
    return jnp.where(x[0] < 0.5, on_left, on_right)


def in_layer(i: int) -> Any:
    """Residual k u'' + f of one layer."""
    return lambda u, x: COEFFICIENTS[i] * diff(u, 0, 0)(x) + _source(x)


def pde(u: Any, x: Float[Array, " 1"]) -> Float[Array, ""]:
    """The residual wherever x is, for one network: it does not see that the flux is continuous."""
    return jnp.where(x[0] < 0.5, *COEFFICIENTS) * diff(u, 0, 0)(x) + _source(x)


def bc(u: Any, x: Float[Array, " 1"]) -> Float[Array, ""]:
    """Residual u - x at both ends."""
    return u(x) - x[0]


def draw(key: Array) -> dict[str, Array]:
    """Points inside, and both ends."""
    inside = jax.random.uniform(key, (3000, 1))
    return {"pde": inside, "bc": jnp.array([[0.0], [1.0]])}


layered = Problem(
    name="layered",
    title="Two layers, k = 1 and 1000",
    terms={"pde": pde, "bc": bc},
    draw=draw,
    reference=exact,
)
