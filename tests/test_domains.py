"""Domains: points are uniform, normals are outward units, unions and differences are what they say at any scale."""

import functools
import itertools

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import matplotlib.path
import numpy as np
import pytest

from pinnjax.sampling import Box, Difference, Disk, Polygon, Union
from pinnjax.sampling._rejection import reject

pytestmark = pytest.mark.usefixtures("quick_compilation")

N = 20_000
SQUARE = Box((0.0, 0.0), (1.0, 1.0))
L_SHAPE = Polygon(((0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)))
SLANTED = Polygon(((0.0, 0.0), (3.0, 1.0), (2.0, 4.0), (-1.0, 3.0)))  # a square of side √10, turned
LENS = 2 * (np.pi / 3) * 0.04 - 0.1 * np.sqrt(0.03) * 2  # common to two disks of radius 0.2, 0.2 apart
ARC = 2 * 0.2 * (2 * np.pi - 2 * np.pi / 3)  # what is left of their circles in their union

# Each domain with its volume and surface, worked out by hand: a new domain, or a new way to nest them, joins here.
DOMAINS = {
    "interval": (Box((-1.0,), (3.0,)), 4.0, 2.0),
    "box": (Box((0.0, 1.0, 2.0), (1.0, 3.0, 5.0)), 6.0, 22.0),
    "disk": (Disk((1.0, -1.0), 0.5), np.pi / 4, np.pi),
    "polygon": (L_SHAPE, 3.0, 8.0),
    "clockwise": (Polygon(tuple(reversed(L_SHAPE.vertices))), 3.0, 8.0),
    "slanted": (SLANTED, 10.0, 4 * np.sqrt(10)),
    "two intervals side by side": (Union((Box((0.0,), (1.0,)), Box((1.0,), (3.0,)))), 3.0, 2.0),
    "an interval with a gap": (Difference(Box((0.0,), (3.0,)), Box((1.0,), (2.0,))), 2.0, 4.0),
    "an interval cut at its end": (Difference(Box((0.0,), (3.0,)), Box((2.0,), (3.0,))), 2.0, 2.0),
    "two boxes side by side": (Union((SQUARE, Box((1.0, 0.0), (3.0, 1.0)))), 3.0, 8.0),
    "the same box twice": (Union((SQUARE, SQUARE)), 1.0, 4.0),
    "a box in a box, one edge common": (Union((SQUARE, Box((0.0, 0.25), (0.5, 0.75)))), 1.0, 4.0),
    "a thin part": (Union((Difference(SQUARE, Box((0, 0), (1, 0.9))), Box((2, 0), (3, 1)))), 1.1, 6.2),
    "union": (Union((Box((0.0, 0.0), (2.0, 1.0)), Disk((2.0, 0.5), 0.5), Box((1.0, 0.0), (3.0, 1.0)))), 3.0, 8.0),
    "difference": (Difference(SQUARE, Disk((0.0, 0.0), 0.5)), 1 - np.pi / 16, 3 + np.pi / 4),
    "two holes that overlap": (
        Difference(Difference(SQUARE, Disk((0.4, 0.5), 0.2)), Disk((0.6, 0.5), 0.2)),
        1 - 2 * np.pi * 0.04 + LENS,
        4 + ARC,
    ),
    "a hole that is a union": (
        Difference(SQUARE, Union((Disk((0.4, 0.5), 0.2), Disk((0.6, 0.5), 0.2)))),
        1 - 2 * np.pi * 0.04 + LENS,
        4 + ARC,
    ),
    "an island in a hole": (
        Difference(SQUARE, Difference(Disk((0.5, 0.5), 0.4), Disk((0.5, 0.5), 0.2))),
        1 - np.pi * 0.12,
        4 + np.pi * 1.2,
    ),
    "a hole filled again": (Union((Difference(SQUARE, Disk((0.5, 0.5), 0.3)), Disk((0.5, 0.5), 0.3))), 1.0, 4.0),
    "a union of a difference of a union": (
        Union(
            (Difference(Union((SQUARE, Box((1, 0), (2, 1)))), Box((0.5, 0.5), (1.5, 1.0))), Box((0.5, 0.75), (1.5, 2)))
        ),
        2 - 0.5 + 1.25,
        2 + 2 * 1 + 2 * 0.5 + (2 * 1 + 2 * 0.25) + 3 * 1,
    ),
    "disks that touch": (Union((Disk((-1.0, 0.0), 1.0), Disk((1.0, 0.0), 1.0))), 2 * np.pi, 4 * np.pi),
    "a disk that touches its box": (Difference(SQUARE, Disk((0.5, 0.5), 0.5)), 1 - np.pi / 4, 4 + np.pi),
    "a polygon with a hole": (
        Difference(SLANTED, Polygon(((1.0, 1.0), (2.0, 2.0), (1.0, 3.0), (0.0, 2.0)))),
        8.0,
        4 * np.sqrt(10) + 4 * np.sqrt(2),
    ),
    "polygons with a slanted edge in common": (
        Union((SLANTED, Polygon(((0.0, 0.0), (3.0, 1.0), (4.0, -2.0), (1.0, -3.0))))),
        20.0,
        6 * np.sqrt(10),
    ),
    "a ring without a thin shell": (
        Difference(Disk((0, 0), 1.0), Disk((0, 0), 0.99)),
        np.pi * (1 - 0.99**2),
        np.pi * 3.98,
    ),
    "a half disk, by a huge box": (Difference(Disk((0, 0), 1.0), Box((-1e6, -1e6), (1e6, 0))), np.pi / 2, np.pi + 2),
    "a cube with a slot": (
        Difference(Box((0, 0, 0), (1, 1, 1)), Box((0.25, 0.25, 0), (0.75, 0.75, 1))),
        0.75,
        6 - 2 * 0.25 + 4 * 0.5,
    ),
    "boxes on each other": (Union((Box((0, 0, 0), (2, 2, 1)), Box((0, 0, 1), (1, 1, 2)))), 5.0, 16 + 4),
    "one unit 1e12 times the other": (
        Difference(Box((0, 0), (1e-6, 1e6)), Box((0, 0), (5e-7, 5e5))),
        0.75,
        2e6 + 2e-6,
    ),
}
exhaustive = pytest.mark.exhaustive
domain = pytest.mark.parametrize(
    ("domain", "volume", "surface"),
    [pytest.param(*case, id=name, marks=[exhaustive] * (i % 3 > 0)) for i, (name, case) in enumerate(DOMAINS.items())],
)


