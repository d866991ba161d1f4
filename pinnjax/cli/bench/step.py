"""One step, plain against balanced: `pinnjax bench step`.

The baseline is the step without balancers, in a scan. Beside it stands the same in a loop in Python, and what a careful
user would write without pinnjax: `jax.value_and_grad` of the summed loss and Adam, in a scan. Float32, points stay:

* W1: Helmholtz, the net 2-50-50-50-50-1, 128 points inside and 128 on each side.
* W2: the same with 8192 and 512.
* W5: Allen and Cahn's equation, four layers of 128, 8192 points inside and 256 at the start.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from pinnjax import nn, problems
from pinnjax.cli.bench import timing
from pinnjax.point_weights import self_adaptive
from pinnjax.problems import Problem
from pinnjax.term_weights import lr_annealing
from pinnjax.terms import bridge
from pinnjax.train.step import train_step


class Workload(NamedTuple):
    """What a step is taken of, and how many steps a call takes."""

    problem: Problem
    width: int
    points: dict[str, int]
    steps: int
    depth: int = 4

    @property
    def batch(self) -> dict[str, Any]:
        """Its points."""
        return self.problem.draw(jax.random.key(0), self.points, jnp.float32)

    @property
    def model(self) -> nn.MLP:
        """Its layers behind the problem's own inputs."""
        return nn.MLP(**{**self.problem.network, "width": self.width, "depth": self.depth}, rngs=nn.Rngs(0))


WORKLOADS = {
    "W1": Workload(problems.helmholtz, 50, {"pde": 128, "bc": 128}, 200),
    "W2": Workload(problems.helmholtz, 50, {"pde": 8192, "bc": 512}, 8),
    "W5": Workload(problems.allen_cahn, 128, {"pde": 8192, "ic": 256}, 4),
}


def run(rounds: int) -> dict[str, dict[str, timing.Timing]]:
    """Time the plain and the balanced steps on all workloads."""
    return {name: timing.compare(*_programs(work), rounds, _loops(work)) for name, work in WORKLOADS.items()}


def _programs(work: Workload) -> tuple[dict[str, tuple[Callable, Any]], int]:
    batch = work.batch
    variants: dict[str, dict[str, Any]] = {
        "plain": {},
        "lr_annealing, every step": {"term_weights": lr_annealing("pde", every=1)},
        "self_adaptive": {"point_weights": self_adaptive(1e-2)},
        "both": {"term_weights": lr_annealing("pde", every=1), "point_weights": self_adaptive(1e-2)},
    }
    programs: dict[str, tuple[Callable, Any]] = {}
    for name, options in variants.items():
        train = train_step(work.problem.terms, optax.adam(1e-3), **options)
        scan = lambda argument, train=train: jax.lax.scan(
            lambda s, _: train.update(s, argument[1]), argument[0], None, work.steps
        )
        programs[name] = (scan, (train.init(work.model, batch), batch))
    return programs | {"plain, written by hand": hand_written(work)}, work.steps


def _loops(work: Workload) -> dict[str, tuple[Callable, Any]]:
    train = train_step(work.problem.terms, optax.adam(1e-3))

    def loop(argument: Any) -> Any:
        state, batch = argument
        for _ in range(work.steps):
            state, metrics = train.update(state, batch)
        return state, metrics

    return {"plain, a loop in Python": (loop, (train.init(work.model, work.batch), work.batch))}


def hand_written(work: Workload) -> tuple[Callable, Any]:
    """A scan of what a careful user would write without pinnjax, and its argument."""
    definition, params, constants = bridge.split(work.model)
    optimizer = optax.adam(1e-3)

    def loss(params: Any, batch: dict[str, jax.Array]) -> jax.Array:
        u = bridge.field(definition, params, constants)
        means = [jnp.mean(jax.vmap(lambda x, f=f: f(u, x))(batch[t]) ** 2) for t, f in work.problem.terms.items()]
        return sum(means[1:], means[0])

    def step(carry: Any, batch: dict[str, jax.Array]) -> Any:
        params, state = carry
        value, grad = jax.value_and_grad(loss)(params, batch)
        updates, state = optimizer.update(grad, state, params)
        return (optax.apply_updates(params, updates), state), value

    def scan(argument: Any) -> Any:
        carry, batch = argument
        return jax.lax.scan(lambda c, _: step(c, batch), carry, None, work.steps)

    return scan, ((params, optimizer.init(params)), work.batch)
