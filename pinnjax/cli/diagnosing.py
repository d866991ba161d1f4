"""`pinnjax diagnose`."""

import argparse
import importlib
import inspect
import sys
from collections.abc import Mapping
from typing import Any

import jax
import rich.console

from pinnjax.cli import catalogue, choosing, writing
from pinnjax.doctor import Diagnosis, diagnose
from pinnjax.problems import Problem, Recipe, begin, step_options
from pinnjax.train.step import train_step


def run(options: argparse.Namespace) -> int:
    """Diagnose a problem by name, or what a factory returns; exit code 1 with --strict when something is found."""
    choosing.common(options)
    writing.try_places(options, files=("json",))
    console = rich.console.Console()
    target = _made(options.problem) if ":" in options.problem else None
    if target is None or isinstance(target, Problem):
        problem = target or choosing.look_up("problem", options.problem, catalogue.PROBLEMS)
        name = problem.default_methods[0] if options.method is None else options.method
        recipe = choosing.look_up("method", name, problem.recipes)
        console.print(f"[bold]{problem.title}[/bold], {name}: {recipe.summary}")
        diagnosis = examine(problem, recipe, steps=options.steps, seed=options.seed)
    else:
        console.print(f"[bold]{options.problem}[/bold]")
        if options.method is not None:
            raise ValueError(f"--method is {options.method!r}, but {options.problem} has no methods; leave it out")
        diagnosis = diagnose(**{"steps": options.steps, **target})
    diagnosis.print(console)
    if options.json:
        results = writing.Results()
        with results.write("json", options.json):
            writing.write_json(options.json, diagnosis.as_dict())
        results.end(diagnosis.as_dict())
    return 1 if options.strict and diagnosis.findings else 0


def examine(problem: Problem, recipe: Recipe, *, steps: int, seed: int = 0) -> Diagnosis:
    """Diagnose a run of a problem: the recipe's network, rules and points, for some steps."""
    model, batch, key = begin(problem, recipe, jax.random.key(seed))
    _, fresh, _ = begin(problem, recipe, jax.random.key(seed + 1))
    options = step_options(problem, recipe, max(steps, recipe.steps))
    stay = options["sampler"] is None
    return diagnose(
        problem.terms,
        model,
        batch if stay else None,
        steps=steps,
        fresh=fresh if stay else None,
        time=problem.time,
        key=key,
        **options,
    )


def _made(target: str) -> Problem | Mapping[str, Any]:
    """What `module:factory` returns: a problem, or the arguments of `pinnjax.diagnose`."""
    module, _, factory = target.partition(":")
    sys.path.insert(0, "")  # modules of the current folder, as `python -m` finds them
    try:
        made = getattr(importlib.import_module(module), factory)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{target!r} cannot be called: {error}; expected module:factory") from error
    finally:
        sys.path.remove("")
    taken = {*inspect.signature(diagnose).parameters, *inspect.signature(train_step).parameters} - {"options"}
    if isinstance(made, Mapping) and not {"terms", "model"} <= set(made) <= taken - {"monitors"}:
        raise ValueError(
            f"{target!r} returned a dict of {sorted(map(str, made))}; expected the arguments of pinnjax.diagnose: "
            f"terms, model, and some of {', '.join(sorted(taken - {'terms', 'model', 'monitors'}))}"
        )
    if not isinstance(made, Problem | Mapping):
        raise ValueError(
            f"{target!r} returned a {type(made).__name__}; expected a pinnjax.problems.Problem or the arguments of "
            "pinnjax.diagnose as a dict"
        )
    return made
