"""`pinnjax solve PROBLEM --method windows`: a problem in windows of time, see `pinnjax.march` and `pinnjax.evolve`."""

import argparse
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import rich.console
import rich.table

from pinnjax.cli import environment, writing
from pinnjax.metrics import relative_l2
from pinnjax.problems import Problem, in_windows
from pinnjax.train.march import Marched, Piece

METHOD = "windows"
CHOICES = ("term_weights", "point_weights", "optimizer", "model", "steps", "out", "report", "checkpoint")


def run(problem: Problem, options: argparse.Namespace) -> int:
    """March, print the windows and the error; exit code 1 where the march was given up before the end."""
    chosen = [f"--{name.replace('_', '-')}" for name in CHOICES if getattr(options, name) is not None]
    if chosen or options.dtype == "float32":
        raise ValueError(
            f"windows are solved in float64; leave out {', '.join(chosen or ['--dtype'])}, or choose another method"
        )
    writing.try_places(options, files=("json",), folders=())
    console = rich.console.Console()
    console.print(f"[bold]{problem.title}[/bold]")
    jax.config.update("jax_enable_x64", True)
    began = time.perf_counter()
    key = jax.random.key(options.seed)
    found = in_windows(problem, until=options.until, seconds=options.seconds, key=key)
    u, reached = found.u, found.reached
    seconds = time.perf_counter() - began
    if isinstance(found, Marched):
        windows = f"{len(found.pieces)} windows"
        made: dict[str, Any] = {"windows": [piece._asdict() for piece in found.pieces]}
        console.print(_table(found.pieces))
    else:
        windows = f"{found.steps} steps, {found.waves} waves along a coordinate"
        made = {"steps": found.steps, "waves": found.waves, "left": found.left}
    errors = {} if u is None or problem.reference is None else _errors(problem, u, reached)
    end = problem.grid[:, problem.time].max() if options.until is None else options.until
    done = bool(reached >= end)
    console.print(f"{'to' if done else 'given up at'} time {reached:.4g}, {windows}, {seconds:.0f} s")
    for name, value in errors.items():
        console.print(f"relative L2 error {name}: {value:.2e}", highlight=False)
    record: dict[str, Any] = {
        "problem": problem.name,
        "method": METHOD,
        "reached": float(reached),
        "whole": done,
        "seconds": round(seconds, 2),
        "errors": errors,
        **made,
        "seed": options.seed,
        "device": environment.device(),
        "versions": environment.versions(),
    }
    results = writing.Results()
    if options.json:
        with results.write("json", options.json):
            writing.write_json(options.json, record)
    results.end(record)
    return 0 if done else 1


def _table(pieces: Sequence[Piece]) -> rich.table.Table:
    table = rich.table.Table("begin", "length", "level", "residual", caption="in units of time and of the field")
    for piece in pieces:
        table.add_row(f"{piece.begin:.4g}", f"{piece.length:.3g}", str(piece.level), f"{piece.residual:.1e}")
    return table


def _errors(problem: Problem, u: Any, reached: float) -> dict[str, float]:
    """On the part of the test grid that was reached, and at its last time."""
    times = problem.grid[:, problem.time]
    within = times <= reached * (1 + 1e-9)
    parts = {"so far": within, "at the end": times == times[within].max()}
    field = problem.quantity(u)
    return {
        name: float(relative_l2(field, jnp.asarray(problem.grid[some]), np.asarray(problem.reference)[some]))
        for name, some in parts.items()
    }
