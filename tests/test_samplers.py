"""Samplers that remember, adapt and walk: what they draw, in distribution, against what their papers say."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax import sampling

from . import poisson

UNIFORM = lambda key, n: sampling.box(key, [0.0], [1.0], n)
SLOPE = lambda points: {"pde": points["pde"][:, 0]}  # |r| = x


def run(sampler, steps, residuals=SLOPE, seed=0):
    state, draws = sampler.init(jax.random.key(seed)), []
    update = jax.jit(lambda s: sampler.update(s, residuals=residuals))
    for _ in range(steps):
        drawn, state = update(state)
        draws.append(drawn)
    return draws, state


def test_minibatches_walk_the_pool_in_epochs():
    pool = {"pde": jnp.arange(10.0)[:, None], "bc": jnp.zeros((2, 1))}
    draws, _ = run(sampling.minibatches(pool, {"pde": 3}), 6)
    for epoch in (draws[:3], draws[3:]):
        seen = np.concatenate([d.points["pde"][:, 0] for d in epoch])
        assert len(set(seen.tolist())) == 9  # one of ten is dropped
    np.testing.assert_array_equal(draws[0].points["bc"], pool["bc"])
    for d in draws:
        np.testing.assert_array_equal(d.points["pde"][:, 0], d.index["pde"])
    orders = [tuple(np.concatenate([d.index["pde"] for d in e]).tolist()) for e in (draws[:3], draws[3:])]
    assert orders[0] != orders[1]


def test_importance_sampling_is_unbiased_and_has_less_variance():
    """The mean of w f over batches is the pool's mean of f: four standard errors; and for f = r² it scatters less."""
    pool = {"pde": jnp.linspace(0, 1, 101)[:, None] ** 8}
    sampler = sampling.importance(pool, {"pde": 20}, every=1000, uniform=0.1)
    draws, state = run(sampler, 300)
    p = np.asarray(state.probabilities["pde"])
    x = np.asarray(pool["pde"][:, 0])
    np.testing.assert_allclose(p, 0.9 * x / x.sum() + 0.1 / 101, rtol=1e-5)
    means = np.array([np.mean(np.asarray(d.weights["pde"]) * np.asarray(d.points["pde"][:, 0]) ** 2) for d in draws])
    assert abs(means.mean() - np.mean(x**2)) < 4 * means.std() / np.sqrt(300)
    plain = np.std([np.mean(np.random.default_rng(i).choice(x, 20) ** 2) for i in range(300)])
    assert means.std() < 0.5 * plain


def test_rad_draws_from_the_density_of_the_paper():
    """p(x) ∝ x / E x + 1 on [0, 1] has the mean (2 · 1/3 + 1/2) / 2 = 7/12: four standard errors of 4000 points."""
    draws, _ = run(sampling.rad("pde", UNIFORM, 4000, candidates=400_000, every=1), 2)
    x = np.asarray(draws[1].points["pde"])
    assert abs(x.mean() - 7 / 12) < 4 * x.std() / np.sqrt(4000)
    assert np.all(np.asarray(draws[1].previous_index["pde"]) == -1)
    assert abs(np.asarray(draws[0].points["pde"]).mean() - 0.5) < 4 * 0.29 / np.sqrt(4000)  # the first are uniform


def test_rad_without_a_uniform_part_and_with_a_power():
    """k = 2, c = 0: p(x) = 3x², mean 3/4."""
    draws, _ = run(sampling.rad("pde", UNIFORM, 2000, candidates=400_000, every=1, k=2.0, c=0.0), 2)
    x = np.asarray(draws[1].points["pde"])
    assert abs(x.mean() - 0.75) < 4 * x.std() / np.sqrt(2000)


def test_rad_rests_in_between_and_survives_residuals_of_zero_and_nan():
    for broken in (0.0, jnp.nan):
        sampler = sampling.rad("pde", UNIFORM, 5, candidates=50, every=2)
        draws, _ = run(sampler, 4, lambda points, broken=broken: {"pde": 0 * points["pde"][:, 0] + broken})
        x = [np.asarray(d.points["pde"]) for d in draws]
        np.testing.assert_array_equal(x[0], x[1])
        np.testing.assert_array_equal(x[2], x[3])
        assert not np.array_equal(x[1], x[2])
        chex.assert_tree_all_finite(x)
        assert len(np.unique(x[2])) == 5


