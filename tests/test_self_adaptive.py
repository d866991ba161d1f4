import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax import point_weights

RESIDUALS = {"pde": jnp.array([1.0, -3.0]), "bc": jnp.array([2.0])}
ONES = {"pde": jnp.ones(2), "bc": jnp.ones(1)}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_two_steps_by_hand():
    rule = point_weights.self_adaptive(2.0)
    state = rule.init(RESIDUALS)
    weights, state = rule.update(ONES, state, residuals=RESIDUALS)
    np.testing.assert_allclose(weights["pde"], [0.5, 0.5])  # the old γ weighs, then γ moves
    gamma = 2.0 * 0.25 * np.array([1.0, 9.0]) / 2
    np.testing.assert_allclose(state.self_adaptation["pde"], gamma, rtol=1e-6)
    np.testing.assert_allclose(state.self_adaptation["bc"], [2.0 * 0.25 * 4.0])
    weights, state = rule.update(ONES, state, residuals=RESIDUALS)
    np.testing.assert_allclose(weights["pde"], sigmoid(gamma), rtol=1e-6)
    slope = sigmoid(gamma) * (1 - sigmoid(gamma))
    np.testing.assert_allclose(state.self_adaptation["pde"], gamma + 2.0 * slope * np.array([1.0, 9.0]) / 2, rtol=1e-6)


def test_the_authors_form_is_a_mask_inside_the_square_with_adam_uphill():
    rule = point_weights.self_adaptive(
        optax.adam(5e-3), mask=jnp.square, initial={"pde": jnp.array([0.5, 2.0]), "bc": 100.0}
    )
    state = rule.init(RESIDUALS)
    weights, state = rule.update(ONES, state, residuals=RESIDUALS)
    np.testing.assert_allclose(weights["pde"] * RESIDUALS["pde"] ** 2, [(0.5 * 1) ** 2, (2 * 3) ** 2])
    np.testing.assert_allclose(weights["bc"], [1e4])
    # Adam's first step is its learning rate in the direction of the gradient's sign, here uphill.
    np.testing.assert_allclose(state.self_adaptation["pde"], [0.505, 2.005], rtol=1e-5)


def test_it_equals_the_min_max_written_with_a_sign_flip_after_100_steps():
    """γ in the state against γ among the parameters, with `optax.partition` and a negative learning rate."""
    points = jnp.linspace(-1.0, 1.0, 20)[:, None]
    residual = lambda u, x: u(x) - jnp.tanh(5 * x[0])
    apply = lambda p, x: p["a"] * jnp.tanh(p["b"] * x[0])
    params = {"a": jnp.float32(0.5), "b": jnp.float32(0.7)}

    train = pj.train_step({"data": residual}, optax.sgd(0.1), point_weights=point_weights.self_adaptive(3.0))
    state = train.init((apply, params), {"data": points})
    for _ in range(100):
        state, _ = train.update(state, {"data": points})

    def loss(everything):
        r = jax.vmap(lambda x: residual(lambda y: apply(everything["net"], y), x))(points)
        return jnp.mean(jax.nn.sigmoid(everything["gamma"]) * r**2)

    everything = {"net": params, "gamma": jnp.zeros(20)}
    tx = optax.partition({"down": optax.sgd(0.1), "up": optax.sgd(-3.0)}, {"net": "down", "gamma": "up"})
    opt_state = tx.init(everything)
    step = jax.jit(lambda e, s: tx.update(jax.grad(loss)(e), s, e))
    for _ in range(100):
        updates, opt_state = step(everything, opt_state)
        everything = optax.apply_updates(everything, updates)
    # Two programs for one formula: they differ by the rounding of 100 steps.
    np.testing.assert_allclose(state.point_weights.self_adaptation["data"], everything["gamma"], rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(state.params["a"], everything["net"]["a"], rtol=2e-5)
    assert np.ptp(everything["gamma"]) > 0.1


def test_terms_that_are_not_chosen_keep_their_weights():
    rule = point_weights.self_adaptive(1.0, terms=["pde"])
    weights, state = rule.update(ONES, rule.init(RESIDUALS), residuals=RESIDUALS)
    np.testing.assert_allclose(weights["bc"], [1.0])
    assert set(state.self_adaptation) == {"pde"}


def test_vector_residuals_count_with_their_squared_norm():
    residuals = {"pde": jnp.array([[1.0, 2.0], [0.0, 3.0]])}
    rule = point_weights.self_adaptive(1.0)
    _, state = rule.update({"pde": jnp.ones(2)}, rule.init(residuals), residuals=residuals)
    np.testing.assert_allclose(state.self_adaptation["pde"], 0.25 * np.array([5.0, 9.0]) / 2)


@pytest.mark.parametrize("mask", [jax.nn.softplus, jnp.square, lambda g: g**3])
def test_any_mask_ascends_along_its_own_slope(mask):
    rule = point_weights.self_adaptive(0.5, mask=mask, initial=1.0)
    weights, state = rule.update(ONES, rule.init(RESIDUALS), residuals=RESIDUALS)
    np.testing.assert_allclose(weights["pde"], mask(jnp.ones(2)), rtol=1e-6)
    expected = 1 + 0.5 * jax.grad(mask)(1.0) * np.array([1.0, 9.0]) / 2
    np.testing.assert_allclose(state.self_adaptation["pde"], expected, rtol=1e-6)
