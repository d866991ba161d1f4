"""The points of a step: those of the batch beside those of the sampler, how they count, and which they were before."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import Array, Float, Int

from pinnjax.sampling.sampler import Draw, Sampler
from pinnjax.terms import all_points, chunks, evaluation, losses, names
from pinnjax.terms.spread import spread
from pinnjax.train.state import TrainState

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The points of a step.

    Attributes:
        points: `{term: points}`.
        index: `{term: (n,)}`, the place of each point in the sampler's pool; see `pinnjax.sampling.Draw`.
        previous_index: `{term: (N,)}`, the place that each point of the pool had in the step before, or -1.
        weights: `{term: (n,)}`, the sampler's, where it weighs.
    """

    points: dict[str, PyTree]
    index: dict[str, Int[Array, " n"]]
    previous_index: dict[str, Int[Array, " N"]]
    weights: Mapping[str, Float[Array, " n"]]


def draw(
    sampler: Sampler | None,
    batch: Mapping[str, PyTree] | None,
    terms: Mapping[str, Any],
    state: TrainState,
    chunk: chunks.Chunk,
) -> tuple[Drawn, PyTree]:
    """The points of this step, and the sampler's next state."""
    drawn, sampler_state = Draw({}), state.sampler
    if sampler is not None:
        drawn, sampler_state = sampler.update(state.sampler, residuals=_asked(terms, state, chunk))
    of_points = lambda table: {t: value for t, value in table.items() if not all_points.without_points(terms[t])}
    points = spread(together(batch, drawn.points))
    return Drawn(points, of_points(drawn.index), of_points(drawn.previous_index), drawn.weights), sampler_state


def together(batch: Mapping[str, PyTree] | None, drawn: Mapping[str, PyTree]) -> dict[str, PyTree]:
    """The points of the batch and those of the sampler.

    Raises:
        TypeError: when the batch is no dict.
        ValueError: when a term has points in both.
    """
    if batch is not None and not isinstance(batch, Mapping):
        raise TypeError(f"the batch is a {type(batch).__name__}; expected a dict {{term: points}}")
    given = {} if batch is None else dict(batch)
    twice = sorted(set(drawn) & set(given))
    if twice:
        raise ValueError(f"the batch and the sampler both have points for {twice}; expected each term in one of them")
    return given | dict(drawn)


def sampling_weights(
    drawn: Drawn, terms: Mapping[str, Any], residuals: Mapping[str, Array | jax.ShapeDtypeStruct]
) -> dict[str, Float[Array, " n"]]:
    """The weights that the point-space chain starts with: ones, or those of the sampler."""
    for term in drawn.weights:
        if all_points.without_points(terms[term]):
            raise ValueError(
                f"the sampler weighs the points of {term!r}, whose residuals belong to no point (@batchwise); expected "
                "a sampler that draws its points with equal weights, or points in the batch"
            )
    found = losses.ones(residuals)
    for name, ones in found.items():
        own = names.of_residual(name, drawn.weights, terms)
        found[name] = ones if own is None else own.astype(ones.dtype)
    return found


def _asked(terms: Mapping[str, Any], state: TrainState, chunk: chunks.Chunk) -> Any:
    """Residuals of some of the terms, for a sampler that asks."""

    def residuals(points: Mapping[str, PyTree]) -> dict[str, Array]:
        some = {name: terms[name] for name in points}
        found = evaluation.residuals(some, state.definition, state.constants, chunk=chunk)(state.params, spread(points))
        return jax.lax.stop_gradient(found)

    return residuals
