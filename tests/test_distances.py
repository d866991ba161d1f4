"""Approximate distances: zero on the boundary, positive inside, of slope one across it, by formulas in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnjax.sampling import Box, Difference, Disk, Polygon, Shape, Union, distances

from .marks import few

pytestmark = pytest.mark.usefixtures("quick_compilation")

L_SHAPE = Polygon(((0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)))
DOMAINS = {
    "interval": Box((-1.0,), (3.0,)),
    "box": Box((0.0, 0.0, 1.0), (1.0, 2.0, 4.0)),
    "disk": Disk((1.0, 0.3), 2.0),
    "L": L_SHAPE,
    "L, clockwise": Polygon(L_SHAPE.vertices[::-1]),
    "slanted": Polygon(((0.0, 0.0), (3.0, 1.0), (2.0, 4.0), (-1.0, 3.0))),
    "union": Union((Box((0.0, 0.0), (2.0, 1.0)), Disk((2.0, 0.5), 0.7))),
    "plate": Difference(Box((0.0, 0.0), (1.0, 1.0)), Disk((0.5, 0.5), 0.25)),
    "L, cut": Difference(Box((-1.0, -1.0), (1.0, 1.0)), Box((0.0, -2.0), (2.0, 0.0))),
}


@functools.cache
def drawn(name):
    """Points on the boundary and normals, and points inside, drawn once."""
    with jax.enable_x64(True):
        x, normals = DOMAINS[name].boundary(jax.random.key(0), 60)
        return np.asarray(x), np.asarray(normals), np.asarray(DOMAINS[name].inside(jax.random.key(1), 60))


@pytest.mark.parametrize("name", few(list(DOMAINS), "L", "plate", rest="exhaustive"))
def test_it_is_zero_on_the_boundary_positive_inside_negative_outside_and_of_slope_one(name, dtype):
    x, normals, inside = (jnp.asarray(values, dtype) for values in drawn(name))
    rounding = 20 * float(jnp.finfo(dtype).eps)  # coordinates up to 4, and a few operations
    both = jax.jit(jax.vmap(jax.value_and_grad(DOMAINS[name].distance)))
    value, slope = both(x)
    assert value.dtype == slope.dtype == dtype
    np.testing.assert_allclose(value, 0, atol=rounding)
    np.testing.assert_allclose(slope, -normals, atol=100 * rounding)  # no point is nearer to a corner than 1e-2
    assert (both(inside)[0] > 0).all()
    assert (both(x - 1e-3 * normals)[0] > 0).all() and (both(x + 1e-3 * normals)[0] < 0).all()


@pytest.mark.parametrize("name", few(list(DOMAINS), "union", rest="exhaustive"))
def test_the_slope_is_that_of_differences(name, x64):
    """From inside, (4 φ(s) - φ(2s)) / 2s, wrong by s² / r² at r from a corner: 1e-6 at 1e-3."""
    (x, normals, _), step = drawn(name), 1e-6
    f = jax.jit(jax.vmap(DOMAINS[name].distance))
    np.testing.assert_allclose((4 * f(x - step * normals) - f(x - 2 * step * normals)) / (2 * step), 1, atol=1e-5)


@pytest.mark.parametrize("name", few(["box", "L", "union", "plate"], "plate", rest="exhaustive"))
def test_second_derivatives_inside_are_finite(name, dtype):
    x = jnp.asarray(drawn(name)[2], dtype)
    assert jnp.isfinite(jax.jit(jax.vmap(jax.hessian(DOMAINS[name].distance)))(x)).all()


def test_a_segment_is_the_papers_formula_in_units_of_its_length(x64):
    (a, b), points = np.array([[1.0, -1.0], [3.0, 0.5]]), np.random.default_rng(0).uniform(-3, 5, (200, 2))
    length = np.linalg.norm(b - a)
    f = ((points[:, 0] - a[0]) * (b - a)[1] - (points[:, 1] - a[1]) * (b - a)[0]) / length / length
    t = 0.25 - (((points - (a + b) / 2) / length) ** 2).sum(1)
    by_hand = length * np.sqrt(f**2 + ((np.sqrt(t**2 + f**4) - t) / 2) ** 2)
    np.testing.assert_allclose(jax.vmap(distances.segment(a, b))(points), by_hand, rtol=1e-9)
    on = a + np.linspace(0, 1, 11)[:, None] * (b - a)
    np.testing.assert_allclose(jax.vmap(distances.segment(a, b))(on), 0, atol=1e-15)


def test_disk_and_polygon_are_their_formulas(x64):
    points = np.random.default_rng(0).uniform(0.1, 0.9, (100, 2))
    by_hand = (4 - ((points - [1.0, 0.3]) ** 2).sum(1)) / 4
    np.testing.assert_allclose(jax.vmap(distances.disk((1.0, 0.3), 2.0))(points), by_hand, rtol=1e-14)
    edges = [
        jax.vmap(distances.segment(a, b))(points)
        for a, b in zip(L_SHAPE.vertices, L_SHAPE.vertices[1:] + L_SHAPE.vertices[:1], strict=True)
    ]
    np.testing.assert_allclose(jax.vmap(L_SHAPE.distance)(points), 1 / (1 / np.array(edges)).sum(0), rtol=1e-13)
    x, y = points.T * [[2.0], [1.0]]
    a, b = x * (2 - x) / 2, y * (1 - y)
    inside = jax.vmap(distances.box((0.0, 0.0), (2.0, 1.0)))(np.stack([x, y], axis=1))
    np.testing.assert_allclose(inside, a + b - np.hypot(a, b), rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_join_of_order_m_has_the_first_m_derivatives_of_its_piece(order, x64):
    """φ - x = O(x^{m + 1}) at the piece x = 0; by hand (x^{-m} + y^{-m})^{-1/m}."""
    φ = distances.join(lambda x: x[0], lambda x: x[1], order=order)
    along = lambda s: φ(jnp.array([0.0, 0.7]) + s * jnp.array([1.0, 0.0]))
    found, derivative = [], along
    for _ in range(order + 2):
        found.append(float(derivative(0.0)))
        derivative = jax.grad(derivative)
    np.testing.assert_allclose(found[: order + 1], [0, 1, *[0] * (order - 1)], atol=1e-12)
    assert abs(found[order + 1]) > 0.1
    np.testing.assert_allclose(along(0.3), (0.3**-order + 0.7**-order) ** (-1 / order), rtol=1e-14)


@pytest.mark.parametrize("at", [(0.3, 0.8), (-0.2, 0.5), (-0.4, -0.1), (0.5, 0.5)])
def test_unions_and_intersections_are_r_functions(at, x64):
    a, b = at
    x, root = jnp.array(at), np.hypot(a, b)
    parts = (lambda x: x[0], lambda x: x[1])
    for made, by_hand, sign in ((distances.intersection, a + b - root, -1), (distances.union, a + b + root, 1)):
        np.testing.assert_allclose(made(*parts)(x), by_hand, rtol=1e-13)
        np.testing.assert_allclose(jax.grad(made(*parts))(x), 1 + sign * np.array(at) / root, rtol=1e-12)
    np.testing.assert_allclose(distances.difference(*parts)(x), a - b - root, rtol=1e-13)


@pytest.mark.exhaustive
def test_at_a_corner_the_laplacian_grows_as_one_over_r_and_all_is_finite_in_it(dtype):
    for φ in (L_SHAPE.distance, DOMAINS["plate"].distance, distances.box((0.0, 0.0), (1.0, 1.0))):
        laplacian = jax.jit(lambda x, φ=φ: jnp.trace(jax.hessian(φ)(x)))
        near, nearer = (laplacian(jnp.array([1.0, 1.0], dtype) * r) for r in (1e-2, 1e-3))
        assert 9 < nearer / near < 11  # not so with a smooth one; what is not 1 / r is 1e-2 of it
        corner = jnp.zeros(2, dtype)
        for derivative in (φ, jax.grad(φ), jax.hessian(φ)):
            assert jnp.isfinite(derivative(corner)).all()


def test_points_that_are_outside_by_rounding_alone_see_the_slope_from_inside(dtype):
    below = jnp.array([0.4, -1e-3 * jnp.finfo(dtype).eps], dtype)
    for φ in (L_SHAPE.distance, distances.segment((0.0, 0.0), (2.0, 0.0))):
        np.testing.assert_allclose(jax.grad(φ)(below), [0, 1], atol=10 * jnp.finfo(dtype).eps)


@pytest.mark.slow
def test_a_notch_and_a_thousand_vertices_keep_their_sign_in_single_precision():
    notch = Polygon(((0, 0), (1, 0), (1, 1), (0.501, 1), (0.5, 0.2), (0.499, 1), (0, 1)))
    x = notch.inside(jax.random.key(0), 500)
    assert (jax.jit(jax.vmap(notch.distance))(x) > 0).all()
    angles = 2 * np.pi * np.arange(1000) / 1000
    many = distances.polygon(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    assert many(jnp.array([0.3, 0.1])) > 1e-4 and many(jnp.array([1.1, 0.0])) < 0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: distances.segment((0.0, 0.0), (0.0, 0.0)), "segment: ends .* expected two points in the plane"),
        (lambda: distances.segment((0.0,), (1.0,)), "expected two points in the plane"),
        (lambda: distances.disk((0.0, 0.0), 0.0), "radius is 0.0; expected a positive number"),
        (lambda: distances.box((0.0, 1.0), (1.0, 1.0)), "expected equal lengths, the second larger"),
        (lambda: distances.polygon(((0, 0), (1, 0))), "expected three or more points"),
        (lambda: distances.join(order=2), "join: there are no distances"),
        (lambda: distances.join(abs, order=1.5), "join: order is 1.5; expected an integer >= 1"),
        (lambda: distances.union(abs, 3.0), "union: a distance is 3.0; expected a function of a point"),
        (lambda: distances.disk((0.0, 0.0), 1.0)(jnp.ones(3)), r"shape \(3,\); expected one point \(2,\)"),
    ],
)
def test_what_is_no_shape_is_refused(make, said):
    with pytest.raises((ValueError, TypeError), match=said):
        make()


def test_a_shape_of_ones_own_without_a_distance_says_so():
    class Other(Box, Shape):
        distance = Shape.distance

    with pytest.raises(NotImplementedError, match=r"Other has no distance; expected a method distance\(self, x\)"):
        Other((0.0,), (1.0,)).distance(jnp.zeros(1))
