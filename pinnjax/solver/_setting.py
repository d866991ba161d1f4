"""What is to be evolved in time: equations of time and one coordinate, or several periodic ones, or none."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from pinnjax.solver import _newton
from pinnjax.solver._plan import Plan
from pinnjax.terms import all_points, bridge, names
from pinnjax.train.evolve import wavy
from pinnjax.train.march import orders_of

NEAR = 0.01  # of the length: how far random points are from the ends of what they fill, at most,
UNITS = (1.0, 0.1, float(np.pi), 0.01)  # and where those ends may be
PLACES = 6  # of a condition, at most
FILLED = 10  # parts of an interval, in each of which there is a point where points fill it


class Setting(NamedTuple):
    """What is evolved: arguments of `evolve`."""

    conditions: dict[str, list[Any]]
    initial: list[str]
    lower: float | tuple[float, ...] | None
    upper: float | tuple[float, ...] | None
    begin: float
    end: float
    axis: int


def setting(plan: Plan) -> Setting | None:
    """What is to be evolved; None where equations are not of time and one coordinate at most, or conditions are few.

    Equations hold in a whole box, conditions at its beginning or at single places, for all times. These are as many as
    the orders of the equations in the coordinate sum to: with fewer, least squares would choose what is missing. Of
    several coordinates all conditions say that the field is periodic.
    """
    if plan.time is None or plan.made.box is None:
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
        return Setting({}, initial, None, None, begin, _end(begin, float(high[0])), 0) if whole and begins else None
    if len(low) > 2:
        return _periodic(plan, {t: np.asarray(x, float) for t, x in points.items()}, filled)
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
    return Setting(conditions, initial, lower, upper, begin, _end(begin, float(high[axis])), axis)


def _periodic(plan: Plan, points: dict[str, np.ndarray], filled: Callable[[np.ndarray, int], bool]) -> Setting | None:
    """Of several coordinates, where conditions say that the field is periodic along each of them."""
    assert plan.time is not None and plan.made.box is not None
    axis, begin = plan.time
    low, high = (np.asarray(end, float) for end in plan.made.box)
    conditions, initial = {}, []
    along = [i for i in range(len(low)) if i != axis]
    for term, x in points.items():
        if term in plan.equations and all(filled(x[:, i], i) for i in range(len(low))):
            continue
        if np.all(x[:, axis] == begin) and all(filled(x[:, i], i) for i in along):
            initial.append(term)
        elif filled(x[:, axis], axis):
            conditions[term] = np.delete(x[:PLACES], axis, axis=1).tolist()
        else:
            return None
    end = _end(begin, float(high[axis]))
    ends = [(float(low[i]), float(high[i])) for i in along]
    box: tuple[Any, Any] = tuple(np.transpose(ends).tolist())
    asked = wavy(plan.terms, conditions, plan.made.outputs, axis)
    for i, (a, b) in enumerate(ends):
        others = [j for j in range(len(ends)) if j != i]
        for pair in _rounded(a, b):
            lower, upper = (tuple(x if j == i else y for j, y in enumerate(z)) for x, z in zip(pair, box, strict=True))
            if any(one.vanishes(lower, upper, others) for one in asked.values()):
                box = (lower, upper)
                break
        else:
            return None
    if not all(one.vanishes(*box) for one in asked.values()):
        return None
    return Setting(conditions, initial, *box, begin, end, axis)


def _rounded(low: float, high: float) -> list[tuple[float, float]]:
    """The ends of random points, or round numbers near them."""
    near = NEAR * (high - low)
    rounded = lambda x: [x, *(y for unit in UNITS if 0 < abs((y := unit * round(x / unit)) - x) < near)]
    return [pair for pair in itertools.product(rounded(low), rounded(high)) if pair[0] < pair[1]]


def _end(begin: float, last: float) -> float:
    """The next round number, if it is near: the time of random points ends before that of the equations."""
    after = (unit * float(np.ceil(last / unit - 1e-12)) for unit in UNITS)
    return min((end for end in after if end - last < NEAR * (last - begin)), default=last)


def _round(
    terms: dict[str, Any], conditions: dict[str, list[float]], box: tuple[float, float], outputs: Any, axis: int
) -> tuple[float, float]:
    """The ends of x: those of the points, or round numbers near them, if conditions say that a period lies between.

    Random points do not reach as far as the domain, and a condition of a periodic field has its points at one end.
    """
    asked = wavy(terms, conditions, outputs, axis).values()
    periodic = lambda pair: all(one.vanishes(pair[:1], pair[1:]) for one in asked)
    return next(filter(periodic, _rounded(*box)), box) if conditions else box