@functools.singledispatch
def holds(domain, x):
    """An oracle of its own for each domain, in double precision: a new one needs an entry below."""
    raise NotImplementedError(type(domain))


holds.register(Box, lambda box, x: np.all((x > box.lower) & (x < box.upper), axis=1))
holds.register(Disk, lambda disk, x: np.hypot(*(x - disk.center).T) < disk.radius)
holds.register(Polygon, lambda polygon, x: matplotlib.path.Path(polygon.vertices).contains_points(x))
holds.register(Union, lambda union, x: np.any([holds(part, x) for part in union.parts], axis=0))
holds.register(Difference, lambda cut, x: holds(cut.whole, x) & ~holds(cut.hole, x))


def corners(domain):
    """Corners of a box around it."""
    if isinstance(domain, Union):
        each = [corners(part) for part in domain.parts]
        return np.min([low for low, _ in each], axis=0), np.max([high for _, high in each], axis=0)
    return corners(domain.whole) if isinstance(domain, Difference) else domain.bounds


def uniform(domain, n, seed=1):
    """Points by rejection in numpy, and the volume."""
    low, high = corners(domain)
    x = np.random.default_rng(seed).uniform(low, high, size=(n, len(low)))
    kept = x[holds(domain, x)]
    return kept, np.prod(high - low) * len(kept) / n


def counts_agree(found, expected, deviations=5.0):
    """Two histograms of the same density: each bin within so many deviations of both counts."""
    n, m = found.sum(), expected.sum()
    share = (found + expected) / (n + m)
    assert np.all(abs(found / n - expected / m) <= deviations * np.sqrt(share * (1 / n + 1 / m)) + 1e-12)


