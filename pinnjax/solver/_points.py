"""Where points come from: what the user draws, what can be drawn for them, and what has to stay."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import checks, sampling
from pinnjax.terms import names

PyTree = Any
Generate = Callable[[Array, int], PyTree]

SPREAD = 16  # points that say where a term lives
CELLS = 4  # points a cell, on average, where it is asked whether points fill a box
SOME = 1024  # points of a term that are looked at


class Source(NamedTuple):
    """The points of a term.

    Attributes:
        points: some of them, as they are given to the residual.
        generate: `generate(key, n) -> points`, new ones; None where the points stay.
        code: that function as Python.
        counts: whether it gives n points when it is asked for n.
        drawn_for: whether it is ours, in the box that the given points fill.
    """

    points: PyTree
    generate: Generate | None = None
    code: str = ""
    counts: bool = False
    drawn_for: bool = False


def sources(terms: Mapping[str, Any], points: Mapping[str, Any], key: Array) -> dict[str, Source]:
    """The sources of all terms.

    Raises:
        TypeError, ValueError: when points are neither arrays nor a function, or do not suit the terms.
    """
    checks.known_names("solve: points", terms, points)
    found = {}
    for term in terms:
        if term not in points:
            raise ValueError(
                f"solve: points of {term!r} are missing; expected {{{term!r}: (n, d) array or draw(key, n)}}"
            )
        given = points[term]
        found[term] = _drawn(term, given, key) if callable(given) else _given(term, given)
    checks.batch(terms, {term: source.points for term, source in found.items()})
    checks.finite_points({term: source.points for term, source in found.items()})
    return found


def dimension(places: Float[np.ndarray, "n d"]) -> float:
    """Of the set that points lie on: 2 for an area, 1 for its boundary, 0 for one point.

    The number of pairs within a distance grows with its power (the correlation dimension). Borders make it less, for
    these points as for as many in a box, by which it is corrected.

    References:
      Grassberger, Procaccia, `Characterization of strange attractors
      <https://doi.org/10.1103/PhysRevLett.50.346>`_, Physical Review Letters 50, 1983.

    Example:
        >>> x = np.random.default_rng(0).uniform(size=(1000, 2))
        >>> circle = np.stack([np.cos(6.283 * x[:, 0]), np.sin(6.283 * x[:, 0])], axis=1)
        >>> print(round(dimension(x)), round(dimension(circle)), round(dimension(x[:1])))
        2 1 0
    """
    rng = np.random.default_rng(0)
    some = places[rng.permutation(len(places))[:SOME]]
    side = np.ptp(some, axis=0)
    some = np.unique(some / np.where(side > 0, side, 1), axis=0)
    if len(some) < SPREAD:
        return 0.0
    return some.shape[1] * _power(some) / _power(rng.uniform(size=some.shape))


def _power(x: Float[np.ndarray, "n d"]) -> float:
    """Exponent with which the number of pairs grows over the last two octaves of short distances."""
    distances = np.linalg.norm(x[:, None] - x[None], axis=-1)[np.triu_indices(len(x), 1)]
    far = np.quantile(distances, 0.3)
    radii = np.geomspace(far / 4, far, 16)
    pairs = np.array([np.count_nonzero(distances <= radius) for radius in radii])
    known = pairs > 0
    return float(np.polyfit(np.log(radii[known]), np.log(pairs[known]), 1)[0]) if known.sum() > 1 else 0.0


def _drawn(term: str, generate: Generate, key: Array) -> Source:
    """What the user's function draws; how many it says itself."""
    try:
        points = generate(key, SOME)
    except Exception as error:
        error.add_note(f"This is points[{term!r}], called as draw(key, n) with a random key and n = {SOME}.")
        raise
    leaves = jax.tree.leaves(points)
    if not leaves or any(np.ndim(leaf) < 1 for leaf in leaves):
        raise ValueError(
            f"solve: points[{term!r}] drew {checks.described(points)}; expected an array (n, d), or a pytree of them"
        )
    return Source(points, generate, f"points[{term!r}]", counts=len(leaves[0]) == SOME)


def _given(term: str, points: PyTree) -> Source:
    """Points as they are; drawn anew where they fill a box, or a face of one."""
    points = jax.tree.map(jnp.asarray, points)
    places = names.places(points)
    if places is None or places is not points or not len(places):
        return Source(points)  # numbers belong to the places, or there are none
    low, high = np.min(np.asarray(places), axis=0), np.max(np.asarray(places), axis=0)
    if len(places) < SPREAD or not _fills(np.asarray(places), low, high):
        return Source(points)
    lower, upper = ([float(x) for x in corner] for corner in (low, high))
    generate = lambda key, n: sampling.box(key, lower, upper, n)
    return Source(points, generate, f"lambda key, n: pj.sampling.box(key, {lower}, {upper}, n)", True, True)


def _fills(places: Float[np.ndarray, "n d"], low: np.ndarray, high: np.ndarray) -> bool:
    """Whether no part of the box is without points, as far as so many points can say."""
    moving = high > low
    if not moving.any():
        return False
    side = int((len(places) / CELLS) ** (1 / moving.sum()))
    if side < 2:
        return False
    unit = (places[:, moving] - low[moving]) / (high - low)[moving]
    cells = np.minimum((unit * side).astype(int), side - 1)
    occupied = len(np.unique(cells, axis=0)) / side ** moving.sum()
    return bool(occupied > 1 - 3 * np.exp(-CELLS))
