"""The scoreboard: one call for every problem, beside what a user would pick, in the same seconds."""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from pinnjax import nn
from pinnjax.cli import catalogue, choosing
from pinnjax.derivatives import diff
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
PERIODIC = 200  # points of a periodic condition
ORDERS = {"advection": 1, "kdv": 3, "kuramoto_sivashinsky": 4}  # of equations that are not of second order
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


def posed(problem: Problem) -> tuple[dict[str, Any], dict[str, Any]]:
    """Terms and points, as a user has them: arrays in the problem's own numbers, drawn once.

    Where the problem's network is periodic by itself, the condition that says so is one of the terms.
    """
    with jax.enable_x64(True):
        terms, points = dict(problem.terms), problem.draw(jax.random.key(POINTS), problem.points, jnp.float64)
        inputs = problem.network.get("inputs")
        if isinstance(inputs, nn.Periodic):
            x, order = np.asarray(points[problem.balance_against]), ORDERS.get(problem.name, 2)
            for axis, period in enumerate(inputs.periods):
                if period is not None:
                    terms[f"periodic_{axis}"] = functools.partial(_periodic, axis=axis, period=period, order=order)
                    points[f"periodic_{axis}"] = jnp.asarray(_on_face(x, axis, problem.grid[:, axis].min()))
    return terms, points


def _periodic(u: Callable, x: Array, *, axis: int, period: float, order: int) -> dict[str, Array]:
    """The field and its derivatives, one less than the equation has, are the same a period on."""
    there = x.at[axis].add(period)
    return {f"order_{k}": (du := diff(u, *k * (axis,)))(there) - du(x) for k in range(order)}


def _on_face(x: np.ndarray, axis: int, value: float) -> np.ndarray:
    """Points on the face of a box, as the equation's are inside."""
    moved = x[:PERIODIC].copy()
    moved[:, axis] = value
    return moved


def no_recipe(problem: Problem, seconds: float, seed: int) -> Score:
    """`pinnjax.solve`, with no option but the time."""
    terms, points = posed(problem)
    solution = solve(
        terms,
        points,
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
        terms, batch = posed(problem)
        network = {**problem.network, "width": WIDTH, "depth": DEPTH}
        if isinstance(network.get("inputs"), nn.Periodic):  # here that is a term, as for `solve`
            box = nn.Standardize.box(problem.grid.min(axis=0), problem.grid.max(axis=0))
            network |= {"in_features": len(problem.grid[0]), "inputs": box}
        model = problem.module(nn.MLP)(**network, rngs=nn.Rngs(seed))
        phases = [Phase(train_step(terms, tx), steps, seconds=limit) for tx, steps, limit in plan]
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