def cells(x, low, high, per_axis=5):
    """Histogram over cells of a box."""
    return np.histogramdd(x, [np.linspace(a, b, per_axis + 1) for a, b in zip(low, high, strict=True)])[0].ravel()


@domain
def test_measures_are_exact_or_good_to_a_thousandth_of_the_largest_shape(domain, volume, surface):
    leaves = domain.leaves
    assert abs(domain.volume - volume) <= 1e-3 * max(leaf.volume for leaf in leaves)
    assert abs(domain.surface - surface) <= 2e-3 * max(leaf.surface for leaf in leaves)


@pytest.mark.slow
@domain
def test_points_inside_are_inside_and_uniform(domain, volume, surface):
    """Counts in 5^d cells are those of rejection in numpy from a bounding box."""
    x = domain.inside(jax.random.key(0), N)
    chex.assert_shape(x, (N, len(corners(domain)[0])))
    chex.assert_tree_all_finite(x)
    x = np.asarray(x, float)
    assert holds(domain, x).mean() > 0.9995  # rounding may put a point in single precision on the boundary
    assert bool(jnp.mean(domain.contains(x)) > 0.9995)
    counts_agree(cells(x, *corners(domain)), cells(uniform(domain, 20 * N)[0], *corners(domain)))


@domain
def test_normals_lead_out_of_the_domain_and_against_them_lies_the_domain(domain, volume, surface):
    x, normals = domain.boundary(jax.random.key(3), N)
    chex.assert_equal_shape([x, normals])
    chex.assert_tree_all_finite((x, normals))
    np.testing.assert_allclose(jnp.linalg.norm(normals, axis=1), 1.0, rtol=1e-5)
    low, high = corners(domain)
    x, step = np.asarray(x, float), 1e-4 * (high - low) * np.asarray(normals, float)
    # A step from a point near a corner may leave sideways, and one near where two disks touch may cross the gap.
    assert holds(domain, x - step).mean() > 0.98
    assert holds(domain, x + step).mean() < 0.02


@domain
def test_the_divergence_theorem_holds_for_fields_that_see_where_the_points_are(domain, volume, surface):
    """Mean of F · n times the surface by hand is the integral of div F by rejection in numpy."""
    x, normals = (np.asarray(value, float) for value in domain.boundary(jax.random.key(3), N))
    inner, _ = uniform(domain, 20 * N)
    low, high = corners(domain)
    scaled = lambda y: (y - low) / (high - low)
    # Each axis on its own, as their units differ; all areas are projected, so the scale of the others does not matter.
    for k, (f, slope) in itertools.product(
        range(len(low)),
        [
            (lambda s: np.ones_like(s), lambda s: np.zeros_like(s)),
            (lambda s: s, lambda s: np.ones_like(s)),
            (lambda s: np.sin(9 * s), lambda s: 9 * np.cos(9 * s)),
        ],
    ):
        flux = surface * f(scaled(x)[:, k]) * normals[:, k]
        source = volume * slope(scaled(inner)[:, k]) / (high - low)[k]
        error = np.sqrt(flux.var() / len(flux) + source.var() / len(source))
        assert abs(flux.mean() - source.mean()) <= 5 * error + 1e-6 * surface


# Trees of boxes with integer corners: edges coincide all the time, and unit cells give everything by hand.
SIDE = 4


def lattice(dimension):
    corner = st.lists(st.integers(0, SIDE - 1), min_size=dimension, max_size=dimension)
    extent = st.lists(st.integers(1, 3), min_size=dimension, max_size=dimension)
    box = st.builds(lambda low, more: Box(low, np.minimum(np.add(low, more), SIDE)), corner, extent)
    return trees(box)


def trees(shape):
    pair = st.tuples(shape, shape)
    node = st.one_of(st.builds(Union, pair), st.builds(lambda p: Difference(*p), pair))
    top = st.tuples(node, st.one_of(node, shape))
    return st.one_of(st.builds(Union, top), st.builds(lambda p: Difference(*p), top))


