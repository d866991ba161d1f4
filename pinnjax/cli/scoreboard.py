"""The scoreboard: one call for every problem, beside what a user would pick, in the same seconds."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pinnjax import nn
from pinnjax.cli import catalogue, choosing
from pinnjax.problems import Problem, unseen
from pinnjax.solver import solve
from pinnjax.solver.solution import Accuracy
from pinnjax.train.fit import fit
from pinnjax.train.phases import Phase
from pinnjax.train.step import train_step

MARKS = (1e-2, 1e-3, 1e-4)
WIDTH, DEPTH = 20, 3  # of the user's network, as large as that of `pinnjax.solve`
MOST = 10**7  # steps, where the clock ends the run
ADAM = 15_000  # steps before L-BFGS, as in DeepXDE's examples; at most half the time
MEMORY = 100  # of L-BFGS, as DeepXDE sets it
POINTS = 2**31 - 2  # seed of the points, which are the same for all


@dataclasses.dataclass(frozen=True)
class Score:
    """What one contestant did on one problem.

    Attributes:
        error: relative L2, dimensionless.
        seconds: wall time, compilation included.
        until: `{mark: seconds of training until the error was first below it}`; infinite where it never was.
        accuracy: what `pinnjax.solve` believed the error to be, and from what; None for others.
        also: what else the problem measures.
    """

    error: float
    seconds: float
    until: Mapping[float, float]
    accuracy: Accuracy | None
    also: Mapping[str, float]


def names() -> dict[str, str]:
    """`{problem: "library" or "new"}`, all that are scored."""
    return dict.fromkeys(catalogue.PROBLEMS, "library") | dict.fromkeys(unseen.MODULES, "new")


def problem(name: str) -> Problem:
    """The problem of a name.

    Raises:
        ValueError: when there is none.
    """
    return unseen.problem(name) if name in unseen.MODULES else choosing.look_up("problem", name, catalogue.PROBLEMS)


def points(problem: Problem) -> dict[str, Any]:
    """Arrays, as a user has them: the problem's own numbers of points, drawn once."""
    with jax.enable_x64(True):
        return problem.draw(jax.random.key(POINTS), problem.points, jnp.float64)


def no_recipe(problem: Problem, seconds: float, seed: int) -> Score:
    """`pinnjax.solve`, with no option but the time."""
    solution = solve(
        problem.terms,
        points(problem),
        outputs=problem.network["out_features"],
        coefficients=problem.coefficients or None,
        seconds=seconds,
        key=jax.random.key(seed),
        evaluate=problem.evaluate,
        progress=False,
    )
    with jax.enable_x64(True):
        found = problem.evaluate(solution.model)
    return _score(problem, found, solution.history, solution.seconds, solution.accuracy)


def adam(problem: Problem, seconds: float, seed: int) -> Score:
    """Adam at 1e-3 with equal weights."""
    return _trained(problem, [(optax.adam(1e-3), MOST, None)], seconds, seed)


def adam_lbfgs(problem: Problem, seconds: float, seed: int) -> Score:
    """Adam at 1e-3 and then L-BFGS, with equal weights."""
    lbfgs = optax.lbfgs(memory_size=MEMORY)
    return _trained(problem, [(optax.adam(1e-3), ADAM, seconds / 2), (lbfgs, MOST, None)], seconds, seed)


CONTESTANTS: dict[str, Callable[[Problem, float, int], Score]] = {
    "solve": no_recipe,
    "adam": adam,
    "adam_lbfgs": adam_lbfgs,
}


def _trained(
    problem: Problem, plan: list[tuple[optax.GradientTransformation, int, float | None]], seconds: float, seed: int
) -> Score:
    """A tanh network in double precision, on the same points: more than the default of most packages."""
    began = time.perf_counter()
    with jax.enable_x64(True):
        batch = points(problem)
        network = {**problem.network, "width": WIDTH, "depth": DEPTH}
        model = problem.module(nn.MLP)(**network, rngs=nn.Rngs(seed))
        phases = [Phase(train_step(problem.terms, tx), steps, seconds=limit) for tx, steps, limit in plan]
        state, history = fit(
            phases,
            phases[0].train.init(model, batch),
            batch,
            evaluate=problem.evaluate,
            evaluate_every=200,
            seconds=seconds,
            steps_per_call=50,
            progress=False,
        )
        found = problem.evaluate(phases[int(history["phase"][-1])].train.model(state))
    return _score(problem, found, history, time.perf_counter() - began, None)


def _score(
    problem: Problem,
    found: Mapping[str, Any],
    history: Mapping[str, np.ndarray],
    seconds: float,
    accuracy: Accuracy | None,
) -> Score:
    numbers = {name: float(value) for name, value in found.items()}
    error = numbers.pop(problem.compared)
    times, errors = history["evaluation/seconds"], history[f"evaluation/{problem.compared}"]
    until = {mark: float(np.min(times[errors < mark], initial=np.inf)) for mark in MARKS}
    return Score(error, seconds, until, accuracy, numbers)
