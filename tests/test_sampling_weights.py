"""Points count as their sampler says: places that are not in use are nowhere seen, and 1 / (N p) is in every mean."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax import sampling
from tests.marks import few

from .test_point_weights_contract import RULES

pytestmark = pytest.mark.usefixtures("quick_compilation")

USED = jnp.linspace(0.1, 0.9, 5)[:, None]
ELSEWHERE = jnp.full((4, 1), 77.0)  # far larger residuals, were anyone to look at them
BC = jnp.array([[0.3], [2.0]])
TERMS = {"pde": lambda u, x: u(x) - 3 * x[0] ** 2, "bc": lambda u, x: u(x) - 0.5}
MODEL = (lambda a, x: a * x[0], jnp.asarray(1.0))


def generate(key, n):
    """The points in use first, as in the first rounds of RAR."""
    return jnp.concatenate([USED, ELSEWHERE])[:n]


def metrics_of(rule, batch, sampler=None, steps=3, term_weights=None):
    train = pj.train_step(TERMS, optax.sgd(1e-3), point_weights=rule, sampler=sampler, term_weights=term_weights)
    state = train.init(MODEL, batch, key=jax.random.key(0))
    for _ in range(steps):
        state, metrics = train.update(state, batch)
    assert metrics["skipped"] == 0
    return metrics, state.params


ADDING = {
    "rar_g": lambda: sampling.rar_g("pde", generate, 5, capacity=9, candidates=9, every=1000),
    "rar_d": lambda: sampling.rar_d("pde", generate, 5, capacity=9, candidates=9, every=1000),
}


@pytest.mark.parametrize("name", few(RULES, "self_adaptive", "causal"))
def test_for_every_rule_places_not_in_use_are_as_if_they_were_not_there(x64, name):
    sampler = ADDING["rar_g" if len(name) % 2 else "rar_d"]()  # they share their machinery
    found = metrics_of(RULES[name].make("pde"), {"bc": BC}, sampler)
    expected = metrics_of(RULES[name].make("pde"), {"pde": USED, "bc": BC})
    chex.assert_trees_all_close(found, expected, rtol=1e-6)  # the sampler's own weights are float32 under x64 too


@pytest.mark.parametrize(
    "rule",
    [
        pj.term_weights.ntk(every=1),
        pj.term_weights.ntk(every=1, trace=True),
        pj.term_weights.lr_annealing("pde", every=1),
    ],
)
def test_nor_does_a_rule_for_terms_see_them(x64, rule):
    found = metrics_of(None, {"bc": BC}, ADDING["rar_g"](), term_weights=rule)
    expected = metrics_of(None, {"pde": USED, "bc": BC}, term_weights=rule)
    chex.assert_trees_all_close(found, expected, rtol=1e-6)


def test_the_unweighted_loss_of_an_importance_sample_is_unbiased(x64):
    """A pool with most of its residual in one place: the mean over many draws is the pool's own mean."""
    pool = {"pde": jnp.array([[0.0], [0.1], [0.2], [4.0]])}
    sampler = sampling.importance(pool, {"pde": 4000}, every=1, uniform=0.2)
    metrics, _ = metrics_of(None, {"bc": BC}, sampler, steps=1)
    x = np.asarray(pool["pde"])[:, 0]
    expected = np.mean((x - 3 * x**2) ** 2)
    np.testing.assert_allclose(metrics["loss/pde"], expected, rtol=0.02)  # 1 / √4000 of the spread that p leaves


def test_causal_slices_of_an_importance_sample_have_the_pools_means(x64):
    """L of the first slice is 1 at one of its points and 0 at the other; the draw prefers the first eight to one."""
    pool = {"pde": jnp.array([[0.1], [0.2], [0.9]])}
    terms = {"pde": lambda u, x: u(x) * jnp.where(x[0] < 0.15, 1.0, 0.0)}
    score = lambda found: jnp.array([8.0, 1.0, 3.0])
    sampler = sampling.importance(pool, {"pde": 6000}, every=1, uniform=1e-9, score=score)
    causal = pj.point_weights.causal(["pde"], interval=(0.0, 1.0), slices=2)
    train = pj.train_step(terms, optax.sgd(0.0), point_weights=causal, sampler=sampler)
    state = train.init((lambda a, x: a + 0 * x[0], jnp.asarray(1.0)), key=jax.random.key(0))
    state, _ = train.update(state)
    np.testing.assert_allclose(state.point_weights.rule.least, np.exp(-0.5), rtol=0.02)


@pytest.mark.parametrize(
    "name, sampler",
    [("self_adaptive", "minibatches"), ("residual_attention", "minibatches"), ("residual_attention", "importance")],
)
def test_a_rule_takes_a_batchwise_term_beside_a_sampler(name, sampler):
    """A batchwise term has residuals of its own number; its points may be drawn, its weights rest in their rows."""
    terms = TERMS | {"mean": pj.batchwise(lambda u, x: jnp.stack([jnp.mean(jax.vmap(u)(x)), u(x[0])]) - 1.0)}
    make = {"minibatches": sampling.minibatches, "importance": sampling.importance}[sampler]
    pool = {"pde": USED} | ({"mean": USED} if sampler == "minibatches" else {})
    batch = {"bc": BC} | ({} if "mean" in pool else {"mean": USED})
    train = pj.train_step(
        terms, optax.sgd(1e-3), point_weights=RULES[name].make("pde"), sampler=make(pool, dict.fromkeys(pool, 3))
    )
    state = train.init(MODEL, batch, key=jax.random.key(0))
    for _ in range(2):
        state, metrics = train.update(state, batch)
    assert metrics["skipped"] == 0
    chex.assert_tree_all_finite(metrics["weighted_loss/mean"])


def test_a_sampler_cannot_weigh_the_points_of_a_batchwise_term():
    terms = {"mean": pj.batchwise(lambda u, x: jnp.mean(jax.vmap(u)(x)) - 1.0)}
    sampler = sampling.importance({"mean": USED}, {"mean": 3}, every=1)
    train = pj.train_step(terms, optax.sgd(1e-3), sampler=sampler)
    with pytest.raises(ValueError, match=r"sampler weighs the points of 'mean', whose residuals belong to no point"):
        state = train.init(MODEL, key=jax.random.key(0))
        train.update(state)


def test_normalized_residuals_are_one_a_point_and_their_weights_go_with_the_points():
    term = pj.term_weights.magnitude_normalized(lambda u, x: u(x) - 1.0, lambda u, x: 1.0 + x[0] ** 2)
    sampler = sampling.minibatches({"pde": USED}, {"pde": 2})
    train = pj.train_step(
        {"pde": term},
        optax.sgd(1e-3),
        point_weights=pj.point_weights.residual_attention(decay=0.0, eta=1.0),
        sampler=sampler,
    )
    state = train.init(MODEL, key=jax.random.key(0))
    state, _ = train.update(state)
    assert int(jnp.sum(state.point_weights.rule.attention["pde"] > 0)) == 2
