"""A step of many small networks, by the number of windows: `pinnjax bench windows`.

The step is Adam's with the residual u'' - 1 or Δu - 1 on points that stay, float32, two hidden layers of 16 in every
window. The number of points is the same throughout, so that the ratio says what a window costs that no point is in. At
the end stands one network of as many parameters as the most windows have.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from pinnjax import nn, sampling
from pinnjax.cli.bench import timing
from pinnjax.derivatives import laplacian
from pinnjax.train.step import train_step

POINTS = 1024
STEPS = 10
NETWORK: dict[str, Any] = {"width": 16, "depth": 2}
NUMBERS = {1: (4, 8, 16, 32, 64), 2: (2, 4, 8)}  # by dimension: along each axis
AS_MANY: dict[str, Any] = {"width": 82, "depth": 4}  # 20 747 parameters on the line, where 64 windows have 20 544


def run(rounds: int) -> dict[str, dict[str, timing.Timing]]:
    """Time a step by the number of windows, on a line and on a square."""
    return {
        f"{POINTS} points, {'line' if d == 1 else 'square'}": timing.compare(_programs(d, numbers), STEPS, rounds)
        for d, numbers in NUMBERS.items()
    }


def model(d: int, number: int) -> nn.FBPINN:
    """So many windows along every axis of the unit cube."""
    return nn.FBPINN([0.0] * d, [1.0] * d, "scalar", windows=[number], **NETWORK, rngs=nn.Rngs(0))


def _programs(d: int, numbers: tuple[int, ...]) -> dict[str, tuple[Callable[..., Any], Any]]:
    batch = {"pde": sampling.box(jax.random.key(0), [0.0] * d, [1.0] * d, POINTS, jnp.float32)}
    programs = {f"{number**d} windows": _program(model(d, number), batch) for number in numbers}
    return programs | {"one network": _program(nn.MLP(d, "scalar", **AS_MANY, rngs=nn.Rngs(0)), batch)}


def _program(model: nn.Module, batch: dict[str, jax.Array]) -> tuple[Callable[..., Any], Any]:
    train = train_step({"pde": lambda u, x: laplacian(u)(x) - 1.0}, optax.adam(1e-3))

    def scan(argument: Any) -> Any:
        state, points = argument
        return jax.lax.scan(lambda s, _: train.update(s, points), state, None, STEPS)

    return scan, (train.init(model, batch), batch)
