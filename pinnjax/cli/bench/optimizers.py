"""Where the time of a second-order step goes, by the number of parameters: `pinnjax bench optimizers`.

The workload is Klein-Gordon in float64 with 1000 points inside, 100 at the start and at each end, 1400 residuals, and
networks of three layers; a third of the rounds asked for. An iteration is the sum of the value and gradient that every
step has, the Jacobian J (Gauss-Newton), the matrix work, and the search, which is the rest: the losses that are tried.
The matrix work is that of the same optimiser with a loss that costs nothing: quasi-Newton methods take a norm of the
parameters, Gauss-Newton a J that is given.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from pinnjax import nn, optimizers
from pinnjax.cli.bench import timing
from pinnjax.cli.bench.compile import PROBLEM, double
from pinnjax.terms import bridge, losses, point_gradients
from pinnjax.train.state import TrainState, TrainStep
from pinnjax.train.step import train_step

WIDTHS = (11, 21, 37, 53)  # of three layers: 309, 1009, 2961 and 5937 parameters
POINTS = {"pde": 1000, "ic": 100, "bc": 100}
ADAM, BEFORE = 100, 5  # steps of Adam, then iterations of the method, before the one that is timed
OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "lbfgs": optax.lbfgs,
    "ssbroyden": optimizers.ssbroyden,
    "gauss_newton": optimizers.gauss_newton,
}
BASE = "value and gradient"


class Split(NamedTuple):
    """An iteration: its seconds, and over the time of a value and gradient its parts.

    Attributes:
        step: seconds.
        ratio: of the iteration.
        jacobian: of J; zero where there is none.
        matrix: of the matrix work.
        search: of the rest.
        trials: losses, or radii, that were tried.
    """

    step: float
    ratio: float
    jacobian: float
    matrix: float
    search: float
    trials: int

    def cells(self) -> dict[str, str]:
        """As a row of a table."""
        shares = {"ratio": self.ratio, "J": self.jacobian, "matrix": self.matrix, "search": self.search}
        return {
            "ms": f"{self.step * 1e3:.2f}",
            **{name: f"{share:.2f}" for name, share in shares.items()},
            "trials": str(self.trials),
        }


def run(rounds: int) -> dict[str, dict[str, Split]]:
    """Time the pieces in turns, for each number of parameters."""
    with double():
        return dict(_split(width, rounds) for width in WIDTHS)


def _split(width: int, rounds: int) -> tuple[str, dict[str, Split]]:
    network = {**PROBLEM.network, "width": width, "depth": 3}
    batch = PROBLEM.draw(jax.random.key(0), POINTS, jnp.float64)
    model = _after(optax.adam(1e-3), nn.MLP(**network, param_dtype=jnp.float64, rngs=nn.Rngs(0)), batch, ADAM)[2]
    definition, params, constants = bridge.split(model)
    gradients = losses.value_and_grads(PROBLEM.terms, definition, constants)
    jacobian = point_gradients.point_jacobians(PROBLEM.terms, definition, constants)
    programs: dict[str, tuple[Callable[..., Any], Any]] = {
        BASE: (lambda p: gradients(p, batch), params),
        "J": (lambda p: jacobian(p, batch), params),
    }
    trials = {}
    for name, make in OPTIMIZERS.items():
        train, state, _ = _after(make(), model, batch, BEFORE)
        programs[name] = (lambda s, train=train: train.update(s, batch), state)
        after = train.update(state, batch)[0].optimizer
        trials[name] = int(optax.tree.get(after, "num_linesearch_steps" if name == "lbfgs" else "trials"))
        if name == "gauss_newton":
            same = optimizers.gauss_newton(trials=max(1, trials[name]))
            programs[f"{name}, matrix"] = _linear(same, params, jax.jit(jacobian)(params, batch))
        else:
            programs[f"{name}, matrix"] = _quadratic(make(), params)
    timings = timing.compare(programs, 1, max(1, rounds // 3))
    rows = {}
    for name in OPTIMIZERS:
        whole, matrix = timings[name], timings[f"{name}, matrix"].ratio
        own = timings["J"].ratio if name == "gauss_newton" else 0.0
        rest = max(0.0, whole.ratio - 1 - own - matrix)
        rows[name] = Split(whole.step, whole.ratio, own, matrix, rest, trials[name])
    return f"{sum(leaf.size for leaf in jax.tree.leaves(params))} parameters", rows


def _after(
    optimizer: optax.GradientTransformation, model: Any, batch: Any, steps: int
) -> tuple[TrainStep, TrainState, Any]:
    """The train step, its state after some steps, and the model there."""
    train = train_step(PROBLEM.terms, optimizer)
    state = train.init(model, batch)
    for _ in range(steps):
        state, _ = train.update(state, batch)
    return train, state, train.model(state)


def _quadratic(optimizer: optax.GradientTransformation, params: Any) -> tuple[Callable[..., Any], Any]:
    """An update of a quasi-Newton method on the norm of the parameters."""
    loss = optax.tree.norm
    value, grads = jax.value_and_grad(loss)(params)
    extended = optax.with_extra_args_support(optimizer)

    def update(given: Any) -> Any:
        params, state, value, grads = given
        return extended.update(grads, state, params, value=value, grad=grads, value_fn=loss)

    return update, (params, optimizer.init(params), value, grads)


def _linear(optimizer: optax.GradientTransformation, params: Any, jacobian: Any) -> tuple[Callable[..., Any], Any]:
    """An update of Gauss-Newton whose J is given, and whose loss is satisfied with every radius."""
    rows = jnp.concatenate([j.reshape(-1, j.shape[-1]) for j in jacobian.values()])
    extended = optax.with_extra_args_support(optimizer)

    def update(given: Any) -> Any:
        params, state, rows = given
        given_fn = {"residual_fn": lambda p: rows[:, 0], "jacobian_fn": lambda p: rows}
        pleased = lambda p: -1e9 + 0 * ravel_pytree(p)[0][0]
        return extended.update(params, state, params, value=jnp.zeros(()), value_fn=pleased, **given_fn)

    return update, (params, optimizer.init(params), rows)
