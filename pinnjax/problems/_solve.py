"""One run: a problem, a recipe and a seed in; the trained field, its history and its error out."""

import dataclasses
import pathlib
import time
from typing import Any

import jax
import numpy as np

from pinnjax.problems._prepare import phases
from pinnjax.problems._problem import Problem, Recipe
from pinnjax.train.fit import fit
from pinnjax.train.state import TrainState, TrainStep

EVALUATIONS = 40  # errors along a run
STEPS_PER_CALL = 100


@dataclasses.dataclass(frozen=True)
class Solution:
    """A finished run.

    Attributes:
        train: the train step, whose `model(state)` is the field; of the last phase.
        state: the last state.
        history: as `pinnjax.fit` returns it.
        steps: steps done, in all phases; fewer than asked for when the run ended early.
        seconds: wall time of the run, compilation included.
        relative_l2: error at the end, dimensionless; NaN for a problem without a reference.
        final: what runs on the problem are compared by, at its end: see `Problem.compared`.
    """

    train: TrainStep
    state: TrainState
    history: dict[str, np.ndarray]
    steps: int
    seconds: float
    relative_l2: float
    final: float


def solve(
    problem: Problem,
    recipe: Recipe,
    *,
    steps: int | None = None,
    seed: int = 0,
    dtype: Any = None,
    seconds: float | None = None,
    checkpoint: str | pathlib.Path | None = None,
    progress: bool | None = None,
) -> Solution:
    """Train on a problem with a recipe, phase after phase.

    Args:
        problem: e.g. `pinnjax.problems.helmholtz`.
        recipe: one of `problem.recipes`, or your own.
        steps: number of steps, of the last phase where there are several; the recipe's when None.
        seed: of the network and, apart from it, of the points.
        dtype: `jnp.float32`, or `jnp.float64` when `jax_enable_x64` is set, in all phases; None for what the recipe
            says, which is float32 where it says nothing.
        seconds: ends the run after so much wall time, compilation included.
        checkpoint: folder to save to and resume from.
        progress: show a progress bar; None shows it on terminals.

    Returns:
        The finished run.

    Raises:
        ValueError: when float64 is asked for but `jax_enable_x64` is not set.

    Example:
        >>> from pinnjax.problems import solve, tanh
        >>> solution = solve(tanh, tanh.recipes["plain"], steps=10)
        >>> print(solution.steps, solution.history["loss/data"].shape)
        10 (10,)
    """
    found, start = phases(problem, recipe, steps, dtype)
    last = found[-1]
    several = len(found) > 1
    started = time.perf_counter()
    state, batch = start(jax.random.key(seed))
    every = max(1, sum(phase.steps for phase in found) // EVALUATIONS)
    state, history = fit(
        list(found) if several else last.train,
        state,
        batch,
        steps=None if several else last.steps,
        evaluate=problem.evaluate,
        evaluate_every=every,
        seconds=seconds,
        # Steps of a second-order method take long, and there are few of them.
        steps_per_call=min(every, STEPS_PER_CALL) if several else STEPS_PER_CALL,
        checkpoint=checkpoint,
        progress=progress,
    )
    taken = time.perf_counter() - started
    at_end = lambda name: float(history.get(f"evaluation/{name}", np.array([np.nan]))[-1])
    train = found[int(history["phase"][-1])].train if several else last.train
    return Solution(train, state, history, int(state.step), taken, at_end("relative_l2"), at_end(problem.compared))
