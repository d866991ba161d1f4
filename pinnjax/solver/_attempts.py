"""One attempt at a plan: training, what came of it, and what another start comes to."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from pinnjax.solver import _phases
from pinnjax.solver._accuracy import Snapshot
from pinnjax.solver._newton import Known
from pinnjax.solver._plan import Plan
from pinnjax.train.fit import fit
from pinnjax.train.phases import Phase
from pinnjax.train.state import TrainState

CHECK_STEPS = (300, 200)  # of the phases of a second network, which says what the first is worth


class Attempt(NamedTuple):
    """A plan and what came of it.

    Attributes:
        plan: what was tried.
        definition: of the model.
        history: of the run.
        snapshots: models along the way,
        best: and the best of them.
        known: `known(places, key)`, what the linearised equations say of the field there.
        again: `again(judge, seconds)`, what comes of another start; None where there is none.
        recipe: `recipe()` is the code of it.
        goes_on: its phases, and the state at their end, from which they may go on; None where they may not.
    """

    plan: Plan
    definition: Any
    history: dict[str, np.ndarray]
    snapshots: list[Snapshot]
    best: Snapshot
    known: Callable[[Array, Array], Known]
    again: Callable[[Any, float | None], Snapshot | None]
    recipe: Callable[[], str]
    goes_on: tuple[list[Phase], TrainState] | None = None


def run(
    plan: Plan,
    phases: list[Phase],
    judge: Any,
    keys: tuple[Array, Array],
    state: TrainState | None = None,
    **options: Any,
) -> tuple[TrainState, dict[str, np.ndarray], list[Snapshot]]:
    """Train, and keep the models at which the loss at fresh points was taken; from a state the last phase goes on."""
    network_key, training_key = keys
    snapshots: list[Snapshot] = []

    def keep(step: int, metrics: Mapping[str, Any], state: TrainState) -> None:
        value = float(metrics.get("evaluation/validation", np.nan))
        if np.isfinite(value):
            snapshots.append(Snapshot(int(step), value, jax.tree.map(np.asarray, (state.params, state.constants))))

    every, per_call = _phases.rhythm(plan)
    trained: Any = phases if state is None else phases[-1].train
    if state is None:
        state = phases[0].train.init(plan.made.network(network_key), plan.batch, key=training_key)
    else:
        options["steps"] = phases[-1].steps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an end at rounding is what is hoped for; others are judged
        state, history = fit(
            trained,
            state,
            plan.batch,
            evaluate=judge,
            evaluate_every=every,
            callback=keep,
            steps_per_call=per_call,
            **options,
        )
    if not snapshots:  # a run that was resumed at its end, or one whose loss is not finite
        value = float(history["evaluation/validation"][-1])
        snapshots.append(Snapshot(int(state.step), value, jax.tree.map(np.asarray, (state.params, state.constants))))
    return state, history, snapshots


def joined(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The history of phases whose last one went on."""
    times, last = "evaluation/seconds", np.full(len(after["step"]), before["phase"][-1])
    later = {**after, "phase": last, times: after[times] + before[times][-1]}
    return {name: np.concatenate([before[name], later[name]]) for name in before if name in later}


def other(
    plan: Plan, phases: list[Phase], taken: Sequence[int], key: Array, judge: Any, seconds: float | None
) -> Snapshot | None:
    """A second network on other points, trained for a short while; other features as long as the first ones.

    None for a model of the user's, which has one.
    """
    if plan.made.scale is None:
        return None
    keys = jax.random.split(jax.random.fold_in(key, 1))
    lengths = taken if plan.features else CHECK_STEPS
    short = [dataclasses.replace(phase, steps=n, until=None) for phase, n in zip(phases, lengths, strict=True)]
    _, _, snapshots = run(plan, short, judge, (keys[0], keys[1]), seconds=seconds, progress=False)
    return min(snapshots, key=lambda one: one.validation)
