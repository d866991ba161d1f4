"""The plan of a run: its phases, checked and traced before the first of them trains."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from pinnjax import checks
from pinnjax.train import _evaluation, _history, _resume, _seeds, phases
from pinnjax.train._run import Part
from pinnjax.train.phases import Phase
from pinnjax.train.state import TrainState, TrainStep

PyTree = Any


def planned(train: Any, steps: int | None) -> list[Phase] | None:
    """The phases that were given, each with the dtype that holds in it; None for one train step.

    Raises:
        TypeError: when it is neither.
        ValueError: when `steps` are given beside phases, or a dtype cannot be.
    """
    if isinstance(train, TrainStep):
        return None
    if not isinstance(train, Sequence) or not train or not all(isinstance(phase, Phase) for phase in train):
        raise TypeError(
            f"fit: train is {checks.described(train)}; expected a pinnjax.train_step, or a list of pinnjax.Phase"
        )
    if steps is not None:
        raise ValueError(f"fit: steps is {steps!r} beside phases, which have their own; expected none")
    found, dtype = [], None
    for i, phase in enumerate(train):
        dtype = dtype if phase.dtype is None else jnp.dtype(phase.dtype)
        if dtype == jnp.float64 and not jax.config.read("jax_enable_x64"):
            raise ValueError(
                f"fit: {title(i, train)}: dtype is float64; expected float32, or "
                'jax.config.update("jax_enable_x64", True) beforehand'
            )
        found.append(dataclasses.replace(phase, dtype=dtype))
    return found


def title(i: int, plan: Sequence[Phase]) -> str:
    """How a phase is called in messages."""
    return f"phase {i + 1} of {len(plan)}"


def parts(
    plan: Sequence[Phase] | None, train: Any, steps: int | None, checkpoint: str | pathlib.Path | None
) -> list[Part]:
    """What is to be done, one after another; without phases a single part."""
    folder = None if checkpoint is None else pathlib.Path(checkpoint)
    if plan is None:
        return [Part(train, steps or 0, None, None, None, "fit", folder)]
    place = lambda i: None if folder is None else folder / f"{_resume.PHASE}{i + 1}"
    return [
        Part(phase.train, phase.steps, phase.until, phase.seconds, i, f"fit: {title(i, plan)}", place(i))
        for i, phase in enumerate(plan)
    ]


def begun(before: TrainStep, state: TrainState, phase: Phase, batch: Mapping[str, PyTree] | None) -> TrainState:
    """`phases.following`, of each seed where there are several."""
    one = lambda s, points: phases.following(before, s, phase, points)
    return _seeds.over_seeds(one, _seeds.axes(state, batch))(state, batch)


def check(
    plan: Sequence[Phase], state: TrainState, batch: Mapping[str, PyTree] | None, evaluate: Callable | None
) -> None:
    """Trace every transition and every step, so that what is wrong in the last phase is said before the first.

    Raises:
        ValueError: and whatever else the phases raise, with a note of the phase.
    """
    first = plan[0]
    if first.model is not None:
        raise ValueError(f"fit: {title(0, plan)}: model is given; expected None, since the state has a model")
    differing = {str(leaf.dtype) for leaf in jax.tree.leaves(state.params)} - {str(first.dtype)}
    if first.dtype is not None and differing:
        raise ValueError(
            f"fit: {title(0, plan)}: dtype is {first.dtype}, but the state's parameters are {sorted(differing)}; "
            "expected None, or the dtype of the state"
        )
    known = {name for phase in plan for name in phases.parts(phase.train).terms}
    unknown = sorted(set(batch or ()) - known)
    if unknown:
        raise ValueError(
            f"fit: the batch has points for {unknown}, which are terms of no phase; expected {sorted(known)}"
        )

    shapes = jax.eval_shape(lambda s: s, state)
    pieces = []
    for i, phase in enumerate(plan):
        with named(i, plan):
            _evaluation.check_until("fit", phase.until, evaluate)
            if i:
                shapes = jax.eval_shape(lambda s, b, i=i: begun(plan[i - 1].train, s, plan[i], b), shapes, batch)
            points = phases.batch_of(phase.train, batch, phase.dtype)
            update = _seeds.over_seeds(phase.train.update, _seeds.axes(shapes, points))
            _evaluation.names(evaluate, phase.train, shapes)
            pieces.append(_history.empty(update, shapes, points, i))
            _history.joined(pieces)


@contextlib.contextmanager
def named(i: int, plan: Sequence[Phase]) -> Iterator[None]:
    """Errors inside say which phase they are of."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in {title(i, plan)} of fit")
        raise
