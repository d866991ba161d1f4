"""`pinnjax scoreboard`."""

import argparse
import itertools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
import rich.console
import rich.table

from pinnjax.cli import choosing, environment, scoreboard, writing
from pinnjax.cli.scoreboard import CONTESTANTS, MARKS
from pinnjax.solver.solution import Accuracy

SECONDS = 120.0
GOOD, BETTER = 1e-3, 1e-4
FACTOR, ALARM = 3.0, 10.0  # between the error and what `accuracy` says; above the second, it is wrong

Records = list[dict[str, Any]]


def run(options: argparse.Namespace) -> int:
    """Run every contestant on every problem, and write after each; go on from a JSON file that has a part."""
    choosing.number(options, "seeds")
    seeds = 1 if options.seeds is None else options.seeds
    seconds = SECONDS if options.seconds is None else options.seconds
    if not seconds >= 1:
        raise ValueError(f"--seconds is {seconds}; expected a number >= 1")
    problems = _chosen("problem", options.problems, list(scoreboard.names()))
    contestants = _chosen("contestant", options.contestants, list(CONTESTANTS))
    writing.try_places(options, files=("json",), folders=("out",))
    records = _read(options.json, seconds)
    console, results = rich.console.Console(), writing.Results()
    for name in problems:
        problem = None
        for seed in range(seeds):
            for contestant in contestants:
                if any((r["problem"], r["contestant"], r["seed"]) == (name, contestant, seed) for r in records):
                    continue
                problem = scoreboard.problem(name) if problem is None else problem
                record = _played(problem, contestant, seconds, seed)
                jax.clear_caches()  # programs of hundreds of runs are more maps than a process may have
                records.append(record)
                console.print(_line(record), highlight=False, soft_wrap=True)
                if options.json:
                    with results.write("json", options.json):
                        writing.write_json(options.json, _whole(records, seconds))
    others = dict.fromkeys(r["contestant"] for r in records if r["contestant"] not in CONTESTANTS)  # of other packages
    contestants += others
    mine = [r for r in records if r["problem"] in problems and r["contestant"] in contestants]
    console.print(_table(mine, contestants))
    for line in summary(mine):
        console.print(line, highlight=False, soft_wrap=True)
    if options.out:
        with results.write("out", options.out):
            folder = pathlib.Path(options.out)
            folder.mkdir(parents=True, exist_ok=True)
            draw(mine).savefig(folder / "scoreboard.png", dpi=150)
            plt.close("all")
    results.end(_whole(records, seconds))
    return 0


def summary(records: Records) -> list[str]:
    """What the scoreboard says, a sentence each; medians over the seeds.

    Example:
        >>> one = {"problem": "a", "kind": "new", "seed": 0, "seconds_to": {}}
        >>> mine = {**one, "contestant": "solve", "error": 1e-5, "accuracy": 2e-5}
        >>> for line in summary([mine, {**one, "contestant": "adam", "error": 1e-2, "accuracy": None}]):
        ...     print(line)
        new: 1 of 1 at 1e-03 or less, 1 at 1e-04 or less.
        adam: solve has the lower error on 1 of 1; the geometric mean of the ratio is 1e+03.
        accuracy: within a factor of 3 in 1 of 1 runs, below a tenth of the error in 0; 0 were said to have failed.
    """
    errors = _medians(records)
    lines = []
    for kind in ("library", "new"):
        found = np.array([e for (name, who), e in errors.items() if who == "solve" and _kind(records, name) == kind])
        if len(found):
            lines.append(
                f"{kind}: {np.sum(found <= GOOD)} of {len(found)} at {GOOD:.0e} or less, {np.sum(found <= BETTER)} at "
                f"{BETTER:.0e} or less."
            )
    for other in dict.fromkeys(who for _, who in errors if who != "solve"):
        ratios = [
            e / errors[name, "solve"] for (name, who), e in errors.items() if who == other and (name, "solve") in errors
        ]
        if ratios:
            mean = float(np.exp(np.mean(np.log(ratios))))
            lines.append(
                f"{other}: solve has the lower error on {np.sum(np.array(ratios) > 1)} of {len(ratios)}; the geometric "
                f"mean of the ratio is {mean:.2g}."
            )
    own = [r for r in records if r["contestant"] == "solve"]
    if own:
        said = [r for r in own if r["accuracy"] is not None and r["error"] is not None]
        ratio = np.array([r["error"] / r["accuracy"] for r in said])
        within = np.sum((ratio < FACTOR) & (ratio > 1 / FACTOR))
        lines.append(
            f"accuracy: within a factor of {FACTOR:g} in {within} of {len(said)} runs, below a tenth of the error in "
            f"{np.sum(ratio > ALARM)}; {len(own) - len(said)} were said to have failed."
        )
    return lines


