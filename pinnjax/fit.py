"""Fit: scan the train step in chunks, and touch the host only between them."""

import contextlib
import functools
import pathlib
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
import tqdm.auto

from pinnjax import checkpoint as checkpoint_
from pinnjax import checks
from pinnjax.step import TrainState, TrainStep

PyTree = Any
History = dict[str, np.ndarray]


def fit(
    train: TrainStep,
    state: TrainState,
    batch: Mapping[str, PyTree] | None = None,
    *,
    steps: int,
    evaluate: Callable[[Any], Any] | None = None,
    evaluate_every: int = 1000,
    chunk: int = 100,
    record_every: int = 1,
    checkpoint: str | pathlib.Path | None = None,
    checkpoint_every: int = 10_000,
    progress: bool | None = None,
) -> tuple[TrainState, History]:
    """Train until the state has seen `steps` steps.

    Ctrl-C ends training after the chunk that is running and returns what there is; a second one ends it at once. When
    every step of a chunk was skipped (its loss or gradient not finite), training stops with a warning: a state that
    does not move would fail for ever.

    Args:
        train: the pair of `pinnjax.train_step`.
        state: from `train.init`, or from an earlier fit, which goes on where it stopped.
        batch: `{term: points}` for the terms that no sampler draws.
        steps: total number of steps, counted from the state's birth.
        evaluate: function of the field `u`, returning a scalar or `{name: scalar}`; compiled.
        evaluate_every: steps between two evaluations, rounded up to whole chunks; one more comes at the end.
        chunk: steps in one call of the compiled program.
        record_every: keep every so many steps in the history.
        checkpoint: folder to save to and resume from; a run found there goes on, bit for bit as if uninterrupted.
        checkpoint_every: steps between two checkpoints, rounded up to whole chunks; one more comes at the end.
        progress: show a progress bar with steps/s, time left, loss, error and weights; None shows it on terminals.

    Returns:
        `(state, history)`. The history maps `step` and each metric to an array with one entry a recorded step, and
        `evaluation/step`, `evaluation/seconds` (of training, without evaluation) and `evaluation/NAME` to an array
        with one entry an evaluation; NAME is `error` where `evaluate` returns a scalar.

    Raises:
        ValueError: when a number is out of range, points are not finite, or the checkpoint is of another run.

    Example:
        >>> import jax.numpy as jnp, optax, pinnjax as pj
        >>> train = pj.train_step({"data": lambda u, x: u(x) - 6.0}, optax.sgd(0.1))
        >>> batch = {"data": jnp.array([[2.0]])}
        >>> state = train.init((lambda a, x: a * x[0], jnp.float32(0.0)), batch)
        >>> state, history = pj.fit(train, state, batch, steps=50, evaluate=lambda u: abs(u(jnp.ones(1)) - 3.0))
        >>> print(state.params, history["loss"].shape, history["evaluation/error"])
        3.0 (50,) [0.]
    """
    for name, value in [
        ("steps", steps),
        ("chunk", chunk),
        ("record_every", record_every),
        ("evaluate_every", evaluate_every),
        ("checkpoint_every", checkpoint_every),
    ]:
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"fit: {name} is {value!r}; expected an integer >= 1")
    checks.finite_points({} if batch is None else batch)

    pieces: list[History] = []
    if checkpoint is not None:
        found = checkpoint_.restore(checkpoint, state)
        if found is not None:
            state, saved = found
            pieces = [saved]
    done = int(state.step)
    seconds = float(pieces[0]["evaluation/seconds"][-1]) if pieces and "evaluation/seconds" in pieces[0] else 0.0

    bar = tqdm.auto.tqdm(total=steps, initial=done, unit="step", disable=None if progress is None else not progress)
    shown: dict[str, str] = {}
    with bar, _interrupts() as interrupted:
        while done < steps:
            length = min(chunk, steps - done)
            skipped = int(state.skipped)
            started = time.perf_counter()
            state, metrics = jax.block_until_ready(_scan(train.update, length, state, batch))
            seconds += time.perf_counter() - started
            before, done = done, done + length
            piece = _thin(jax.device_get(metrics), before, record_every)
            stuck = int(state.skipped) - skipped == length
            last = done == steps or stuck or interrupted()
            if evaluate is not None and (last or done // evaluate_every > before // evaluate_every):
                errors = _named(jax.device_get(_evaluate(evaluate, train, state)))
                piece |= {"evaluation/step": np.array([done]), "evaluation/seconds": np.array([seconds])}
                piece |= {f"evaluation/{name}": np.array([value]) for name, value in errors.items()}
                shown = {name: f"{value:.2e}" for name, value in errors.items()}
            pieces.append(piece)
            bar.update(length)
            bar.set_postfix(_postfix(piece) | shown, refresh=False)
            if checkpoint is not None and (last or done // checkpoint_every > before // checkpoint_every):
                pieces = [_joined(pieces)]
                checkpoint_.save(checkpoint, done, state, pieces[0])
            if stuck:
                broken = [name for name, count in jax.device_get(state.nonfinite).items() if count]
                warnings.warn(
                    f"fit: stopped after {done} of {steps} steps: loss or gradient were not finite in any of the last "
                    f"{length} steps (terms {broken}); the state is that of the last finite step",
                    stacklevel=2,
                )
                break
            if interrupted():
                warnings.warn(
                    f"fit: interrupted after {done} of {steps} steps; returning the state there", stacklevel=2
                )
                break
    return state, _joined(pieces)


@contextlib.contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C back, so that it falls between chunks, where nothing is lost; yields whether it came.

    Only Python's own reaction is replaced: where interrupts are ignored or handled by somebody else, they still are.
    """
    came = threading.Event()

    def note(number: int, frame: Any) -> None:
        if came.is_set():
            raise KeyboardInterrupt
        came.set()

    in_main = threading.current_thread() is threading.main_thread()
    ours = in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield came.is_set
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _scan(update: Callable, length: int, state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
    return jax.lax.scan(lambda s, _: update(s, batch), state, None, length)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _evaluate(evaluate: Callable, train: TrainStep, state: TrainState) -> Any:
    return evaluate(train.model(state))


def _named(errors: Any) -> dict[str, float]:
    return {k: float(v) for k, v in errors.items()} if isinstance(errors, Mapping) else {"error": float(errors)}


def _thin(metrics: Mapping[str, np.ndarray], before: int, every: int) -> History:
    steps = before + 1 + np.arange(len(metrics["loss"]))
    kept = steps % every == 0
    return {"step": steps[kept]} | {name: np.asarray(values)[kept] for name, values in metrics.items()}


def _joined(pieces: list[History]) -> History:
    names = {name: None for piece in pieces for name in piece}  # a dict, since it keeps the order
    return {name: np.concatenate([piece[name] for piece in pieces if name in piece]) for name in names}


def _postfix(piece: Mapping[str, np.ndarray]) -> dict[str, str]:
    weights = [name for name in piece if name.startswith("weight/") and len(piece[name])]
    loss = {"loss": f"{piece['loss'][-1]:.2e}"} if len(piece["loss"]) else {}
    return loss | {f"λ_{name.removeprefix('weight/')}": f"{piece[name][-1]:.3g}" for name in weights}
