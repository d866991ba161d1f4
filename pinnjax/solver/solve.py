"""`pinnjax.solve`: your equation, no recipe."""

import dataclasses
import functools
import pathlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnjax import checks, sampling
from pinnjax.doctor import Diagnosis, diagnose
from pinnjax.solver import _accuracy, _code, _features, _judging, _lost, _newton, _phases, _plan, _points
from pinnjax.solver._accuracy import Snapshot
from pinnjax.solver._plan import Plan
from pinnjax.solver.solution import Solution, precise
from pinnjax.terms import bridge
from pinnjax.train.fit import fit
from pinnjax.train.phases import Phase
from pinnjax.train.state import TrainState

PyTree = Any
Points = Mapping[str, Any]
FIRST = 0.2  # of the time, at most, for Adam, beside its compilation
CHECK = 0.15  # of the time, for a second network that says what the first is worth
CHECK_STEPS = (300, 200)
FIT = 0.4  # of the time, at most, for random features
AGAIN = 0.25  # of the time, at least, for another attempt
GOOD = 1e-4  # residuals, in units of what an error of 100 % does to them, with which the first attempt is the last


class Attempt(NamedTuple):
    """A plan, what came of it, and the best model along the way."""

    plan: Plan
    phases: list[Phase]
    state: TrainState
    history: dict[str, np.ndarray]
    snapshots: list[Snapshot]
    best: Snapshot


def solve(
    terms: Mapping[str, Any],
    points: Points | sampling.Sampler,
    model: Any = None,
    outputs: int | str = "scalar",
    *,
    coefficients: Mapping[str, float] | None = None,
    seconds: float = 120.0,
    steps: int | None = None,
    key: Array | None = None,
    reference: Any = None,
    evaluate: Callable[[Any], Any] | None = None,
    progress: bool | None = None,
    checkpoint: str | pathlib.Path | None = None,
) -> Solution:
    """Solve an equation without a recipe, and say what the solution is worth.

    First a wide network whose hidden layer is drawn once (`pinnjax.nn.RandomFeatures`): how steep its waves or steps
    are to be is measured, and Gauss-Newton steps find the rest. Where the solution is smooth that is the end, to many
    digits. Where the residuals that are left say otherwise, a deep network made for the points is trained: a thousand
    steps of Adam, then self-scaled Broyden, on points drawn anew, more of them where the residual is large. The field
    is scaled by what the residuals ask of it, and each residual by what the field does to it, so that units do not
    matter; conditions then weigh ten times an equation. Where something holds at the beginning of a coordinate and
    nothing at its end, and training is lost, it is done again with the early part of that coordinate first
    (`pinnjax.sampling.growing`). All is done in double precision, and the model of the least loss at points that
    training does not see is kept. At the end a second network is trained for a short while, or second features are
    fitted, and the difference from the first says what a residual is worth as an error.

    All that is done is `train_step`, `fit`, samplers and networks, and `print(solution.recipe)` shows it as code.

    Args:
        terms: `{name: residual function}`, as in `pinnjax.train_step`.
        points: `{name: points}` for every term: `draw(key, n) -> points`, pure, which is best, since new ones are then
            drawn; or an array `(n, d)`, or a pytree of arrays. An array that fills a box, or faces of one, stands for
            them. Other arrays stay, and a fifth of an equation's is kept out of training. A sampler of all terms stands
            for the points that it begins with.
        model: an `nnx.Module` or a pair `(apply, params)`, which is trained as it is, in double precision; None for a
            network made for these points, or two.
        outputs: `"scalar"`, or the number of components of the field, when `model` is None.
        coefficients: `{name: first guess}` of unknown coefficients, when `model` is None: residuals read them as
            `u.name`. Each keeps the sign of its guess; see `pinnjax.nn.WithCoefficients`.
        seconds: wall time for everything, compilation included; the end comes after the call in which it is over. Some
            40 s are spent in any case, most of them in compilation.
        steps: number of steps of a deep network after those of Adam, whatever time they take; None for what `seconds`
            allow.
        key: random key of the networks and the points; `jax.random.key(0)` when None.
        reference: the exact solution `u(x)`, or `(grid, values)`; it is reported, and nothing is chosen by it.
        evaluate: as in `pinnjax.fit`, for the history; nothing is chosen by it either.
        progress: as in `pinnjax.fit`.
        checkpoint: folder to save to and resume from, as in `pinnjax.fit`.

    Returns:
        The solution: print it.

    Raises:
        ValueError, TypeError: when terms or points are not as above, or a residual is not finite before training.

    Example:
        >>> import jax.numpy as jnp, pinnjax as pj
        >>> terms = {"ode": lambda u, t: pj.diff(u, 0)(t) + u(t), "start": lambda u, t: u(t) - 300.0}
        >>> points = {"ode": jnp.linspace(0, 2, 60)[:, None], "start": jnp.zeros((1, 1))}
        >>> solution = pj.solve(terms, points, steps=50)  # doctest: +SKIP
        >>> print(solution.solved, f"{solution.u(jnp.array([1.0])) / (300 * jnp.exp(-1.0)):.3f}")  # doctest: +SKIP
        True 1.000
    """
    began = time.perf_counter()
    checks.terms(terms)
    given: Mapping[str, Any] = _points.of_sampler(points) if isinstance(points, sampling.Sampler) else points
    checks.number("solve: seconds", seconds, 1.0)
    if steps is not None:
        checks.count("solve: steps", steps)
    if outputs != "scalar":
        checks.count("solve: outputs", outputs, '"scalar"')
    if coefficients is not None and model is not None:
        raise ValueError(
            "solve: coefficients are given with a model; expected a model that has them, as "
            "pj.nn.WithCoefficients(model, coefficients) has"
        )
    left = lambda: None if steps is not None else max(1.0, seconds - (time.perf_counter() - began))
    with jax.enable_x64(True):
        key = jax.random.key(0) if key is None else checks.key("solve: key", key)
        network_key, training_key, points_key, fresh_key = jax.random.split(key, 4)
        plan = _plan.planned(terms, given, model, outputs, coefficients or {}, points_key)
        fresh = plan.fresh(fresh_key)
        _judging.check_finite(plan, network_key, fresh)
        judge = _judging.judge(plan, fresh, evaluate)
        check = max(CHECK * seconds, time.perf_counter() - began)

        def attempt(plan: Plan, name: str) -> Attempt:
            rest = left()
            phases = _phases.phases(plan, steps, None if rest is None else FIRST * rest)
            most = FIT * seconds if plan.features else seconds
            state, history, snapshots = _run(
                plan,
                phases,
                judge,
                (network_key, training_key),
                # What an equation takes to plan it takes about again to say what its solution is worth.
                seconds=None if rest is None else max(1.0, min(rest - check, most)),
                checkpoint=None if checkpoint is None else pathlib.Path(checkpoint) / name,
                progress=progress,
            )
            best = _judging.looked_at_closely(plan, state.definition, snapshots, fresh_key)
            return Attempt(plan, phases, state, history, snapshots, best)

        there_is_time = lambda: (rest := left()) is None or rest - check > AGAIN * seconds
        good = lambda: bool(made) and min(_judging.rank(one.best) for one in made) <= GOOD**2
        made: list[Attempt] = []
        if (wide := _features.with_features(plan, points_key)) is not None:
            made.append(attempt(wide, "features"))
        if not good() and (not made or there_is_time()):
            made.append(attempt(plan, "at_once"))
            if plan.time is not None and _lost.lost(made[-1].history, 1) and there_is_time():
                made.append(attempt(_plan.early_times_first(plan), "growing"))
        plan, phases, state, history, snapshots, best = min(made, key=lambda one: _judging.rank(one.best))
        values = _judging.values(plan, state.definition, fresh)
        after = left()
        short = None if after is None else max(1.0, after / 2)
        taken = tuple(int(np.sum((history["phase"] == i) & (history["step"] <= best.step))) for i in range(len(phases)))
        other = _other(plan, phases, taken, _judging.judge(plan, fresh), training_key, short)
        # Least squares come in a step to where they end: other features say what that is worth.
        before = [] if plan.features else [s for s in snapshots if s.step < best.step]
        accuracy = _accuracy.estimate(
            [(s.validation, values(s)) for s in before] + [(best.validation, values(best))],
            None if other is None else (other.validation, values(other)),
            *_newton.known(plan, state.definition, best.model, _judging.places(plan, fresh), fresh_key),
        )
        field = bridge.field(state.definition, *jax.tree.map(jnp.asarray, best.model))
        found = {name: float(getattr(field, name)) for name in coefficients or {}}
        error = None if reference is None else float(_judging.error(field, reference, fresh, plan))
    return Solution(
        u=precise(field),
        model=field if bridge.is_module(field) else (state.definition, best.model[0]),
        accuracy=accuracy,
        relative_l2=error,
        coefficients=found,
        history=history,
        recipe=_code.code(plan, (network_key, training_key), taken, given is not points),
        notes=plan.notes,
        seconds=time.perf_counter() - began,
        examine=functools.partial(_examined, plan, network_key, fresh, reference),
    )


