import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import pinnjax as pj
from pinnjax import term_weights
from pinnjax.terms import bridge

from . import poisson

pytestmark = pytest.mark.usefixtures("quick_compilation")

BATCH = poisson.batch()


def trained_by_train_step(steps):
    train = pj.train_step(poisson.TERMS, optax.adam(1e-2), term_weights=term_weights.lr_annealing("pde", every=1))
    state = train.init(poisson.model(), BATCH)
    for _ in range(steps):
        state, _ = train.update(state, BATCH)
    return state


def transform(*outer):
    inner = pj.balanced(optax.adam(1e-2), term_weights=term_weights.lr_annealing("pde", every=1), terms=poisson.TERMS)
    return optax.chain(inner, *outer) if outer else inner


def close(a, b):
    chex.assert_trees_all_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_loop_of_ones_own_equals_the_train_step():
    definition, params, constants = bridge.split(poisson.model())
    tx = transform()
    opt_state = tx.init(params)
    evaluate = pj.value_and_grads(poisson.TERMS, definition, constants)

    @jax.jit
    def step(params, opt_state):
        losses, term_grads = evaluate(params, BATCH)
        updates, opt_state = tx.update(term_grads, opt_state, params, losses=losses)
        return optax.apply_updates(params, updates), opt_state

    for _ in range(10):
        params, opt_state = step(params, opt_state)
    state = trained_by_train_step(10)
    close(params, state.params)
    close(optax.tree.get(opt_state, "weights"), state.term_weights.weights)


def test_it_works_in_nnx_optimizer():
    model = poisson.model()
    optimizer = nnx.Optimizer(model, transform(), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        definition, params, constants = nnx.split(model, nnx.Param, ...)
        losses, term_grads = pj.value_and_grads(poisson.TERMS, definition, constants)(params, BATCH)
        optimizer.update(model, term_grads, losses=losses)

    for _ in range(10):
        step(model, optimizer)
    close(nnx.to_pure_dict(nnx.state(model, nnx.Param)), trained_by_train_step(10).params)


@pytest.mark.slow
def test_it_works_in_an_optax_chain():
    params = poisson.plain_params()
    evaluate = pj.value_and_grads(poisson.TERMS, poisson.apply)
    losses, term_grads = evaluate(params, BATCH)
    plain, chained = transform(), transform(optax.scale(0.5))
    expected, _ = plain.update(term_grads, plain.init(params), params, losses=losses)
    found, _ = chained.update(term_grads, chained.init(params), params, losses=losses)
    close(found, jax.tree.map(lambda u: 0.5 * u, expected))


@pytest.mark.slow
def test_lbfgs_behind_it_gets_its_value_function():
    params = poisson.plain_params()
    evaluate = pj.value_and_grads(poisson.TERMS, poisson.apply)
    tx = pj.balanced(optax.lbfgs(), term_weights=term_weights.fixed({"bc": 10.0}), terms=poisson.TERMS)
    opt_state = tx.init(params)

    def value_fn(p):
        losses, _ = evaluate(p, BATCH)
        return losses["pde"] + 10 * losses["bc"]

    start = value_fn(params)
    for _ in range(5):
        losses, term_grads = evaluate(params, BATCH)
        value, grad = jax.value_and_grad(value_fn)(params)
        updates, opt_state = tx.update(
            term_grads, opt_state, params, losses=losses, value=value, grad=grad, value_fn=value_fn
        )
        params = optax.apply_updates(params, updates)
    assert value_fn(params) < 0.5 * start


def test_plain_optax_transforms_chain_in_term_space():
    chain = optax.chain(optax.clip_by_global_norm(1.0), term_weights.fixed({"bc": 3.0}), optax.scale(2.0))
    tx = pj.balanced(optax.identity(), term_weights=chain, terms=["pde", "bc"])
    grads = {"pde": jnp.array([3.0]), "bc": jnp.array([4.0])}
    updates, _ = tx.update(grads, tx.init(jnp.zeros(1)), jnp.zeros(1))
    np.testing.assert_allclose(updates, [2 * (3 / 5 + 3 * 4 / 5)], rtol=1e-6)
