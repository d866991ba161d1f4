"""Sixteen seeds in one program, over one after the other: `pinnjax bench seeds`.

The step is Adam's in float32 on points that stay: the harmonic oscillator's (50 points and one, three layers of 32) and
W1 of `pinnjax bench step`. One after the other is a loop over seeds in the same program; at once is `jax.vmap` over the
states, as `pinnjax race` and `pj.fit` of stacked states do it. A step is one of all seeds.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from pinnjax import nn, problems
from pinnjax.cli.bench import timing
from pinnjax.cli.bench.step import WORKLOADS, Workload
from pinnjax.train.step import train_step

SEEDS, STEPS = 16, 20
SMALL = {
    "harmonic, 3x32": Workload(problems.harmonic, 32, {"pde": 50, "ic": 1}, STEPS, 3),
    "W1, 4x50": WORKLOADS["W1"]._replace(steps=STEPS),
}


def run(rounds: int) -> dict[str, dict[str, timing.Timing]]:
    """Time both ways on small networks."""
    return {name: timing.compare(_programs(work), work.steps, rounds) for name, work in SMALL.items()}


def _programs(work: Workload) -> dict[str, tuple[Any, Any]]:
    train, batch = train_step(work.problem.terms, optax.adam(1e-3)), work.batch
    network = {**work.problem.network, "width": work.width, "depth": work.depth}
    states = [train.init(nn.MLP(**network, rngs=nn.Rngs(seed)), batch) for seed in range(SEEDS)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)

    def steps(state: Any, batch: Any) -> Any:
        return jax.lax.scan(lambda s, _: train.update(s, batch), state, None, work.steps)

    one_by_one = lambda argument: jax.lax.map(lambda state: steps(state, argument[1]), argument[0])
    at_once = lambda argument: jax.vmap(steps, (0, None))(*argument)
    return {
        f"{SEEDS} seeds, one after the other": (one_by_one, (stacked, batch)),
        f"{SEEDS} seeds at once": (at_once, (stacked, batch)),
    }
