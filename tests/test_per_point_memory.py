"""Weights travel with their points: every point carries its identity, and a dictionary keyed by it holds its weight."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax import sampling

from . import poisson
from .marks import few

pytestmark = pytest.mark.usefixtures("quick_compilation")

POOL, BATCH = 40, 13


class Ledger:
    """Residual-based attention in a dictionary keyed by the point, a coordinate that no other point has."""

    def __init__(self):
        self.attention = {}

    def step(self, points, residuals):
        largest = np.abs(residuals).max()
        self.attention |= {
            x: 0.9 * self.attention.get(x, 0.0) + 0.1 * abs(r) / largest for x, r in zip(points, residuals, strict=True)
        }
        return np.array([self.attention[x] ** 2 for x in points])


def test_after_a_thousand_shuffles_minibatches_and_resamplings_each_point_has_its_own_weight(x64):
    rng = np.random.default_rng(0)
    rule = pj.point_weights.per_point_memory(pj.point_weights.residual_attention(decay=0.9, eta=0.1))
    state = rule.init({"pde": jnp.zeros(POOL), "bc": jnp.zeros(3)})
    ledger, walls = Ledger(), Ledger()
    pool, born = np.arange(POOL, dtype=float), POOL
    update = jax.jit(rule.update)
    for _ in range(1000):
        order = rng.permutation(POOL)  # a shuffle
        new = rng.random(POOL) < 0.05  # and some points are replaced
        moved = np.where(new, born + np.arange(POOL), pool[order])
        for x in set(pool) - set(moved):
            ledger.attention.pop(x, None)
        pool, born = moved, born + POOL
        index = rng.choice(POOL, BATCH, replace=False)  # a minibatch
        points, residuals = pool[index], rng.normal(size=BATCH)
        fixed = rng.normal(size=3)
        weights, state = update(
            {"pde": jnp.ones(BATCH), "bc": jnp.ones(3)},
            state,
            residuals={"pde": jnp.asarray(residuals), "bc": jnp.asarray(fixed)},
            index={"pde": jnp.asarray(index)},
            previous_index={"pde": jnp.asarray(np.where(new, -1, order))},
        )
        np.testing.assert_allclose(weights["pde"], ledger.step(points, residuals), rtol=1e-10)
        np.testing.assert_allclose(weights["bc"], walls.step([0.0, 1.0, 2.0], fixed), rtol=1e-10)
    survivors = [ledger.attention.get(x, 0.0) for x in pool]
    np.testing.assert_allclose(state.rule.attention["pde"], survivors, rtol=1e-10)
    assert sum(a > 0 for a in survivors) > POOL / 2


RULES = {
    "self_adaptive": pj.point_weights.self_adaptive(optax.adam(0.1)),
    "residual_attention": pj.point_weights.residual_attention(),
    "vrba": pj.point_weights.vrba(),
    "brdr": pj.point_weights.brdr(decay=0.5, weights_decay=0.5),
    "pecann": pj.point_weights.pecann(["pde"]),
    "a chain": optax.chain(pj.point_weights.residual_attention(), pj.point_weights.self_adaptive(0.1), optax.clip(9.0)),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_a_permuted_pool_gives_permuted_weights_for_every_rule(rule):
    """The same points and residuals, once in place and once shuffled before every step."""
    rng = np.random.default_rng(1)
    memory = pj.point_weights.per_point_memory(rule)
    still = memory.init({"pde": jnp.zeros(8)})
    shuffled, places = still, np.arange(8)  # places[i]: which point is in place i
    for _ in range(6):
        residuals = rng.normal(size=8).astype(np.float32)
        ones = {"pde": jnp.ones(8)}
        expected, still = memory.update(ones, still, residuals={"pde": jnp.asarray(residuals)})
        order = rng.permutation(8)
        places = places[order]
        found, shuffled = memory.update(
            ones,
            shuffled,
            residuals={"pde": jnp.asarray(residuals[places])},
            previous_index={"pde": jnp.asarray(order)},
        )
        np.testing.assert_allclose(found["pde"], np.asarray(expected["pde"])[places], rtol=1e-6)


def test_a_new_point_starts_as_init_starts_it():
    initial = jnp.arange(4.0)
    rule = pj.point_weights.per_point_memory(
        pj.point_weights.self_adaptive(1.0, mask=lambda g: g, initial={"pde": initial})
    )
    state = rule.init({"pde": jnp.zeros(4)})
    ones = {"pde": jnp.ones(4)}
    _, state = rule.update(ones, state, residuals={"pde": jnp.full(4, 2.0)})
    weights, _ = rule.update(
        ones, state, residuals={"pde": jnp.zeros(4)}, previous_index={"pde": jnp.array([1, -1, 2, -1])}
    )
    np.testing.assert_allclose(weights["pde"], [2.0, 1.0, 3.0, 3.0])  # γ = (1, 2, 3, 4) after the step; 1 and 3 anew


def test_state_that_mixes_the_points_of_two_terms_is_refused():
    def init(residuals):
        return jnp.concatenate(list(residuals.values()))

    rule = optax.GradientTransformation(init, lambda weights, state, params=None: (weights, state))
    with pytest.raises(
        ValueError, match=r"per_point_memory: the state of the point weights has a leaf .* of shape .*; expected"
    ):
        pj.point_weights.per_point_memory(rule).init({"pde": jnp.zeros(3), "bc": jnp.zeros(2)})


def follow(sampler, steps=30):
    """Train with attention, and keep a ledger of the points that the sampler shows."""
    train = pj.train_step(
        {"pde": poisson.pde, "bc": poisson.bc},
        optax.adam(1e-3),
        point_weights=pj.point_weights.residual_attention(decay=0.9, eta=0.1, terms=["pde"]),
        sampler=sampler,
    )
    batch = {"bc": jnp.array([[0.0], [1.0]])}
    state = train.init(poisson.model(), batch, key=jax.random.key(0))
    ledger = Ledger()
    evaluate = jax.jit(lambda params, x: pj.residuals({"pde": poisson.pde}, state.definition)(params, {"pde": x}))
    draw = jax.jit(lambda s, p: sampler.update(s, residuals=lambda asked: evaluate(p, asked["pde"]))[0].points["pde"])
    for _ in range(steps):
        x = draw(state.sampler, state.params)
        ledger.step(np.asarray(x)[:, 0].tolist(), np.asarray(evaluate(state.params, x)["pde"]))
        state, metrics = train.update(state, batch)
        assert metrics["skipped"] == 0
    pool = np.asarray(sampler.pool(state.sampler)["pde"])[:, 0].tolist()
    return state.point_weights.rule.attention["pde"], [ledger.attention.get(x, 0.0) for x in pool]


UNIFORM = lambda key, n: sampling.box(key, [0.0], [1.0], n)
SAMPLERS = {
    "minibatches": sampling.minibatches({"pde": jnp.linspace(0, 1, 37)[:, None]}, {"pde": 8}),
    "importance": sampling.importance({"pde": jnp.linspace(0, 1, 37)[:, None]}, {"pde": 8}, every=5),
    "rad": sampling.rad("pde", UNIFORM, 16, candidates=100, every=7),
    "rar_d": sampling.rar_d("pde", UNIFORM, 10, capacity=20, candidates=100, every=3, add=2),
    "rar_g": sampling.rar_g("pde", UNIFORM, 10, capacity=20, candidates=100, every=3, add=2),
    "r3": sampling.r3("pde", UNIFORM, 16),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", few([n for n in SAMPLERS if not n.startswith("rar")], "minibatches", "rad"))
def test_in_the_train_step_the_weights_follow_the_points_of_every_sampler(name):
    found, expected = follow(SAMPLERS[name])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_a_skipped_step_moves_the_memory_with_the_points():
    """The sampler goes on when a step is not taken; so must the places of the weights."""
    fail = lambda u, x: jnp.where(x[0] > 2, jnp.nan, u(x))
    train = pj.train_step(
        {"pde": poisson.pde, "bc": fail},
        optax.adam(1e-3),
        point_weights=pj.point_weights.residual_attention(terms=["pde"]),
        sampler=sampling.r3("pde", UNIFORM, 16),
    )
    good, bad = {"bc": jnp.array([[0.0], [1.0]])}, {"bc": jnp.array([[0.0], [3.0]])}
    state = train.init(poisson.model(), good, key=jax.random.key(0))
    for _ in range(5):
        state, _ = train.update(state, good)
    memory = dict(zip(state.sampler.points[:, 0].tolist(), state.point_weights.rule.attention["pde"], strict=True))
    state, metrics = train.update(state, bad)
    assert metrics["skipped"] == 1
    points, attention = state.sampler.points[:, 0].tolist(), state.point_weights.rule.attention["pde"]
    assert 0 < sum(x in memory for x in points) < 16
    np.testing.assert_array_equal(attention, [memory.get(x, 0.0) for x in points])


RESAMPLE = {name: sampling.resample(lambda key, name=name: {name: UNIFORM(key, 4)}) for name in ("pde", "bc")}


@pytest.mark.parametrize("short, lasting", [("pde", "bc"), ("bc", "pde")])
def test_a_rule_may_remember_the_points_that_stay_and_no_others(short, lasting):
    """A point that lives for one step has no memory; a rule that looks for one would start anew in every step."""
    sampler = sampling.combine(RESAMPLE[short], sampling.r3(lasting, UNIFORM, 16))
    make = lambda **options: pj.train_step(
        {"pde": poisson.pde, "bc": poisson.bc},
        optax.adam(1e-3),
        point_weights=pj.point_weights.residual_attention(decay=0.5, eta=1.0, **options),
        sampler=sampler,
    )
    with pytest.raises(ValueError, match=f"each point of '{short}', but the sampler replaces its points in every step"):
        make().init(poisson.model(), key=jax.random.key(0))
    train = make(terms=[lasting])
    state = train.init(poisson.model(), key=jax.random.key(0))
    for _ in range(5):
        state, _ = train.update(state)
    attention = state.point_weights.rule.attention
    assert list(attention) == [lasting] and float(jnp.max(attention[lasting])) > 1.5


def test_resampled_points_go_beside_remembered_points_of_the_batch():
    train = pj.train_step(
        {"pde": poisson.pde, "bc": poisson.bc},
        optax.adam(1e-3),
        point_weights=pj.point_weights.self_adaptive(1.0, terms=["bc"]),
        sampler=RESAMPLE["pde"],
    )
    batch = {"bc": jnp.array([[0.0], [1.0]])}
    state = train.init(poisson.model(), batch, key=jax.random.key(0))
    for _ in range(5):
        state, metrics = train.update(state, batch)
    assert metrics["skipped"] == 0 and float(jnp.min(state.point_weights.rule.self_adaptation["bc"])) > 0


@pytest.mark.slow
def test_a_point_drawn_twice_ascends_twice(x64):
    """γ_j ← γ_j + η m'(γ_j) Σ_i μ_i r_i² / n over the rows i that hold point j; with p = 1/2 each, μ = 1."""
    pool = jnp.array([[1.0], [3.0]])
    sampler = sampling.importance({"data": pool}, {"data": 5}, uniform=1.0)
    train = pj.train_step(
        {"data": lambda u, x: u(x)}, optax.sgd(0.0), point_weights=pj.point_weights.self_adaptive(4.0), sampler=sampler
    )
    state = train.init((lambda a, x: a * x[0], jnp.asarray(1.0)), key=jax.random.key(1))
    evaluate = lambda asked: {"data": asked["data"][:, 0]}
    drawn, _ = sampler.update(state.sampler, residuals=evaluate)
    times = np.bincount(np.asarray(drawn.index["data"]), minlength=2)
    assert times.min() > 0 and times.max() > 1
    after, _ = train.update(state)
    expected = 4.0 * 0.25 * times * np.array([1.0, 9.0]) / 5
    np.testing.assert_allclose(after.point_weights.rule.self_adaptation["data"], expected, rtol=1e-12)
