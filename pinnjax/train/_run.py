"""One phase of a run, or a run of one: calls of a compiled program, and what the host does between them."""

import dataclasses
import functools
import pathlib
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from pinnjax.train import _devices, _evaluation, _fingerprint, _history, _progress, _resume, _seeds, _stuck
from pinnjax.train import checkpoint as checkpoint_
from pinnjax.train._history import History
from pinnjax.train.faults import Faults, Watch
from pinnjax.train.state import TrainState, TrainStep

PyTree = Any
Metrics = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What holds in every phase: arguments of `pinnjax.fit`, and when it began."""

    evaluate: Callable[[Any], Any] | None
    evaluate_every: int
    callback: Callable[[int, Metrics, TrainState], Any] | None
    until: float | Callable[[Metrics], bool] | None
    seconds: float | None
    steps_per_call: int
    record_every: int
    checkpoint_every: int
    progress: bool | None
    began: float
    faults: Faults
    mesh: jax.sharding.Mesh | None = None


@dataclasses.dataclass(frozen=True)
class Part:
    """What is to be done.

    Attributes:
        train: the step.
        steps: how many.
        until: ends the part early, as `seconds` does.
        seconds: see `pinnjax.Phase`.
        number: of the phase, from 0; None for a run without phases.
        title: how it is called in messages.
        folder: of its checkpoints.
    """

    train: TrainStep
    steps: int
    until: float | Callable[[Metrics], bool] | None
    seconds: float | None
    number: int | None
    title: str
    folder: pathlib.Path | None


class Before(NamedTuple):
    """What goes on from one phase to the next beside the state.

    Attributes:
        best: the model of the least error.
        seconds: of training.
        crisis: what was said of gradients that differ.
        shown: the errors that the bar shows.
    """

    best: _resume.Best
    seconds: float = 0.0
    crisis: str | None = None
    shown: Mapping[str, Any] = {}


class Done(NamedTuple):
    """What came of it; `over` says that the whole run ends here."""

    state: TrainState
    history: History
    before: Before
    over: bool


def run(
    part: Part,
    state: TrainState,
    batch: Mapping[str, PyTree] | None,
    before_it: Before,
    settings: Settings,
    bar: Any,
    interrupted: Callable[[], bool],
) -> Done:
    """Train for the steps of a part, or what of them its folder does not have."""
    train, folder, evaluate = part.train, part.folder, settings.evaluate
    began = time.perf_counter()
    axes = _seeds.axes(state, batch)
    update = _seeds.over_seeds(train.update, axes)
    names = _evaluation.names(evaluate, train, state)
    pieces = [_history.empty(update, state, batch, part.number)]
    start = done = _seeds.steps_seen(state)
    best, seconds, crisis, shown = before_it
    about: dict[str, Any] = {}
    saved = ended = None  # the last: why a phase is over although steps are left
    if folder is not None:
        checkpoint_.writable(folder)
        about = {"fingerprint": _fingerprint.of(update, state, batch), "begin": start}
        saved = checkpoint_.restore(folder, state)
        if saved is not None:
            if part.number is not None:
                _resume.check_phase(folder, saved, start, part.steps)
            about = _resume.resumed(folder, saved, about, part.steps)
            start, done, state = about["begin"], saved.step, saved.state
            pieces = [saved.history, *pieces]
            best = _resume.best_of(folder, best)
            ended = saved.about.get("ended")
    pieces = [_history.joined(pieces)]
    seconds = float(pieces[0].get("evaluation/seconds", np.array([seconds]))[-1])
    target = done if ended else start + part.steps
    if saved is not None:
        left = f"{target - done} steps to go" if done < target else "no steps are left to do"
        _progress.say(f"{part.title}: resumed at step {done} from {folder}; {left}")
        _progress.skip(bar, done - start)
    about["end"] = target

    state = _devices.state_over(settings.mesh, state)
    batch = _devices.points_over(settings.mesh, batch, dict(axes or ()))
    how = _devices.shardings(settings.mesh, state)
    agreed = functools.partial(_devices.agreed, settings.mesh)
    measured = functools.partial(_evaluation.measured, evaluate, train, names)
    late = lambda since, limit: limit is not None and time.perf_counter() - since >= limit
    not_due = {f"evaluation/{name}": np.full(np.shape(state.step), np.nan)[()] for name in names}
    watch = Watch(settings.faults, state, part.title)
    over = ended == "run"
    while done < target:
        length = min(settings.steps_per_call, target - done)
        old = state
        started = time.perf_counter()
        state, metrics = jax.block_until_ready(_scan(train.update, axes, length, how, state, batch))
        seconds += time.perf_counter() - started
        metrics = jax.device_get(metrics)
        after = state
        state = watch.after(old, state, metrics)
        before, done = done, done + length
        passed = lambda every, before=before, done=done: done // every > before // every
        piece = _history.thinned(metrics, before, settings.record_every)
        piece |= _history.in_phase(part.number, len(piece["step"]))
        stuck = watch.stuck

        ending = done == target or stuck or interrupted()
        errors = measured(state) if ending or passed(settings.evaluate_every) else None
        now = {name: _evaluation.number(values[-1]) for name, values in metrics.items()} | (errors or not_due)
        now |= {} if part.number is None else {"phase": part.number}
        reached = agreed(_evaluation.reached(part.until, now, names) or late(began, part.seconds))
        all_reached = agreed(_evaluation.reached(settings.until, now, names))
        over = all_reached or agreed(late(settings.began, settings.seconds))
        ending = ending or reached or over or interrupted()
        if ending and errors is None:
            errors = measured(state)
            now |= errors

        if errors:
            piece |= {"evaluation/step": np.array([done]), "evaluation/seconds": np.array([seconds])}
            piece |= {name: np.asarray(value)[None] for name, value in errors.items()}
            best = _resume.better(best, errors[f"evaluation/{names[0]}"], state)
            shown = {name: errors[f"evaluation/{name}"] for name in names}
        pieces.append(piece)

        bar.update(length)
        bar.set_postfix(_progress.line(now, shown), refresh=False)
        if crisis is None and settings.progress is not False:
            crisis = _progress.crisis(now)
            if crisis is not None:
                _progress.say(f"fit: step {done}: {crisis}")
        if settings.callback is not None:
            settings.callback(done, now, state)

        if folder is not None and (ending or passed(settings.checkpoint_every)):
            pieces = [_history.joined(pieces)]
            about["end"] = done if all_reached else target
            if part.number is not None and (all_reached or reached or stuck):
                about["ended"] = "run" if all_reached else "phase"
            best = _resume.save(folder, done, state, pieces[0], about, best)

        if stuck:
            why = _stuck.why(old.nonfinite, after.nonfinite)
            if settings.faults.then == "raise":
                raise FloatingPointError(f"{part.title}: step {done}: {why}")
            warnings.warn(
                f"{part.title}: stopped after {done - start} of {part.steps} steps: none of the last "
                f"{watch.in_a_row.min()} steps was taken: {why}",
                stacklevel=3,
            )
        elif ending and done < target and not (reached or over):
            warnings.warn(
                f"{part.title}: interrupted after {done - start} of {part.steps} steps; returning the state there",
                stacklevel=3,
            )
            over = True
        if ending:
            break
    if part.number is not None and not over:
        _progress.shorten(bar, start + part.steps - done)
    return Done(state, _history.joined(pieces), Before(best, seconds, crisis, shown), over)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _scan(
    update: Callable, axes: Any, length: int, how: _devices.Shardings, state: TrainState, batch: Any
) -> tuple[TrainState, Metrics]:
    step = _seeds.over_seeds(update, axes)
    state, metrics = jax.lax.scan(lambda s, _: step(s, batch), state, None, length)
    return _devices.laid(state, metrics, how)
