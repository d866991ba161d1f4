"""One step, plain against balanced: `pinnjax bench step`.

The baseline is the step without balancers. Beside it stands what a careful user would write without pinnjax:
`jax.value_and_grad` of the summed loss and Adam. The workloads are Helmholtz with the net 2-50-50-50-50-1 in float32 on
points that stay: W1 with 128 points inside and 128 on each side, W2 with 8192 and 512.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from pinnjax import nn, problems
from pinnjax.cli.bench import timing
from pinnjax.point_weights import self_adaptive
from pinnjax.term_weights import lr_annealing
from pinnjax.terms import bridge
from pinnjax.train.step import train_step

WORKLOADS = {"W1": ({"pde": 128, "bc": 128}, 200), "W2": ({"pde": 8192, "bc": 512}, 8)}
PROBLEM = problems.helmholtz


def run(rounds: int) -> dict[str, dict[str, timing.Timing]]:
    """Time the plain and the balanced steps on both workloads."""
    return {
        name: timing.compare(_programs(points, steps), steps, rounds) for name, (points, steps) in WORKLOADS.items()
    }


def _programs(points: dict[str, int], steps: int) -> dict[str, tuple[Callable, Any]]:
    batch = PROBLEM.draw(jax.random.key(0), points, jnp.float32)
    variants: dict[str, dict[str, Any]] = {
        "plain": {},
        "lr_annealing, every step": {"term_weights": lr_annealing("pde", every=1)},
        "self_adaptive": {"point_weights": self_adaptive(1e-2)},
        "both": {"term_weights": lr_annealing("pde", every=1), "point_weights": self_adaptive(1e-2)},
    }
    programs: dict[str, tuple[Callable, Any]] = {}
    for name, options in variants.items():
        train = train_step(PROBLEM.terms, optax.adam(1e-3), **options)
        scan = lambda argument, train=train: jax.lax.scan(
            lambda s, _: train.update(s, argument[1]), argument[0], None, steps
        )
        programs[name] = (scan, (train.init(model(), batch), batch))
    return programs | {"plain, written by hand": _hand_written(batch, steps)}


def model() -> nn.MLP:
    """The net 2-50-50-50-50-1."""
    return nn.MLP(**{**PROBLEM.network, "depth": 4}, rngs=nn.Rngs(0))


def _hand_written(batch: dict[str, jax.Array], steps: int) -> tuple[Callable, Any]:
    definition, params, constants = bridge.split(model())
    optimizer = optax.adam(1e-3)

    def loss(params: Any, batch: dict[str, jax.Array]) -> jax.Array:
        u = bridge.field(definition, params, constants)
        means = [jnp.mean(jax.vmap(lambda x, f=f: f(u, x))(batch[t]) ** 2) for t, f in PROBLEM.terms.items()]
        return sum(means[1:], means[0])

    def step(carry: Any, batch: dict[str, jax.Array]) -> Any:
        params, state = carry
        value, grad = jax.value_and_grad(loss)(params, batch)
        updates, state = optimizer.update(grad, state, params)
        return (optax.apply_updates(params, updates), state), value

    def scan(argument: Any) -> Any:
        carry, batch = argument
        return jax.lax.scan(lambda c, _: step(c, batch), carry, None, steps)

    return scan, ((params, optimizer.init(params)), batch)
