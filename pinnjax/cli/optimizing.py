"""A recipe with another optimiser, as `--optimizer` asks for it; one of second order wants more than to be put in."""

import argparse
import dataclasses
from typing import Any

import jax

from pinnjax import sampling
from pinnjax.cli import catalogue, choosing
from pinnjax.problems import EVERY, WARM_UP, Problem, Recipe, draws_anew, dtypes
from pinnjax.sampling import Sampler
from pinnjax.term_weights import held

STEPS = 2000  # of a second-order method, where nothing is said


def with_optimizer(problem: Problem, recipe: Recipe, text: str) -> Recipe:
    """The recipe with an optimiser, `NAME` or `NAME:option=value,...`, in its last phase.

    Before a second-order method a recipe of one phase warms up with its own optimiser; after that, points that were
    drawn anew in every step are drawn every 250, term weights are held where they are, and all of it is in float64.

    Raises:
        ValueError: when there is no such optimiser, or it does not take the options.

    Example:
        >>> from pinnjax.problems import harmonic
        >>> recipe = with_optimizer(harmonic, harmonic.recipes["ntk"], "ssbroyden")
        >>> print(recipe.summary)
        NTK weights; ssbroyden, new points every 250 steps, weights held
        >>> print([(phase.steps, phase.dtype) for phase in recipe.phases])
        [(1000, 'float64'), (2000, None)]
    """
    optimizer = choosing.make("optimizer", text, catalogue.OPTIMIZERS, problem)
    changes: dict[str, Any] = {"optimizer": optimizer, "summary": f"{recipe.summary}; {text}", "published": None}
    if recipe.before is not None or not second_order(text):
        return dataclasses.replace(recipe, **changes)
    said = [changes["summary"]]
    if recipe.sampler is None and draws_anew(recipe):
        changes["sampler"] = lambda numbers, dtype: _staying(problem, numbers, dtype)
        said.append(f"new points every {EVERY} steps")
    if recipe.term_weights is not None:
        changes["term_weights"] = held(recipe.term_weights)
        said.append("weights held")
    before = dataclasses.replace(recipe, steps=WARM_UP, dtype=recipe.dtype or "float64")
    changes |= {"summary": ", ".join(said), "steps": STEPS, "before": before, "model": None, "dtype": None}
    return dataclasses.replace(recipe, **changes)


def second_order(text: str) -> bool:
    """Whether what is written names a second-order method."""
    entry = catalogue.OPTIMIZERS.get(text.partition(":")[0])
    return entry is not None and entry.second_order


def double_for(options: argparse.Namespace, texts: list[str]) -> None:
    """Switch float64 on for second-order methods, unless a dtype is given: before a factory makes a model."""
    if getattr(options, "dtype", None) is None and any(map(second_order, texts)):
        jax.config.update("jax_enable_x64", True)


def steps_of(recipe: Recipe, steps: int | None = None, dtype: str | None = None) -> str:
    """Steps of the phases and their dtypes, in words.

    Example:
        >>> from pinnjax.problems import harmonic
        >>> print(steps_of(with_optimizer(harmonic, harmonic.recipes["plain"], "ssbroyden"), 300))
        1000 steps of warm-up and 300 steps in float64
    """
    counts = [phase.steps for phase in recipe.phases[:-1]] + [steps or recipe.steps]
    kinds = list(dict.fromkeys(map(str, dtypes(recipe, dtype))))
    words = [f"{n} steps of warm-up" for n in counts[:-1]] + [f"{counts[-1]} steps"]
    return " and ".join(words) + (f" in {' and '.join(kinds)}" if kinds != ["float32"] else "")


def _staying(problem: Problem, numbers: Any, dtype: Any) -> Sampler:
    return sampling.resample(lambda key: problem.draw(key, numbers, dtype), every=EVERY)
