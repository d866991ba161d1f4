"""Random features for an equation: which, how steep and how many.

Where a solution is smooth, the outer layer of a wide network, whose hidden layer is drawn once, is found in a few steps
of least squares, to more digits than a deep network learns in thousands of steps. Where it is not, the residuals that
are left say so. How steep the features are to be is measured: for blocks of several kinds the linearised equations are
solved at some points, and what is left of the residuals at other points is compared.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnjax import nn
from pinnjax.solver import _newton, _points
from pinnjax.solver._pilot import BLOCKS, ENOUGH, LINEAR, Kind, Pilot, components_of
from pinnjax.solver._plan import Plan, rows
from pinnjax.terms import bridge, names

PyTree = Any
PARAMETERS = 1500  # of all components
LEAST = 50  # parameters: where points stay and are fewer, there is nothing to fit
OVER = 3.0  # residuals of the equations for each parameter
ON_FACES = 1000  # points of a condition on an area; on a line as many as usual
HALF = 0.5  # of the parameters, with which kinds are compared first
ROUNDS = 3  # of kinds, the later ones around the best so far
PLANNED, PLANNED_BESIDE = 0.3, 0.5  # of the time, about, after which no more kinds are tried
SHARE = 0.6  # of the time, at most, for more features than usual,
STEPS, FACTORS = 3, 5  # fitted twice, in so many steps that each take so many factorisations,
MORE = 2.0  # and no more than so many times as many
EXACT = 1e-12  # of the residuals: if half as many features leave no more, these will do
HOPELESS = 1e-2  # of the residuals: if the best kind leaves more, by least squares or by a few steps, none will do
CORRECTED = 0.5  # of a field's residuals: if the best kind leaves more beside it, none will do
ACTIVATIONS = {"tanh": jnp.tanh, "sin": jnp.sin}
SLOPES = {
    "tanh": (1.5, 3.0, 6.0),
    "sin": (0.1, 0.14, 0.21, 0.31, 0.46, 0.68, 1.0),
}  # the latter in units of the steepest


def with_features(plan: Plan, key: Array, seconds: float | None = None, beside: bool = False) -> Plan | None:
    """The plan with random features in place of the network, or beside one; None where they would not do.

    Args:
        plan: of a network of ours.
        key: of the points at which kinds are compared, and of the features that are.
        seconds: that are left for everything; None where time does not count, and no more features than usual are
            wanted.
        beside: whether there is a field already, which they are to correct.
    """
    if plan.made.box is None:
        return None
    each = _newton.components(plan, *bridge.split(plan.made.network(key)), _some(plan))
    size = parameters(plan, each)
    if size < LEAST:
        return None
    components = max(1, sum(each[t] for t in plan.equations))
    plan = dataclasses.replace(_with_points(plan, size / components), features=True)
    found = chosen(plan, size, key, seconds, beside)
    if found.left > (CORRECTED if beside else HOPELESS):
        return None
    if found.few:
        size = int(found.share * size)
        plan = _with_points(plan, size / components)
    if found.barely and seconds is not None and all(plan.sources[t].counts for t in plan.equations):
        # Twice as many take eight times as long: as many as two fits of some steps have time for.
        affordable = (SHARE * seconds / (2 * STEPS * FACTORS * found.seconds)) ** (1 / 3)
        size = int(size * min(max(affordable, 1.0), MORE))
        plan = _with_points(plan, size / components)
    return _made_of(plan, found.kind, size)


def _with_points(plan: Plan, per_component: float) -> Plan:
    """With as many points as so many parameters for each residual of a point of the equations ask for."""
    on_area = lambda t: _dimension(plan, t) > 1.5
    inside = int(np.ceil(OVER * per_component))
    numbers = {t: inside if t in plan.equations else ON_FACES if on_area(t) else n for t, n in plan.numbers.items()}
    return dataclasses.replace(plan, numbers=numbers)


def parameters(plan: Plan, each: Mapping[str, int]) -> int:
    """As many as are usual, or as points allow whose number is not ours; `each`: residuals at a point of each term."""
    stay = plan.batch or {}
    others = {t: stay.get(t, s.points) for t, s in plan.sources.items() if t in plan.equations and not s.counts}
    return int(min([PARAMETERS, *[each[t] * rows(x) / OVER for t, x in others.items()]]))


class Chosen(NamedTuple):
    """What was found.

    Attributes:
        kind: whose least squares leave least at other points.
        left: what they leave of the residuals there, or a few steps do where that is more.
        share: of the parameters, with which they do.
        few: whether these will do.
        barely: whether half as many features would not do, and as many as usual leave more than is to be wished.
        seconds: that one factorisation took.
    """

    kind: Kind
    left: float
    share: float
    few: bool
    barely: bool
    seconds: float


def chosen(plan: Plan, size: int, key: Array, seconds: float | None = None, beside: bool = False) -> Chosen:
    """The kind of features for an equation.

    Half as many parameters tell kinds apart in an eighth of the time, where they can solve the equations at all.

    Args:
        plan: whose points they are.
        size: parameters of the features.
        key: of points and blocks.
        seconds: that are left for everything.
        beside: as above; then a few kinds are compared, and the best of them are followed.
    """
    began = time.perf_counter()
    share_of_time = PLANNED_BESIDE if beside else PLANNED
    late = lambda: seconds is not None and time.perf_counter() - began > share_of_time * seconds
    d, m = len(plan.made.box[0]), components_of(plan.made.outputs)
    pilot, ladder = Pilot(plan, int(HALF * size), HALF, key), _ladder(d, int(HALF * size) // m)
    if beside:
        return _followed(pilot, ladder[::2], late, SHARE * CORRECTED)
    if plan.made.coefficients:  # at zero the equations say nothing of what multiplies the field
        return _followed(pilot, ladder, late, ENOUGH)
    follows = False  # whether a few steps come to something: asked once, as soon as a kind is good enough to say
    for share, kinds in ((HALF, _ladder), (1.0, _steep)):
        width = int(share * size) // m
        pilot = pilot if share == HALF else Pilot(plan, int(share * size), share, key)
        found: dict[Kind, float] = {}
        best = _best(pilot, kinds(d, width), found, late)
        if found[best] > HOPELESS and d > 1 and not late() and pilot.linear(best):
            for axis in (*range(d), *range(d)):
                if found[best] > HOPELESS:
                    best = _best(pilot, _along(best, axis, width), found, late)
        for _ in range(ROUNDS):
            if not follows and found[best] < HOPELESS:
                follows = (left := pilot.followed(best, found[best])) < HOPELESS
                if not follows:
                    return Chosen(best, left, share, False, False, pilot.seconds)
            if not ENOUGH < found[best] < HOPELESS:
                break
            best = _best(pilot, _around(best), found, late)
        if found[best] < HOPELESS or late():
            break
    left, barely = found[best], share == 1.0 and found[best] > ENOUGH
    return Chosen(best, left, share, left < EXACT, barely, pilot.seconds)


def _followed(pilot: Pilot, kinds: list[Kind], late: Callable[[], bool], enough: float) -> Chosen:
    """Where least squares of one step hardly tell kinds apart, the best ones are followed, until one leaves enough."""
    found: dict[Kind, float] = {}
    _best(pilot, kinds, found, late)
    ranked = sorted(found, key=found.__getitem__)
    first = [next((k for k in ranked if k.activation == activation), ranked[0]) for activation in ACTIVATIONS]
    shares = dict.fromkeys(ranked, np.inf)
    for kind in first:
        if not late() and min(shares.values()) > enough:
            shares[kind] = pilot.followed(kind, enough / LINEAR)
    best = min(shares, key=shares.__getitem__)
    return Chosen(best, shares[best], HALF, shares[best] < ENOUGH, False, pilot.seconds)


def _best(pilot: Pilot, kinds: Iterable[Kind], found: dict[Kind, float], late: Callable[[], bool]) -> Kind:
    """The best of all that have been tried, after those kinds that have not been, as long as there is time."""
    new = [kind for kind in kinds if kind not in found]
    for i in range(0, len(new), BLOCKS):
        if not found or not late():
            found |= pilot.left(new[i : i + BLOCKS])
    return min(found, key=found.__getitem__)


def _ladder(d: int, width: int) -> list[Kind]:
    """Of waves up to those that so many features can tell apart: sines up to R have (2R/π)^d independent ones."""
    steepest = np.pi / 2 * (width / 2) ** (1 / d)
    return [Kind("tanh", (slope,) * d) for slope in SLOPES["tanh"]] + [
        Kind("sin", (round(max(slope * steepest, 1.0), 3),) * d) for slope in SLOPES["sin"]
    ]


def _steep(d: int, width: int) -> list[Kind]:
    """The steeper ones."""
    ladder = _ladder(d, width)
    return ladder[1 : len(SLOPES["tanh"])] + ladder[-3:]


def _along(kind: Kind, axis: int, width: int) -> list[Kind]:
    """Kinds that differ in one slope: waves may be many along one coordinate, and few along the others."""
    others = float(np.prod([s for i, s in enumerate(kind.slopes) if i != axis]))
    most = (np.pi / 2) ** len(kind.slopes) * width / 2 / others
    slopes = 2.0 ** np.arange(int(np.log2(max(most, 1.0))) + 1)
    return [Kind("sin", (*kind.slopes[:axis], float(s), *kind.slopes[axis + 1 :])) for s in slopes]


def _around(kind: Kind) -> Iterator[Kind]:
    """Kinds that differ in one slope, or in all, or by what they are."""
    for factor in (0.5, 2.0):
        for i in range(len(kind.slopes)):
            yield kind._replace(slopes=tuple(s * factor if i == j else s for j, s in enumerate(kind.slopes)))
    for factor in (2**-0.5, 2**0.5):
        yield kind._replace(slopes=tuple(s * factor for s in kind.slopes))


def _made_of(plan: Plan, kind: Kind, size: int) -> Plan:
    made = plan.made
    low, high = (end.tolist() for end in made.box)
    width = max(1, size // components_of(made.outputs))
    activation = ACTIVATIONS[kind.activation]

    def network(key: Array) -> Any:
        options: dict[str, Any] = {"width": width, "scale": kind.slopes, "activation": activation}
        return made.whole(nn.RandomFeatures(low, high, made.outputs, rngs=nn.Rngs(key), **options))

    code = (
        f"network = pj.nn.RandomFeatures(\n    {low}, {high}, {made.outputs!r}, width={width},\n"
        f"    scale={list(kind.slopes)}, activation=jnp.{kind.activation}, rngs=pj.nn.Rngs(network_key),\n)\n"
    )
    return dataclasses.replace(plan, made=made._replace(network=network, code=code + made.code_of_whole))


def _some(plan: Plan) -> dict[str, PyTree]:
    return {t: source.points for t, source in plan.sources.items()}


def _dimension(plan: Plan, term: str) -> float:
    places = names.places(plan.sources[term].points)
    return 0.0 if places is None or not len(places) else _points.dimension(np.asarray(places, float))
