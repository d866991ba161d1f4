"""`pinnjax solve`."""

import argparse
import dataclasses
import pathlib
from typing import Any

import rich.console
import rich.table

from pinnjax.cli import (
    catalogue,
    choosing,
    ending,
    environment,
    factories,
    marching,
    optimizing,
    pictures,
    reporting,
    without_recipe,
    writing,
)
from pinnjax.problems import COMPARED, Problem, Recipe, Solution, solve


def run(options: argparse.Namespace) -> int:
    """Train with each method asked for; print the table; write JSON and plots."""
    choosing.common(options)
    optimizing.double_for(options, [options.optimizer or ""])
    if ":" in options.problem:
        found = factories.made(options.problem)
        if not isinstance(found, Problem) and "points" in found:
            return without_recipe.run(found, options)
        problem = factories.as_problem(options.problem, found)
    else:
        problem = factories.problem(options.problem)
    if options.method == marching.METHOD and marching.METHOD not in problem.recipes:
        return marching.run(problem, options)
    if options.until is not None:
        raise ValueError("--until is the last time of --method windows; leave it out, or choose that method")
    recipes = _recipes(problem, options)
    choosing.double(recipes.values(), options.dtype)
    for recipe in recipes.values():
        choosing.try_rules(problem, recipe, options.term_weights, options.point_weights, dtype=options.dtype)
        choosing.try_rules(problem, recipe, options.optimizer, dtype=options.dtype, always=True)
    writing.try_places(options, files=("json", "report"), folders=("out", "checkpoint"))

    console = rich.console.Console()
    console.print(f"[bold]{problem.title}[/bold]")
    solutions: dict[str, Solution] = {}
    results = writing.Results()
    for name, recipe in recipes.items():
        steps = optimizing.steps_of(recipe, options.steps, options.dtype)
        console.print(f"{name}: {recipe.summary}, {steps}, seed {options.seed}")
        folder = None if options.checkpoint is None else pathlib.Path(options.checkpoint) / problem.name / name
        solution = solve(
            problem,
            recipe,
            steps=options.steps,
            seed=options.seed,
            dtype=options.dtype,
            seconds=options.seconds,
            checkpoint=folder,
        )
        solutions[name] = solution
        records = [_record(problem, method, options.seed, found) for method, found in solutions.items()]
        record = records[0] if len(recipes) == 1 else records
        if options.json:  # after every run, so that an interrupted series keeps what it has
            with results.write("json", options.json):
                writing.write_json(options.json, record)
        if options.out:
            with results.write("out", options.out):
                pictures.draw(problem, solutions, pathlib.Path(options.out))
        if ending.interrupted(solution.history, recipe, options.steps, solution.seconds, options.seconds):
            break
    table = _table(problem, recipes, solutions)
    console.print(table)
    _remarks(console, solutions)
    if options.report:
        with results.write("report", options.report):
            reporting.write(pathlib.Path(options.report), problem, recipes, solutions, table, options.seed)
    results.end(record)
    return 0


def _recipes(problem: Problem, options: argparse.Namespace) -> dict[str, Recipe]:
    given = [options.model, options.term_weights, options.point_weights]
    changed = any(rule is not None for rule in (*given, options.optimizer))
    if options.method is None:
        names = list(problem.default_methods[:1] if changed else problem.default_methods)
    elif options.method == "all":
        names = list(problem.recipes)
    else:
        choosing.look_up("method", options.method, dict(problem.recipes) | {"all": None})
        names = [options.method]
    recipes = {name: problem.recipes[name] for name in names}
    if not changed:
        return recipes

    changes = choosing.changes(options.term_weights, options.point_weights, problem)
    if options.model is not None:
        changes["model"] = problem.module(choosing.look_up("model", options.model, catalogue.MODELS))
    if any(rule is not None for rule in given):
        summary = ", ".join(filter(None, given))
        recipes = {
            name: dataclasses.replace(recipe.in_all_phases(**changes), summary=summary, published=None)
            for name, recipe in recipes.items()
        }
    if options.optimizer is not None:
        recipes = {
            name: optimizing.with_optimizer(problem, recipe, options.optimizer) for name, recipe in recipes.items()
        }
    # Only a method that was asked for lends its name: what is left of a default recipe is its set-up.
    label = "{}+changes" if options.method else "custom"
    return {label.format(name): recipe for name, recipe in recipes.items()}


def _record(problem: Problem, method: str, seed: int, solution: Solution) -> dict[str, Any]:
    return {
        "problem": problem.name,
        "method": method,
        "steps": solution.steps,
        "seconds": round(solution.seconds, 2),
        problem.compared: solution.final,
        "seed": seed,
        "device": environment.device(),
        "versions": environment.versions(),
    }


def _table(problem: Problem, recipes: dict[str, Recipe], solutions: dict[str, Solution]) -> rich.table.Table:
    caption = None if problem.source == "-" else f"published: {problem.source}"
    table = rich.table.Table("method", "what it is", caption=caption)
    measured = "relative L2" if problem.compared == "relative_l2" else COMPARED[problem.compared]
    for column in ("steps", "seconds", measured, "published", "ratio"):
        table.add_column(column, justify="right")
    for name, solution in solutions.items():
        published = recipes[name].published
        ratio = None if published is None else solution.final / published
        whole = solution.steps >= sum(
            phase.steps for phase in recipes[name].phases
        )  # the published figure is that of a whole run
        table.add_row(
            name,
            recipes[name].summary,
            str(solution.steps),
            f"{solution.seconds:.1f}",
            f"{solution.final:.2e}",
            "-" if published is None else f"{published:.2e}",
            "-" if ratio is None or not whole else f"{ratio:.2f}",
        )
    return table


def _remarks(console: rich.console.Console, solutions: dict[str, Solution]) -> None:
    for name, solution in solutions.items():
        if int(solution.state.skipped):
            console.print(f"{name}: {int(solution.state.skipped)} steps were skipped, their gradient was not finite")
    if {"M1", "M4"} <= set(solutions):
        gain = solutions["M1"].relative_l2 / solutions["M4"].relative_l2
        console.print(
            f"Balanced, with the modified network (M4), the error is {gain:.3g} times smaller than plain (M1).",
            soft_wrap=True,
        )
