"""Fit: scan the train step, many steps in one call of a compiled program, and touch the host only between calls."""

import functools
import pathlib
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from pinnjax import checks
from pinnjax.train import _evaluation, _fingerprint, _history, _interrupts, _progress, _resume, _seeds, _stuck
from pinnjax.train import checkpoint as checkpoint_
from pinnjax.train._history import History
from pinnjax.train.state import TrainState, TrainStep

PyTree = Any
Metrics = dict[str, Any]


def fit(
    train: TrainStep,
    state: TrainState,
    batch: Mapping[str, PyTree] | None = None,
    *,
    steps: int,
    evaluate: Callable[[Any], Any] | None = None,
    evaluate_every: int = 1000,
    callback: Callable[[int, Metrics, TrainState], Any] | None = None,
    until: float | Callable[[Metrics], bool] | None = None,
    steps_per_call: int = 100,
    record_every: int = 1,
    checkpoint: str | pathlib.Path | None = None,
    checkpoint_every: int = 10_000,
    progress: bool | None = None,
) -> tuple[TrainState, History]:
    """Train for `steps` more steps.

    Ctrl-C ends training after the call that is running and returns what there is; a second one ends it at once. When
    100 steps in a row were not taken, training stops with a warning that says why: a loss or a gradient was not
    finite, or no step lowered the loss.

    With a `checkpoint` folder the result is what it is without, bit for bit: the given state, `steps` steps on. What
    of them the folder already has is read from it, so an interrupted script does the rest when it is started again,
    and a finished one returns at once. One that was interrupted may also be called again with the state that it
    returned: an unfinished call does the rest of its steps. What has been resumed is said on stderr. A folder of
    another run is refused: other points, equations, rules or numbers in them. Monitors may come and go; another seed
    is not noticed where points and constants are the same, since what is in the folder decides.

    States of several seeds, as `jax.vmap` makes them (`jax.vmap(lambda key: train.init(network(key), batch))(keys)`),
    train in one program. Metrics and errors then have an axis of seeds after that of steps; points are shared, or,
    with one more axis in front, each seed's own. Training stops early only where every seed would.

    Args:
        train: the pair of `pinnjax.train_step`.
        state: from `train.init`, or from an earlier fit, which goes on where it stopped.
        batch: `{term: points}` for the terms that no sampler draws.
        steps: number of steps to do, beyond those that the state has seen.
        evaluate: function of the field `u`, returning a number or `{name: number}`; compiled. *The* error of a run is
            the first of them.
        evaluate_every: steps between two evaluations, rounded up to whole calls; one more comes at the end.
        callback: `callback(step, metrics, state)`, called after each call with the number of steps done, the metrics
            of the last of them and `evaluation/NAME` (NaN where no evaluation or measurement was due), and the state.
            Loggers go here: see `examples/logged.py`.
        until: ends training early, after the call in which it holds: a number, for the error to come down to, or a
            function of the metrics that a callback gets, such as `lambda metrics: metrics["loss"] < 1e-6`.
        steps_per_call: steps in one call of the compiled program.
        record_every: keep every so many steps in the history.
        checkpoint: folder to save to and resume from. With `evaluate` it also keeps the model of the least error: see
            `pinnjax.checkpoint.restore_params`.
        checkpoint_every: steps between two checkpoints, rounded up to whole calls; one more comes at the end. One
            that cannot be written is a warning.
        progress: show a progress bar with steps/s, time left, loss, errors, ‖∇L_t‖ and λ_t of each term; None shows it
            on terminals. Unless False, one line says so when the terms' weighed gradients differ by more than 10²,
            for the first time.

    Returns:
        `(state, history)`. The history maps `step` and each metric to an array with one entry a recorded step, and
        `evaluation/step`, `evaluation/seconds` (of training, without evaluation) and `evaluation/NAME` to an array
        with one entry an evaluation; NAME is `error` where `evaluate` returns a number. After a resume it is that of
        the whole run, with NaN where a metric was not measured.

    Raises:
        ValueError: when a number is out of range, points are not finite, or the checkpoint is of another run.
        TypeError: when `evaluate` does not return numbers.
        OSError: when the checkpoint's folder cannot be written to.

    Example:
        >>> import jax.numpy as jnp, optax, pinnjax as pj
        >>> train = pj.train_step({"data": lambda u, x: u(x) - 6.0}, optax.sgd(0.1))
        >>> batch = {"data": jnp.array([[2.0]])}
        >>> state = train.init((lambda a, x: a * x[0], jnp.float32(0.0)), batch)
        >>> state, history = pj.fit(train, state, batch, steps=50, evaluate=lambda u: abs(u(jnp.ones(1)) - 3.0))
        >>> print(state.params, history["loss"].shape, history["evaluation/error"])
        3.0 (50,) [0.]
        >>> state, history = pj.fit(train, state, batch, steps=10)
        >>> print(state.step, history["step"])
        60 [51 52 53 54 55 56 57 58 59 60]
    """
    for name, value in [
        ("steps", steps),
        ("steps_per_call", steps_per_call),
        ("record_every", record_every),
        ("evaluate_every", evaluate_every),
        ("checkpoint_every", checkpoint_every),
    ]:
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"fit: {name} is {value!r}; expected an integer >= 1")
    checks.finite_points({} if batch is None else batch)
    if not isinstance(state, TrainState):
        raise TypeError(f"fit: the state is a {type(state).__name__}; expected one of train.init")
    if until is not None and not callable(until) and not isinstance(until, int | float | np.number):
        raise TypeError(f"fit: until is {until!r}; expected an error to reach, or a function of the metrics")
    if until is not None and not callable(until) and evaluate is None:
        raise ValueError(f"fit: until is {until!r}, an error to reach, but evaluate is None; expected a function of u")

    axes = _seeds.axes(state, batch)
    update = _seeds.over_seeds(train.update, axes)
    names = _evaluation.names(evaluate, train, state)
    pieces = [_history.empty(update, state, batch)]
    start = done = _seeds.steps_seen(state)
    about: dict[str, Any] = {}
    best = _resume.Best(np.full(np.shape(state.step), np.inf), checkpoint_.Model(state.params, state.constants))
    if checkpoint is not None:
        checkpoint_.writable(checkpoint)
        about = {"fingerprint": _fingerprint.of(update, state, batch), "begin": start}
        saved = checkpoint_.restore(checkpoint, state)
        if saved is not None:
            about = _resume.resumed(checkpoint, saved, about, steps)
            start, done, state = about["begin"], saved.step, saved.state
            pieces = [saved.history, *pieces]
            best = _resume.best_of(checkpoint, best)
            left = f"{start + steps - done} steps to go" if done < start + steps else "no steps are left to do"
            _progress.say(f"fit: resumed at step {done} from {checkpoint}; {left}")
    pieces = [_history.joined(pieces)]
    target = start + steps
    about["end"] = target
    seconds = float(pieces[0].get("evaluation/seconds", np.zeros(1))[-1])

    measured = functools.partial(_evaluation.measured, evaluate, train, names)
    not_due = {f"evaluation/{name}": np.full(np.shape(state.step), np.nan)[()] for name in names}
    in_a_row = np.zeros(np.shape(state.step), int)
    crisis, shown = None, {}
    with _progress.bar(steps, done - start, progress) as bar, _interrupts.held_back() as interrupted:
        while done < target:
            length = min(steps_per_call, target - done)
            old = state
            started = time.perf_counter()
            state, metrics = jax.block_until_ready(_scan(train.update, axes, length, state, batch))
            seconds += time.perf_counter() - started
            metrics = jax.device_get(metrics)
            before, done = done, done + length
            passed = lambda every, before=before, done=done: done // every > before // every
            piece = _history.thinned(metrics, before, record_every)
            in_a_row = _stuck.not_taken(in_a_row, np.asarray(old.skipped), metrics["skipped"])
            stuck = bool(in_a_row.min() >= _stuck.STUCK)

            ending = done == target or stuck or interrupted()
            errors = measured(state) if ending or passed(evaluate_every) else None
            now = {name: _evaluation.number(values[-1]) for name, values in metrics.items()} | (errors or not_due)
            reached = _evaluation.reached(until, now, names)
            ending = ending or reached or interrupted()
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
            if crisis is None and progress is not False:
                crisis = _progress.crisis(now)
                if crisis is not None:
                    _progress.say(f"fit: step {done}: {crisis}")
            if callback is not None:
                callback(done, now, state)

            if checkpoint is not None and (ending or passed(checkpoint_every)):
                pieces = [_history.joined(pieces)]
                about["end"] = done if reached else target
                best = _resume.save(checkpoint, done, state, pieces[0], about, best)

            if stuck:
                why = _stuck.why(old.nonfinite, state.nonfinite)
                warnings.warn(
                    f"fit: stopped after {done - start} of {steps} steps: none of the last {in_a_row.min()} steps was "
                    f"taken: {why}",
                    stacklevel=2,
                )
            elif ending and done < target and not reached:
                warnings.warn(
                    f"fit: interrupted after {done - start} of {steps} steps; returning the state there", stacklevel=2
                )
            if ending:
                break
    return state, _history.joined(pieces)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _scan(update: Callable, axes: Any, length: int, state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
    step = _seeds.over_seeds(update, axes)
    return jax.lax.scan(lambda s, _: step(s, batch), state, None, length)
