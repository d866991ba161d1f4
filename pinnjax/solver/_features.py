"""Random features for an equation: which, how steep and how many.

Where a solution is smooth, the outer layer of a wide network, whose hidden layer is drawn once, is found in a few steps
of least squares, to more digits than a deep network learns in thousands of steps. Where it is not, the residuals that
are left say so. How steep the features are to be is measured: for blocks of several kinds the linearised equations are
solved at some points, and what is left of the residuals at other points is compared.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from pinnjax import nn
from pinnjax.nn.corrected import Known
from pinnjax.solver import _newton, _points
from pinnjax.solver._plan import Plan, rows
from pinnjax.terms import bridge, evaluation, names

PyTree = Any
PARAMETERS = 1500  # of a scalar field; half as many for each further component,
MOST = 2250  # at most
LEAST = 50  # parameters: where points stay and are fewer, there is nothing to fit
OVER = 3.0  # residuals of the equations for each parameter
ON_FACES = 1000  # points of a condition on an area; on a line as many as usual
ROUNDS = 3  # of kinds, the later ones around the best so far
OTHERS = 1000  # points of a term at which they are compared
TOLD = 1e-2  # of the residuals: kinds of which the best leaves more are not told apart
HOPELESS = 0.1  # of the residuals: where all blocks leave more there is nothing to say
ENOUGH = 1e-6  # with which it is not worth looking for better ones
DAMPING = 1e-15  # of a block's least squares, over the norm of its J
ACTIVATIONS = {"tanh": jnp.tanh, "sin": jnp.sin}
SLOPES = {
    "tanh": (1.5, 3.0, 6.0),
    "sin": (0.1, 0.14, 0.21, 0.31, 0.46, 0.68, 1.0),
}  # the latter in units of the steepest
BLOCKS = 5  # in one program


class Kind(NamedTuple):
    """What features are.

    Attributes:
        activation: a key of `ACTIVATIONS`.
        slopes: `(d,)`, as `pinnjax.nn.RandomFeatures` has them.
    """

    activation: str
    slopes: tuple[float, ...]


def with_features(plan: Plan, key: Array) -> Plan | None:
    """The plan with random features in place of the network; None where they would not do.

    Args:
        plan: of a network of ours.
        key: of the points at which kinds are compared, and of the features that are.
    """
    if plan.made.box is None:
        return None
    each = _newton.components(plan, *bridge.split(plan.made.network(key)), _some(plan))
    size = parameters(plan, each)
    if size < LEAST:
        return None
    inside = int(np.ceil(OVER * size / max(1, sum(each[t] for t in plan.equations))))
    on_area = lambda t: _dimension(plan, t) > 1.5
    numbers = {t: inside if t in plan.equations else ON_FACES if on_area(t) else n for t, n in plan.numbers.items()}
    plan = dataclasses.replace(plan, numbers=numbers, features=True)
    kind, left = chosen(plan, size, key)
    return _made_of(plan, kind, size) if left < HOPELESS else None


def parameters(plan: Plan, each: Mapping[str, int]) -> int:
    """As many as are usual, or as the points that stay allow; `each` are the residuals at a point of each term."""
    usual = min(PARAMETERS * (1 + components_of(plan.made.outputs)) // 2, MOST)
    there = [each[t] * rows(x) / OVER for t, x in (plan.batch or {}).items() if t in plan.equations]
    return int(min([usual, *there]))


def chosen(plan: Plan, size: int, key: Array) -> tuple[Kind, float]:
    """The kind whose least squares leave least at other points, and the share of the residuals that it leaves.

    Half as many parameters tell kinds apart in an eighth of the time, where they can solve the equations at all.

    Args:
        plan: whose points they are.
        size: parameters of the features.
        key: of points and blocks.
    """
    d, m = len(plan.made.box[0]), components_of(plan.made.outputs)
    for share, kinds in ((0.5, _ladder), (1.0, _steep)):
        left, tried = _leaves(plan, int(share * size), share, key), kinds(d, int(share * size) // m)
        found: dict[Kind, float] = {}
        for _ in range(ROUNDS):
            for i in range(0, len(tried), BLOCKS):
                found |= left(tried[i : i + BLOCKS])
            best = min(found, key=found.__getitem__)
            tried = [kind for kind in _around(best) if kind not in found]
            if not tried or not ENOUGH < found[best] < TOLD:
                break
        if found[best] < TOLD:
            break
    return best, found[best]


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


def _around(kind: Kind) -> Iterator[Kind]:
    """Kinds that differ in one slope, or in all, or by what they are."""
    for factor in (0.5, 2.0):
        for i in range(len(kind.slopes)):
            yield kind._replace(slopes=tuple(s * factor if i == j else s for j, s in enumerate(kind.slopes)))
    for factor in (2**-0.5, 2**0.5):
        yield kind._replace(slopes=tuple(s * factor for s in kind.slopes))


class _Blocks(nn.Module):
    """Features of several kinds side by side, in one program for all kinds."""

    def __init__(self, box: Any, outputs: Any, weights: Array, centres: Array, waves: Array):
        self.box, self.outputs = tuple(tuple(end.tolist()) for end in box), outputs
        self.weights, self.centres, self.waves = (Known(x) for x in (weights, centres, waves))
        self.coefficients = nn.Param(jnp.zeros((len(weights), components_of(outputs)), weights.dtype))

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        low, high = (jnp.asarray(end, x.dtype) for end in self.box)
        weights = self.weights[...]
        z = weights @ ((2 * x - low - high) / (high - low)) - jnp.sum(weights * self.centres[...], axis=1)
        values = jnp.where(self.waves[...], jnp.sin(z), jnp.tanh(z)) @ self.coefficients[...]
        return values[0] if self.outputs == "scalar" else values


def _leaves(plan: Plan, size: int, share: float, key: Array) -> Callable[[Sequence[Kind]], dict[Kind, float]]:
    """A function of kinds, at most as many as there are blocks: the share of the residuals that each leaves."""
    made, m = plan.made, components_of(plan.made.outputs)
    width = max(1, size // m)
    numbers = {t: max(1, int(share * n)) if t in plan.equations else n for t, n in plan.numbers.items()}
    plan = dataclasses.replace(plan, numbers=numbers)
    for_points, for_others, for_weights, for_centres = jax.random.split(key, 4)
    points = {**plan.fresh(for_points), **(plan.batch or {})}
    others = evaluation.some_of_each(plan.terms, plan.fresh(for_others), OTHERS)
    d = len(made.box[0])
    unit, centres = (jax.random.uniform(k, (width, d), minval=-1.0, maxval=1.0) for k in (for_weights, for_centres))
    systems: dict[Any, Callable] = {}

    def left(kinds: Sequence[Kind]) -> dict[Kind, float]:
        asked = [*kinds, *[kinds[-1]] * (BLOCKS - len(kinds))]
        weights = jnp.concatenate([unit * jnp.asarray(kind.slopes)[None] for kind in asked])
        waves = jnp.repeat(jnp.asarray([kind.activation == "sin" for kind in asked]), width)
        blocks = _Blocks(made.box, made.outputs, weights, jnp.tile(centres, (BLOCKS, 1)), waves)
        definition, params, constants = bridge.split(made.whole(blocks))
        system = systems.setdefault(definition, _newton.linearised(plan, definition))
        here, there = (system(params, constants, some) for some in (points, others))
        columns, rest = _columns(params, (BLOCKS * width, m))
        of_block = lambda i: np.concatenate([columns[i * width : (i + 1) * width].ravel(), rest])
        return {kind: _left(here, there, of_block(i)) for i, kind in enumerate(kinds)}

    return left


def _columns(params: PyTree, shape: tuple[int, int]) -> tuple[Any, Any]:
    """Of the parameters in one vector, the places of the outer layer, in its shape, and those of the others."""
    flat, unravel = ravel_pytree(params)
    numbers = jax.tree.leaves(unravel(jnp.arange(flat.size, dtype=flat.dtype)))
    places: list[Any] = [np.asarray(leaf).astype(int) for leaf in numbers]
    own = next(leaf for leaf in places if leaf.shape == shape)
    return own, np.concatenate([leaf.ravel() for leaf in places if leaf is not own] or [np.zeros(0, int)])


def _left(first: tuple[Any, Any], second: tuple[Any, Any], columns: Any) -> float:
    """‖r + Jδ‖ / ‖r‖ at the second points, with the least-squares δ of the first; infinite where it is no number."""
    r, j, r_other, j_other = first[0], first[1][:, columns], second[0], second[1][:, columns]
    if not (np.isfinite(j).all() and np.isfinite(r).all() and r_other.any()):
        return float("inf")
    p = len(columns)
    below = DAMPING * np.linalg.norm(j) * np.eye(p, p + 1)
    triangle = np.asarray(np.linalg.qr(np.concatenate([np.column_stack([j, -r]), below]), mode="r"))
    step = np.linalg.solve(triangle[:p, :p], triangle[:p, p])
    left = np.linalg.norm(r_other + j_other @ step) / np.linalg.norm(r_other)
    return float(left) if np.isfinite(left) else float("inf")


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


def components_of(outputs: Any) -> int:
    """Of the field."""
    return 1 if outputs == "scalar" else int(outputs)


def _some(plan: Plan) -> dict[str, PyTree]:
    return {t: source.points for t, source in plan.sources.items()}


def _dimension(plan: Plan, term: str) -> float:
    places = names.places(plan.sources[term].points)
    return 0.0 if places is None or not len(places) else _points.dimension(np.asarray(places, float))
