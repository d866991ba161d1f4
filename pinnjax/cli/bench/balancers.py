"""Every balancer's step over the plain step: `pinnjax bench balancers`.

The workloads are those of `pinnjax bench step`'s W2 (Helmholtz, net 2-50-50-50-50-1, float32, 8192 points inside, 4 x
512 on the sides) with two terms, and with six that own their points: the equation, each side, and 2048 points of data
inside. Rules run at every step, whatever their default; `ntk` also every 100 steps, as it is meant to.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from pinnjax import problems, sampling, term_weights
from pinnjax.cli.bench import timing
from pinnjax.cli.bench.step import WORKLOADS
from pinnjax.problems.helmholtz import LOWER, UPPER, exact
from pinnjax.train.step import train_step

PROBLEM = problems.helmholtz
STEPS = 8
SELDOM_STEPS = 100

RULES: dict[str, optax.GradientTransformation] = {
    "fixed": term_weights.fixed({}),
    "lr_annealing": term_weights.lr_annealing("pde", every=1),
    "grad_norm_ratio": term_weights.grad_norm_ratio(every=1),
    "gradnorm": term_weights.gradnorm(),
    "inverse_dirichlet": term_weights.inverse_dirichlet(every=1),
    "db_pinn": term_weights.db_pinn("pde", every=1),
    "relobralo": term_weights.relobralo(),
    "softadapt": term_weights.softadapt(),
    "dwa": term_weights.dwa(),
    "uncertainty": term_weights.uncertainty(),
    "minimax": term_weights.minimax(),
    "augmented_lagrangian": term_weights.augmented_lagrangian("pde"),
    "van_der_meer": term_weights.van_der_meer("pde", {"pde": 4.0}),
    "brdr_scale": term_weights.brdr_scale(),
    "random": term_weights.random(),
    "ntk": term_weights.ntk(every=1),
    "pcgrad": term_weights.pcgrad(),
    "mgda": term_weights.mgda(),
    "cagrad": term_weights.cagrad(),
    "imtl_g": term_weights.imtl_g(),
    "nash_mtl": term_weights.nash_mtl(),
    "aligned_mtl": term_weights.aligned_mtl(),
    "upgrad": term_weights.upgrad(),
    "dcgd": term_weights.dcgd("pde"),
    "config": term_weights.config(),
    "m_config": term_weights.m_config(),
    "multiadam": term_weights.multiadam(),
}
# Dear ones run as often as they are meant to.
SELDOM: dict[str, optax.GradientTransformation] = {"ntk": term_weights.ntk(every=SELDOM_STEPS)}
OPTIMIZERS = {"m_config": optax.sgd, "multiadam": optax.sgd}  # these are Adam already


def run(rounds: int) -> dict[str, dict[str, timing.Timing]]:
    """Time every rule on both workloads, and NTK weights over a hundred steps."""
    results = {}
    for workload, (terms, batch) in {"W2, 2 terms": _two(), "W2, 6 terms": _six()}.items():
        programs = {"plain": _program(terms, batch, None, optax.adam, STEPS)}
        for name, rule in RULES.items():
            programs[name] = _program(terms, batch, rule, OPTIMIZERS.get(name, optax.adam), STEPS)
        results[workload] = timing.compare(programs, STEPS, rounds)
    terms, batch = _two()
    programs = {"plain": _program(terms, batch, None, optax.adam, SELDOM_STEPS)}
    for name, rule in SELDOM.items():
        programs[f"{name}, every {SELDOM_STEPS}"] = _program(terms, batch, rule, optax.adam, SELDOM_STEPS)
    results[f"W2, 2 terms, {SELDOM_STEPS} steps"] = timing.compare(programs, SELDOM_STEPS, max(3, rounds // 3))
    return results


def _two() -> tuple[dict[str, Any], dict[str, jax.Array]]:
    return dict(PROBLEM.terms), PROBLEM.draw(jax.random.key(0), {"pde": 8192, "bc": 512}, jnp.float32)


def _six() -> tuple[dict[str, Any], dict[str, jax.Array]]:
    terms, batch = _two()
    bc, sides = terms.pop("bc"), batch.pop("bc")
    for i in range(4):
        terms[f"side {i}"], batch[f"side {i}"] = bc, sides[512 * i : 512 * (i + 1)]
    terms["data"] = lambda u, x: u(x) - exact(x)
    batch["data"] = sampling.box(jax.random.key(1), LOWER, UPPER, 2048, jnp.float32)
    return terms, batch


def _program(
    terms: dict[str, Any], batch: dict[str, jax.Array], rule: Any, optimizer: Callable, steps: int
) -> tuple[Callable, Any]:
    train = train_step(terms, optimizer(1e-3), term_weights=rule)

    def scan(argument: Any) -> Any:
        state, points = argument
        return jax.lax.scan(lambda s, _: train.update(s, points), state, None, steps)

    return scan, (train.init(WORKLOADS["W2"].model, batch), batch)
