"""Every rule of point space over the plain step: `pinnjax bench points`.

The workload is W2 of `pinnjax bench step` (Helmholtz, net 2-50-50-50-50-1, float32, 8192 points inside, 4 x 512 on the
sides). Rules run at every step but `inverse_point_gradients`, every ten, in calls of ten.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from pinnjax import point_weights, problems, sampling
from pinnjax.cli.bench import timing
from pinnjax.cli.bench.step import WORKLOADS
from pinnjax.problems.helmholtz import LOWER, UPPER
from pinnjax.sampling import Sampler
from pinnjax.train.step import train_step

PROBLEM = problems.helmholtz
POINTS = {"pde": 8192, "bc": 512}
STEPS = 10

RULES: dict[str, optax.GradientTransformation] = {
    "self_adaptive": point_weights.self_adaptive(1e-2),
    "residual_attention": point_weights.residual_attention(),
    "vrba": point_weights.vrba(),
    "brdr": point_weights.brdr(),
    "causal": point_weights.causal(["pde"], interval=(-1.0, 1.0)),
    "causal, sorted": point_weights.causal(["pde"], interval=(-1.0, 1.0), slices=None),
    "pecann": point_weights.pecann(["bc"]),
    "by_position": point_weights.by_position({"pde": lambda x: 1.0 + x[0] ** 2}),
    "inverse_point_gradients, every 10": point_weights.inverse_point_gradients(every=10),
}


def run(rounds: int) -> dict[str, dict[str, timing.Timing]]:
    """Time every rule on points that stay, and attention whose weights travel with minibatches of a pool."""
    batch = PROBLEM.draw(jax.random.key(0), POINTS, jnp.float32)
    programs = {"plain": _program(None, batch, None)}
    programs |= {name: _program(rule, batch, None) for name, rule in RULES.items()}
    pool = batch | {"pde": sampling.box(jax.random.key(1), LOWER, UPPER, 8 * POINTS["pde"], jnp.float32)}
    walking = sampling.minibatches(pool, {"pde": POINTS["pde"]})
    travelling = {
        "plain, minibatches": _program(None, None, walking),
        "residual_attention, travelling": _program(point_weights.residual_attention(), None, walking),
    }
    return {
        "W2": timing.compare(programs, STEPS, rounds),
        "W2 from a pool of 65536": timing.compare(travelling, STEPS, rounds),
    }


def _program(rule: Any, batch: Any, sampler: Sampler | None) -> tuple[Any, Any]:
    train = train_step(PROBLEM.terms, optax.adam(1e-3), point_weights=rule, sampler=sampler)

    def scan(argument: Any) -> Any:
        state, points = argument
        return jax.lax.scan(lambda s, _: train.update(s, points), state, None, STEPS)

    return scan, (train.init(WORKLOADS["W2"].model, batch, key=jax.random.key(2)), batch)
