"""An equation of time and one coordinate, or several periodic ones, or none, evolved in time: see `pinnjax.evolve`.

Fronts, waves that interact and long times are hard for a network, and for features of space and time at once. At one
time the field is a function of one coordinate, of which waves know everything. Systems of ordinary differential
equations have slow stretches and sudden ones, and solutions that only look as if they were some: in time there is one.
"""

import time
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from pinnjax.solver import _code, _judging, _newton
from pinnjax.solver._accuracy import Snapshot
from pinnjax.solver._attempts import Attempt
from pinnjax.solver._plan import Plan
from pinnjax.solver._setting import Setting, setting
from pinnjax.terms import bridge
from pinnjax.train.evolve import Evolution, NotOfWaves, evolve

PyTree = Any
AGREED = {"rough": (1e-5, 1e-3), "usual": (1e-7, 1e-4), "fine": (1e-9, 1e-6)}  # tolerance, what equations may leave
ALONE = 1e-4  # of these tolerances those of time alone are, where a step takes next to nothing
FINER = 5.0  # times as long as the usual one a fine one takes, at most, about
FEWER = 0.75  # of the waves of the field, if coordinates are several
MARGIN = 1.2  # times what the field took: if no more time is left the other one is a rough one,
CLOSER = 0.2  # and of the difference from that the error is believed to be this share; of that from one as good, all,
BEGUN = 0.3  # and no less than this share of what is left at the beginning, where waves of both may lack the same


class Waves(NamedTuple):
    """How a field is evolved.

    Attributes:
        times: a tolerance.
        stretch: how long waves are.
        first: how many there are at first,
        most: and at most; None for as many as usual.
    """

    times: float
    stretch: float
    first: int
    most: int | None = None


FIRST, AS_GOOD, ROUGH = Waves(1.0, 1.3, 16), Waves(3.0, 1.4, 14), Waves(1.0, 1.45, 16)
CODE = """
u, *_ = pj.evolve(
    terms, {conditions}, {initial}, lower={lower!r}, upper={upper!r}, begin={begin!r}, end={end!r},
    axis={axis}, outputs={outputs!r}, tolerance={tolerance}, enough={enough}, first={first}, stretch={stretch},
)
"""


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
        several = isinstance(given.lower, tuple)  # where more waves mean programs that are compiled anew
        rough = ROUGH._replace(first=round(FEWER * found.waves), most=1) if several else ROUGH
        one = (level, AS_GOOD) if as_good else ("rough", rough)
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


def _agreed(given: Setting, level: str, waves: Waves) -> dict[str, Any]:
    (tolerance, enough), (times, *rest) = AGREED[level], waves
    tolerance *= ALONE if given.lower is None else 1.0
    return {"tolerance": times * tolerance, "enough": times * enough, **dict(zip(Waves._fields[1:], rest, strict=True))}
