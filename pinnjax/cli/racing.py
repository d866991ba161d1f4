"""`pinnjax race`."""

import argparse
import dataclasses
import itertools
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
import rich.console
import rich.table

from pinnjax import plot
from pinnjax.cli import catalogue, choosing, environment, factories, optimizing, racing_optimizers, writing
from pinnjax.cli.race import Outcome, race
from pinnjax.problems import COMPARED, Problem, Recipe
from pinnjax.term_weights import EVENTS
from pinnjax.terms import names

SEEDS = 3


def run(options: argparse.Namespace) -> int:
    """Train side by side, print the table, write JSON and the plot after every outcome."""
    choosing.number(options, "seeds")
    choosing.common(options)
    optimizing.double_for(options, choosing.split(options.optimizers or ""))
    problem = factories.problem(options.problem)
    recipes = _recipes(problem, options)
    seeds = _seeds(problem, recipes, options)
    choosing.double(recipes.values(), options.dtype)
    by_clock = options.optimizers is not None
    for label, recipe in recipes.items():
        choosing.try_rules(problem, recipe, label, dtype=options.dtype, always=by_clock)
    writing.try_places(options, files=("json",), folders=("out",))
    if by_clock:
        return racing_optimizers.run(options, problem, recipes, seeds)
    results = writing.Results()

    console = rich.console.Console()
    counts = lambda recipe: optimizing.steps_of(recipe, options.steps, options.dtype)
    steps = list(dict.fromkeys(map(counts, recipes.values())))
    number = f"{seeds} seed{'s' * (seeds > 1)}"
    console.print(f"[bold]{problem.title}[/bold]: {number}, {'; '.join(steps)}")

    def save(outcomes: dict[str, Outcome]) -> None:
        if options.json:
            with results.write("json", options.json):
                writing.write_json(options.json, _record(problem, outcomes))
        if options.out:
            with results.write("out", options.out):
                histories = {label: outcome.history | {"step": outcome.steps} for label, outcome in outcomes.items()}
                figure = plot.race(histories, compared=problem.compared)
                _draw_masks(problem, outcomes, pathlib.Path(options.out))
                figure.savefig(pathlib.Path(options.out) / f"race_{problem.name}.png", dpi=110)
                plt.close(figure)

    outcomes = race(
        problem,
        recipes,
        seeds=range(seeds),
        steps=options.steps,
        dtype=options.dtype,
        seconds=options.seconds,
        after=save,
    )
    console.print(_table(problem, outcomes))
    for line in _events(outcomes):
        console.print(line, soft_wrap=True)
    results.end(_record(problem, outcomes))
    return 0


def _draw_masks(problem: Problem, outcomes: dict[str, Outcome], folder: pathlib.Path) -> None:
    """Where there is one coordinate, the point weights over it: one picture a term."""
    folder.mkdir(exist_ok=True)
    weighed = {label: outcome for label, outcome in outcomes.items() if outcome.point_weights}
    if problem.grid.shape[1] != 1 or not weighed:
        return
    for residual in next(iter(weighed.values())).point_weights:
        term = names.term_of(residual, problem.terms)
        found = {label: names.places(_of_first_seed(outcome.points[term])) for label, outcome in weighed.items()}
        places = {label: x for label, x in found.items() if x is not None}
        if len(places) < len(found):
            continue
        figure, ax = plt.subplots(figsize=(4.5, 3.2), layout="constrained")
        plot.masks(places, {label: outcome.point_weights[residual] for label, outcome in weighed.items()}, ax=ax)
        figure.savefig(folder / f"masks_{problem.name}_{residual.replace('/', '_')}.png", dpi=150)
        plt.close(figure)


def _of_first_seed(points: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], points)


def _seeds(problem: Problem, recipes: dict[str, Recipe], options: argparse.Namespace) -> int:
    """How many seeds; one where all are alike."""
    if not factories.all_seeds_alike(problem, recipes):
        return SEEDS if options.seeds is None else options.seeds
    if options.seeds not in (None, 1):
        raise ValueError(
            f"seeds is {options.seeds}, but {options.problem} returns one model and its points, with which all seeds "
            "are alike; expected 1, or a factory that returns a pinnjax.problems.Problem"
        )
    return 1


