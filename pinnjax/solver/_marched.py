"""An equation of time alone in windows, where neither features nor a network find it at once: see `pinnjax.march`.

A system of ordinary differential equations may have slow stretches and sudden ones, and over a long time whatever is
wrong early is wrong later. Windows follow it: each is as long as least squares of some features allow.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnjax import nn
from pinnjax.solver import _code, _judging, _newton, _phases
from pinnjax.solver._accuracy import Snapshot
from pinnjax.solver._attempts import Attempt
from pinnjax.solver._plan import Plan
from pinnjax.terms import all_points, bridge, names
from pinnjax.train.march import Marched, marching, orders_of

PyTree = Any
WIDTH, POINTS = 60, 180  # of the features of a window, and points of an equation in it
SLOPE, LEVELS = 1.5, 4  # of the first level; the next ones are twice as steep each
TIGHT, LOOSE = 1e-11, 1e-4  # of residuals that a window may leave, over the size of the field

CODE = """
def network(key, level):
    network = pj.nn.RandomFeatures(
        [0.0], [1.0], {outputs!r}, width={width}, scale={slope} * 2.0**level, activation=jnp.sin, rngs=pj.nn.Rngs(key)
    )
{whole}
    return model


u, pieces, reached = pj.march(
    terms, lambda key: {{**(batch or {{}}), **draw(key, {moving})}}, network, axis=0, begin={begin!r}, end={end!r},
    initial={initial}, tight={tight!r}, loose={loose!r}, first={first}, levels={levels}, key=training_key,
)
"""


def initial(plan: Plan) -> list[str] | None:
    """The conditions; None where equations are not of time alone, or windows cannot take what is asked.

    A window takes residuals of single points, which are arrays, and conditions that hold where the first one begins: as
    many as the orders of the equations sum to, or Newton's method would choose what is missing, and nobody would see.
    """
    if plan.time is None or plan.made.box is None or len(plan.made.box[0]) > 1:
        return None
    _, begin = plan.time
    points = {t: source.points for t, source in plan.sources.items()}
    if any(isinstance(term, all_points.Batchwise) for term in plan.terms.values()):
        return None
    if any(names.places(x) is not x for x in points.values()):
        return None
    conditions = [t for t in plan.terms if t not in plan.equations]
    if not all(np.all(np.asarray(points[t]) == begin) for t in conditions):
        return None
    u = plan.made.network(jax.random.key(0))
    orders = [orders_of(plan.terms[t], u, points[t], 0)[0] for t in plan.equations]
    asked = _newton.components(plan, *bridge.split(u), points)
    enough = sum(asked[t] for t in conditions) >= sum(int(np.sum(k)) for k in jax.tree.leaves(orders))
    return conditions if enough else None


def attempts(
    plan: Plan, keys: tuple[Array, Array], judge: Any, fresh_key: Array, seconds: float | None, sampled: bool
) -> list[Attempt]:
    """A march through all windows, or none where it does not come to the end; arguments as those of `solve`."""
    plan = dataclasses.replace(plan, features=True)
    numbers = {t: POINTS if t in plan.equations else n for t, n in plan.numbers.items()}
    own = dataclasses.replace(plan, numbers=numbers)
    began = time.perf_counter()
    go = _marching(own, keys[1])
    found = go(keys[1], seconds)
    took = time.perf_counter() - began
    if found.u is None or not _whole(own, found):
        return []
    u, begins = found.u, found.pieces[0]
    definition, *model = bridge.split(u)
    measured = {name: float(value) for name, value in jax.jit(judge)(u).items()}
    snapshot = Snapshot(len(found.pieces), measured["validation"], jax.tree.map(np.asarray, tuple(model)))
    best = _judging.looked_at_closely(plan, definition, [snapshot], fresh_key)
    history = {name: np.array([getattr(piece, name) for piece in found.pieces]) for name in found.pieces[0]._fields}
    at_end = {"step": best.step, "seconds": took, **measured}
    history |= {f"evaluation/{name}": np.array([value]) for name, value in at_end.items()}

    def known(places: Array, key: Array) -> _newton.Known:
        """Of the first window. Residuals do not see that windows hang together, but it is found so, and determined."""
        share = begins.length / (_end(plan) - begins.begin)
        window = nn.Window(u.networks.at(jnp.asarray(0)), 0, begins.begin, begins.length)
        definition, *model = bridge.split(window)
        return _newton.known(_shorter(plan, share), definition, tuple(model), _shrunk(plan, share)(places), key)

    def again(judge: Any, seconds: float | None) -> Snapshot | None:
        # Without compilation it takes less than the first, which it has to say something of.
        second = go(jax.random.fold_in(keys[1], 1), None if seconds is None else max(seconds, took))
        if not _whole(own, second):
            return None
        value = float(jax.jit(judge)(second.u)["validation"])
        return Snapshot(best.step, value, jax.tree.map(np.asarray, tuple(bridge.split(second.u)[1:])))

    recipe = lambda: _code.code(own, keys, (), sampled, _march(own))
    return [Attempt(plan, definition, history, [snapshot], best, known, again, recipe)]


def _marching(plan: Plan, key: Array) -> Callable[[Array, float | None], Marched]:
    made, (_, begin) = plan.made, plan.time or (0, 0.0)
    draw = _phases.draw_of(plan.moving)

    def network(key: Array, level: int) -> Any:
        slope = SLOPE * 2.0**level
        options: dict[str, Any] = {"width": WIDTH, "scale": slope, "activation": jnp.sin}
        return made.whole(nn.RandomFeatures([0.0], [1.0], made.outputs, rngs=nn.Rngs(key), **options))

    return marching(
        plan.terms,
        lambda key: {**(plan.batch or {}), **draw(key)},
        network,
        axis=0,
        begin=begin,
        end=_end(plan),
        initial=initial(plan) or [],
        tight=TIGHT * _size(plan),
        loose=LOOSE * _size(plan),
        levels=LEVELS,
        key=key,
    )


def _shorter(plan: Plan, share: float) -> Plan:
    """The plan up to a share of the time."""
    shrunk = _shrunk(plan, share)
    shorter = lambda generate: None if generate is None else lambda key, n: shrunk(generate(key, n))
    sources = {t: s._replace(generate=shorter(s.generate), points=shrunk(s.points)) for t, s in plan.sources.items()}
    return dataclasses.replace(plan, sources=sources)


def _shrunk(plan: Plan, share: float) -> Callable[[Array], Array]:
    _, begin = plan.time or (0, 0.0)
    return lambda x: begin + (x - begin) * share


def _whole(plan: Plan, found: Marched) -> bool:
    return found.u is not None and bool(found.reached >= _end(plan))


def _march(plan: Plan) -> str:
    """What was done as Python, after that of the points."""
    made, (_, begin) = plan.made, plan.time or (0, 0.0)
    return CODE.format(
        outputs=made.outputs,
        width=WIDTH,
        slope=SLOPE,
        whole="\n".join(f"    {line}" for line in made.code_of_whole.splitlines()),
        moving=list(plan.moving),
        begin=begin,
        end=_end(plan),
        initial=initial(plan),
        tight=TIGHT * _size(plan),
        loose=LOOSE * _size(plan),
        first=0.1,
        levels=LEVELS,
    )


def _end(plan: Plan) -> float:
    return float(plan.made.box[1][0])


def _size(plan: Plan) -> float:
    """Of the field, the largest component."""
    return float(np.max(plan.made.scale))
