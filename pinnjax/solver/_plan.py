"""The plan of a run: a model, weights and points."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnjax.solver import _network, _points, _time
from pinnjax.solver._network import Made
from pinnjax.solver._points import Source
from pinnjax.terms import all_points, bridge, evaluation, names
from pinnjax.train.phases import cast

PyTree = Any
INSIDE, CONDITIONS = 2000, 200  # points of an equation, of a condition
WEIGHT = 10.0  # of conditions, in units of what the network does to their residuals
SAME = 0.35  # two sets of points whose dimensions differ by less have the same
DIFFERENTIAL = 3  # points at which it is asked whether a residual has derivatives,
ROUNDING = 1e-11  # by whether it changes by more than this, relative
LOOKED_AT = 200  # points of a term that sizes are taken at
HELD_OUT = 5  # one in so many points of an equation that cannot be drawn anew is kept out of training
LEAST = 20  # where there are as many


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that a run is made of.

    Attributes:
        terms: the residual functions.
        sources: the points of each term.
        equations: the terms that fill space.
        weights: of each residual.
        made: the network.
        notes: what the user is to know of the points.
        numbers: points of each term in a step.
        time: `(axis, begin)` of the coordinate in which the equations evolve; None where there is none, or their points
            stay.
        growing: whether early times are learnt first.
        features: whether the network's hidden layer is drawn once, so that least squares trains it.
    """

    terms: Mapping[str, Any]
    sources: Mapping[str, Source]
    equations: tuple[str, ...]
    weights: Mapping[str, float]
    made: Made
    notes: tuple[str, ...]
    numbers: Mapping[str, int]
    time: tuple[int, float] | None = None
    growing: bool = False
    features: bool = False

    @property
    def batch(self) -> dict[str, PyTree] | None:
        """The points that stay; of an equation, four fifths."""
        return {t: self._part(t, slice(HELD_OUT, None)) for t, s in self.sources.items() if s.generate is None} or None

    def fresh(self, key: Array, times: int = 1) -> dict[str, PyTree]:
        """Points that training does not see, so many times as many, where there are such; those that stay."""
        keys = jax.random.split(key, len(self.sources))
        return {
            t: self._part(t, slice(None, HELD_OUT))
            if source.generate is None
            else source.generate(k, times * self.numbers[t])
            for k, (t, source) in zip(keys, self.sources.items(), strict=True)
        }

    def held_out(self, term: str) -> bool:
        """Whether some points of a term stay out of training: those of an equation that cannot be drawn anew."""
        source = self.sources[term]
        return source.generate is None and term in self.equations and rows(source.points) >= LEAST

    def _part(self, term: str, part: slice) -> PyTree:
        """Of points in a random order, a part, where some are held out; else all."""
        points = self.sources[term].points
        if not self.held_out(term):
            return points
        order = np.random.default_rng(0).permutation(rows(points))
        ends = slice(*(None if end is None else len(order) // end for end in (part.start, part.stop)))
        return jax.tree.map(lambda leaf: leaf[order[ends]], points)

    @property
    def moving(self) -> dict[str, tuple[_points.Generate, int]]:
        """What draws the points of the terms whose points move, and how many."""
        return {t: (s.generate, self.numbers[t]) for t, s in self.sources.items() if s.generate is not None}


def planned(
    terms: Mapping[str, Any],
    points: Mapping[str, Any],
    model: Any,
    outputs: int | str,
    coefficients: Mapping[str, float],
    key: Array,
) -> Plan:
    """Look at the points and the residuals, and choose."""
    for_points, for_network = jax.random.split(key)
    sources = _points.sources(terms, points, for_points)
    found = {t: names.places(source.points) for t, source in sources.items()}
    places = {t: np.asarray(x, float) for t, x in found.items() if x is not None and len(x)}
    if not places:
        raise ValueError("solve: no term has points (n, d); expected coordinates for at least one of them")
    d = {x.shape[1] for x in places.values()}
    if model is None and len(d) > 1:
        raise ValueError(f"solve: points have {sorted(d)} coordinates; expected one number of them, or a model")
    batch = evaluation.some_of_each(terms, {t: source.points for t, source in sources.items()}, LOOKED_AT)
    if model is None:
        made = _network.made(terms, places, batch, outputs, coefficients, for_network)
    else:
        definition, params, constants = bridge.split(model)
        params, constants = cast(params, jnp.float64), cast(constants, jnp.float64)
        model = bridge.field(definition, params, constants) if bridge.is_module(model) else (definition, params)
        made = Made(lambda key: model, None, _network.sizes(terms, model, batch), "")
    field = bridge.field(*bridge.split(made.network(for_network)))
    fills = _equations(terms, sources, places, field)
    weight = lambda name: 1.0 if names.term_of(name, terms) in fills else WEIGHT
    weights = {name: weight(name) / size**2 for name, size in made.sizes.items()}
    moving = len(d) == 1 and all(sources[t].generate is not None for t in fills)
    time = _time.time_axis(places, _no_beginnings(terms, sources, fills, field)) if moving else None
    numbers = {t: INSIDE if t in fills else CONDITIONS for t in terms}
    return Plan(terms, sources, fills, weights, made, tuple(_notes(sources, fills)), numbers, time)


def _no_beginnings(terms: Mapping[str, Any], sources: Mapping[str, Source], fills: Sequence[str], u: Any) -> list[str]:
    """Equations, and conditions that see the field elsewhere, as periodic ones do: they are no beginning."""
    conditions = [t for t in terms if t not in fills and not isinstance(terms[t], all_points.Batchwise)]
    at = {t: sources[t].points for t in conditions}
    plain = {t: jnp.asarray(x)[:LEAST] for t, x in at.items() if x is not None and names.places(x) is x}
    return [*fills, *(t for t, x in plain.items() if _time.sees_elsewhere(terms[t], u, x))]


def early_times_first(plan: Plan) -> Plan:
    """The same plan for a run that was lost."""
    note = "Training was lost where times are late, and was done again with early times first."
    return dataclasses.replace(plan, growing=True, notes=(*plan.notes, note))


def _equations(
    terms: Mapping[str, Any], sources: Mapping[str, Source], places: Mapping[str, np.ndarray], field: Any
) -> tuple[str, ...]:
    """The terms with derivatives of the field at points of the most dimensions; the others are conditions and data."""
    dimensions = {t: _points.dimension(x) for t, x in places.items() if not isinstance(terms[t], all_points.Batchwise)}
    most = lambda some: tuple(t for t in some if dimensions[t] > max(map(dimensions.__getitem__, some)) - SAME)
    widest = most(tuple(dimensions))
    differential = lambda some: tuple(t for t in some if _differential(terms[t], sources[t].points, field))
    return differential(widest) or most(differential(dimensions)) or widest


def rows(points: PyTree) -> int:
    """Number of points."""
    return int(jax.tree.leaves(points)[0].shape[0])


def _differential(residual: Any, points: PyTree, field: Callable[[Array], Array]) -> bool:
    """Whether a residual sees more of the field than its value at the point: a condition on values does not.

    It changes where the field is bent: the same value at the point, other derivatives of all orders.
    """

    @jax.jit
    def both(point: PyTree) -> tuple[PyTree, PyTree]:
        place = next(leaf for leaf in jax.tree.leaves(point) if leaf.ndim == 1)
        # In a direction in which no equation's derivatives are likely to cancel, as u_t - u_xx do along (1, 1).
        slope = jnp.sqrt(jnp.arange(2.0, 2.0 + place.size)) - 0.9
        bent = bridge.Derived(lambda x: field(x) + jnp.expm1(slope @ (x - place)), field)
        return residual(field, point), residual(bent, point)

    for i in range(DIFFERENTIAL):
        plain, bent = map(jax.tree.leaves, both(jax.tree.map(lambda leaf: leaf[i], points)))  # noqa: B023
        if not all(np.allclose(a, b, rtol=ROUNDING, atol=0, equal_nan=True) for a, b in zip(plain, bent, strict=True)):
            return True
    return False


def _notes(sources: Mapping[str, Source], equations: tuple[str, ...]) -> Any:
    for term, source in sources.items():
        if source.generate is None and term in equations:
            yield (
                f"The points of {term!r} stay, and may be learnt by heart: of points[{term!r}] = draw(key, n) new ones "
                "would be drawn."
            )
        elif source.drawn_for:
            yield f"The points of {term!r} fill a box, or faces of one, and new ones were drawn there."
