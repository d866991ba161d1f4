"""A race by the clock: the same problem with several optimisers, and the error over the seconds."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from pinnjax.cli import ending
from pinnjax.problems import Problem, Recipe, phases
from pinnjax.train.fit import fit

FIRST, SECOND = (100, 500), (10, 10)  # steps in one call of the program, and between two errors


@dataclasses.dataclass(frozen=True)
class Run:
    """One seed of one optimiser.

    Attributes:
        seconds: `(E,)` of wall time since the beginning: compilation and the evaluation of errors count.
        steps: `(E,)`, iterations by then, those of a warm-up among them.
        errors: `(E,)`, what runs on the problem are compared by: see `Problem.compared`.
        interrupted: whether Ctrl-C ended it.
    """

    seconds: Float[np.ndarray, " E"]
    steps: Int[np.ndarray, " E"]
    errors: Float[np.ndarray, " E"]
    interrupted: bool = False

    def until(self, error: float) -> float:
        """Seconds until the error was down to this for the first time; infinite where it never was.

        Example:
            >>> run = Run(np.array([1.0, 2.0, 3.0]), np.array([10, 20, 30]), np.array([0.5, 0.01, 0.02]))
            >>> print(run.until(0.1), run.until(0.001))
            2.0 inf
        """
        return float(np.min(self.seconds[self.errors <= error], initial=np.inf))

    def at(self, seconds: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
        """The last error that was known at these times; NaN before the first.

        Example:
            >>> run = Run(np.array([1.0, 2.0, 3.0]), np.array([10, 20, 30]), np.array([0.5, 0.01, 0.02]))
            >>> print(run.at(np.array([0.5, 1.0, 2.5, 9.0])))
            [ nan 0.5  0.01 0.02]
        """
        return np.concatenate([[np.nan], self.errors])[np.searchsorted(self.seconds, seconds, side="right")]


def race_by_clock(
    problem: Problem,
    recipes: Mapping[str, Recipe],
    *,
    seeds: Sequence[int] = (0,),
    seconds: float = 60.0,
    steps: int | None = None,
    dtype: Any = None,
    after: Callable[[dict[str, list[Run]], str, int], None] = lambda runs, label, seed: None,
) -> dict[str, list[Run]]:
    """Train each recipe with each seed, one run after another, so that each has the machine for itself.

    A run ends when its time is up: with the call of the program in which it is, of 100 steps or, with phases, ten. One
    that has done its steps, or converged to rounding, ends before. Every run compiles its own program. Ctrl-C ends the
    race and returns the runs that are done.

    Args:
        problem: e.g. `pinnjax.problems.harmonic`.
        recipes: `{label: recipe}`.
        seeds: of networks and points.
        seconds: of wall time for each run.
        steps: number of steps, of the last phase; each recipe's own when None.
        dtype: as of `pinnjax.problems.solve`.
        after: called with all runs so far, and the label and the seed of the last, after each of them.

    Returns:
        `{label: [run of each seed]}`.

    Example:
        >>> from pinnjax.problems import tanh
        >>> runs = race_by_clock(tanh, {"plain": tanh.recipes["plain"]}, seconds=600.0, steps=200)
        >>> print(runs["plain"][0].steps[-1])
        200
    """
    runs: dict[str, list[Run]] = {}
    for label, recipe in recipes.items():
        for seed in seeds:
            run = _run(problem, recipe, seed, seconds, steps, dtype)
            if run.interrupted:
                return runs
            runs.setdefault(label, []).append(run)
            after(runs, label, seed)
    return runs


def _run(problem: Problem, recipe: Recipe, seed: int, limit: float, steps: int | None, dtype: Any) -> Run:
    several = recipe.before is not None
    length = recipe.steps if steps is None else steps
    steps_per_call, evaluate_every = SECOND if several else FIRST
    began = time.perf_counter()
    found, start = phases(problem, recipe, length, dtype)
    state, batch = start(jax.random.key(seed))
    moments: list[tuple[float, int, float]] = []

    def note(step: int, metrics: Mapping[str, Any], state: Any) -> None:
        del state
        error = metrics[f"evaluation/{problem.compared}"]
        if not np.isnan(error) or not moments:
            moments.append((time.perf_counter() - began, step, float(error)))

    _, history = fit(
        list(found) if several else found[0].train,
        state,
        batch,
        steps=None if several else length,
        evaluate=problem.evaluate,
        evaluate_every=evaluate_every,
        callback=note,
        seconds=max(1e-3, limit - (time.perf_counter() - began)),
        steps_per_call=steps_per_call,
        progress=False,
    )
    stopped = ending.interrupted(history, recipe, length, time.perf_counter() - began, limit)
    taken, counted, errors = np.array(moments, float).T
    return Run(taken, counted.astype(int), errors, stopped)
