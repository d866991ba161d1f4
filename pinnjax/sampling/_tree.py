"""Points of a tree of shapes, drawn in one rejection over all leaves, and its measures.

A candidate comes from one leaf, chosen by its exact measure, and is admissible when the *whole tree* has it and no leaf
before could have drawn it; so the admissible ones are uniform however the tree is nested. On the boundary the tree is
asked on both sides of the candidate's leaf: where the answers differ there is an edge, and they say which way is out.

Leaf j is asked in coordinates from its own middle, and a side is a step of the resolution of the two leaves'
coordinates. So edges that coincide up to rounding are one edge, at any distance from the origin and at any scale.
"""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from pinnjax.sampling._arguments import Points
from pinnjax.sampling._rejection import reject
from pinnjax.sampling.domains import Domain, frame, pick, place

PROBES = 2**14  # quasi-random points in each leaf that measure a tree
LOOKS = 64  # times as many points in all leaves, at most, that look for a domain before it counts as empty
FEWEST = 16  # points found by then, below which it does
STEP = 16  # roundings from an edge to its two sides: those of sines, squares and sums of two leaves' coordinates
FINEST = float(np.finfo(float).eps)


@functools.partial(jax.jit, static_argnames=("tree", "what", "n", "dtype"))
def drawn(key: Array, tree: Domain, what: str, n: int, dtype: jnp.dtype) -> tuple[Points, ...]:
    """Compiled once for a domain, so a loop that calls it outside a program does not compile again."""
    judge, sizes = (_within, _volumes(tree)) if what == "inside" else (_on_edge, _surfaces(tree))
    work = jnp.promote_types(dtype, jnp.float32)
    eps, rows_of = float(jnp.finfo(work).eps), frame(tree.leaves, work)

    def candidates(key: Array, rows: int) -> tuple[tuple[Points, ...], Bool[Array, " rows"]]:
        u = jax.random.uniform(key, (rows, dimension(tree) + 2), work)
        which = pick(u[:, -1], sizes, jnp)
        good, y, *normals = judge(tree, u[:, :-1], which, eps, jnp)
        x = place(y, tuple(values[which] for values in rows_of))
        return tuple(values.astype(dtype) for values in (x, *normals)), good

    return reject(key, n, candidates, _rate(tree, what, judge, sizes, eps))


def _within(tree: Domain, u: Any, which: Any, eps: float, xp: ModuleType) -> tuple[Any, Any]:
    """Whether points of the leaves `which` count, and the points in coordinates from their leaves' middles."""
    y = _chosen([leaf.interior(u, xp) for leaf in tree.leaves], which, xp)
    held = _held(tree, y, which, eps, xp)
    earlier = [h & (which > k) for k, (h, solid) in enumerate(zip(held, tree.solid, strict=True)) if solid]
    return tree.joined(held) & ~functools.reduce(lambda a, b: a | b, earlier), y


def _on_edge(tree: Domain, u: Any, which: Any, eps: float, xp: ModuleType) -> tuple[Any, Any, Any]:
    """Whether points of the boundaries of the leaves `which` count, the points, and the normals out of the tree."""
    pairs = [leaf.edge(u, xp) for leaf in tree.leaves]
    y, normals = (_chosen(list(values), which, xp) for values in zip(*pairs, strict=True))
    behind, before = (_held(tree, y, which, eps, xp, side, normals) for side in (-1, 1))
    earlier = [(a != b) & (which > k) for k, (a, b) in enumerate(zip(behind, before, strict=True))]
    inner, outer = tree.joined(behind), tree.joined(before)
    good = (inner != outer) & ~functools.reduce(lambda a, b: a | b, earlier)
    return good, y, xp.where(inner[:, None], normals, -normals)


