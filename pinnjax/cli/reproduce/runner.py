"""Run a study, or take up what an earlier run of it left; write its JSON and its figures."""

import contextlib
import dataclasses
import json
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from pinnjax.cli.race import race
from pinnjax.cli.reproduce.study import Claims, Result, Run, Study, Watch
from pinnjax.cli.watching import watched


@dataclasses.dataclass(frozen=True)
class Report:
    """A finished study.

    Attributes:
        results: `{label: result}`.
        claims: `{what must hold: whether it does}`.
        record: what `NAME.json` says.
        unwritten: a sentence for each file that could not be written; the results are here all the same.
    """

    results: dict[str, Result]
    claims: Claims
    record: dict[str, Any]
    unwritten: tuple[str, ...]


def run(
    study: Study,
    folder: pathlib.Path,
    *,
    quick: bool = False,
    tell: Callable[[str], None] = lambda text: None,
    about: dict[str, Any] | None = None,
    progress: bool | None = None,
) -> Report:
    """Make every run that is not stored yet, draw the figures and check the claims.

    Each run is stored when it is done, in `folder/NAME/LABEL.npz`, so that an interrupted study goes on where it
    stopped. A stored run of another number of steps or seeds, or of another recipe, is made anew.

    Args:
        study: what to reproduce.
        folder: where results go; `NAME.json` and `NAME_*.png` are written there.
        quick: one seed and `study.quick` of the steps.
        tell: called with a line of progress.
        about: written into the JSON: machine, versions.
        progress: show a progress bar; None shows it on terminals.

    Returns:
        Results and claims.
    """
    seeds = 1 if quick else study.seeds
    results: dict[str, Result] = {}
    unwritten: list[str] = []
    for label, one in study.runs.items():
        steps = max(1, round(one.recipe.steps * (study.quick if quick else 1.0)))
        path = folder / study.name / f"{_file_name(label)}.npz"
        model = getattr(network := one.recipe.phases[0].model, "__qualname__", repr(network))
        signature = f"{one.problem.title}; {model}; {one.recipe.summary}; {steps} steps; {seeds} seeds"
        found = _load(path, signature)
        if found is None:
            tell(f"{label}: {one.recipe.summary}, {steps} steps, {seeds} seed{'s' * (seeds > 1)}")
            found = _make(study, label, one, steps, seeds, progress)
            with _noting(unwritten, path):
                _store(path, signature, found)
        else:
            tell(f"{label}: stored already in {path}")
        results[label] = found
    claims = (study.quick_claims if quick else study.claims)(results)
    record = {"study": study.name, "source": study.source, "quick": quick, **(about or {})}
    record |= {"runs": {label: _row(study, label, result) for label, result in results.items()}, "claims": claims}
    path = folder / f"{study.name}.json"
    with _noting(unwritten, path):
        path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    for name, figure in study.figures(results).items():
        path = folder / f"{study.name}_{name}.png"
        with _noting(unwritten, path):
            figure.savefig(path, dpi=110)
        plt.close(figure)
    return Report(results, claims, record, tuple(unwritten))


@contextlib.contextmanager
def _noting(unwritten: list[str], path: pathlib.Path) -> Iterator[None]:
    """A file that cannot be written ends no study: what took hours is in memory still."""
    try:
        yield
    except OSError as error:
        unwritten.append(f"{path} cannot be written: {error.strerror or error}")


def _make(study: Study, label: str, one: Run, steps: int, seeds: int, progress: bool | None) -> Result:
    double = any(phase.dtype == "float64" for phase in one.recipe.phases)
    if study.watch is not None:
        return _watched(study.watch, one, steps, seeds)
    with jax.enable_x64(double or jax.config.read("jax_enable_x64")):
        outcome = race(one.problem, {label: one.recipe}, seeds=range(seeds), steps=steps, progress=progress)[label]
        extras = {name: np.asarray(value) for name, value in study.extras(one.problem, outcome).items()}
    return Result(outcome.history, outcome.steps, outcome.seconds, extras)


def _watched(watch: Watch, one: Run, steps: int, seeds: int) -> Result:
    """The run, looked at on its way: the seeds one after another, since what is measured may be large."""
    began, every = time.perf_counter(), max(1, steps // watch.moments)
    measure = lambda info: watch.measure(info) | one.problem.evaluate(info.field())
    run = watched(one.problem, one.recipe, measure, every=every, moments=watch.moments)
    keys = jnp.stack([jax.random.key(seed) for seed in range(seeds)])
    found = jax.device_get(jax.jit(lambda keys: jax.lax.map(lambda key: run(key)[0], keys))(keys))
    history = {name: np.swapaxes(values, 0, 1) for name, values in found.items()}
    return Result(history, every * np.arange(watch.moments + 1), time.perf_counter() - began, {})


def _row(study: Study, label: str, result: Result) -> dict[str, Any]:
    published = study.runs[label].published
    final = result.final(study.compared)
    return {
        study.compared: [float(f"{value:.4g}") if np.isfinite(value) else None for value in final],
        "median": _number(np.median(final)),
        "worst": _number(np.max(final)),
        "published": published,
        "ratio": _number(np.median(final) / published) if isinstance(published, float) else None,
        "steps": int(result.steps[-1]),
        "seconds": round(result.seconds, 1),
    }


def _number(value: Any) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _file_name(label: str) -> str:
    return "".join(c if c.isalnum() or c in "-_.=" else "_" for c in label)


def _store(path: pathlib.Path, signature: str, result: Result) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"history/{name}": value for name, value in result.history.items()}
    arrays |= {f"extra/{name}": value for name, value in result.extras.items()}
    whole = path.with_suffix(".part.npz")
    np.savez_compressed(
        whole, allow_pickle=False, signature=signature, steps=result.steps, seconds=result.seconds, **arrays
    )
    whole.replace(path)  # an interrupted write leaves no half file behind


def _load(path: pathlib.Path, signature: str) -> Result | None:
    if not path.exists():
        return None
    with np.load(path) as file:
        if str(file["signature"]) != signature:
            return None
        part = lambda kind: {name.removeprefix(kind): file[name] for name in file.files if name.startswith(kind)}
        return Result(part("history/"), file["steps"], float(file["seconds"]), part("extra/"))
