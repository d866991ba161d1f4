"""`pinnjax race --optimizers`: the table, the JSON and the plot of a race by the clock."""

import argparse
import dataclasses
import pathlib
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import rich.console
import rich.table

from pinnjax import plot
from pinnjax.cli import choosing, clock, environment, optimizing, writing
from pinnjax.cli.clock import Run
from pinnjax.problems import COMPARED, Problem, Recipe

SECONDS = 60.0
EVER = 10**9  # steps of a second-order method, which has no schedule: until the time is up
MARKS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
SHOWN = 4  # columns of marks: the last that any run has come down to
RULES = (
    "By the clock, one run after another: seeds of a second-order method would wait for each other in one program. "
    "Compilation, warm-up and the evaluation of errors count. Network, points and seeds are the same."
)


def recipes(problem: Problem, recipe: Recipe, text: str) -> dict[str, Recipe]:
    """The recipe with each of the optimisers that are written."""
    names = choosing.split(text)
    if not names:
        raise ValueError(f"optimizers is {text!r}; expected NAME,NAME:option=value,...")
    found = {name: optimizing.with_optimizer(problem, recipe, name) for name in names}
    steps = lambda name: EVER if optimizing.second_order(name) else found[name].steps
    return {name: dataclasses.replace(one, steps=steps(name)) for name, one in found.items()}


def run(options: argparse.Namespace, problem: Problem, raced: dict[str, Recipe], seeds: int) -> int:
    """Race, print the table, write JSON and the plot after every run."""
    limit = SECONDS if options.seconds is None else options.seconds
    # One precision for all, since it is the optimisers that race.
    dtype = options.dtype or ("float64" if any(map(optimizing.second_order, raced)) else None)
    results = writing.Results()
    console = rich.console.Console()
    number = f"{seeds} seed{'s' * (seeds > 1)}"
    console.print(f"[bold]{problem.title}[/bold]: {number}, {limit:g} seconds each, {dtype or 'as the recipe says'}")
    console.print(RULES, soft_wrap=True)
    for label, recipe in raced.items():
        console.print(f"{label}: {_said(recipe, options.steps)}", soft_wrap=True)

    def save(runs: dict[str, list[Run]], label: str, seed: int) -> None:
        last = runs[label][-1]
        console.print(
            f"{label}, seed {seed}: {last.errors[-1]:.1e} after {last.steps[-1]:.0f} iterations in "
            f"{last.seconds[-1]:.1f} s",
            soft_wrap=True,
        )
        if options.json:
            with results.write("json", options.json):
                writing.write_json(options.json, _record(problem, raced, runs, limit))
        if options.out:
            with results.write("out", options.out):
                folder = pathlib.Path(options.out)
                folder.mkdir(parents=True, exist_ok=True)
                times = np.geomspace(min(r.seconds[0] for found in runs.values() for r in found), limit, 200)
                curves = {name: np.stack([r.at(times) for r in found], 1) for name, found in runs.items()}
                figure, ax = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
                plot.clock(times, curves, compared=problem.compared, ax=ax)
                figure.savefig(folder / f"clock_{problem.name}.png", dpi=150)
                plt.close(figure)

    runs = clock.race_by_clock(
        problem, raced, seeds=range(seeds), seconds=limit, steps=options.steps, dtype=dtype, after=save
    )
    console.print(_table(problem, runs))
    results.end(_record(problem, raced, runs, limit))
    return 0


def _said(recipe: Recipe, steps: int | None) -> str:
    """What runs, and how long: a schedule of learning rates spans the steps, and not the seconds."""
    if recipe.before is None:
        return f"{recipe.summary}; at most {steps or recipe.steps} steps, which its learning rates span"
    before = sum(phase.steps for phase in recipe.phases[:-1])
    return f"{recipe.summary}; after {before} steps of {recipe.phases[0].summary}"


def _final(runs: list[Run]) -> np.ndarray:
    return np.array([run.errors[-1] if np.isfinite(run.errors[-1]) else np.inf for run in runs])


def _table(problem: Problem, runs: dict[str, list[Run]]) -> rich.table.Table:
    table = rich.table.Table(
        rich.table.Column("optimizer", overflow="fold", min_width=12),
        title=f"{COMPARED[problem.compared]}: {problem.name}",
        caption="medians of the seconds until the error was first down to these; iterations: the median",
    )
    reached = [mark for mark in MARKS if any(run.until(mark) < np.inf for found in runs.values() for run in found)]
    shown = reached[-SHOWN:]
    for column in ("median", "best", "worst", *(f"s to {mark:.0e}" for mark in shown), "iterations", "seconds"):
        table.add_column(column, justify="right", no_wrap=True)
    for label, found in sorted(runs.items(), key=lambda item: np.median(_final(item[1]))):
        final = _final(found)
        figures = [f"{f(final):.1e}" for f in (np.median, np.min, np.max)]
        for mark in shown:
            median = float(np.median([run.until(mark) for run in found]))
            figures.append("-" if not np.isfinite(median) else f"{median:.1f}")
        figures.append(f"{np.median([run.steps[-1] for run in found]):.0f}")
        table.add_row(label, *figures, f"{np.median([run.seconds[-1] for run in found]):.1f}")
    return table


def _record(problem: Problem, raced: dict[str, Recipe], runs: dict[str, list[Run]], limit: float) -> dict[str, Any]:
    number = lambda value: float(f"{value:.6g}") if np.isfinite(value) else None
    return {
        "problem": problem.name,
        "device": environment.device(),
        "versions": environment.versions(),
        "seconds": limit,
        "outcomes": {
            label: {
                "summary": raced[label].summary,
                "seeds": list(range(len(found))),
                problem.compared: [number(run.errors[-1]) for run in found],
                "steps": [int(run.steps[-1]) for run in found],
                "seconds_to": {f"{mark:.0e}": [number(run.until(mark)) for run in found] for mark in MARKS},
                "history": [
                    {
                        "seconds": list(map(number, run.seconds)),
                        "step": list(map(int, run.steps)),
                        problem.compared: list(map(number, run.errors)),
                    }
                    for run in found
                ],
            }
            for label, found in runs.items()
        },
    }