@pytest.mark.parametrize("greedy", [True, False])
def test_refinement_adds_points_until_the_capacity_and_never_moves_the_old(greedy):
    rule = sampling.rar_g if greedy else sampling.rar_d
    draws, state = run(rule("pde", UNIFORM, 10, capacity=15, candidates=500, every=2, add=2), 9)
    active = [int(np.sum(np.asarray(d.weights["pde"]) > 0)) for d in draws]
    assert active == [10, 10, 12, 12, 14, 14, 15, 15, 15]
    for before, after, count in zip(draws, draws[1:], active, strict=False):
        kept = slice(0, count)
        np.testing.assert_array_equal(before.points["pde"][kept], after.points["pde"][kept])
        assert np.all(np.asarray(after.previous_index["pde"])[kept] == np.arange(15)[kept])
    np.testing.assert_allclose(np.sum(draws[-1].weights["pde"]), 15)
    new = np.asarray(state.points[10:, 0])
    assert new.mean() > (0.99 if greedy else 0.6)  # p ∝ x² has mean 3/4


def test_r3_retains_what_is_above_the_mean_and_resamples_the_rest():
    draws, _ = run(sampling.r3("pde", UNIFORM, 50), 2)
    before, after = np.asarray(draws[0].points["pde"][:, 0]), np.asarray(draws[1].points["pde"][:, 0])
    kept = before > before.mean()
    np.testing.assert_array_equal(after[kept], before[kept])
    assert not np.any(np.isin(after[~kept], before))
    np.testing.assert_array_equal(draws[1].previous_index["pde"], np.where(kept, np.arange(50), -1))


def test_equations_that_share_their_points_are_scored_together():
    residuals = lambda points: {"pde/u": 0.6 * points["pde"][:, 0], "pde/v": 0.8 * points["pde"]}
    one = run(sampling.r3("pde", UNIFORM, 20), 3)[0][-1].points["pde"]
    two = run(sampling.r3("pde", UNIFORM, 20), 3, residuals)[0][-1].points["pde"]
    np.testing.assert_allclose(one, two)


@pytest.mark.slow
def test_refined_points_train_and_places_not_in_use_have_no_pull():
    """With the capacity half empty, the gradient is that of the points in use."""
    sampler = sampling.combine(
        sampling.rar_d("pde", UNIFORM, 8, capacity=16, candidates=32, every=1000),
        sampling.minibatches({"bc": jnp.array([[0.0], [1.0]])}, {}),
    )
    train = pj.train_step(poisson.TERMS, optax.sgd(1e-2), sampler=sampler)
    state = train.init(poisson.model(), key=jax.random.key(0))
    points = sampler.pool(state.sampler)["pde"][:8]
    fixed = pj.train_step(poisson.TERMS, optax.sgd(1e-2))
    same = fixed.init(poisson.model(), {"pde": points, "bc": jnp.array([[0.0], [1.0]])})
    state, _ = train.update(state)
    same, _ = fixed.update(same, {"pde": points, "bc": jnp.array([[0.0], [1.0]])})
    chex.assert_trees_all_close(state.params, same.params, rtol=1e-5, atol=1e-7)


def test_two_samplers_of_one_term_are_refused():
    both = sampling.combine(sampling.r3("pde", UNIFORM, 4), sampling.r3("pde", UNIFORM, 4))
    with pytest.raises(ValueError, match=r"combine: two samplers draw points for \['pde'\]"):
        both.update(both.init(jax.random.key(0)), residuals=SLOPE)


