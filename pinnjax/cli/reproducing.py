"""`pinnjax reproduce`."""

import argparse
import pathlib

import numpy as np
import rich.console
import rich.table

from pinnjax.cli import choosing, environment, reproduce, writing
from pinnjax.cli.reproduce import Report, Study

STUDIES = {study.name: study for study in reproduce.STUDIES}


def run(options: argparse.Namespace) -> int:
    """Reproduce one study or all; exit code 1 when a claim does not hold."""
    one = options.study != "all"
    studies = [choosing.look_up("study", options.study, STUDIES)] if one else list(STUDIES.values())
    if not options.out:
        raise ValueError("--out is empty; expected a folder to write")
    folder = pathlib.Path(options.out) / ("quick" if options.quick else "full")
    writing.try_places(argparse.Namespace(out=str(folder)), folders=("out",))
    results, records = writing.Results(), {}
    console = rich.console.Console()
    about = {"device": environment.device(), "versions": environment.versions()}
    failed = []
    for study in studies:
        console.print(f"[bold]{study.title}[/bold] ({study.source})")
        report = reproduce.run(
            study, folder, quick=options.quick, tell=lambda text: console.print(f"  {text}"), about=about
        )
        console.print(_table(study, report, options.quick))
        for claim, holds in report.claims.items():
            console.print(f"  {'[green]holds[/green]' if holds else '[red]FAILS[/red]'}  {claim}", soft_wrap=True)
            failed += [] if holds else [f"{study.name}: {claim}"]
        if report.unwritten:
            records[study.name] = report.record
            results.failures += report.unwritten
    results.end(records)
    console.print(f"results and pictures are in {folder}")
    if failed:
        console.print("does not hold: " + "; ".join(failed), soft_wrap=True)
    return 1 if failed else 0


def _table(study: Study, report: Report, quick: bool) -> rich.table.Table:
    caption = "quick: one seed, fewer steps; the published figures are those of whole runs" if quick else None
    table = rich.table.Table("run", "what it is", caption=caption)
    for column in (f"{study.compared}, median", "worst", "published", "ratio", "steps", "seconds"):
        table.add_column(column, justify="right", overflow="fold")
    for label, result in report.results.items():
        run_ = study.runs[label]
        final = result.final(study.compared)
        number = isinstance(run_.published, float)
        table.add_row(
            label,
            run_.recipe.summary,
            f"{np.median(final):.2e}",
            f"{np.max(final):.2e}",
            "-" if run_.published is None else f"{run_.published:.2e}" if number else str(run_.published),
            f"{np.median(final) / run_.published:.2f}" if number and not quick else "-",
            str(result.steps[-1]),
            f"{result.seconds:.1f}",
        )
    return table
