"""An equation of time and one coordinate, or of time alone, evolved in time: see `pinnjax.evolve`.

Fronts, waves that interact and long times are hard for a network, and for features of space and time at once. At one
time the field is a function of one coordinate, of which waves know everything. Systems of ordinary differential
equations have slow stretches and sudden ones, and solutions that only look as if they were some: in time there is one.
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
Waves = tuple[float, float, int]
AGREED = {"rough": (1e-5, 1e-3), "usual": (1e-7, 1e-4), "fine": (1e-9, 1e-6)}  # tolerance, what equations may leave
ALONE = 1e-4  # of these tolerances those of time alone are, where a step takes next to nothing
# Times a tolerance, how long waves are, and how many there are at first: of the field, and of another one.
FIRST, AS_GOOD, ROUGH = (1.0, 1.3, 16), (3.0, 1.4, 14), (1.0, 1.45, 16)
FINER = 5.0  # times as long as the usual one a fine one takes, at most, about
MARGIN = 1.2  # times what the field took: if no more time is left the other one is a rough one,
CLOSER = 0.2  # and of the difference from that the error is believed to be this share; of that from one as good, all,
BEGUN = 0.3  # and no less than this share of what is left at the beginning, where waves of both may lack the same
NEAR = 0.01  # of the length: how far random points are from the ends of what they fill, at most,
UNITS = (1.0, 0.1, float(np.pi), 0.01)  # and where those ends may be
PLACES = 6  # of a condition, at most
FILLED = 10  # parts of an interval, in each of which there is a point where points fill it

CODE = """
u, *_ = pj.evolve(
    terms, {conditions}, {initial}, lower={lower!r}, upper={upper!r}, begin={begin!r}, end={end!r},
    axis={axis}, outputs={outputs!r}, tolerance={tolerance}, enough={enough}, first={first}, stretch={stretch},
)
"""


class Setting(NamedTuple):
    """What is evolved: arguments of `evolve`."""

    conditions: dict[str, list[float]]
    initial: list[str]
    lower: float | None
    upper: float | None
    begin: float
    end: float
    axis: int


def setting(plan: Plan) -> Setting | None:
    """What is to be evolved; None where equations are not of time and one coordinate at most, or conditions are few.

    Equations hold in a whole box, conditions at its beginning or at single places, for all times. These are as many as
    the orders of the equations in the coordinate sum to: with fewer, least squares would choose what is missing.
    """
    if plan.time is None or plan.made.box is None or len(plan.made.box[0]) > 2:
        return None
    points = {t: source.points for t, source in plan.sources.items()}
    if any(isinstance(term, all_points.Batchwise) for term in plan.terms.values()):
        return None
    if any(names.places(x) is not x for x in points.values()):
        return None
    axis, begin = plan.time
    low, high = (np.asarray(end, float) for end in plan.made.box)
    filled = lambda x, i: len(np.unique(np.floor((x - low[i]) / (high[i] - low[i]) * FILLED * (1 - 1e-9)))) == FILLED
    if len(low) == 1:
        initial = [t for t in plan.terms if t not in plan.equations]
        whole = all(filled(np.asarray(points[t], float)[:, 0], 0) for t in plan.equations)
        begins = all(np.all(np.asarray(points[t]) == begin) for t in initial)
        return Setting({}, initial, None, None, begin, float(high[0]), 0) if whole and begins else None
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
    found, level = _evolved(plan, given, "usual", FIRST, left()), "usual"
    took = time.perf_counter() - began
    if found is None:
        return []
    if 2 * FINER * took < left() and (fine := _evolved(plan, given, "fine", FIRST, left() / 2)) is not None:
        found, level, took = fine, "fine", time.perf_counter() - began - took
    definition, *model = bridge.split(found.u)
    measured = {name: float(value) for name, value in jax.jit(judge)(found.u).items()}
    snapshot = Snapshot(found.steps, measured["validation"], jax.tree.map(np.asarray, tuple(model)))
    best = _judging.looked_at_closely(plan, definition, [snapshot], fresh_key)
    at_end = {"step": best.step, "seconds": time.perf_counter() - began, **measured}
    history = {"step": np.array([best.step])} | {f"evaluation/{name}": np.array([x]) for name, x in at_end.items()}
    others: list[tuple[Evolution, float]] = []

    def again(judge: Any, seconds: float | None) -> Snapshot | None:
        """With other waves and another tolerance, nearly as good as the field."""
        rest = np.inf if seconds is None else 2 * seconds
        as_good = rest > MARGIN * took
        one = (level, AS_GOOD) if as_good else ("rough", ROUGH)
        if (other := _evolved(plan, given, *one, rest)) is None:
            return None
        others.append((other, 1.0 if as_good else CLOSER))
        value = float(jax.jit(judge)(other.u)["validation"])
        return Snapshot(best.step, value, jax.tree.map(np.asarray, tuple(bridge.split(other.u)[1:])))

    def known(places: Array, key: Array) -> _newton.Known:
        """Two fields that were made with other waves and other steps are as far from each other as from the truth."""
        if not others:
            return _newton.Known(float("nan"), float("nan"))
        other, share = others[0]
        at_places = lambda u: np.asarray(jax.jit(jax.vmap(u))(places))
        values, of_other = at_places(found.u), at_places(other.u)
        apart = float(np.linalg.norm(values - of_other) / np.linalg.norm(values))
        begun = _judging.share_of(plan, given.initial, definition, best.model, key)
        believed = max(share * apart, BEGUN * begun)
        return _newton.Known(believed / max(float(np.sqrt(best.validation)), np.finfo(float).tiny), float("nan"))

    recipe = lambda: _code.code(plan, keys, (), sampled, _march(plan, given, level))
    return [Attempt(plan, definition, history, [snapshot], best, known, again, recipe)]


def _evolved(plan: Plan, given: Setting, level: str, waves: Waves, seconds: float) -> Evolution | None:
    """As well as a level says; None where it does not come to the end."""
    options = given._asdict() | {"outputs": plan.made.outputs} | _agreed(given, level, waves)
    try:
        found = evolve(plan.terms, **options, seconds=max(seconds, 1.0))
    except NotOfWaves:
        return None
    return found if found.u is not None and found.reached >= given.end - 1e-9 * (given.end - given.begin) else None


def _march(plan: Plan, given: Setting, level: str) -> str:
    """What was done as Python."""
    return CODE.format(**given._asdict(), outputs=plan.made.outputs, **_agreed(given, level, FIRST))


def _agreed(given: Setting, level: str, waves: Waves) -> dict[str, float]:
    (tolerance, enough), (times, stretch, first) = AGREED[level], waves
    tolerance *= ALONE if given.lower is None else 1.0
    return {"tolerance": times * tolerance, "enough": times * enough, "stretch": stretch, "first": first}
