"""An equation of time and one coordinate, evolved in time: see `pinnjax.evolve`.

Fronts, waves that interact and long times are hard for a network, and for features of space and time at once. At one
time the field is a function of one coordinate, of which waves know everything.
"""

import itertools
import time
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from pinnjax.solver import _code, _judging, _newton
from pinnjax.solver._accuracy import Snapshot
from pinnjax.solver._attempts import Attempt
from pinnjax.solver._plan import Plan
from pinnjax.terms import all_points, bridge, names
from pinnjax.train.evolve import Evolution, NotOfWaves, evolve, vanish_on_waves
from pinnjax.train.march import orders_of

PyTree = Any
AGREED = (  # tolerance, what the equations may leave, and how long waves are: rough, usual, fine
    (1e-5, 1e-3, 1.45),
    (1e-7, 1e-4, 1.3),
    (1e-9, 1e-6, 1.4),
)
FINER = 5.0  # times as long as the usual one the fine one takes, at most, about
CLOSER = {1: 0.2, 2: 0.02}  # of the difference from the rougher one: what the error is believed to be, usual and fine
NEAR = 0.01  # of the length: how far random points are from the ends of what they fill, at most,
UNITS = (1.0, 0.1, float(np.pi), 0.01)  # and where those ends may be
PLACES = 6  # of a condition, at most
FILLED = 10  # parts of an interval, in each of which there is a point where points fill it

CODE = """
u, *_ = pj.evolve(
    terms, {conditions}, {initial}, lower={lower!r}, upper={upper!r}, begin={begin!r}, end={end!r},
    axis={axis}, outputs={outputs!r}, tolerance={tolerance}, enough={enough}, stretch={stretch},
)
"""


class Setting(NamedTuple):
    """What is evolved: arguments of `evolve`."""

    conditions: dict[str, list[float]]
    initial: list[str]
    lower: float
    upper: float
    begin: float
    end: float
    axis: int


def setting(plan: Plan) -> Setting | None:
    """What is to be evolved; None where equations are not of time and one coordinate, or conditions are not enough.

    Equations hold in a whole box, conditions at its beginning or at single places, for all times. These are as many as
    the orders of the equations in the coordinate sum to: with fewer, least squares would choose what is missing.
    """
    if plan.time is None or plan.made.box is None or len(plan.made.box[0]) != 2:
        return None
    points = {t: source.points for t, source in plan.sources.items()}
    if any(isinstance(term, all_points.Batchwise) for term in plan.terms.values()):
        return None
    if any(names.places(x) is not x for x in points.values()):
        return None
    axis, begin = plan.time
    low, high = (np.asarray(end, float) for end in plan.made.box)
    filled = lambda x, i: len(np.unique(np.floor((x - low[i]) / (high[i] - low[i]) * FILLED * (1 - 1e-9)))) == FILLED
    conditions, initial = {}, []
    for term, x in ((t, np.asarray(x, float)) for t, x in points.items()):
        in_time, in_space = (filled(x[:, i], i) for i in (axis, 1 - axis))
        places = np.unique(x[:, 1 - axis])
        if term in plan.equations and in_time and in_space:
            continue
        if np.all(x[:, axis] == begin) and in_space:
            initial.append(term)
        elif in_time and len(places) <= PLACES:
            conditions[term] = places.tolist()
        else:
            return None
    u = plan.made.network(jax.random.key(0))
    orders = [orders_of(plan.terms[t], u, points[t], 1 - axis)[0] for t in plan.equations]
    asked = _newton.components(plan, *bridge.split(u), points)
    given = sum(asked[t] * len(places) for t, places in conditions.items())
    if given < sum(int(np.sum(k)) for k in jax.tree.leaves(orders)):
        return None
    terms = {t: plan.terms[t] for t in conditions}
    lower, upper = _round(terms, conditions, (float(low[1 - axis]), float(high[1 - axis])), plan.made.outputs, axis)
    return Setting(conditions, initial, lower, upper, begin, float(high[axis]), axis)


