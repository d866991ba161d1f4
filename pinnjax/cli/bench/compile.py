"""Seconds until a step runs, by optimiser: `pinnjax bench compile`.

The workload is Klein-Gordon in float64, with 2000 points inside, 200 at the start and 100 at each end, and a modified
network of 3 layers of 20. Under each optimiser stands what its step traces beside the value and gradient that all of
them have: a search evaluates the loss with its slope along a line, Gauss-Newton the Jacobian J. Each round builds and
compiles every program anew, in turns; a fifth of the rounds asked for. Ratios are to Adam.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pinnjax import nn, optimizers, problems
from pinnjax.terms import bridge, evaluation, losses, point_gradients
from pinnjax.train.step import train_step

PROBLEM = problems.klein_gordon
POINTS = {"pde": 2000, "ic": 200, "bc": 100}
NETWORK: dict[str, Any] = {"width": 20, "depth": 3}
OPTIMIZERS: dict[str, Callable[[], optax.GradientTransformation]] = {
    "adam": lambda: optax.adam(1e-3),
    "lbfgs": optax.lbfgs,
    "ssbroyden": optimizers.ssbroyden,
    "gauss_newton": optimizers.gauss_newton,
}
CALLS = 5


class Start(NamedTuple):
    """Medians over the rounds, and their ratios to Adam's of the same round.

    Attributes:
        trace: seconds from Python to XLA's program.
        compile: seconds in XLA.
        run: seconds of a step.
        ratios: of the three.
    """

    trace: float
    compile: float
    run: float
    ratios: tuple[float, float, float]

    def cells(self) -> dict[str, str]:
        """As a row of a table."""
        trace, compiling, run = (f"{ratio:.2f}" for ratio in self.ratios)
        return {
            "trace s": f"{self.trace:.2f}",
            "ratio": trace,
            "compile s": f"{self.compile:.2f}",
            "ratio ": compiling,
            "ms": f"{self.run * 1e3:.2f}",
            "ratio  ": run,
        }


def run(rounds: int) -> dict[str, dict[str, Start]]:
    """Build, compile and run every program in a fifth of the rounds."""
    with double():
        found: dict[str, list[tuple[float, float, float]]] = {}
        for _ in range(max(1, rounds // 5)):
            for name, (function, arguments) in _programs().items():
                found.setdefault(name, []).append(_timed(function, arguments))
    taken = {name: np.array(times) for name, times in found.items()}
    rows = {}
    for name, times in taken.items():
        trace, compiling, step = map(float, np.median(times, axis=0))
        ratios = np.median(times / taken["adam"], axis=0)
        rows[name] = Start(trace, compiling, step, (float(ratios[0]), float(ratios[1]), float(ratios[2])))
    return {"Klein-Gordon, 3 x 20, float64": rows}


@contextlib.contextmanager
def double() -> Iterator[None]:
    """float64 for a while."""
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


def workload() -> tuple[Any, dict[str, Any]]:
    """The network and the points."""
    network = {**PROBLEM.network, **NETWORK}
    model = nn.ModifiedMLP(**network, param_dtype=jnp.float64, rngs=nn.Rngs(0))
    return model, PROBLEM.draw(jax.random.key(0), POINTS, jnp.float64)


def _programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    model, batch = workload()
    definition, params, constants = bridge.split(model)
    residuals = evaluation.residuals(PROBLEM.terms, definition, constants)
    loss = lambda p: optax.tree.sum({term: losses.loss(r) for term, r in residuals(p, batch).items()})
    parts: dict[str, dict[str, Callable[..., Any]]] = {
        "adam": {"value and gradient": losses.value_and_grads(PROBLEM.terms, definition, constants)},
        "ssbroyden": {"its search: value and slope": lambda p, b: jax.jvp(loss, (p,), (p,))},
        "gauss_newton": {"its J": point_gradients.point_jacobians(PROBLEM.terms, definition, constants)},
    }
    found: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {}
    for name, make in OPTIMIZERS.items():
        train = train_step(PROBLEM.terms, make())
        found[name] = (train.update, (train.init(model, batch), batch))
        found |= {f"  {part}": (function, (params, batch)) for part, function in parts.get(name, {}).items()}
    return found


def _timed(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[float, float, float]:
    started = time.perf_counter()
    lowered = jax.jit(lambda *given: function(*given)).lower(*arguments)
    traced = time.perf_counter()
    compiled = lowered.compile()
    done = time.perf_counter()
    times = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        times.append(time.perf_counter() - begun)
    return traced - started, done - traced, float(np.median(times))
