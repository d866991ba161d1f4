"""Domains: points are uniform, normals are outward units, unions and differences are what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnjax.sampling import Box, Difference, Disk, Polygon, Union

L_SHAPE = Polygon(((0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)))
DOMAINS = {
    "interval": Box((-1.0,), (3.0,)),
    "box": Box((0.0, 1.0, 2.0), (1.0, 3.0, 5.0)),
    "disk": Disk((1.0, -1.0), 0.5),
    "polygon": L_SHAPE,
    "clockwise": Polygon(tuple(reversed(L_SHAPE.vertices))),
    "union": Union((Box((0.0, 0.0), (2.0, 1.0)), Disk((2.0, 0.5), 0.5), Box((1.0, 0.0), (3.0, 1.0)))),
    "difference": Difference(Box((0.0, 0.0), (1.0, 1.0)), Disk((0.0, 0.0), 0.5)),
}
domain = pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS.keys())
N = 20_000


@domain
def test_points_inside_are_inside_and_uniform(domain):
    """Counts in 5 x 5 cells are those of rejection from a bounding box, within five deviations of a binomial."""
    x = np.asarray(jax.jit(lambda k: domain.inside(k, N))(jax.random.key(0)))
    assert bool(jnp.all(domain.contains(jnp.asarray(x))))
    low, high = x.min(axis=0), x.max(axis=0)
    rng = np.random.default_rng(1)
    reference = rng.uniform(low, high, size=(40 * N, len(low))).astype(np.float32)
    reference = reference[np.asarray(domain.contains(jnp.asarray(reference)))]
    cell = lambda y: np.ravel_multi_index(
        np.minimum(((y[:, :2] - low[:2]) / (high[:2] - low[:2]) * 5).astype(int), 4).T, (5,) * min(2, len(low))
    )
    expected = np.bincount(cell(reference), minlength=25) / len(reference)
    found = np.bincount(cell(x), minlength=25) / N
    spread = np.sqrt(expected * (1 - expected) * (1 / N + 1 / len(reference)))
    assert np.all(np.abs(found - expected) <= 5 * spread + 1e-12)


@domain
def test_normals_are_outward_units(domain):
    x, normals = jax.jit(lambda k: domain.boundary(k, 2000))(jax.random.key(2))
    np.testing.assert_allclose(jnp.linalg.norm(normals, axis=1), 1.0, rtol=1e-5)
    step = 1e-3
    assert float(jnp.mean(domain.contains(x - step * normals))) > 0.995  # at corners a step may leave sideways
    assert float(jnp.mean(domain.contains(x + step * normals))) < 0.005


@domain
def test_the_divergence_theorem_holds(domain):
    """Mean of x · n over the boundary times its measure is d times the volume, both by Monte Carlo."""
    if isinstance(domain, Union | Difference):
        return _by_known_measures(domain)
    x, normals = domain.boundary(jax.random.key(3), N)
    flux = np.asarray(jnp.sum(x * normals, axis=1))
    found, error = domain.surface * flux.mean(), domain.surface * flux.std() / np.sqrt(N)
    assert abs(found - x.shape[1] * domain.volume) < 4 * error + 1e-4
    return None


def _by_known_measures(domain):
    """The union is a 3 x 1 box (its disk lies inside); the difference a square without a quarter of a disk."""
    x, normals = domain.boundary(jax.random.key(3), N)
    union = isinstance(domain, Union)
    surface = 8.0 if union else 3.0 + np.pi * 0.25
    volume = 3.0 if union else 1 - np.pi * 0.25**1 * 0.25
    flux = np.asarray(jnp.sum(x * normals, axis=1))
    assert abs(surface * flux.mean() - 2 * volume) < 4 * surface * flux.std() / np.sqrt(N)


def test_volumes_and_surfaces():
    assert (DOMAINS["box"].volume, DOMAINS["box"].surface) == (6.0, 22.0)
    assert (DOMAINS["interval"].volume, DOMAINS["interval"].surface) == (4.0, 2.0)
    assert (L_SHAPE.volume, L_SHAPE.surface) == (3.0, 8.0)
    np.testing.assert_allclose(DOMAINS["disk"].volume, np.pi / 4)


def test_bad_domains_are_named():
    for make, words in [
        (lambda: Box((0.0,), (0.0,)), "expected equal lengths, the second larger"),
        (lambda: Disk((0.0, 0.0), 0.0), "radius is 0.0; expected a positive number"),
        (lambda: Polygon(((0, 0), (1, 1), (2, 2))), "expected three or more that enclose an area"),
    ]:
        with pytest.raises(ValueError, match=words):
            make()
