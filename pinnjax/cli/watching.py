"""A run that is looked at on its way: one pure function of a key, for `jax.vmap` over seeds and over settings."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from pinnjax.problems import Problem, Recipe, phases, step_options
from pinnjax.train.monitor import Monitor, StepInfo
from pinnjax.train.state import TrainState
from pinnjax.train.step import train_step

PyTree = Any


def watched(
    problem: Problem,
    recipe: Recipe,
    measure: Callable[[StepInfo], dict[str, Array]],
    *,
    every: int,
    moments: int,
) -> Callable[[Array], tuple[dict[str, Array], TrainState]]:
    """From a key to what a run looks like at its start and after every so many steps.

    Args:
        problem: what is solved.
        recipe: how, in one phase.
        measure: what is seen beside the metrics of a step, as in `pinnjax.Monitor`.
        every: steps between two looks.
        moments: how many looks there are after the first.

    Returns:
        `run(key) -> ({name: (moments + 1, ...)}, state)`: metrics and measurements of the same parameters, and the
        last state.
    """
    (phase,), start = phases(problem, recipe, every * moments)
    terms = {name: term for name, term in problem.terms.items() if name not in recipe.built_in}
    looking = train_step(terms, **step_options(problem, recipe, every * moments), monitors=[Monitor(measure)])

    def run(key: Array) -> tuple[dict[str, Array], TrainState]:
        state, batch = start(key)
        look = lambda state: looking.update(state, batch)[1]

        def go_on(state: PyTree, _: None) -> tuple[PyTree, dict[str, Array]]:
            step = lambda s, _: (phase.train.update(s, batch)[0], None)
            return jax.lax.scan(step, state, None, every)[0], look(state)

        state, seen = jax.lax.scan(go_on, state, None, moments)
        return jax.tree.map(lambda first, last: jnp.concatenate([first, last[None]]), seen, look(state)), state

    return run