def _examined(plan: Plan, key: Array, fresh: Points, reference: Any, **options: Any) -> Diagnosis:
    """What the doctor says of Adam with equal weights, in double precision as the solution."""
    known: dict[str, Any] = {"exact": reference} if callable(reference) else {}
    with jax.enable_x64(True):
        points = {t: source.points for t, source in plan.sources.items()}
        seen = {t: fresh[t] for t in plan.equations}
        return diagnose(plan.terms, plan.made.network(key), points, **{"fresh": seen, "key": key, **known, **options})


def _run(
    plan: Plan, phases: list[Phase], judge: Any, keys: tuple[Array, Array], **options: Any
) -> tuple[TrainState, dict[str, np.ndarray], list[Snapshot]]:
    """Train, and keep the models at which the loss at fresh points was taken."""
    network_key, training_key = keys
    snapshots: list[Snapshot] = []

    def keep(step: int, metrics: Mapping[str, Any], state: TrainState) -> None:
        value = float(metrics.get("evaluation/validation", np.nan))
        if np.isfinite(value):
            snapshots.append(Snapshot(int(step), value, jax.tree.map(np.asarray, (state.params, state.constants))))

    every, per_call = _phases.rhythm(plan)
    state = phases[0].train.init(plan.made.network(network_key), plan.batch, key=training_key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an end at rounding is what is hoped for; others are judged
        state, history = fit(
            phases,
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


def _other(
    plan: Plan, phases: list[Phase], taken: Sequence[int], judge: Any, key: Array, seconds: float | None
) -> Snapshot | None:
    """A second network on other points, trained for a short while; other features as long as the first ones.

    None for a model of the user's, which has one.
    """
    if plan.made.scale is None:
        return None
    keys = jax.random.split(jax.random.fold_in(key, 1))
    lengths = taken if plan.features else CHECK_STEPS
    short = [dataclasses.replace(phase, steps=n, until=None) for phase, n in zip(phases, lengths, strict=True)]
    _, _, snapshots = _run(plan, short, judge, (keys[0], keys[1]), seconds=seconds, progress=False)
    return min(snapshots, key=lambda one: one.validation)
