"""`pinnjax bench`."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import rich.console
import rich.table
from matplotlib.figure import Figure

from pinnjax.cli import choosing, environment, writing
from pinnjax.cli.bench import (
    balancers,
    compile,
    derivatives,
    devices,
    monitors,
    optimizers,
    points,
    scaling,
    seeds,
    step,
    windows,
)

BENCHES: dict[str, Callable[[int], Mapping[str, Mapping[str, Any]]]] = {
    "step": step.run,
    "derivatives": derivatives.run,
    "balancers": balancers.run,
    "points": points.run,
    "monitors": monitors.run,
    "optimizers": optimizers.run,
    "compile": compile.run,
    "scaling": scaling.run,
    "seeds": seeds.run,
    "windows": windows.run,
    "devices": devices.run,
}
CAPTIONS = {
    "optimizers": "ms an iteration; its parts over the time of a value and gradient, the search is the rest",
    "compile": "medians, each with its ratio to Adam's",
    "scaling": "share of the rate of a matrix product here; MiB at the peak",
}
PICTURES: dict[str, Callable[[Any], Figure]] = {"scaling": scaling.draw}


def run(options: argparse.Namespace) -> int:
    """Run a benchmark, print its ratios, write its JSON."""
    bench = choosing.look_up("bench", options.what, BENCHES)
    choosing.number(options, "rounds")
    if options.plot and options.what not in PICTURES:
        raise ValueError(f"--plot: there is no picture of {options.what}; expected one of {', '.join(PICTURES)}")
    writing.try_places(options, files=("json", "plot"))
    console = rich.console.Console()
    workloads = bench(options.rounds)
    for workload, timings in workloads.items():
        table = rich.table.Table(
            rich.table.Column("program", no_wrap=True),
            title=f"{options.what}, {workload}, {environment.device()}",
            caption=CAPTIONS.get(options.what, "ms a step, MiB at the peak"),
        )
        for column in next(iter(timings.values())).cells():
            table.add_column(column.strip(), justify="right", no_wrap=True)
        for name, timing in timings.items():
            table.add_row(name, *timing.cells().values())
        console.print(table)
    if options.plot:
        PICTURES[options.what](workloads).savefig(options.plot, dpi=110)
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