def _held(tree: Domain, y: Any, which: Any, eps: float, xp: ModuleType, side: int = 0, normals: Any = 0) -> list[Any]:
    """Whether each leaf holds each point of the leaves `which`, or the place behind (-1) or before (1) their edge."""
    leaves = tree.leaves
    middle = np.stack([leaf.middle for leaf in leaves])
    half = np.stack([leaf.bounds[1] - leaf.bounds[0] for leaf in leaves]) / 2
    held = []
    for j, leaf in enumerate(leaves):
        shift = middle - middle[j]
        # The second addend: far from the origin the shapes' own numbers are rounded.
        step = STEP * (eps * (abs(shift) + half + half[j]) + FINEST * (abs(middle) + abs(middle[j])))
        # By the normals' signs: along the normal that is more than the coordinates' rounding, whatever its direction.
        beside = side * xp.sign(normals) * xp.asarray(step, y.dtype)[which]
        held.append(xp.where(which == j, side <= 0, leaf.holds(y + xp.asarray(shift, y.dtype)[which] + beside, xp)))
    return held


def _rate(tree: Domain, what: str, judge: Callable, sizes: np.ndarray, eps: float) -> float:
    """The share of candidates that are admissible, in numbers known before compilation; or an error."""
    rng, found, tried = np.random.default_rng(0), 0, 0
    while found < 4 * FEWEST and tried < LOOKS * PROBES:
        u = rng.random((PROBES, dimension(tree) + 2))
        found += int(judge(tree, u[:, :-1], pick(u[:, -1], sizes, np), eps, np)[0].sum())
        tried += PROBES
    if found < FEWEST:
        place = "in it" if what == "inside" else "on its boundary"
        raise ValueError(
            f"{type(tree).__name__} is empty or almost so: {found} of {tried} points of its shapes are {place}; "
            f"expected {FEWEST} or more"
        )
    return found / tried


def volume(tree: Domain) -> float:
    """The better of two sums over leaves.

    One counts the points of solid leaves that candidates are admitted by; one what each leaf, of holes too, adds or
    takes away when it joins those before it, which is exact when it does so in all of its points or in none.
    """
    leaves, nothing = tree.leaves, np.zeros(PROBES, bool)
    counted, added = [], []
    for k, (u, which) in enumerate(_probes(tree)):
        held = _held(tree, leaves[k].interior(u, np), which, FINEST, np)
        rest = [nothing] * (len(leaves) - k - 1)
        after, before = tree.joined([*held[: k + 1], *rest]), tree.joined([*held[:k], nothing, *rest])
        added.append(np.mean(after.astype(int) - before))
        counted.append(np.mean(_within(tree, u, which, FINEST, np)[0]) if tree.solid[k] else 0.0)
    shares = np.asarray([added, counted])
    sizes = np.asarray([leaf.volume for leaf in leaves])
    doubt = np.sum(sizes**2 * abs(shares) * (1 - abs(shares)), axis=1)
    return max(0.0, float(np.dot(shares[np.argmin(doubt)], sizes)))


def surface(tree: Domain) -> float:
    """The sum over leaves of the share of its boundary that is the tree's."""
    shares = [np.mean(_on_edge(tree, u, which, FINEST, np)[0]) for u, which in _probes(tree)]
    return float(np.dot(_surfaces(tree), shares))


def _probes(tree: Domain) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each leaf the same quasi-random numbers, and its own number as often."""
    import scipy.stats.qmc  # slow to import, and only domains that are measured need it

    u = scipy.stats.qmc.Sobol(dimension(tree) + 1, rng=np.random.default_rng(0)).random(PROBES)
    return [(u, np.full(PROBES, k)) for k in range(len(tree.leaves))]


def _volumes(tree: Domain) -> np.ndarray:
    return np.asarray([leaf.volume * solid for leaf, solid in zip(tree.leaves, tree.solid, strict=True)])


def _surfaces(tree: Domain) -> np.ndarray:
    return np.asarray([leaf.surface for leaf in tree.leaves])


def dimension(tree: Domain) -> int:
    return len(tree.leaves[0].middle)


def _chosen(values: list[Any], which: Any, xp: ModuleType) -> Any:
    return xp.stack(values)[which, xp.arange(len(which))]
