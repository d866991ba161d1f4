"""`pinnjax solve` of an equation without a recipe: what a factory returns goes to `pinnjax.solve`."""

import argparse
from collections.abc import Mapping
from typing import Any

import jax
import rich.console

from pinnjax.cli import environment, writing
from pinnjax.solver import solve

CHOICES = ("method", "term_weights", "point_weights", "optimizer", "model", "dtype", "out", "report")


def run(given: Mapping[str, Any], options: argparse.Namespace) -> int:
    """Solve, print what the solution is worth and what was done; exit code 1 where there is none."""
    chosen = [f"--{name.replace('_', '-')}" for name in CHOICES if getattr(options, name) is not None]
    if chosen:
        raise ValueError(
            f"{options.problem!r} returned the arguments of pinnjax.solve, which chooses by itself; leave out "
            f"{', '.join(chosen)}, or return a pinnjax.problems.Problem"
        )
    writing.try_places(options, files=("json",), folders=("checkpoint",))
    more = {name: value for name in ("seconds", "steps") if (value := getattr(options, name)) is not None}
    solution = solve(**{**given, **more, "key": jax.random.key(options.seed)}, checkpoint=options.checkpoint)
    console = rich.console.Console()
    console.print(str(solution), soft_wrap=True, highlight=False, markup=False)
    console.print(f"{solution.seconds:.0f} s. What was done, as code:\n", highlight=False)
    print(solution.recipe)
    record = {
        "problem": options.problem,
        "solved": solution.solved,
        "accuracy": solution.accuracy._asdict(),
        "relative_l2": solution.relative_l2,
        "coefficients": solution.coefficients,
        "seconds": round(solution.seconds, 2),
        "seed": options.seed,
        "recipe": solution.recipe,
        "device": environment.device(),
        "versions": environment.versions(),
    }
    if options.json:
        results = writing.Results()
        with results.write("json", options.json):
            writing.write_json(options.json, record)
        results.end(record)
    return 0 if solution.solved else 1