def by_cells(domain):
    """Which unit cells are inside, and for each axis and sign those just outside a unit face."""
    d = len(corners(domain)[0])
    middles = np.stack(np.meshgrid(*[np.arange(-1, SIDE + 1) + 0.5] * d, indexing="ij"), axis=-1)
    full = holds(domain, middles.reshape(-1, d)).reshape((SIDE + 2,) * d).astype(int)
    faces = {}
    for axis, sign in itertools.product(range(d), (-1, 1)):
        outside = np.roll(full, sign, axis) & ~full & 1
        faces[axis, sign] = outside
    return full, faces


def found_by_cells(x, normals, d):
    """The same histogram of points: those of the boundary count for the cell just outside."""
    place = np.floor(x + 1e-3 * normals).astype(int) + 1
    axis = np.argmax(abs(normals), axis=1)
    sign = np.sign(normals[np.arange(len(x)), axis])
    found = {}
    for a, s in itertools.product(range(d), (-1, 1)):
        mine = place[(axis == a) & (sign == s)]
        found[a, s] = np.histogramdd(mine, [np.arange(SIDE + 3) - 0.5] * d)[0]
    return found


def uniform_over(found, expected, deviations=5.5):
    """Counts go with whole expected shares; hundreds of bins in dozens of trees, so five and a half deviations."""
    n, share = found.sum(), expected / expected.sum()
    assert np.all(abs(found - n * share) <= deviations * np.sqrt(n * share) + 1e-9)
    assert not found[expected == 0].any()


FEW_OR_MANY = [(1, 2), (2, 3), *(pytest.param(d, 20, marks=exhaustive) for d in (1, 2, 3))]


@pytest.mark.slow
@pytest.mark.parametrize(("dimension", "examples"), FEW_OR_MANY)
def test_trees_of_boxes_with_common_edges_are_uniform_inside_and_on_their_faces(dimension, examples):
    @hypothesis.settings(deadline=None, max_examples=examples, derandomize=True, database=None)
    @hypothesis.given(lattice(dimension))
    def check(domain):
        full, faces = by_cells(domain)
        if not full.any():
            with pytest.raises(ValueError, match="empty or almost so"):
                domain.inside(jax.random.key(0), 5)
            return
        flat = np.concatenate([faces[key].ravel() for key in faces])
        chex.assert_trees_all_close(domain.volume, float(full.sum()), atol=2e-3 * SIDE**dimension)
        chex.assert_trees_all_close(domain.surface, float(flat.sum()), atol=5e-3 * SIDE**dimension)
        x = np.asarray(domain.inside(jax.random.key(0), 5000), float)
        uniform_over(np.histogramdd(x, [np.arange(-1, SIDE + 2)] * dimension)[0], full)
        x, normals = (np.asarray(value, float) for value in domain.boundary(jax.random.key(1), 5000))
        found = found_by_cells(x, normals, dimension)
        uniform_over(np.concatenate([found[key].ravel() for key in faces]), flat)

    check()


