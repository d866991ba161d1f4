"""One run: a problem, a recipe and a seed in; the trained field, its history and its error out."""

import dataclasses
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnjax import nn, sampling
from pinnjax.problems._problem import Problem, Recipe
from pinnjax.train.fit import fit
from pinnjax.train.state import TrainState, TrainStep
from pinnjax.train.step import train_step

PyTree = Any
EVALUATIONS = 40  # errors along a run


@dataclasses.dataclass(frozen=True)
class Solution:
    """A finished run.

    Attributes:
        train: the train step, whose `model(state)` is the field.
        state: the last state.
        history: as `pinnjax.fit` returns it.
        steps: steps done; fewer than asked for when the run was interrupted.
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
    dtype: Any = jnp.float32,
    checkpoint: str | pathlib.Path | None = None,
    progress: bool | None = None,
) -> Solution:
    """Train on a problem with a recipe.

    Args:
        problem: e.g. `pinnjax.problems.helmholtz`.
        recipe: one of `problem.recipes`, or your own.
        steps: number of steps; the recipe's when None.
        seed: of the network and, apart from it, of the points.
        dtype: `jnp.float32`, or `jnp.float64` when `jax_enable_x64` is set.
        checkpoint: folder to save to and resume from.
        progress: show a progress bar; None shows it on terminals.

    Returns:
        The finished run.

    Raises:
        ValueError: when float64 is asked for but `jax_enable_x64` is not set.

    Example:
        >>> from pinnjax.problems import helmholtz, solve
        >>> solution = solve(helmholtz, helmholtz.recipes["M1"], steps=10)
        >>> print(solution.steps, solution.history["loss/pde"].shape)
        10 (10,)
    """
    steps = recipe.steps if steps is None else steps
    train, start = prepare(problem, recipe, steps, dtype)
    started = time.perf_counter()
    state, batch = start(jax.random.key(seed))
    state, history = fit(
        train,
        state,
        batch,
        steps=steps,
        evaluate=problem.evaluate,
        evaluate_every=max(1, steps // EVALUATIONS),
        checkpoint=checkpoint,
        progress=progress,
    )
    seconds = time.perf_counter() - started
    last = lambda name: float(history.get(f"evaluation/{name}", np.array([np.nan]))[-1])
    return Solution(train, state, history, int(state.step), seconds, last("relative_l2"), last(problem.compared))


def prepare(
    problem: Problem, recipe: Recipe, steps: int, dtype: Any = jnp.float32
) -> tuple[TrainStep, Callable[[Array], tuple[TrainState, dict[str, PyTree] | None]]]:
    """The train step of a run, and `start(key) -> (state, batch)`, which `jax.vmap` takes over seeds.

    The batch has the terms that no sampler draws, whose points are drawn once; it is None where there are none.
    """
    if jnp.dtype(dtype) == jnp.float64 and not jax.config.read("jax_enable_x64"):
        raise ValueError('dtype is float64; expected float32, or jax.config.update("jax_enable_x64", True) beforehand')
    options = step_options(problem, recipe, steps, dtype)
    train = train_step(problem.terms, **options)

    def start(key: Array) -> tuple[TrainState, dict[str, PyTree] | None]:
        model, drawn, key = begin(problem, recipe, key, dtype)
        batch = points_that_stay(drawn, options["sampler"])
        return train.init(model, batch, key=key), batch

    return train, start


def step_options(problem: Problem, recipe: Recipe, steps: int, dtype: Any = jnp.float32) -> dict[str, Any]:
    """What a recipe gives `pinnjax.train_step` beside the terms: optimiser, weights, sampler and chunk."""
    numbers = numbers_of_points(problem, recipe)
    resampled = recipe.point_weights is None if recipe.resampled is None else recipe.resampled
    sampler = None
    if recipe.sampler is not None:
        sampler = recipe.sampler(numbers, dtype)
    elif resampled:
        sampler = sampling.resample(lambda key: problem.draw(key, numbers, dtype))
    return {
        "optimizer": recipe.optimizer(recipe.schedule(steps)),
        "term_weights": recipe.term_weights,
        "point_weights": recipe.point_weights,
        "sampler": sampler,
        "chunk": recipe.chunk,
    }


def points_that_stay(drawn: dict[str, PyTree], sampler: sampling.Sampler | None) -> dict[str, PyTree] | None:
    """Of points drawn once, those of the terms that a sampler leaves out; None where it draws all."""
    if sampler is None:
        return drawn
    moving = jax.eval_shape(lambda key: sampler.pool(sampler.init(key)), jax.random.key(0))
    return {term: points for term, points in drawn.items() if term not in moving} or None


def begin(
    problem: Problem, recipe: Recipe, key: Array, dtype: Any = jnp.float32
) -> tuple[Any, dict[str, PyTree], Array]:
    """The model of a run, points drawn once, and the key that is left for a sampler."""
    key, model_key = jax.random.split(key)
    model = recipe.model(**problem.network, param_dtype=dtype, rngs=nn.Rngs(model_key))
    return model, problem.draw(key, numbers_of_points(problem, recipe), dtype), key


def numbers_of_points(problem: Problem, recipe: Recipe) -> dict[str, int]:
    """The recipe's numbers of points where it has its own, else the problem's."""
    return dict(problem.points) | dict(recipe.points or {})