def _recipes(problem: Problem, options: argparse.Namespace) -> dict[str, Recipe]:
    """The recipes to race: the problem's own, or one of them with each of the rules or optimisers asked for."""
    base = problem.default_methods[0] if options.method is None else options.method
    recipe = choosing.look_up("method", base, problem.recipes)
    found = {base: recipe}
    if options.term_weights is not None or options.point_weights is not None:
        term_rules = _rules(options.term_weights, catalogue.TERM_WEIGHTS)
        point_rules = _rules(options.point_weights, catalogue.POINT_WEIGHTS)
        found = {}
        for term_rule, point_rule in itertools.product(term_rules, point_rules):
            label = " + ".join(filter(None, (term_rule, point_rule)))
            changed = recipe.in_all_phases(**choosing.changes(term_rule, point_rule, problem))
            found[label] = dataclasses.replace(changed, summary=label, published=None)
    elif options.method is None and options.optimizers is None:
        return dict(problem.recipes)
    if options.optimizers is None:
        return found
    if len(found) > 1:
        raise ValueError(f"optimizers race with one recipe, not with {', '.join(found)}; expected one rule a space")
    return racing_optimizers.recipes(problem, next(iter(found.values())), options.optimizers)


def _rules(text: str | None, table: dict[str, catalogue.Entry]) -> list[str | None]:
    if text is None:
        return [None]
    rules: list[str | None] = [name for rule in choosing.split(text) for name in (table if rule == "all" else [rule])]
    if not rules:
        raise ValueError(f"the rules are {text!r}; expected NAME,NAME:option=value,... or all")
    return rules


def _record(problem: Problem, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    return {
        "problem": problem.name,
        "device": environment.device(),
        "versions": environment.versions(),
        "outcomes": {
            label: {
                "seeds": outcome.seeds.tolist(),
                outcome.compared: _rounded(outcome.final),
                "seconds": round(outcome.seconds, 2),
                "steps": outcome.steps.tolist(),
                "history": {name: _rounded(values) for name, values in outcome.history.items()},
            }
            for label, outcome in outcomes.items()
        },
    }


def _rounded(values: np.ndarray) -> list:
    """Six digits as numbers that JSON has: what is not finite becomes null."""
    flat = [float(f"{v:.6g}") if np.isfinite(v) else None for v in np.ravel(values)]
    return flat if values.ndim == 1 else [flat[i : i + values.shape[1]] for i in range(0, len(flat), values.shape[1])]


def _table(problem: Problem, outcomes: dict[str, Outcome]) -> rich.table.Table:
    table = rich.table.Table(
        rich.table.Column("rule", overflow="fold", min_width=20),
        title=f"{COMPARED[problem.compared]}: {problem.name}",
        caption="seconds of all seeds together; weights over the reference's, medians",
    )
    known = ("loss", "skipped", problem.compared)
    others = list(
        dict.fromkeys(n for outcome in outcomes.values() for n in outcome.history if "/" not in n and n not in known)
    )
    for column in ("median", "best", "worst", *others, "seconds"):
        table.add_column(column, justify="right", no_wrap=True, min_width=7)
    table.add_column("weights", min_width=10)
    worst = lambda final: np.where(np.isfinite(final), final, np.inf)
    for label, outcome in sorted(outcomes.items(), key=lambda item: np.median(worst(item[1].final))):
        final = worst(outcome.final)
        figures = [f"{f(final):.1e}" for f in (np.median, np.min, np.max)]
        figures += [f"{np.median(outcome.history[name][-1]):.2g}" for name in others]
        table.add_row(label, *figures, f"{outcome.seconds:.1f}", _weights(problem, outcome))
    return table


def _weights(problem: Problem, outcome: Outcome) -> str:
    last = {name.removeprefix("weight/"): v[-1] for name, v in outcome.history.items() if name.startswith("weight/")}
    own = [name for name in last if names.of_residual(name, {problem.balance_against: True}, problem.terms)]
    reference = last.pop(own[0]) if own else np.ones(1)
    reference = np.where(reference == 0, np.nan, reference)
    return ", ".join(f"{name} {np.median(value / reference):.2g}" for name, value in last.items())


def _events(outcomes: dict[str, Outcome]) -> Iterator[str]:
    """One line for each rule whose steps were skipped or whose weights were held."""
    for label, outcome in outcomes.items():
        last = {name: int(values[-1].max()) for name, values in outcome.history.items()}
        events = [f"{last['skipped']} steps skipped"] * bool(last["skipped"])
        events += [f"{name} {n} times" for name, n in last.items() if n and name.split("/")[0] in EVENTS]
        if events:
            yield f"{label}: {', '.join(events)} (of {outcome.steps[-1]} steps, in the worst seed)"