half = st.integers(0, 8).map(lambda i: i / 2)
SHAPES = st.one_of(
    st.builds(lambda x, y, w, h: Box((x, y), (x + w / 2, y + h / 2)), half, half, st.integers(1, 6), st.integers(1, 6)),
    st.builds(lambda x, y, r: Disk((x, y), r / 2), half, half, st.integers(1, 4)),  # often tangent to each other
    st.builds(
        lambda x, y, s: Polygon([(x, y), (x + 2 * s, y), (x + s, y + s), (x, y + 2 * s)]), half, half, st.integers(1, 2)
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("examples", [3, pytest.param(25, marks=exhaustive)])
def test_trees_of_all_shapes_agree_with_rejection_in_numpy(examples):
    @hypothesis.settings(deadline=None, max_examples=examples, derandomize=True, database=None)
    @hypothesis.given(trees(SHAPES))
    def check(domain):
        reference, volume = uniform(domain, 200_000)
        if len(reference) < 1000:  # the table and the test above see what is empty
            return
        assert abs(domain.volume - volume) <= 0.02 * max(leaf.volume for leaf in domain.leaves) + 0.01 * volume
        x = np.asarray(domain.inside(jax.random.key(0), 5000), float)
        assert holds(domain, x).mean() > 0.999
        counts_agree(cells(x, *corners(domain)), cells(reference, *corners(domain)))
        x, normals = (np.asarray(value, float) for value in domain.boundary(jax.random.key(1), 5000))
        assert holds(domain, x - 1e-4 * normals).mean() > 0.98
        assert holds(domain, x + 1e-4 * normals).mean() < 0.02
        for k in (0, 1):  # the divergence theorem, for 1 and sin(2 x_k) along an axis
            flux = domain.surface * np.stack([normals[:, k], np.sin(2 * x[:, k]) * normals[:, k]])
            source = volume * np.stack([np.zeros(len(reference)), 2 * np.cos(2 * reference[:, k])])
            error = np.sqrt(flux.var(axis=1) / 5000 + source.var(axis=1) / len(reference))
            assert np.all(abs(flux.mean(axis=1) - source.mean(axis=1)) <= 5 * error + 0.01 * domain.surface)

    check()


def moved(domain, scale, shift):
    """Scaled about the origin after a translation in both axes."""
    at = lambda corner: tuple(scale * (np.asarray(corner, float) + shift))
    if isinstance(domain, Union):
        return Union([moved(part, scale, shift) for part in domain.parts])
    if isinstance(domain, Difference):
        return Difference(moved(domain.whole, scale, shift), moved(domain.hole, scale, shift))
    return Box(at(domain.lower), at(domain.upper))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scale", "shift"),
    [(1.0, 1e4), (1e-6, 0.0), pytest.param(1.0, -1e6, marks=exhaustive), pytest.param(1e6, 1e4, marks=exhaustive)],
)
def test_distance_from_the_origin_and_scale_do_not_matter(dtype, scale, shift):
    """The share of each line of edges is its length; a line is found by its rounded coordinate, whatever the scale.

    Corners are written as 0.3 and 0.1 + 0.2, which differ by rounding, once shifted by that of the shift.
    """
    third = 0.1 + 0.2
    tree = Union(
        (Difference(Box((0, 0), (2, 1)), Box((0.5, 0.5), (1.5, 1))), Box((2, 0), (3, 0.3)), Box((2, third), (3, 1)))
    )
    domain = moved(tree, scale, shift)
    lengths = {(0, -1, 0): 1, (0, 1, 3): 1, (0, 1, 0.5): 0.5, (0, -1, 1.5): 0.5}
    lengths |= {(1, -1, 0): 3, (1, 1, 1): 2, (1, 1, 0.5): 1}
    np.testing.assert_allclose(domain.volume, 2.5 * scale**2, rtol=1e-3)
    np.testing.assert_allclose(domain.surface, 9 * scale, rtol=1e-3)
    x, normals = domain.boundary(jax.random.key(0), N)
    assert x.dtype == normals.dtype == dtype
    x, normals = np.asarray(x, float) / scale - shift, np.asarray(normals, float)
    total = 0
    for (axis, sign, where), length in lengths.items():
        count = np.sum((normals[:, axis] == sign) & (abs(x[:, axis] - where) < 0.15))
        assert abs(count - N * length / 9) <= 5 * np.sqrt(N * length / 9)
        total += count
    assert total == N
    x = np.asarray(domain.inside(jax.random.key(1), N), float) / scale - shift
    assert abs(np.mean(x[:, 0] > 2) - 1 / 2.5) <= 5 * np.sqrt(0.4 * 0.6 / N) + 0.03 * (dtype == "float32") * (
        shift == -1e6
    )
    assert abs(x.mean(axis=0)[1] - (2 * 0.5 - 0.5 * 0.75 + 0.5) / 2.5) < 0.02


@pytest.mark.slow
def test_a_hole_a_hundred_thousand_times_smaller_than_its_box_has_its_share_of_the_boundary():
    """Two tiny disks that overlap, far from the middle of the box: their arcs are cut as if nothing else were there."""
    r = 1e-5
    pair = Union((Disk((0.9, 0.2), r), Disk((0.9 + r, 0.2), r)))
    domain = Difference(Box((0.9 - 20 * r, 0.2 - 20 * r), (2.0, 0.2 + 20 * r)), pair)
    x, normals = (np.asarray(value, float) for value in Union((pair,)).boundary(jax.random.key(0), 5000))
    assert np.all(normals[:, 0] * (x[:, 0] - 0.9 - r / 2) > -0.6 * r)
    share = 2 * (2 * np.pi - 2 * np.pi / 3) * r / (2 * (1.1 + 20 * r) + 80 * r + 8 * np.pi / 3 * r)
    x, normals = domain.boundary(jax.random.key(1), 200_000)
    count = int(jnp.sum(jnp.min(jnp.abs(normals), axis=1) > 1e-3))
    assert abs(count - 200_000 * share) <= 5 * np.sqrt(200_000 * share) + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "empty",
    [
        Difference(SQUARE, Disk((0.5, 0.5), 5.0)),
        Difference(SQUARE, SQUARE),
        Difference(Box((0.0,), (1.0,)), Union((Box((-1.0,), (0.5,)), Box((0.5,), (2.0,))))),
        Union((Difference(SQUARE, SQUARE), Difference(SQUARE, Disk((0.5, 0.5), 5.0)))),
        Difference(L_SHAPE, Box((-1, -1), (3, 3))),
    ],
)
@pytest.mark.parametrize("call", ["inside", "boundary"])
def test_an_empty_domain_is_an_error_also_while_compiling(empty, call):
    for program in (lambda key: getattr(empty, call)(key, 5), jax.jit(lambda key: getattr(empty, call)(key, 5))):
        with pytest.raises(ValueError, match=f"{type(empty).__name__} is empty or almost so: 0 of .* points"):
            program(jax.random.key(0))
    assert empty.volume <= 1e-12


