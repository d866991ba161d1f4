"""`pinnjax list`."""

import argparse

import rich.console
import rich.markup
import rich.table

from pinnjax.cli import catalogue, choosing, methods, pages, reproduce


def run(options: argparse.Namespace) -> int:
    """Print one table, or all of them."""
    tables = {
        "problems": _problems,
        "methods": _methods,
        "term-weights": lambda: _rules("term weights", catalogue.TERM_WEIGHTS),
        "point-weights": lambda: _rules("point weights", catalogue.POINT_WEIGHTS),
        "optimizers": lambda: _rules("optimizers", catalogue.OPTIMIZERS),
        "samplers": lambda: _space("samplers"),
        "networks": lambda: _space("networks"),
        "monitors": lambda: _space("monitors"),
        "models": _models,
        "studies": _studies,
        "pages": _pages,
    }
    chosen = tables if options.what == "all" else {options.what: choosing.look_up("list", options.what, tables)}
    console = rich.console.Console()
    for table in chosen.values():
        console.print(table())
    return 0


def _problems() -> rich.table.Table:
    table = rich.table.Table("name", "problem", "methods", "published figures from", title="problems")
    for name, problem in catalogue.PROBLEMS.items():
        table.add_row(name, problem.title, ", ".join(problem.recipes), problem.source)
    return table


def _methods() -> rich.table.Table:
    table = rich.table.Table("problem", "method", "what it is", "steps", "published relative L2", title="methods")
    for name, problem in catalogue.PROBLEMS.items():
        for method, recipe in problem.recipes.items():
            published = "-" if recipe.published is None else f"{recipe.published:.2e}"
            table.add_row(name, method, recipe.summary, str(recipe.steps), published)
    return table


def _rules(space: str, entries: dict[str, catalogue.Entry]) -> rich.table.Table:
    table = rich.table.Table("name", "paper", "what it does", "extra cost", title=space)
    none = {"none": "Every weight is 1."} if "none" in entries else {}
    found = none | methods.summaries(space)
    for name, summary in ({name: "See optax." for name in entries if name not in found} | found).items():
        entry, summary = entries.get(name), rich.markup.escape(summary)
        if entry is None:  # a tool around a rule, or a rule of functions: not for the command line
            table.add_row(f"({name})", "-", summary, "-")
        else:
            example = f" E.g. {entry.example}" if entry.example else ""
            table.add_row(name, entry.source or "-", summary + example, entry.cost)
    return table


def _space(space: str) -> rich.table.Table:
    table = rich.table.Table("name", "what it does", title=space)
    for name, summary in methods.summaries(space).items():
        table.add_row(name, rich.markup.escape(summary))
    return table


def _studies() -> rich.table.Table:
    table = rich.table.Table("name", "study", "runs", "seeds", "source", title="studies")
    for study in reproduce.STUDIES:
        table.add_row(study.name, study.title, str(len(study.runs)), str(study.seeds), study.source)
    return table


def _pages() -> rich.table.Table:
    table = rich.table.Table("name", "what it shows", title="pages")
    for name, make in pages.PAGES.items():
        table.add_row(name, (make.__doc__ or "").strip().splitlines()[0])
    return table


def _models() -> rich.table.Table:
    table = rich.table.Table("name", "network", title="models")
    for name, model in catalogue.MODELS.items():
        table.add_row(name, (model.__doc__ or "").strip().splitlines()[0])
    return table
