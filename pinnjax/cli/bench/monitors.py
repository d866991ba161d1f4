"""Monitors over the plain step: `pinnjax bench monitors`.

The workload is W2 of `pinnjax bench step` (Helmholtz, net 2-50-50-50-50-1, float32, 8192 points inside, 4 x 512 on the
sides): the cheap monitors at every step, and all of them every 100, in calls of 100.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from pinnjax import monitors, problems
from pinnjax.cli.bench import timing
from pinnjax.cli.bench.step import WORKLOADS
from pinnjax.train.monitor import Monitor
from pinnjax.train.step import train_step

PROBLEM = problems.helmholtz
POINTS = {"pde": 8192, "bc": 512}
EVERY = 100

# Every monitor as `pinnjax bench` times it, from points that training does not see.
MONITORS: dict[str, Callable[[Mapping[str, jax.Array]], Monitor]] = {
    "gradients": lambda fresh: monitors.gradients(every=EVERY),
    "homogeneity": lambda fresh: monitors.homogeneity(every=EVERY),
    "time_losses": lambda fresh: monitors.time_losses("pde", (-1.0, 1.0), every=EVERY),
    "saturation": lambda fresh: monitors.saturation(term="pde", every=EVERY),
    "point_grad_norms": lambda fresh: monitors.point_grad_norms(every=EVERY),
    "signal_to_noise": lambda fresh: monitors.signal_to_noise(every=EVERY),
    "tangent_kernel": lambda fresh: monitors.tangent_kernel(every=EVERY),
    "curvature": lambda fresh: monitors.curvature(every=EVERY),
    "test_train_ratio": lambda fresh: monitors.test_train_ratio(fresh, every=EVERY),
    "error_by_mode": lambda fresh: monitors.error_by_mode(
        jnp.asarray(PROBLEM.grid), jnp.asarray(PROBLEM.reference), PROBLEM.grid_shape, every=EVERY
    ),
}


def run(rounds: int) -> dict[str, dict[str, timing.Timing]]:
    """Time the cheap monitors at every step, and each and all of them every 100."""
    batch = PROBLEM.draw(jax.random.key(0), POINTS, jnp.float32)
    fresh = PROBLEM.draw(jax.random.key(1), POINTS, jnp.float32)
    cheap = [monitors.gradients(), monitors.homogeneity(), monitors.time_losses("pde", (-1.0, 1.0))]
    dear = {name: make(fresh) for name, make in MONITORS.items()}
    few = {"plain": _program((), batch, 10), "the cheap ones": _program(cheap, batch, 10)}
    many = {"plain": _program((), batch, EVERY)}
    many |= {name: _program([monitor], batch, EVERY) for name, monitor in dear.items()}
    many["all"] = _program(list(dear.values()), batch, EVERY)
    return {
        "W2, every step": timing.compare(few, 10, rounds),
        f"W2, every {EVERY} steps": timing.compare(many, EVERY, rounds),
    }


def _program(chosen: Sequence[Monitor], batch: Any, steps: int) -> tuple[Any, Any]:
    train = train_step(PROBLEM.terms, optax.adam(1e-3), monitors=chosen)

    def scan(argument: Any) -> Any:
        state, points = argument
        return jax.lax.scan(lambda s, _: train.update(s, points), state, None, steps)

    return scan, (train.init(WORKLOADS["W2"].model, batch), batch)