def test_an_empty_hole_is_no_error():
    domain = Difference(SQUARE, Difference(SQUARE, SQUARE))
    assert domain.volume == 1.0
    chex.assert_tree_all_finite(domain.inside(jax.random.key(0), 5))


def test_rejection_that_finds_too_little_ends_with_nan():
    draw = lambda key, rows: (jax.random.uniform(key, (rows, 2)), jnp.arange(rows) < 0)
    assert bool(jnp.all(jnp.isnan(jax.jit(lambda key: reject(key, 3, draw, 0.5))(jax.random.key(0)))))
    few = lambda key, rows: (jax.random.uniform(key, (rows, 2)), jnp.arange(rows) < 2)
    assert int(jnp.sum(jnp.isnan(reject(jax.random.key(0), 60, few, 1.0)))) == 2 * (60 - 2 * 8)  # eight rounds of two


@pytest.mark.slow
def test_points_are_the_same_in_a_program_and_a_batch_of_keys_gives_each_its_own(dtype):
    domain, keys = DOMAINS["two holes that overlap"][0], jax.random.split(jax.random.key(0), 2)
    alone = [domain.boundary(key, 50) for key in keys]
    both = jax.vmap(lambda key: domain.boundary(key, 50))(keys)
    chex.assert_trees_all_close(jax.tree.map(lambda *x: jnp.stack(x), *alone), both, atol=1e-6)
    assert both[0].dtype == dtype
    half = domain.inside(keys[0], 50, jnp.bfloat16)
    assert half.dtype == jnp.bfloat16
    chex.assert_tree_all_finite(half)


