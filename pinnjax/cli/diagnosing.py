"""`pinnjax diagnose`."""

import argparse

import jax
import numpy as np
import rich.console

from pinnjax.cli import catalogue, choosing, factories, writing
from pinnjax.doctor import Diagnosis, diagnose
from pinnjax.problems import Problem, Recipe, begin, points_that_stay, step_options


def run(options: argparse.Namespace) -> int:
    """Diagnose a problem by name, or what a factory returns; exit code 1 with --strict when something is found."""
    choosing.common(options)
    writing.try_places(options, files=("json",))
    console = rich.console.Console()
    target = factories.made(options.problem) if ":" in options.problem else None
    if target is None or isinstance(target, Problem):
        problem = target or choosing.look_up("problem", options.problem, catalogue.PROBLEMS)
        name = problem.default_methods[0] if options.method is None else options.method
        recipe = choosing.look_up("method", name, problem.recipes)
        console.print(f"[bold]{problem.title}[/bold], {name}: {recipe.phases[0].summary}")
        diagnosis = examine(problem, recipe, steps=options.steps, seed=options.seed)
    else:
        if "model" not in target:
            raise ValueError(
                f"{options.problem!r} returned no model; expected the arguments of pinnjax.diagnose, or `pinnjax solve`"
            )
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
    """Diagnose a run of a problem: network, rules and points of the recipe's first phase, for some steps."""
    recipe = recipe.phases[0]
    model, batch, key = begin(problem, recipe, jax.random.key(seed))
    _, fresh, _ = begin(problem, recipe, jax.random.key(seed + 1))
    options = step_options(problem, recipe, max(steps, recipe.steps))
    pairs = zip(jax.tree.leaves(batch), jax.tree.leaves(fresh), strict=True)
    moved = any(not np.array_equal(a, b) for a, b in pairs)  # points that are always the same show no gap
    return diagnose(
        problem.terms,
        model,
        points_that_stay(batch, options["sampler"]),
        steps=steps,
        fresh=fresh if moved and options["sampler"] is None else None,
        time=problem.time,
        key=key,
        **options,
    )