def draw(records: Records) -> plt.Figure:
    """A dot for each contestant and problem: the error, the median over the seeds."""
    errors = _medians(records)
    contestants = sorted(dict.fromkeys(who for _, who in errors), key=lambda who: [*CONTESTANTS, who].index(who))
    names = sorted(
        {name for name, _ in errors}, key=lambda name: errors.get((name, contestants[0]), np.inf), reverse=True
    )
    figure, ax = plt.subplots(figsize=(6.5, 0.22 * len(names) + 1.2), layout="constrained")
    for who, marker in zip(contestants, itertools.cycle("os^Dv"), strict=False):
        rows = [i for i, name in enumerate(names) if (name, who) in errors]
        ax.plot([errors[names[i], who] for i in rows], rows, marker, label=who, markersize=5)
    ax.set(xscale="log", xlabel="relative L2 error", yticks=range(len(names)), yticklabels=names)
    ax.axvline(GOOD, color="0.7", linewidth=1, zorder=0)
    ax.grid(axis="y", color="0.9")
    ax.legend(loc="lower left", fontsize=8)  # where errors would be small and ranks bad
    return figure


def _played(problem: Any, contestant: str, seconds: float, seed: int) -> dict[str, Any]:
    record = {"problem": problem.name, "kind": scoreboard.names()[problem.name], "contestant": contestant, "seed": seed}
    score = CONTESTANTS[contestant](problem, seconds, seed)
    return record | {
        "error": _number(score.error),
        "seconds": round(score.seconds, 1),
        "seconds_to": {f"{mark:.0e}": _number(found) for mark, found in score.until.items()},
        "accuracy": None if score.accuracy is None else _number(score.accuracy.value),
        "known_from": None if score.accuracy is None else _plain(score.accuracy),
        "also": {name: _number(value) for name, value in score.also.items()},
    }


def _plain(accuracy: Accuracy) -> dict[str, Any]:
    return {name: value if isinstance(value, str) else _number(value) for name, value in accuracy._asdict().items()}


def _number(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _medians(records: Records) -> dict[tuple[str, str], float]:
    """Of the errors, infinite where a run has none that is finite; problems without a reference are left out."""
    found: dict[tuple[str, str], list[float]] = {}
    for r in records:
        found.setdefault((r["problem"], r["contestant"]), []).append(np.inf if r["error"] is None else r["error"])
    return {key: float(min(np.median(errors), 1e3)) for key, errors in found.items()}


def _kind(records: Records, name: str) -> str:
    return next(r["kind"] for r in records if r["problem"] == name)


def _line(record: Mapping[str, Any]) -> str:
    accuracy = "" if record["accuracy"] is None else f", which it believes to be {record['accuracy']:.1e}"
    error = "not finite" if record["error"] is None else f"{record['error']:.1e}"
    return f"{record['problem']}, {record['contestant']}, seed {record['seed']}: error {error}{accuracy}"


def _table(records: Records, contestants: Sequence[str]) -> rich.table.Table:
    """A line a problem."""
    errors = _medians(records)
    table = rich.table.Table(
        "problem", *contestants, caption="relative L2 errors, medians over the seeds; seconds: of solve"
    )
    for mark in MARKS:
        table.add_column(f"s to {mark:.0e}", justify="right")
    table.add_column("accuracy", justify="right")
    for name in dict.fromkeys(r["problem"] for r in records):
        own = [r for r in records if r["problem"] == name and r["contestant"] == "solve"]
        cells = [f"{errors[name, who]:.1e}" if (name, who) in errors else "-" for who in contestants]
        times = [[np.inf if (s := r["seconds_to"][f"{mark:.0e}"]) is None else s for r in own] for mark in MARKS]
        cells += [f"{np.median(t):.0f}" if t and np.isfinite(np.median(t)) else "-" for t in times]
        said = [np.inf if r["accuracy"] is None else r["accuracy"] for r in own]
        cells.append("-" if not said else "failed" if not np.isfinite(np.median(said)) else f"{np.median(said):.1e}")
        table.add_row(name, *cells)
    return table


def _chosen(what: str, text: str | None, known: Sequence[str]) -> list[str]:
    if text is None:
        return list(known)
    found = choosing.split(text)
    for name in found:
        choosing.look_up(what, name, dict.fromkeys(known))
    return found


def _whole(records: Records, seconds: float) -> dict[str, Any]:
    return {"seconds": seconds, "device": environment.device(), "versions": environment.versions(), "runs": records}


def _read(place: str | None, seconds: float) -> Records:
    """Runs that a file has already.

    Raises:
        ValueError: when they had other seconds, or the file is no scoreboard.
    """
    if not place or not pathlib.Path(place).is_file() or not pathlib.Path(place).stat().st_size:
        return []
    try:
        found = json.loads(pathlib.Path(place).read_text())
        before, runs = found["seconds"], list(found["runs"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"--json {place} is not a scoreboard; expected a new file, or one to go on with") from error
    if before != seconds:
        raise ValueError(f"--json {place} has runs of {before:g} s; expected --seconds {before:g}, or another file")
    return runs