def test_corners_may_be_lists_integers_and_arrays():
    boxes = [Box([0, 0], [1, 2]), Box(np.zeros(2), np.array([1, 2])), Box(jnp.zeros(2), jnp.array([1.0, 2.0]))]
    assert len({*boxes, Box((0.0, 0.0), (1.0, 2.0))}) == 1
    assert hash(Disk(np.zeros(2), np.float32(2))) == hash(Disk((0, 0), 2))
    closed = Polygon(np.array([[0, 0], [1, 0], [1, 0], [0, 1], [0, 0]]))
    assert closed == Polygon(((0, 0), (1, 0), (0, 1)))
    chex.assert_tree_all_finite(Difference(boxes[1], closed).boundary(jax.random.key(0), 100))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Box((0.0,), (0.0,)), "expected equal lengths, the second larger"),
        (lambda: Box((1.0, 0.0), (0.0, 1.0)), "expected equal lengths, the second larger"),
        (lambda: Box((0.0,), (1.0, 1.0)), "expected equal lengths, the second larger"),
        (lambda: Box(0.0, 1.0), "Box: lower is 0.0; expected numbers such as"),
        (lambda: Box((0.0,), (np.inf,)), "Box: upper is .*finite"),
        (lambda: Box(("a",), (1.0,)), "Box: lower is .*expected numbers"),
        (lambda: Box(((0.0, 1.0),), (1.0,)), "Box: lower is .*expected numbers"),
        (lambda: jax.jit(lambda x: Box((x,), (1.0,)).inside(jax.random.key(0), 2))(0.0), "known before compilation"),
        (lambda: Disk((0.0, 0.0), 0.0), "radius is 0.0; expected a positive number"),
        (lambda: Disk((0.0, 0.0), np.nan), "Disk: radius is .*finite"),
        (lambda: Disk((0.0, 0.0, 0.0), 1.0), "center is .*; expected two numbers"),
        (lambda: Polygon(((0, 0), (1, 1), (2, 2))), "expected three or more that enclose an area"),
        (lambda: Polygon(((0, 0), (1, 1))), "expected three or more that enclose an area"),
        (lambda: Polygon(3), "Polygon: vertices 3; expected pairs of numbers"),
        (lambda: Polygon(((0, 0, 0), (1, 1, 0), (1, 0, 0))), "expected pairs of numbers"),
        (lambda: Polygon(((0, 0), (2, 2), (2, 0), (0, 1))), "edges 0 and 2 cross or overlap"),
        (lambda: Polygon(((0, 0), (4, 0), (2, 0), (2, 2))), "edges 0 and 1 cross or overlap"),
        (lambda: Union(()), "expected at least one, all of one dimension"),
        (lambda: Union(SQUARE), "expected a sequence of domains"),
        (lambda: Union((SQUARE, [0.0, 1.0])), "expected a domain such as Box"),
        (lambda: Union((SQUARE, Box((0.0,), (1.0,)))), r"differs in dimension, \[1, 2\]"),
        (lambda: Difference(SQUARE, None), "expected a domain such as Box"),
        (lambda: Difference(SQUARE, Box((0.0,), (1.0,))), r"differs in dimension, \[1, 2\]"),
    ],
)
def test_bad_domains_are_named(make, words):
    with pytest.raises((TypeError, ValueError), match=words):
        make()


@pytest.mark.parametrize("domain", [SQUARE, L_SHAPE, Union((SQUARE, L_SHAPE)), Difference(L_SHAPE, SQUARE)])
@pytest.mark.parametrize("call", ["inside", "boundary"])
def test_bad_requests_are_named(domain, call):
    draw, who = getattr(domain, call), f"{type(domain).__name__}.{call}"
    for key, n, dtype, words in [
        (0, 5, None, f"{who}: key is 0; expected a random key such as jax.random.key"),
        (None, 5, None, f"{who}: key is None; expected a random key"),
        (jax.random.split(jax.random.key(0)), 5, None, r"several keys; expected a random key"),
        (jax.random.key(0), 0, None, f"{who}: n is 0; expected an integer >= 1"),
        (jax.random.key(0), 2.5, None, f"{who}: n is 2.5; expected an integer >= 1"),
        (jax.random.key(0), 5, jnp.int32, "dtype is .*; expected a floating dtype"),
    ]:
        with pytest.raises((TypeError, ValueError), match=words):
            draw(key, n, dtype)
    with pytest.raises(
        ValueError, match=rf"{type(domain).__name__}.contains: points of shape \(2,\); expected \(n, 2\)"
    ):
        domain.contains(jnp.zeros(2))
