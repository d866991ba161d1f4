"""Fit: scan the train step, many steps in one call of a compiled program, and touch the host only between calls."""

import functools
import pathlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from pinnjax import checks
from pinnjax.train import _devices, _evaluation, _history, _interrupts, _plan, _progress, _resume, _run
from pinnjax.train import checkpoint as checkpoint_
from pinnjax.train._history import History
from pinnjax.train._stuck import STUCK as STUCK
from pinnjax.train.faults import Faults
from pinnjax.train.phases import Phase, batch_of
from pinnjax.train.state import TrainState, TrainStep

PyTree = Any
Metrics = dict[str, Any]


def fit(
    train: TrainStep | Sequence[Phase],
    state: TrainState,
    batch: Mapping[str, PyTree] | None = None,
    *,
    steps: int | None = None,
    evaluate: Callable[[Any], Any] | None = None,
    evaluate_every: int = 1000,
    callback: Callable[[int, Metrics, TrainState], Any] | None = None,
    until: float | Callable[[Metrics], bool] | None = None,
    seconds: float | None = None,
    steps_per_call: int = 100,
    record_every: int = 1,
    checkpoint: str | pathlib.Path | None = None,
    checkpoint_every: int = 10_000,
    progress: bool | None = None,
    faults: Faults | None = None,
    mesh: jax.sharding.Mesh | None = None,
) -> tuple[TrainState, History]:
    """Train for `steps` more steps, or phase after phase.

    Ctrl-C ends training after the call that is running and returns what there is; a second one ends it at once. When
    100 steps in a row were not taken, training stops with a warning that says why: a loss or a gradient was not
    finite, or no step lowered the loss.

    Where there is a checkpoint, SIGTERM, which a machine sends before it is taken away, ends training after the call
    that is running, saves, and ends the process with exit code 143.

    With a `checkpoint` folder the result is what it is without, bit for bit: the given state, `steps` steps on. What
    of them the folder already has is read from it, so an interrupted script does the rest when it is started again,
    and a finished one returns at once. One that was interrupted may also be called again with the state that it
    returned: an unfinished call does the rest of its steps. What has been resumed is said on stderr. A folder of
    another run is refused: other points, equations, rules or numbers in them. Monitors may come and go; another seed
    is not noticed where points and constants are the same, since what is in the folder decides.

    States of several seeds, as `jax.vmap` makes them (`jax.vmap(lambda key: train.init(network(key), batch))(keys)`),
    train in one program. Metrics and errors then have an axis of seeds after that of steps; points are shared, or,
    with one more axis in front, each seed's own. Training stops early only where every seed would.

    With a list of `pinnjax.Phase` the phases follow one another in one run: Adam with a balancer, say, then a
    quasi-Newton method in float64. What goes on from one to the next is said in `pinnjax.train.phases.following`.
    Every phase is traced before the first one trains, so a mistake in the last is said at once. A phase ends after its
    steps, by its `until` or `seconds`, or when it is stuck, and the next one begins; Ctrl-C, and `until` and `seconds`
    of this function, end the whole run. Steps are counted over all phases, and the metric `phase` is 0, 1, ... The
    checkpoint has a folder for each, `phase-1`, `phase-2`, ...; a resumed run begins with the state that the first one
    began with, and reads the phases that have ended. The model of the least error over all phases with the same
    network so far is that of the last folder: `restore_params(folder / "phase-2", state, best=True)`.

    Args:
        train: the pair of `pinnjax.train_step`, or a list of `pinnjax.Phase`.
        state: from `train.init`, or from an earlier fit, which goes on where it stopped. With phases, from `init` of
            the first one's step; `init` needs a `key` where a phase draws random numbers.
        batch: `{term: points}` for the terms that no sampler draws. With phases each takes those of its terms that its
            own sampler does not draw.
        steps: number of steps to do, beyond those that the state has seen; phases have their own.
        evaluate: function of the field `u`, returning a number or `{name: number}`; compiled. *The* error of a run is
            the first of them.
        evaluate_every: steps between two evaluations, rounded up to whole calls; one more comes at the end.
        callback: `callback(step, metrics, state)`, called after each call with the number of steps done, the metrics
            of the last of them and `evaluation/NAME` (NaN where no evaluation or measurement was due), and the state.
            Loggers go here: see `examples/logged.py`.
        until: ends training early, after the call in which it holds: a number, for the error to come down to, or a
            function of the metrics that a callback gets, such as `lambda metrics: metrics["loss"] < 1e-6`.
        seconds: ends training after the call in which so many seconds of wall time since its beginning have passed,
            compilation included. A run that was resumed counts those of its own process; one that ended so goes on
            when it is called again with its checkpoint.
        steps_per_call: steps in one call of the compiled program.
        record_every: keep every so many steps in the history.
        checkpoint: folder to save to and resume from. With `evaluate` it also keeps the model of the least error: see
            `pinnjax.checkpoint.restore_params`.
        checkpoint_every: steps between two checkpoints, rounded up to whole calls; one more comes at the end. One
            that cannot be written is a warning.
        progress: show a progress bar with steps/s, time left, loss, errors, ‖∇L_t‖ and λ_t of each term; None shows it
            on terminals. Unless False, one line says so when the terms' weighed gradients differ by more than 10²,
            for the first time.
        faults: what is done when steps in a row are not finite, or the loss explodes; see `pinnjax.train.faults`.
        mesh: devices to train on, such as `jax.make_mesh((8,), ("points",))`: points are split along its axis
            "points", states of several seeds along "seeds", and all else is on every device. A term whose points
            cannot be split evenly is computed on all.

    Returns:
        `(state, history)`. The history maps `step` and each metric to an array with one entry a recorded step, and
        `evaluation/step`, `evaluation/seconds` (of training, without evaluation) and `evaluation/NAME` to an array
        with one entry an evaluation; NAME is `error` where `evaluate` returns a number. After a resume it is that of
        the whole run, with NaN where a metric was not measured.

    Raises:
        ValueError: when a number is out of range, points are not finite, the checkpoint is of another run, or a phase
            needs a random key that the state does not have.
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
    plan = _plan.planned(train, steps)
    for name, value in [
        ("steps", 1 if plan else steps),
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
    _evaluation.check_until("fit", until, evaluate)
    _evaluation.check_seconds("fit", seconds)
    with _devices.over(mesh) as devices:
        if plan:
            _plan.check(plan, state, batch, evaluate)
        if checkpoint is not None:
            _resume.check_folder(checkpoint, phases=bool(plan))
        settings = _run.Settings(
            evaluate,
            evaluate_every,
            callback,
            until,
            seconds,
            steps_per_call,
            record_every,
            checkpoint_every,
            progress,
            began=time.perf_counter(),
            faults=Faults() if faults is None else faults,
            mesh=devices,
        )
        parts = _plan.parts(plan, train, steps, checkpoint)
        pieces = []
        best = _resume.Best(np.full(np.shape(state.step), np.inf), checkpoint_.Model(state.params, state.constants))
        before = _run.Before(best)
        with (
            _progress.bar(sum(part.steps for part in parts), progress) as bar,
            _interrupts.held_back(checkpoint is not None, functools.partial(_devices.agreed, devices)) as interrupted,
        ):
            for i, part in enumerate(parts):
                points = batch
                if plan:
                    if i:
                        state = _plan.begun(plan[i - 1].train, state, plan[i], batch)
                        before = before._replace(best=_resume.goes_on(before.best, state))
                    points = batch_of(part.train, batch, plan[i].dtype)
                    bar.set_description(" ".join(filter(None, [f"phase {i + 1}/{len(plan)}", plan[i].summary])))
                state, history, before, over = _run.run(part, state, points, before, settings, bar, interrupted)
                pieces.append(history)
                if not over and interrupted() and part is not parts[-1]:
                    warnings.warn(f"{part.title}: interrupted at its end; returning the state there", stacklevel=2)
                    over = True
                if over:
                    break
        terminated = interrupted.terminated()
    if terminated:
        raise SystemExit(_interrupts.TERMINATED)
    return state, _history.joined(pieces)
