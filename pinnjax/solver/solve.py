"""`pinnjax.solve`: your equation, no recipe."""

import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnjax import checks, sampling
from pinnjax.doctor import Diagnosis, diagnose
from pinnjax.solver import (
    _accuracy,
    _attempts,
    _code,
    _evolved,
    _features,
    _judging,
    _lost,
    _network,
    _newton,
    _phases,
    _plan,
    _points,
)
from pinnjax.solver._attempts import Attempt
from pinnjax.solver._plan import Plan
from pinnjax.solver.solution import Solution, precise
from pinnjax.terms import bridge

PyTree = Any
Points = Mapping[str, Any]
FIRST = 0.2  # of the time, at most, for Adam, beside its compilation
CHECK = 0.15  # of the time, for a second network that says what the first is worth
EVOLVE = 0.6  # of the time, at most, for a field that is evolved in time
FIT = 0.4  # of the time, at most, for random features
ROUGH = 0.4  # of what is left of it, for a deep network that features are to correct,
AGAIN, LITTLE, LONG = 0.25, 0.1, 0.5  # of the time, at least, for another attempt, one that goes on, and one
NEARLY = 1e-3  # with which residuals this small are to be improved, in units of what an error of 100 % does to them;
GOOD = 1e-4  # those with which the first attempt is the last


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

    An equation of time and one coordinate, or of time alone, is evolved in time where it can be (`pinnjax.evolve`):
    waves in space, whose coefficients obey an ordinary differential equation. Else, or where residuals say that it is
    not enough, there is first a wide network whose hidden layer is drawn once (`pinnjax.nn.RandomFeatures`): how steep
    its waves or steps are to be is measured, and Gauss-Newton steps find the rest. Where the solution is smooth that is
    the end, to many digits. Where the residuals that are left say otherwise, a deep network made for the points is
    trained: a thousand steps of Adam, then self-scaled Broyden, on points drawn anew, more of them where the residual
    is large. Features then correct its field, which is Newton's method from one that is near; where they would not do,
    the network is trained for longer. The field is scaled by what the residuals ask of it, and each residual by what
    the field does to it, so that units do not matter; conditions then weigh ten times an equation. Where something
    holds at the beginning of a coordinate and nothing at its end, and training is lost, it is done again with the early
    part of that coordinate first (`pinnjax.sampling.growing`). All is done in double precision, and the model of the
    least loss at points that training does not see is kept. At the end a second network is trained for a short while,
    or second features are fitted, and the difference from the first says what a residual is worth as an error.

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
        keys = (network_key, training_key)
        plan = _plan.planned(terms, given, model, outputs, coefficients or {}, points_key)
        fresh = plan.fresh(fresh_key)
        _judging.check_finite(plan, network_key, fresh)
        judge = _judging.judge(plan, fresh, evaluate)
        check = max(CHECK * seconds, time.perf_counter() - began)

        def attempt(plan: Plan, name: str, share: float = 1.0, first: Attempt | None = None) -> Attempt:
            rest = left()
            phases, state = _phases.phases(plan, steps, None if rest is None else FIRST * rest), None
            if first is not None and first.goes_on is not None:
                phases, state = first.goes_on
            most = FIT * seconds if plan.features else share * (rest or seconds)
            state, history, snapshots = _attempts.run(
                plan,
                phases,
                judge,
                keys,
                state,
                # What an equation takes to plan it takes about again to say what its solution is worth.
                seconds=None if rest is None else max(1.0, min(rest - check, most)),
                checkpoint=None if checkpoint is None else pathlib.Path(checkpoint) / name,
                progress=progress,
            )
            if first is not None:
                history, snapshots = _attempts.joined(first.history, history), first.snapshots + snapshots
            best = _judging.looked_at_closely(plan, state.definition, snapshots, fresh_key)
            of_phase = lambda i: (history["phase"] == i) & (history["step"] <= best.step)
            taken = tuple(int(np.sum(of_phase(i))) for i in range(len(phases)))
            known = functools.partial(_newton.known, plan, state.definition, best.model)
            again = functools.partial(_attempts.other, plan, phases, taken, training_key)
            recipe = functools.partial(_code.code, plan, keys, taken, given is not points)
            goes_on = (phases, state) if history["phase"][-1] == len(phases) - 1 else None
            return Attempt(plan, state.definition, history, snapshots, best, known, again, recipe, goes_on)

        def corrected(first: Attempt) -> list[Attempt]:
            """The field with features beside it; none where they would not do."""
            trained = bridge.field(first.definition, *jax.tree.map(jnp.asarray, first.best.model))
            beside = dataclasses.replace(plan, made=_network.corrected(plan.made, trained))
            if (wide := _features.with_features(beside, points_key, left(), beside=True)) is None:
                return []
            one = attempt(wide, f"corrected-{len(made)}")
            return [one._replace(recipe=lambda: first.recipe() + "\n\n" + one.recipe())]

        there_is_time = lambda share=AGAIN: (rest := left()) is None or rest - check > share * seconds
        least = lambda: min((_judging.rank(one.best) for one in made), default=np.inf)
        good = lambda: least() <= GOOD**2
        made: list[Attempt] = []
        if not coefficients:
            rest = left()
            time_for_it = np.inf if rest is None else EVOLVE * rest
            made += _evolved.attempts(plan, keys, judge, fresh_key, time_for_it, given is not points)
        if not good() and (wide := _features.with_features(plan, points_key, left())) is not None:
            made.append(attempt(wide, "features"))
            if not good() and there_is_time(LITTLE):
                made += corrected(made[-1])
        if not good() and (not made or there_is_time(AGAIN if least() > NEARLY**2 else LONG)):
            own = plan.made.box is not None
            made.append(first := attempt(plan, "at_once", ROUGH if own else 1.0))
            if plan.time is not None and _lost.lost(first.history, 1) and there_is_time():
                made.append(attempt(_plan.early_times_first(plan), "growing"))
            elif own and not good() and there_is_time(LITTLE):
                made += corrected(first) or ([attempt(plan, "longer", first=first)] if first.goes_on else [])
        chosen = min(made, key=lambda one: _judging.rank(one.best))
        plan, definition, history, snapshots, best, known, again, recipe, _ = chosen
        values = _judging.values(plan, definition, fresh)
        after = left()
        other = again(_judging.judge(plan, fresh), None if after is None else max(1.0, after / 2))
        # Least squares come in a step to where they end: other features say what that is worth.
        before = [] if plan.features else [s for s in snapshots if s.step < best.step]
        accuracy = _accuracy.estimate(
            [(s.validation, values(s)) for s in before] + [(best.validation, values(best))],
            None if other is None else (other.validation, values(other)),
            *known(_judging.places(plan, fresh), fresh_key),
        )
        field = bridge.field(definition, *jax.tree.map(jnp.asarray, best.model))
        found = {name: float(getattr(field, name)) for name in coefficients or {}}
        error = None if reference is None else float(_judging.error(field, reference, fresh, plan))
        code = recipe()
    return Solution(
        u=precise(field),
        model=field if bridge.is_module(field) else (definition, best.model[0]),
        accuracy=accuracy,
        relative_l2=error,
        coefficients=found,
        history=history,
        recipe=code,
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
