"""Regression of a front, f(x) = tanh(20x), from thirty points: hard points that an average drowns.

There is no equation and one term, so whatever goes wrong is between points: three or four of thirty lie in the front.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn
from pinnjax.problems._problem import Problem, Recipe

STEEPNESS = 20.0
FRONT = 0.15  # the front is |x| < 0.15, where tanh(20x) is not ±1 to three digits


def data(u: Callable, x: Float[Array, " 1"]) -> Float[Array, ""]:
    """Residual u(x) - tanh(20x)."""
    return u(x) - jnp.tanh(STEEPNESS * x[0])


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """`points["data"]` equidistant points; nothing is random."""
    del key
    dtype = jnp.result_type(float) if dtype is None else dtype
    return {"data": jnp.linspace(-1, 1, points["data"], dtype=dtype)[:, None]}


def front_over_rest(u: Callable[[Array], Array]) -> dict[str, Array]:
    """Mean |residual| in the front over that elsewhere, on the test grid: the centre/outer ratio."""
    x = jnp.asarray(GRID, jnp.result_type(float))
    size = jnp.abs(jax.vmap(lambda point: data(u, point))(x))
    front = jnp.abs(x[:, 0]) < FRONT
    inside = jnp.sum(jnp.where(front, size, 0)) / jnp.sum(front)
    outside = jnp.sum(jnp.where(front, 0, size)) / jnp.sum(~front)
    return {"front_over_rest": inside / outside}


def constant(steps: int) -> float:
    """1e-3, however long the run."""
    del steps
    return 1e-3


GRID = np.linspace(-1.0, 1.0, 401)[:, None]

tanh = Problem(
    name="tanh",
    title="Regression of tanh(20x) on [-1, 1] from 30 equidistant points",
    source="-",
    terms={"data": data},
    balance_against="data",
    draw=draw,
    points={"data": 30},
    network={"in_features": 1, "out_features": "scalar", "width": 20, "depth": 2},
    grid=GRID,
    reference=np.tanh(STEEPNESS * GRID[:, 0]),
    grid_shape=(401,),
    recipes={"plain": Recipe("every point with weight 1", nn.MLP, constant, 2000)},
    default_methods=("plain",),
    measure=front_over_rest,
)