@pytest.mark.parametrize("kind", ["sobol", "halton", "latin_hypercube", "r2", "grid"])
def test_sets_fill_a_box_better_than_chance(kind):
    """The mean of x y over 256 points of [0, 2] x [-1, 3] is 1: the error of random points is some 0.1."""
    box = ([0.0, -1.0], [2.0, 3.0])
    if kind == "grid":
        x = sampling.grid(*box, (16, 16), ends=False)
    elif kind == "r2":
        x = sampling.r2(*box, 256, key=jax.random.key(0))
    else:
        x = sampling.quasi(kind, *box, 256)
    x = np.asarray(x)
    chex.assert_shape(x, (256, 2))
    assert np.all(x >= np.array(box[0])) and np.all(x <= np.array(box[1]))
    assert abs(np.mean(x[:, 0] * x[:, 1]) - 1) < (0.1 if kind == "latin_hypercube" else 0.03)


def growing(**options):
    return sampling.growing(
        sampling.resample(lambda key: {"ode": UNIFORM(key, 500), "start": jnp.zeros((1, 1))}, every=2),
        **{"below": 1.0, "axis": 0, "start": 0.0, "first": 0.25, "factor": 2.0, "every": 2, **options},
    )


def test_a_growing_domain_grows_only_where_the_loss_at_new_points_is_small():
    """λ mean r² with r = t: t in [0, a] gives λ a² / 3, below 0.1 up to a = 0.54."""
    squares = lambda points: {"ode": points["ode"][:, 0], "start": points["start"][:, 0]}
    draws, state = run(growing(below=0.1), 12, squares)
    ends = [float(d.points["ode"].max()) for d in draws]
    np.testing.assert_allclose(ends, np.repeat([0.25, 0.5, 1.0, 1.0, 1.0, 1.0], 2), rtol=0.02)
    draws, _ = run(growing(below=0.1, weights={"ode": 4.0}), 12, squares)
    np.testing.assert_allclose([float(d.points["ode"].max()) for d in draws[2:]], 10 * [0.5], rtol=0.02)
    assert float(state.share) == 1.0 and not np.asarray(draws[-1].points["start"]).any()


@pytest.mark.parametrize("broken", [jnp.nan, jnp.inf])
def test_a_growing_domain_stays_where_residuals_are_not_finite(broken):
    draws, _ = run(growing(), 6, lambda points: {"ode": points["ode"][:, 0] + broken})
    assert float(draws[-1].points["ode"].max()) <= 0.25


def test_an_adaptive_sampler_sees_the_residuals_where_the_growing_domain_has_its_points():
    """RAD with |r| = 1 on [0.2, 0.25] of a quarter, and no uniform part, draws there and nowhere else."""
    seen = lambda points: {"ode": ((points["ode"][:, 0] > 0.2) & (points["ode"][:, 0] <= 0.25)) * 1.0}
    inside = sampling.rad("ode", UNIFORM, 100, candidates=5000, every=2, c=0.0)
    sampler = sampling.growing(inside, 0.0, axis=0, start=0.0, first=0.25, every=2)
    draws, _ = run(sampler, 3, seen)
    x = np.asarray(draws[2].points["ode"])
    assert x.min() > 0.2 and x.max() <= 0.25
    assert np.all(np.asarray(draws[2].previous_index["ode"]) == -1)


def test_what_belongs_to_places_stays_when_a_growing_domain_moves_them():
    draw = lambda key: {"data": (UNIFORM(key, 5), jnp.arange(5.0))}
    sampler = sampling.growing(sampling.resample(draw, every=9), 1.0, axis=0, start=0.0, first=0.5)
    drawn, _ = sampler.update(sampler.init(jax.random.key(0)), residuals=lambda points: {})
    places, values = drawn.points["data"]
    assert float(places.max()) <= 0.5
    np.testing.assert_array_equal(values, np.arange(5.0))


@pytest.mark.parametrize(
    "options, said",
    [
        ({"first": 0.0}, "growing: first"),
        ({"factor": 1.0}, "growing: factor"),
        ({"every": 0}, "growing: every"),
        ({"axis": 1}, "growing: axis is 1; expected one of the 1 coordinates"),
    ],
)
def test_a_domain_that_cannot_grow_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        run(growing(**options), 1)
