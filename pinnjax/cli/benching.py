"""`pinnjax bench`."""

import argparse

import rich.console
import rich.table

from pinnjax.cli import choosing, environment, writing
from pinnjax.cli.bench import balancers, monitors, points, step

BENCHES = {"step": step.run, "balancers": balancers.run, "points": points.run, "monitors": monitors.run}


def run(options: argparse.Namespace) -> int:
    """Run a benchmark, print its ratios, write its JSON."""
    bench = choosing.look_up("bench", options.what, BENCHES)
    choosing.number(options, "rounds")
    writing.try_places(options, files=("json",))
    console = rich.console.Console()
    workloads = bench(options.rounds)
    for workload, timings in workloads.items():
        table = rich.table.Table(
            rich.table.Column("program", no_wrap=True),
            title=f"{options.what}, {workload}, {environment.device()}",
            caption="ms a step, MiB at the peak",
        )
        for column in ("ratio", "quartiles", "ms", "compile s", "MiB"):
            table.add_column(column, justify="right", no_wrap=True)
        for name, timing in timings.items():
            table.add_row(
                name,
                f"{timing.ratio:.3f}",
                f"{timing.spread[0]:.2f}-{timing.spread[1]:.2f}",
                f"{timing.step * 1e3:.3f}",
                f"{timing.compile:.2f}",
                f"{timing.memory / 2**20:.1f}",
            )
        console.print(table)
    if options.json:
        figures = {
            workload: {name: t._asdict() for name, t in timings.items()} for workload, timings in workloads.items()
        }
        record = {"bench": options.what, "device": environment.device(), "versions": environment.versions()}
        results = writing.Results()
        with results.write("json", options.json):
            writing.write_json(options.json, record | {"workloads": figures})
        results.end(record | {"workloads": figures})
    return 0
