"""Resume: what a run keeps in its folder between two calls of `fit`, and whether it is the same run."""

import pathlib
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pinnjax.train import _fingerprint, checkpoint
from pinnjax.train._history import History
from pinnjax.train.state import TrainState

PHASE = "phase-"  # and a number from 1: the folder, in that of the run, of a phase


class Best(NamedTuple):
    """The model of the least error so far, for each seed.

    Attributes:
        error: `()` or `(seeds,)`; infinite as long as there is none.
        model: its parameters and constants.
        saved: whether the checkpoint has it.
    """

    error: np.ndarray
    model: checkpoint.Model
    saved: bool = True


def better(best: Best, error: Any, state: TrainState) -> Best:
    """The best model after another evaluation, seed by seed."""
    less = np.asarray(error) < best.error
    if not less.any():
        return best

    def chosen(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(less.reshape(less.shape + (1,) * (jnp.ndim(new) - less.ndim)), new, old)

    params = jax.tree.map(chosen, state.params, best.model.params)
    return Best(np.where(less, error, best.error), checkpoint.Model(params, state.constants), saved=False)


def best_of(folder: str | pathlib.Path, fresh: Best) -> Best:
    """The best model that the run in a folder has had."""
    saved = checkpoint.restore(pathlib.Path(folder) / checkpoint.BEST, fresh.model)
    return fresh if saved is None else Best(np.asarray(saved.about["error"]), saved.state)


def save(
    folder: str | pathlib.Path, step: int, state: TrainState, history: History, about: Mapping[str, Any], best: Best
) -> Best:
    """Write the best model and the run; a disk that is full costs the checkpoint, not the run."""
    try:
        if not best.saved:
            place = pathlib.Path(folder) / checkpoint.BEST
            checkpoint.save(place, step, best.model, about={"error": best.error.tolist()}, keep=1)
            best = best._replace(saved=True)
        checkpoint.save(folder, step, state, history, about)
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        warnings.warn(
            f"fit: the checkpoint at step {step} could not be written to {folder}: {type(error).__name__}: {said}",
            stacklevel=3,
        )
    return best


def resumed(folder: str | pathlib.Path, saved: checkpoint.Saved, here: dict[str, Any], steps: int) -> dict[str, Any]:
    """What is said of a run that goes on: `begin`, from where this call's steps are counted, `end` and fingerprint.

    An unfinished call keeps its beginning, also when it is called with the state that it returned.

    Args:
        folder: for messages.
        saved: what was found there.
        here: the same of this call, which has the fingerprint of its state and begins there.
        steps: number of steps of this call.

    Raises:
        ValueError: when the folder is of another run.
    """
    there, start = saved.about, here["begin"]
    if start > saved.step:
        raise ValueError(
            f"the state has seen {start} steps, the checkpoint in {folder} {saved.step}; expected a state from which "
            "that run began, or which it reached (choose another folder to start anew)"
        )
    same_begin = start == there["begin"]  # numbers that the state holds can be compared there only
    _fingerprint.check(folder, there["fingerprint"], here["fingerprint"], state=same_begin)
    unfinished = there["begin"] <= start and saved.step < min(there["end"], there["begin"] + steps)
    return dict(there) if unfinished else dict(here)


def check_phase(folder: str | pathlib.Path, saved: checkpoint.Saved, begin: int, steps: int) -> None:
    """A phase began where the phase before ends now, and has not done more than is asked for.

    Raises:
        ValueError: when the phases before it, or its own length, are others.
    """
    if saved.about["begin"] != begin:
        raise ValueError(
            f"the phase in {folder} began at step {saved.about['begin']}, here it begins at step {begin}; expected the "
            "same phases before it (choose another folder to start anew)"
        )
    if saved.step > begin + steps:
        raise ValueError(
            f"the phase in {folder} has done {saved.step - begin} steps, here it has {steps}; expected as many or more "
            "(choose another folder to start anew)"
        )


def goes_on(best: Best, state: TrainState) -> Best:
    """The best model of the phases before, for a phase with the same network; none yet for one with another."""
    model = checkpoint.Model(state.params, state.constants)
    kind = lambda tree: (str(jax.tree.structure(tree)), [jnp.shape(leaf) for leaf in jax.tree.leaves(tree)])
    if kind(best.model) != kind(model):
        return Best(np.full(np.shape(state.step), np.inf), model)
    cast = jax.tree.map(lambda old, new: jnp.asarray(old, new.dtype), best.model, model)
    return Best(best.error, cast, saved=not np.isfinite(best.error).any())


def check_folder(folder: str | pathlib.Path, phases: bool) -> None:
    """A folder of a run without phases is not given to one with phases, nor the other way.

    Raises:
        ValueError: when it is.
    """
    names = [path.name for path in pathlib.Path(folder).glob("*")]
    if any(map(str.isdigit, names)) if phases else any(name.startswith(PHASE) for name in names):
        here, there = ("with", "without") if phases else ("without", "with")
        raise ValueError(
            f"the checkpoint in {folder} is of a run {there} phases, this run is one {here}; choose another folder"
        )
