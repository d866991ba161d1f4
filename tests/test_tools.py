"""Tools around a rule, and plain optax transforms in term space."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import pinnjax as pj
from pinnjax.term_weights import current_weights

from . import poisson

pytestmark = pytest.mark.usefixtures("quick_compilation")

GRADS = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([0.6, 0.8])}  # norms 5 and 1
NORMS = pj.term_weights.lr_annealing("pde", variant="norm", decay=0.0)  # proposes 5 for bc


def weights(balancer, *sequence):
    state, found = balancer.init(GRADS), []
    for grads in sequence:
        balanced, state = balancer.update(grads, state)
        current = optax.tree.get(state, "weights")
        chex.assert_trees_all_close(balanced, {t: current[t] * g for t, g in grads.items()}, rtol=1e-6)
        found.append([float(current["pde"]), float(current["bc"])])
    return found, state


def test_bounds_are_met_counted_and_let_go():
    small = GRADS | {"bc": 1e-3 * GRADS["bc"]}
    large = GRADS | {"bc": 1e3 * GRADS["bc"]}
    found, state = weights(pj.term_weights.bounded(NORMS, 0.1, 10.0), small, small, large, GRADS)
    np.testing.assert_allclose(found, [[1, 10], [1, 10], [1, 0.1], [1, 5]], rtol=1e-6)
    assert (state.events["capped"]["bc"], state.events["floored"]["bc"], state.events["capped"]["pde"]) == (2, 1, 0)


def test_a_guard_holds_the_weight_of_dead_and_exploding_terms():
    dead = GRADS | {"bc": 1e-9 * GRADS["bc"]}
    wild = GRADS | {"bc": 1e9 * GRADS["bc"]}
    found, state = weights(pj.term_weights.guarded(NORMS, dead=1e-6, exploding=1e6), GRADS, dead, wild, GRADS)
    np.testing.assert_allclose(found, [[1, 5]] * 4, rtol=1e-6)
    assert (state.events["dead"]["bc"], state.events["exploded"]["bc"], state.events["dead"]["pde"]) == (1, 1, 0)


def test_smoothing_goes_part_of_the_way():
    found, _ = weights(pj.term_weights.smoothed(NORMS, 0.75), GRADS, GRADS)
    np.testing.assert_allclose(found, [[1, 2], [1, 2.75]], rtol=1e-6)  # 1 → 5 by quarters


def test_sums_are_normalised_to_the_number_of_terms_or_as_told():
    found, _ = weights(pj.term_weights.normalized(NORMS), GRADS)
    np.testing.assert_allclose(found[0], [1 / 3, 5 / 3], rtol=1e-6)
    found, _ = weights(pj.term_weights.normalized(NORMS, 1.0), GRADS)
    np.testing.assert_allclose(found[0], [1 / 6, 5 / 6], rtol=1e-6)


def test_a_schedule_starts_late_and_rests_in_between():
    halves = [GRADS | {"bc": GRADS["bc"] / 2**k} for k in range(6)]
    found, _ = weights(pj.term_weights.scheduled(NORMS, every=2, start=1), *halves)
    np.testing.assert_allclose([bc for _, bc in found], [1, 10, 10, 40, 40, 160], rtol=1e-6)


def test_a_resting_rule_is_not_evaluated():
    """Under `lax.cond`, so the expensive part is in a branch of the program and not in its trunk."""
    balancer = pj.term_weights.scheduled(pj.term_weights.ntk(every=1), every=100)
    norms = lambda: {name: jnp.arctanh(g) for name, g in GRADS.items()}
    program = jax.make_jaxpr(lambda s: balancer.update(GRADS, s, point_grad_norms=norms))(balancer.init(GRADS))
    trunk = {equation.primitive.name for equation in program.eqns}
    assert "cond" in trunk and "atanh" not in trunk
    assert "atanh" in str(program)


def test_tools_nest_and_chain_with_rules_and_with_optax():
    chain = optax.chain(
        pj.term_weights.per_term(optax.clip_by_global_norm(2.0)),
        pj.term_weights.bounded(pj.term_weights.smoothed(NORMS, 0.5), upper=1.2),
        pj.term_weights.fixed({"bc": 3.0}),
        optax.ema(0.0),
    )
    balanced, state = chain.update(GRADS, chain.init(GRADS))
    np.testing.assert_allclose(balanced["pde"], GRADS["pde"] * 2 / 5, rtol=1e-6)
    np.testing.assert_allclose(balanced["bc"], GRADS["bc"] * 1.2 * 3, rtol=1e-6)  # norms 2 and 1: half-way to 2
    current = current_weights(state, {name: jnp.ones(1) for name in GRADS})
    np.testing.assert_allclose([current["pde"], current["bc"]], [1, 3.6], rtol=1e-6)


def test_tools_need_one_set_of_weights():
    with pytest.raises(ValueError, match="bounded: the rule's state has 0 sets of term weights; expected one"):
        pj.term_weights.bounded(pj.term_weights.multiadam()).init(GRADS)
    with pytest.raises(ValueError, match="smoothed: the rule's state has 2 sets of term weights; expected one"):
        pj.term_weights.smoothed(optax.chain(NORMS, pj.term_weights.fixed({}))).init(GRADS)


@pytest.mark.parametrize(
    "make",
    [
        lambda limit=3.0: pj.term_weights.bounded(NORMS, upper=limit),
        lambda limit=3.0: pj.term_weights.guarded(NORMS, dead=limit),
        lambda limit=0.5: pj.term_weights.smoothed(NORMS, limit),
        lambda limit=3.0: pj.term_weights.normalized(NORMS, limit),
    ],
)
def test_tools_take_injected_numbers_scan_and_compile_once(make):
    tool = optax.inject_hyperparams(make)(limit=0.5)
    plain = make(0.5)
    chex.clear_trace_counter()
    update = jax.jit(chex.assert_max_traces(tool.update, n=1))
    state, reference = tool.init(GRADS), plain.init(GRADS)
    for _ in range(3):
        balanced, state = update(GRADS, state)
        expected, reference = plain.update(GRADS, reference)
        chex.assert_trees_all_close(balanced, expected, rtol=1e-6)
    stacked = jax.tree.map(lambda g: jnp.stack([g] * 3), GRADS)
    scanned, _ = jax.lax.scan(lambda s, g: plain.update(g, s)[::-1], plain.init(GRADS), stacked)
    chex.assert_trees_all_close(scanned, reference, rtol=1e-6)


@pytest.mark.slow
def test_exploding_steps_are_left_out_and_counted():
    train = pj.train_step(
        poisson.TERMS,
        optax.adam(1e-2),
        term_weights=optax.chain(
            pj.term_weights.skip_exploding(1e3),
            pj.term_weights.bounded(pj.term_weights.lr_annealing("pde"), upper=1.05),
        ),
    )
    state = train.init(poisson.model(), poisson.batch())
    state, metrics = train.update(state, poisson.batch())
    assert (metrics["skipped"], metrics["capped/bc"], metrics["held/bc"]) == (0, 1, 0)
    wild = pj.train_step(
        poisson.TERMS | {"bc": lambda u, x: x[0] * u(x)},
        optax.adam(1e-2),
        term_weights=pj.term_weights.skip_exploding(1e3),
    )
    state = wild.init(poisson.model(), poisson.batch())
    after, metrics = wild.update(state, poisson.batch() | {"bc": jnp.full((2, 1), 1e6)})
    assert (metrics["skipped"], metrics["nonfinite/bc"], metrics["nonfinite/pde"]) == (1, 1, 0)
    chex.assert_trees_all_equal(after.params, state.params)


@pytest.mark.slow
def test_a_balancer_runs_in_nnx_optimizer():
    model = poisson.model()
    definition, params, constants = nnx.split(model, nnx.Param, ...)
    rule = pj.term_weights.bounded(pj.term_weights.relobralo(), 0.1, 10.0)
    tx = pj.balanced(optax.adam(1e-2), term_weights=rule, terms=poisson.TERMS)
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    evaluate = pj.value_and_grads(poisson.TERMS, definition, constants)
    first = None
    for _ in range(20):
        losses, term_grads = evaluate(nnx.state(model, nnx.Param), poisson.batch())
        optimizer.update(model, term_grads, losses=losses)
        total = float(sum(losses.values()))
        first = total if first is None else first
    assert total < first


@pytest.mark.slow
def test_lbfgs_goes_down_while_the_weights_are_held():
    """`scheduled` holds them for 25 steps: within those the weighted loss falls in every step."""
    rule = pj.term_weights.scheduled(pj.term_weights.lr_annealing("pde", every=1), every=25)
    train = pj.train_step(poisson.TERMS, optax.lbfgs(), term_weights=rule)
    state = train.init(poisson.model(), poisson.batch())
    state, metrics = jax.lax.scan(lambda s, _: train.update(s, poisson.batch()), state, None, 75)
    losses = np.asarray(metrics["loss"]).reshape(3, 25)
    assert np.all(np.diff(losses, axis=1) <= 1e-6 * losses[:, 1:])
    weights = np.asarray(metrics["weight/bc"]).reshape(3, 25)
    assert np.all(np.ptp(weights, axis=1) == 0) and len(np.unique(weights)) == 3
    assert losses[-1, -1] < 1e-3 * losses[0, 0]


@pytest.mark.slow
def test_the_weights_that_were_reached_can_be_fixed_for_a_second_phase():
    first = pj.train_step(poisson.TERMS, optax.adam(1e-2), term_weights=pj.term_weights.lr_annealing("pde"))
    state = first.init(poisson.model(), poisson.batch())
    state, _ = pj.fit(first, state, poisson.batch(), steps=100)
    held = pj.term_weights.fixed(optax.tree.get(state.term_weights, "weights"))
    second = pj.train_step(poisson.TERMS, optax.lbfgs(), term_weights=held)
    following = second.init(first.model(state), poisson.batch())
    following, history = pj.fit(second, following, poisson.batch(), steps=50)
    np.testing.assert_allclose(history["weight/bc"], float(state.term_weights.weights["bc"]))
    assert history["loss"][-1] < history["loss"][0]
