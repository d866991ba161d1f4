"""Formulas by hand, on two terms and two parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.term_weights import gradnorm_loss, inverse_training_rates

GRADS = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([0.6, 0.8])}  # norms 5 and 1


def losses(pde, bc):
    return {"pde": jnp.float32(pde), "bc": jnp.float32(bc)}


def run(balancer, *sequence, grads=GRADS):
    """Weights (pde, bc) after each of the given losses."""
    state, found = balancer.init(grads), []
    for values in sequence:
        balanced, state = balancer.update(grads, state, losses=losses(*values))
        for name in grads:
            np.testing.assert_allclose(balanced[name], state.weights[name] * grads[name], rtol=1e-6)
        found.append([float(state.weights["pde"]), float(state.weights["bc"])])
    return np.array(found)


def test_grad_norm_ratio_moves_a_tenth_of_the_way_every_1000_steps():
    found = run(pj.grad_norm_ratio(), *[(1.0, 1.0)] * 1002)
    first = 0.9 + 0.1 * np.array([3 / (5 + 3e-5), 3 / (1 + 3e-5)])
    np.testing.assert_allclose(found[0], first, rtol=1e-6)
    np.testing.assert_array_equal(found[999], found[0])
    second = 0.9 * first + 0.1 * np.array([3 / (5 + 3e-5), 3 / (1 + 3e-5)])
    np.testing.assert_allclose(found[1001], second, rtol=1e-6)


def test_grad_norm_ratio_of_the_sum():
    np.testing.assert_allclose(run(pj.grad_norm_ratio(rate=1.0, total=True), (1, 1))[0], [6 / 5, 6], rtol=1e-6)


def test_inverse_dirichlet_compares_deviations_over_all_parameters():
    grads = {
        "pde": {"a": jnp.array([3.0]), "b": jnp.array([[7.0]])},
        "bc": {"a": jnp.array([0.5]), "b": jnp.array([[-0.5]])},
    }
    found = []
    balancer = pj.inverse_dirichlet()
    state = balancer.init(grads)
    for _ in range(6):
        _, state = balancer.update(grads, state)
        found.append(float(state.weights["bc"]))
        assert state.weights["pde"] == 1.0
    assert found[0] == pytest.approx(0.5 + 0.5 * 2 / 0.5)  # std(3, 7) = 2, std(1/2, -1/2) = 1/2
    assert found[4] == found[0]  # every 5 steps
    assert found[5] == pytest.approx(0.5 * found[0] + 0.5 * 4)


def test_gradnorm_loss_and_its_slope_by_hand():
    rates = inverse_training_rates(losses(1, 3), losses(2, 2))
    np.testing.assert_allclose([rates["pde"], rates["bc"]], [0.5, 1.5])
    weights, norms = losses(1, 2), losses(5, 1)
    # G = (5, 2), mean 3.5, targets 3.5 / 2 and 3.5 · 1.5 for α = 1: |5 - 1.75| + |2 - 5.25|
    value, slope = jax.value_and_grad(gradnorm_loss)(weights, norms, rates, 1.0)
    np.testing.assert_allclose(value, 6.5)
    np.testing.assert_allclose([slope["pde"], slope["bc"]], [5, -1])  # ± norm, since the target is a constant


def test_gradnorm_two_steps_by_hand():
    found = run(pj.gradnorm(alpha=1.0, learning_rate=optax.sgd(0.1)), (1, 1), (1, 1))
    np.testing.assert_allclose(found[0], np.array([0.5, 1.1]) * 2 / 1.6, rtol=1e-6)
    # then G = (3.125, 1.375) about 2.25: the same signs
    moved = found[0] + 0.1 * np.array([-5, 1])
    np.testing.assert_allclose(found[1], moved * 2 / moved.sum(), rtol=1e-5)


def test_gradnorm_variants():
    descent = optax.sgd(0.01)
    free = run(pj.gradnorm(alpha=0.0, learning_rate=descent, renormalize=False), (1, 1))
    np.testing.assert_allclose(free[0], [1 - 0.05, 1 + 0.01], rtol=1e-6)
    part = run(pj.gradnorm(alpha=0.0, learning_rate=descent, renormalize=False, layers=lambda g: g[:1]), (1, 1))
    np.testing.assert_allclose(part[0], [1 - 0.03, 1 + 0.006], rtol=1e-6)
    # Without the mean rate, r = (4, 4): both targets are 4 · 3 = 12, above both norms, so both weights grow.
    grown = run(pj.gradnorm(alpha=1.0, learning_rate=descent, renormalize=False, mean_rate=False), (1, 1), (4, 4))
    np.testing.assert_allclose(grown[1] - grown[0], [0.05, 0.01], rtol=1e-4)


def test_gradnorm_keeps_its_sum_for_10_000_steps_of_unequal_rates_and_a_bound_lets_go():
    """Equal gradient norms, unequal training rates; after 5000 steps the roles change."""
    grads = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([4.0, 3.0])}
    balancer = pj.gradnorm(alpha=1.5, learning_rate=0.01, min_weight=0.1)

    def step(state, k):
        slow = jnp.where(k == 0, 1.0, jnp.where(k < 5000, 0.9, 0.1))
        fast = jnp.where(k == 0, 1.0, jnp.where(k < 5000, 0.01, 0.9))
        _, state = balancer.update(grads, state, losses={"pde": slow, "bc": fast})
        return state, state.weights

    _, weights = jax.lax.scan(step, balancer.init(grads), jnp.arange(10_000))
    np.testing.assert_allclose(weights["pde"] + weights["bc"], 2.0, rtol=1e-6)
    lowest = float(jnp.min(weights["bc"][:5000]))
    assert lowest == pytest.approx(0.1, rel=0.2)  # at its bound, up to the scaling to the sum
    assert weights["bc"][4999] < 0.2
    assert weights["bc"][9999] > 1.5  # and back


def test_relobralo_three_steps_in_numpy():
    sequence = np.array([[4.0, 1.0], [2.0, 0.9], [0.5, 0.8]])
    softmax = lambda z: np.exp(z) / np.exp(z).sum()
    for saudade in (1.0, 0.0):
        alpha, tau = 0.7, 0.5
        weights, expected = np.ones(2), []
        for k, now in enumerate(sequence):
            last = sequence[max(k - 1, 0)]
            since_last = 2 * softmax(now / (tau * last))
            since_first = 2 * softmax(now / (tau * sequence[0]))
            weights = alpha * (weights if saudade else since_first) + (1 - alpha) * since_last
            expected.append(weights)
        found = run(pj.relobralo(alpha=alpha, temperature=tau, saudade=saudade), *sequence)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        np.testing.assert_allclose(found.sum(axis=1), 2.0, rtol=1e-6)


def test_relobralo_looks_back_as_often_as_it_is_told():
    """With α = 1 a step either keeps the weights or looks back to the first losses; count the latter."""
    sequence = [(1.0, 1.0)] + [(1.0 + 0.01 * k, 1.0) for k in range(1, 401)]
    found = run(pj.relobralo(alpha=1.0, saudade=0.75), *sequence)
    looked_back = np.mean(np.any(np.diff(found, axis=0) != 0, axis=1))
    assert looked_back == pytest.approx(0.25, abs=0.07)  # three deviations of 400 draws


def test_softadapt_and_its_variants():
    sequence = [(4.0, 1.0), (2.0, 1.5)]  # s = (-2, 1/2)
    softmax = lambda z: np.exp(z) / np.exp(z).sum()
    slopes = np.array([-2.0, 0.5])
    found = run(pj.softadapt(), *sequence)
    np.testing.assert_allclose(found[0], [0.5, 0.5])
    np.testing.assert_allclose(found[1], softmax(0.1 * slopes), rtol=1e-6)
    found = run(pj.softadapt(beta=2.0, normalized=True), *sequence)
    np.testing.assert_allclose(found[1], softmax(2.0 * slopes / 2.5), rtol=1e-6)
    weighted = np.array([2.0, 1.5]) * softmax(0.1 * slopes)
    found = run(pj.softadapt(loss_weighted=True), *sequence)
    np.testing.assert_allclose(found[1], weighted / weighted.sum(), rtol=1e-6)


@pytest.mark.parametrize("rule", [pj.gradnorm, pj.relobralo, pj.softadapt])
def test_rules_of_the_losses_say_so_when_they_get_none(rule):
    balancer = rule()
    with pytest.raises(ValueError, match=rf"{rule.__name__}: update got losses of \[\]; expected the extra arg losses"):
        balancer.update(GRADS, balancer.init(GRADS))


def test_smoothing_starts_and_stops_with_every():
    found = run(pj.softadapt(every=3), (1, 1), (2, 1), (3, 1), (4, 1))
    np.testing.assert_array_equal(found[2], found[0])
    # The losses compared are those of the last move, three steps ago.
    np.testing.assert_allclose(found[3][0], 1 / (1 + np.exp(-0.3)), rtol=1e-6)