def _round(
    terms: dict[str, Any], conditions: dict[str, list[float]], box: tuple[float, float], outputs: Any, axis: int
) -> tuple[float, float]:
    """The ends of x: those of the points, or round numbers near them, if conditions say that a period lies between.

    Random points do not reach as far as the domain, and a condition of a periodic field has its points at one end.
    """
    near = NEAR * (box[1] - box[0])
    rounded = lambda x: [x, *(y for unit in UNITS if 0 < abs((y := unit * round(x / unit)) - x) < near)]
    ends = [pair for pair in itertools.product(*map(rounded, box)) if pair[0] < pair[1]]
    periodic = vanish_on_waves(terms, conditions, outputs, axis)
    return next(filter(periodic, ends), box) if conditions else box


def attempts(
    plan: Plan, keys: tuple[Array, Array], judge: Any, fresh_key: Array, seconds: float, sampled: bool
) -> list[Attempt]:
    """The field evolved, more finely where there is time; none where that does not come to the end."""
    given = setting(plan)
    if given is None:
        return []
    began = time.perf_counter()
    left = lambda: seconds - (time.perf_counter() - began)
    go = lambda i: _evolved(plan, given, i, left())
    usual, number = go(1), 1
    took = time.perf_counter() - began
    if usual is None:
        return []
    found, other = usual, None
    if FINER * took < left() and (fine := go(2)) is not None:
        found, other, number = fine, usual, 2
    plan_of = lambda: _march(plan, given, number)
    judged = jax.jit(judge)
    definition, *model = bridge.split(found.u)
    measured = {name: float(value) for name, value in judged(found.u).items()}
    snapshot = Snapshot(found.steps, measured["validation"], jax.tree.map(np.asarray, tuple(model)))
    best = _judging.looked_at_closely(plan, definition, [snapshot], fresh_key)
    at_end = {"step": best.step, "seconds": time.perf_counter() - began, **measured}
    history = {"step": np.array([best.step])} | {f"evaluation/{name}": np.array([x]) for name, x in at_end.items()}

    others = [] if other is None else [other]

    def again(judge: Any, seconds: float | None) -> Snapshot | None:
        if not others and (rough := _evolved(plan, given, 0, max(seconds or took, took))) is not None:
            others.append(rough)  # which takes less than the usual one
        if not others:
            return None
        value = float(jax.jit(judge)(others[0].u)["validation"])
        return Snapshot(best.step, value, jax.tree.map(np.asarray, tuple(bridge.split(others[0].u)[1:])))

    def known(places: Array, key: Array) -> _newton.Known:
        """The rougher one is as far off as they differ, and the other one less, as tolerances are."""
        if not others:
            return _newton.Known(float("nan"), float("nan"))
        at_places = lambda field: np.asarray(jax.jit(lambda x: jax.vmap(field)(x))(places))
        values = [at_places(one.u) for one in (found, others[0])]
        apart = float(np.linalg.norm(values[0] - values[1]) / np.linalg.norm(values[0]))
        return _newton.Known(CLOSER[number] * apart / float(np.sqrt(best.validation)), float("nan"))

    recipe = lambda: _code.code(plan, keys, (), sampled, plan_of())
    return [Attempt(plan, definition, history, [snapshot], best, known, again, recipe)]


def _evolved(plan: Plan, given: Setting, number: int, seconds: float) -> Evolution | None:
    """With one of the tolerances; None where it does not come to the end."""
    options = given._asdict() | {"outputs": plan.made.outputs} | _agreed(number)
    try:
        found = evolve(plan.terms, **options, seconds=max(seconds, 1.0))
    except NotOfWaves:
        return None
    return found if found.u is not None and found.reached >= given.end - 1e-9 * (given.end - given.begin) else None


def _march(plan: Plan, given: Setting, number: int) -> str:
    """What was done as Python."""
    return CODE.format(**given._asdict(), outputs=plan.made.outputs, **_agreed(number))


def _agreed(number: int) -> dict[str, float]:
    return dict(zip(("tolerance", "enough", "stretch"), AGREED[number], strict=True))
