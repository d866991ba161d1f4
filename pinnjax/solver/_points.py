"""Where points come from: what the user draws, what can be drawn for them, and what has to stay."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import checks, sampling
from pinnjax.terms import names
from pinnjax.train.phases import cast

PyTree = Any
Generate = Callable[[Array, int], PyTree]

STAYS: dict[str, Any] = {"generate": None, "code": "", "counts": False, "drawn_for": False}
SPREAD = 16  # points that say where a term lives
CENTRES = 4096  # places in a box at which it is asked how far the nearest point is
CHANCE = 0.01  # with which random points of a box are taken for those of another domain
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
    if not isinstance(points, Mapping):
        raise TypeError(
            f"solve: points is {checks.described(points)}; expected {{term: draw(key, n)}}, {{term: array (n, d)}} or "
            "a sampler"
        )
    checks.known_names("solve: points", terms, points)
    found: dict[str, Source] = {}
    for term in terms:
        if term not in points:
            raise ValueError(
                f"solve: points of {term!r} are missing; expected {{{term!r}: (n, d) array or draw(key, n)}}"
            )
        if callable(points[term]):
            found[term] = _drawn(term, points[term], key)
    # What a condition asks for at a point would be rounded as the point is.
    arrays = {t: cast(jax.tree.map(jnp.asarray, points[t]), float) for t in terms if t not in found}
    seen = {t: names.places(p) for t, p in (arrays | {t: source.points for t, source in found.items()}).items()}
    ends = [end(np.asarray(x), axis=0) for x in seen.values() if x is not None and len(x) for end in (np.min, np.max)]
    found |= {t: _given(given, [end for end in ends if len(end) == len(ends[0])]) for t, given in arrays.items()}
    found = {t: found[t] for t in terms}
    checks.batch(terms, {term: source.points for term, source in found.items()})
    checks.finite_points({term: source.points for term, source in found.items()})
    return {t: source._replace(**STAYS) if _has_a_wall_inside(t, found) else source for t, source in found.items()}


def of_sampler(sampler: sampling.Sampler) -> dict[str, Generate]:
    """`{term: draw(key, n)}` of a sampler: the points that it begins with, in its own numbers.

    Example:
        >>> sampler = sampling.resample(lambda key: {"pde": sampling.box(key, [0.0], [1.0], 5)})
        >>> print(of_sampler(sampler)["pde"](jax.random.key(0), 100).shape)
        (5, 1)
    """
    pool = lambda key: sampler.pool(sampler.init(key))
    of_term = lambda t: lambda key, n: pool(key)[t]
    return {t: of_term(t) for t in jax.eval_shape(pool, jax.random.key(0))}


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


def _given(points: PyTree, ends: Sequence[np.ndarray]) -> Source:
    """Points as they are; drawn anew where they fill a box, or faces of one.

    Args:
        points: of the term.
        ends: the least and the largest coordinates of each term.
    """
    places = names.places(points)
    if places is None or places is not points or not len(places):
        return Source(points)  # numbers belong to the places, or there are none
    given = np.asarray(places)
    parts = [given] if len(given) < SPREAD or _fills(given) else _on_faces(given)
    if not all(len(part) >= SPREAD and _fills(part) for part in parts):
        return Source(points)
    corners = [tuple(end.tolist() for end in _box(part, ends)) for part in parts]
    if len(parts) == 1:
        [(low, high)] = corners
        generate = lambda key, n: sampling.box(key, low, high, n)
        return Source(points, generate, f"lambda key, n: pj.sampling.box(key, {low}, {high}, n)", True, True)
    ends = np.cumsum([0, *map(len, parts)]).tolist()
    boxes = [(low, high, a, b) for (low, high), a, b in zip(corners, ends[:-1], ends[1:], strict=True)]

    def on_faces(key: Array, n: int) -> Array:
        """So many on each face that they sum to n, in the shares of those that were given."""
        keys = jax.random.split(key, len(boxes))
        number = lambda a, b: n * b // ends[-1] - n * a // ends[-1]
        return jnp.concatenate(
            [sampling.box(k, low, high, number(a, b)) for k, (low, high, a, b) in zip(keys, boxes, strict=True)]
        )

    code = (
        f"lambda key, n: jnp.concatenate([pj.sampling.box(k, low, high, n * b // {ends[-1]} - n * a // {ends[-1]}) "
        f"for k, (low, high, a, b) in zip(jax.random.split(key, {len(boxes)}), {boxes})])"
    )
    return Source(points, on_faces, code, True, True)


def _box(places: Float[np.ndarray, "n d"], ends: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The box that points fill, up to where others begin: random points hardly come as near to its sides.

    Between the last of them and a condition a network may do what it likes, and it does.
    """
    low, high = places.min(axis=0), places.max(axis=0)
    gap = (high - low) * np.log(len(places) / CHANCE) / len(places)
    for i in range(len(low)):
        near = [end[i] for end in ends if low[i] - gap[i] <= end[i] <= high[i] + gap[i]]
        low[i], high[i] = min([low[i], *near]), max([high[i], *near])
    return low, high


def _on_faces(places: Float[np.ndarray, "n d"]) -> list[Float[np.ndarray, "_ d"]]:
    """Points by the face of their bounding box that they lie on, largest first; all in one where some lie on none."""
    low, high = places.min(axis=0), places.max(axis=0)
    found, rest = [], places
    while len(rest):
        on = [rest[:, i] == end[i] for i in range(places.shape[1]) for end in (low, high)]
        most = max(on, key=np.count_nonzero)
        if not most.any():
            return [places]
        found.append(rest[most])
        rest = rest[~most]
    return found


def _fills(places: Float[np.ndarray, "n d"]) -> bool:
    """Whether points may be uniform in their bounding box: no ball in it is empty that would be by a small chance only.

    Of n random points none is in a ball with the share a of the volume with the probability exp(-a n), and there are
    some n such balls.
    """
    import scipy.spatial  # slow to import, and only this function needs it
    import scipy.special

    low, high = places.min(axis=0), places.max(axis=0)
    moving = high > low
    d, n = int(moving.sum()), len(places)
    if d == 0:
        return False
    unit = (places[:, moving] - low[moving]) / (high - low)[moving]
    centres = np.random.default_rng(0).uniform(size=(CENTRES, d))
    empty, _ = scipy.spatial.cKDTree(unit).query(centres)
    radius = np.max(np.minimum(empty, np.minimum(centres, 1 - centres).min(axis=1)))
    share = np.pi ** (d / 2) / scipy.special.gamma(d / 2 + 1) * radius**d
    return bool(share <= np.log(n / CHANCE) / n)


def _has_a_wall_inside(term: str, found: Mapping[str, Source]) -> bool:
    """Whether a box that was filled has the edge of a hole in it, where another term has its points."""
    if not found[term].drawn_for:
        return False
    own = np.asarray(found[term].points, float)
    low, high = own.min(axis=0), own.max(axis=0)
    margin = 1e-6 * (high - low)
    for other, source in found.items():
        places = names.places(source.points)
        if other == term or places is None or places.shape[1] != own.shape[1]:
            continue
        x = np.asarray(places, float)
        x = x[((x > low + margin) & (x < high - margin)).all(axis=1)]
        if len(x) >= SPREAD and dimension(x) < dimension(own) - 0.5:
            return True
    return False
