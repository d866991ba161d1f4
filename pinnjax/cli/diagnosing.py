"""`pinnjax diagnose`."""

import argparse
import importlib
import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import rich.console

from pinnjax import nn, sampling
from pinnjax.cli import catalogue
from pinnjax.doctor import Diagnosis, diagnose
from pinnjax.problems import Problem, Recipe


def run(options: argparse.Namespace) -> int:
    """Diagnose a problem by name, or what a factory returns; exit code 1 with --strict when something is found."""
    if options.steps < 1:
        raise ValueError(f"steps is {options.steps}; expected a number >= 1")
    if options.json:
        pathlib.Path(options.json).absolute().parent.mkdir(parents=True, exist_ok=True)
    console = rich.console.Console()
    target = _made(options.problem) if ":" in options.problem else None
    if target is None or isinstance(target, Problem):
        problem = target or catalogue.look_up("problem", options.problem, catalogue.PROBLEMS)
        name = options.method or problem.default_methods[0]
        recipe = catalogue.look_up("method", name, problem.recipes)
        console.print(f"[bold]{problem.title}[/bold], {name}: {recipe.summary}")
        diagnosis = examine(problem, recipe, steps=options.steps, seed=options.seed)
    else:
        console.print(f"[bold]{options.problem}[/bold]")
        diagnosis = diagnose(**{"steps": options.steps, **target})
    diagnosis.print(console)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(diagnosis.as_dict(), indent=2, default=float) + "\n")
    return 1 if options.strict and diagnosis.findings else 0


def examine(problem: Problem, recipe: Recipe, *, steps: int, seed: int = 0) -> Diagnosis:
    """Diagnose a run of a problem: the recipe's network, rules and points, for some steps."""
    key, model_key = jax.random.split(jax.random.key(seed))
    numbers = dict(problem.points) | dict(recipe.points or {})
    sampler = None
    if recipe.sampler is not None:
        sampler = recipe.sampler(numbers, jnp.float32)
    elif recipe.point_weights is None and recipe.resampled:
        sampler = sampling.resample(lambda k: problem.draw(k, numbers, jnp.float32))
    drawn = problem.draw(key, numbers, jnp.float32)
    return diagnose(
        problem.terms,
        recipe.model(**problem.network, rngs=nn.Rngs(model_key)),
        drawn if sampler is None else None,
        optimizer=recipe.optimizer(recipe.schedule(max(steps, recipe.steps))),
        steps=steps,
        fresh=problem.draw(jax.random.fold_in(key, 1), numbers, jnp.float32) if sampler is None else None,
        time=problem.time,
        key=key,
        term_weights=recipe.term_weights,
        point_weights=recipe.point_weights,
        sampler=sampler,
    )


def _made(target: str) -> Problem | Mapping[str, Any]:
    """What `module:factory` returns: a problem, or the arguments of `pinnjax.diagnose`."""
    module, _, factory = target.partition(":")
    sys.path.insert(0, "")  # modules of the current folder, as `python -m` finds them
    try:
        made = getattr(importlib.import_module(module), factory)()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{target!r} cannot be called: {error}; expected module:factory") from error
    finally:
        sys.path.remove("")
    if not isinstance(made, Problem | Mapping):
        raise ValueError(
            f"{target!r} returned a {type(made).__name__}; expected a pinnjax.problems.Problem or the arguments of "
            "pinnjax.diagnose as a dict"
        )
    return made
