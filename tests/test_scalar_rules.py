"""Formulas by hand, on two terms and two parameters."""

import chex
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import strategies as st

import pinnjax as pj
from pinnjax import term_weights
from pinnjax.term_weights import _rule, gradnorm_loss, inverse_training_rates

GRADS = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([0.6, 0.8])}  # norms 5 and 1


def losses(pde, bc):
    return {"pde": jnp.float32(pde), "bc": jnp.float32(bc)}


def run(balancer, *sequence, grads=GRADS):
    """Weights (pde, bc) after each of the given losses."""
    state, found = balancer.init(grads), []
    for values in sequence:
        balanced, state = balancer.update(grads, state, losses=losses(*values))
        chex.assert_trees_all_close(balanced, {t: state.weights[t] * g for t, g in grads.items()}, rtol=1e-6)
        found.append([float(state.weights["pde"]), float(state.weights["bc"])])
    return np.array(found)


@pytest.mark.slow
def test_grad_norm_ratio_moves_a_tenth_of_the_way_every_1000_steps():
    found = run(term_weights.grad_norm_ratio(), *[(1.0, 1.0)] * 1002)
    first = 0.9 + 0.1 * np.array([3 / (5 + 3e-5), 3 / (1 + 3e-5)])
    np.testing.assert_allclose(found[0], first, rtol=1e-6)
    np.testing.assert_array_equal(found[999], found[0])
    second = 0.9 * first + 0.1 * np.array([3 / (5 + 3e-5), 3 / (1 + 3e-5)])
    np.testing.assert_allclose(found[1001], second, rtol=1e-6)


def test_grad_norm_ratio_of_the_sum():
    np.testing.assert_allclose(
        run(term_weights.grad_norm_ratio(decay=0.0, total=True), (1, 1))[0], [6 / 5, 6], rtol=1e-6
    )


def test_inverse_dirichlet_compares_deviations_over_all_parameters():
    grads = {
        "pde": {"a": jnp.array([3.0]), "b": jnp.array([[7.0]])},
        "bc": {"a": jnp.array([0.5]), "b": jnp.array([[-0.5]])},
    }
    found = []
    balancer = term_weights.inverse_dirichlet()
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


def test_gradnorm_weighs_a_step_with_the_weights_that_the_steps_before_it_made():
    """Algorithm 1: the network moves with w(t), while the same gradients make w(t + 1)."""
    balancer = term_weights.gradnorm(alpha=1.0, learning_rate=optax.sgd(0.1))
    found = run(balancer, (1, 1), (1, 1), (1, 1))
    np.testing.assert_array_equal(found[0], [1, 1])
    np.testing.assert_allclose(found[1], np.array([0.5, 1.1]) * 2 / 1.6, rtol=1e-6)
    # then G = (3.125, 1.375) about 2.25: the same signs
    moved = found[1] + 0.1 * np.array([-5, 1])
    np.testing.assert_allclose(found[2], moved * 2 / moved.sum(), rtol=1e-5)


def test_gradnorm_in_a_step_of_training_is_algorithm_1_in_numpy(x64):
    """Two parameters, r = θ c - 1: losses (θ c - 1)², gradients 2 c (θ c - 1); α = 1, both by gradient descent."""
    c, theta, w, first = np.array([1.0, 3.0]), np.array([2.0, -1.0]), np.ones(2), None
    residual = lambda k: lambda u, x: u(x)[k] * c[k] - 1.0
    balancer = term_weights.gradnorm(alpha=1.0, learning_rate=optax.sgd(0.01), every=2)
    train = pj.train_step({"a": residual(0), "b": residual(1)}, optax.sgd(0.02), term_weights=balancer)
    batch = {"a": jnp.zeros((1, 1)), "b": jnp.zeros((1, 1))}
    state = train.init((lambda p, x: p, jnp.asarray(theta)), batch)
    for k in range(6):
        state, metrics = train.update(state, batch)
        np.testing.assert_allclose([metrics["weight/a"], metrics["weight/b"]], w, rtol=1e-12)
        losses_now, slopes = (theta * c - 1) ** 2, 2 * c * (theta * c - 1)
        first = losses_now if first is None else first
        rates = losses_now / first / np.mean(losses_now / first)
        size = w * np.abs(slopes)
        theta = theta - 0.02 * w * slopes  # with w(t)
        if k % 2 == 0:
            w = w - 0.01 * np.sign(size - size.mean() * rates) * np.abs(slopes)
            w = 2 * w / w.sum()
        np.testing.assert_allclose(state.params, theta, rtol=1e-12)


def test_gradnorm_goes_on_from_weights_that_a_tool_has_edited():
    balancer = term_weights.bounded(term_weights.gradnorm(learning_rate=optax.sgd(0.1)), lower=0.9)
    state, found = balancer.init(GRADS), []
    for _ in range(3):
        _, state = balancer.update(GRADS, state, losses=losses(1, 1))
        found.append([state.rule.weights["pde"], state.rule.weights["bc"]])
    np.testing.assert_allclose(found[1], [0.9, 1.375], rtol=1e-6)
    # G = (4.5, 1.375): the same signs as before, and the bound again
    np.testing.assert_allclose(found[2], [0.9, 1.475 * 2 / (0.4 + 1.475)], rtol=1e-6)


def test_gradnorm_variants():
    descent = optax.sgd(0.01)
    free = run(term_weights.gradnorm(alpha=0.0, learning_rate=descent, renormalize=False), (1, 1), (1, 1))
    np.testing.assert_allclose(free[1], [1 - 0.05, 1 + 0.01], rtol=1e-6)
    part = run(
        term_weights.gradnorm(alpha=0.0, learning_rate=descent, renormalize=False, layers=lambda g: g[:1]),
        (1, 1),
        (1, 1),
    )
    np.testing.assert_allclose(part[1], [1 - 0.03, 1 + 0.006], rtol=1e-6)
    # Without the mean rate, r = (4, 4): both targets are 4 · 3 = 12, above both norms, so both weights grow.
    rule = term_weights.gradnorm(alpha=1.0, learning_rate=descent, renormalize=False, mean_rate=False)
    grown = run(rule, (1, 1), (4, 4), (4, 4))
    np.testing.assert_allclose(grown[2] - grown[1], [0.05, 0.01], rtol=1e-4)


def test_gradnorm_keeps_its_sum_for_10_000_steps_of_unequal_rates_and_a_bound_lets_go():
    """Equal gradient norms, unequal training rates; after 5000 steps the roles change."""
    grads = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([4.0, 3.0])}
    balancer = term_weights.gradnorm(alpha=1.5, learning_rate=0.01, min_weight=0.1)

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
        found = run(term_weights.relobralo(decay=alpha, temperature=tau, saudade=saudade), *sequence)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        np.testing.assert_allclose(found.sum(axis=1), 2.0, rtol=1e-6)


@pytest.mark.slow
def test_relobralo_looks_back_as_often_as_it_is_told():
    """With α = 1 a step either keeps the weights or looks back to the first losses; count the latter."""
    sequence = [(1.0, 1.0)] + [(1.0 + 0.01 * k, 1.0) for k in range(1, 401)]
    found = run(term_weights.relobralo(decay=1.0, saudade=0.75), *sequence)
    looked_back = np.mean(np.any(np.diff(found, axis=0) != 0, axis=1))
    assert looked_back == pytest.approx(0.25, abs=0.07)  # three deviations of 400 draws


def test_softadapt_and_its_variants():
    sequence = [(4.0, 1.0), (2.0, 1.5)]  # s = (-2, 1/2)
    softmax = lambda z: np.exp(z) / np.exp(z).sum()
    slopes = np.array([-2.0, 0.5])
    found = run(term_weights.softadapt(), *sequence)
    np.testing.assert_allclose(found[0], [0.5, 0.5])
    np.testing.assert_allclose(found[1], softmax(0.1 * slopes), rtol=1e-6)
    found = run(term_weights.softadapt(beta=2.0, normalized=True), *sequence)
    np.testing.assert_allclose(found[1], softmax(2.0 * slopes / 2.5), rtol=1e-6)
    weighted = np.array([2.0, 1.5]) * softmax(0.1 * slopes)
    found = run(term_weights.softadapt(loss_weighted=True), *sequence)
    np.testing.assert_allclose(found[1], weighted / weighted.sum(), rtol=1e-6)


@pytest.mark.parametrize("rule", [term_weights.gradnorm, term_weights.relobralo, term_weights.softadapt])
def test_rules_of_the_losses_say_so_when_they_get_none(rule):
    balancer = rule()
    with pytest.raises(ValueError, match=rf"{rule.__name__}: update got losses of \[\]; expected the extra arg losses"):
        balancer.update(GRADS, balancer.init(GRADS))


def test_smoothing_starts_and_stops_with_every():
    found = run(term_weights.softadapt(every=3), (1, 1), (2, 1), (3, 1), (4, 1))
    np.testing.assert_array_equal(found[2], found[0])
    # The losses compared are those of the last move, three steps ago.
    np.testing.assert_allclose(found[3][0], 1 / (1 + np.exp(-0.3)), rtol=1e-6)


def norms_of(pde, bc):
    return lambda: {"pde": jnp.array(pde), "bc": jnp.array(bc)}


def test_ntk_compares_traces_and_moves_every_hundred_steps():
    balancer = term_weights.ntk(trace=True)
    state, found = balancer.init(GRADS), []
    update = jax.jit(lambda s, pde, bc: balancer.update(GRADS, s, point_grad_norms=lambda: {"pde": pde, "bc": bc}))
    for k in range(102):
        norms = (jnp.array([2.0, 1.0]), jnp.array([0.5])) if k < 50 else (jnp.ones(2), jnp.ones(1))
        _, state = update(state, *norms)
        found.append([float(state.weights["pde"]), float(state.weights["bc"])])
    np.testing.assert_allclose(found[0], [5.25 / 5, 5.25 / 0.25], rtol=1e-6)  # traces 4 + 1 and 1/4
    assert found[99] == found[0]
    np.testing.assert_allclose(found[101], [3 / 2, 3 / 1], rtol=1e-6)
    balancer = term_weights.ntk(decay=0.9)
    _, state = balancer.update(GRADS, balancer.init(GRADS), point_grad_norms=norms_of([2.0, 1.0], [0.5]))
    np.testing.assert_allclose(state.weights["bc"], 0.9 + 0.1 * (2.5 + 0.25) / 0.25, rtol=1e-6)


def test_ntk_says_so_when_it_gets_no_norms():
    with pytest.raises(ValueError, match="ntk: update got no point_grad_norms; expected the extra arg"):
        term_weights.ntk().update(GRADS, term_weights.ntk().init(GRADS))


def test_uncertainty_two_steps_by_hand():
    balancer = term_weights.uncertainty(optax.sgd(0.1))
    found = run(balancer, (4.0, 0.5), (4.0, 0.5))
    np.testing.assert_allclose(found[0], [0.5, 0.5])
    s = -0.1 * np.array([0.5 - 0.5 * 4.0, 0.5 - 0.5 * 0.5])  # ∂/∂s = ½ - ½ e^{-s} L at s = 0
    np.testing.assert_allclose(found[1], 0.5 * np.exp(-s), rtol=1e-6)


@pytest.mark.slow
def test_uncertainty_settles_where_each_weighted_loss_is_one_half():
    balancer = term_weights.uncertainty(optax.sgd(0.5))
    found = run(balancer, *[(0.2, 3.0)] * 200)
    np.testing.assert_allclose(found[-1] * [0.2, 3.0], [0.5, 0.5], rtol=1e-4)


def test_minimax_climbs_by_the_losses_after_it_weighed_with_them():
    found = run(term_weights.minimax(0.1), (4.0, 0.5), (2.0, 0.5), (1.0, 0.5))
    np.testing.assert_allclose(found, [[1, 1], [1.4, 1.05], [1.6, 1.1]], rtol=1e-6)
    found = run(term_weights.minimax(optax.sgd(0.1), reference="pde"), (4.0, 0.5), (2.0, 0.5))
    np.testing.assert_allclose(found[1], [1, 1.05], rtol=1e-6)


def test_augmented_lagrangian_in_numpy():
    """The authors' loop: a step's losses, then the dual update, whose multipliers weigh the next gradient."""
    eta, omega, zeta = 1.5, 0.9, 0.5
    sequence = [(4.0, 1.0), (1.0, 0.8), (1.5, 0.9), (1.4, 0.02), (1.4, 0.02)]
    multiplier, penalty, square, previous, expected = 1.0, 1.0, 0.0, np.inf, []
    for pde, c in sequence:
        lagrangian = pde + multiplier * c + 0.5 * penalty * c**2
        square = zeta * square + (1 - zeta) * c**2
        if lagrangian >= omega * previous:
            multiplier += penalty * c
            penalty = max(penalty, eta / np.sqrt(square))
        previous = lagrangian
        expected.append([1.0, multiplier + penalty * c])
    found = run(term_weights.augmented_lagrangian("pde", eta=eta, omega=omega, decay=zeta), *sequence)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert multiplier > 1 and penalty > 1  # both branches were seen


def test_dwa_compares_the_means_of_two_epochs():
    sequence = [(4.0, 1.0), (2.0, 1.0), (1.0, 1.0), (1.0, 0.0), (7.0, 7.0)]
    found = run(term_weights.dwa(temperature=2.0, every=2), *sequence)
    np.testing.assert_allclose(found[:4], np.ones((4, 2)))  # two epochs of two steps
    rates = np.array([1.0 / 3.0, 0.5 / 1.0]) / 2
    np.testing.assert_allclose(found[4], 2 * np.exp(rates) / np.exp(rates).sum(), rtol=1e-6)


@pytest.mark.slow
def test_random_weights_are_the_softmax_of_normal_numbers():
    """E λ = 1/2, and log(λ_1 / λ_2) = z_1 - z_2 is normal with variance 2: four deviations of 2000 draws."""
    found = run(term_weights.random(seed=3), *[(1.0, 1.0)] * 2000)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-6)
    logs = np.log(found[:, 0] / found[:, 1])
    assert abs(logs.mean()) < 4 * np.sqrt(2 / 2000)
    assert abs(logs.var() - 2) < 4 * 2 * np.sqrt(2 / 2000)


@pytest.mark.parametrize("variant", ["mean", "std", "kurt"])
def test_db_pinn_three_moves_in_numpy(variant):
    rng = np.random.default_rng(1)
    grads = {name: rng.normal(size=8).astype(np.float32) * c for name, c in [("pde", 9), ("bc", 1), ("ic", 0.2)]}
    sequence = [(1.0, 2.0, 4.0), (1.0, 1.0, 1.0), (0.5, 1.5, 0.1)]
    spread = lambda g: np.std(g, ddof=1) / np.mean(((g - g.mean()) / np.std(g, ddof=1)) ** 4)
    ratio = {
        "mean": lambda t: np.abs(grads["pde"]).max() / np.abs(weights[t] * grads[t]).mean(),
        "std": lambda t: np.std(grads["pde"], ddof=1) / np.std(grads[t], ddof=1),
        "kurt": lambda t: spread(grads["pde"]) / spread(grads[t]),
    }[variant]
    balancer = term_weights.db_pinn("pde", variant=variant, every=2)
    state = balancer.init({t: jnp.asarray(g) for t, g in grads.items()})
    weights, seen, proposals = {"bc": 1.0, "ic": 1.0}, [], []
    for values in sequence:
        given = dict(zip(grads, map(jnp.float32, values), strict=True))
        for _ in range(2):  # the second is not a move
            _, state = balancer.update({t: jnp.asarray(g) for t, g in grads.items()}, state, losses=given)
        seen.append(values[1:])
        difficulty = np.array(values[1:]) / np.mean(seen, axis=0)
        total = ratio("bc") + ratio("ic")
        proposals.append(total * difficulty / difficulty.sum())
        weights = dict(zip(["bc", "ic"], np.mean(proposals, axis=0), strict=True))
        np.testing.assert_allclose([state.weights["bc"], state.weights["ic"]], list(weights.values()), rtol=1e-5)
        assert state.weights["pde"] == 1.0


def test_magnitude_normalisation_is_the_quotient_of_two_losses_and_so_is_its_gradient():
    """(mean r² / mean m²)' with r = a x - 1 and m = a x + 1, by `jax.grad` of the quotient written out."""
    term = term_weights.magnitude_normalized(lambda u, x: u(x) - 1.0, lambda u, x: u(x) + 1.0)
    x = jnp.array([[0.5], [1.0], [2.0]])
    quotient = lambda a: jnp.mean((a * x - 1) ** 2) / jnp.mean((a * x + 1) ** 2)
    losses, grads = pj.value_and_grads({"data": term}, lambda a, x: a * x[0])(jnp.float32(0.7), {"data": x})
    np.testing.assert_allclose(losses["data"], quotient(0.7), rtol=1e-6)
    np.testing.assert_allclose(grads["data"], jax.grad(quotient)(0.7), rtol=1e-5)


def test_van_der_meer_weighs_by_measures():
    found = run(term_weights.van_der_meer("pde", {"pde": 4.0, "bc": 8.0}, balance=0.25), (1, 1))
    np.testing.assert_allclose(found[0], [2 * 0.25 * 4, 2 * 0.75 * 8], rtol=1e-6)


@pytest.mark.parametrize("rate", [0.0, 1.0])
@pytest.mark.parametrize("new", [2.0, 1e-30, 3.3e9, 0.1])
def test_a_move_at_rate_0_is_none_and_at_rate_1_arrives(rate, new):
    old = jnp.float32(1e9)
    chex.assert_trees_all_equal(_rule.between(old, jnp.float32(new), rate), jnp.float32(new) if rate else old)


@hypothesis.settings(deadline=None, max_examples=100)
@hypothesis.given(
    *[st.floats(0, 2.0**90, width=32, allow_subnormal=False)] * 2, st.floats(0, 1, width=32, allow_subnormal=False)
)
def test_a_move_is_the_convex_combination_to_rounding(old, new, rate):
    found = float(_rule.between(jnp.float32(old), jnp.float32(new), rate))
    expected = (1 - rate) * old + rate * new  # in float64
    assert min(old, new) <= found <= max(old, new)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-37)


def test_brdr_scale_three_steps_of_training_in_numpy(x64):
    """The authors' loop: the gradient of the scaled loss, and the step taken with the new scale."""
    c, theta, eta, scale = np.array([1.0, 3.0]), np.array([2.0, -1.0]), 0.1, 1.0
    residual = lambda k: lambda u, x: u(x)[k] * c[k] - 1.0
    train = pj.train_step(
        {"a": residual(0), "b": residual(1)}, optax.sgd(eta), term_weights=term_weights.brdr_scale(eta)
    )
    batch = {"a": jnp.zeros((1, 1)), "b": jnp.zeros((1, 1))}
    state = train.init((lambda p, x: p, jnp.asarray(theta)), batch)
    for _ in range(3):
        state, metrics = train.update(state, batch)
        scaled_loss, scaled_slope = scale * np.sum((theta * c - 1) ** 2), scale * 2 * c * (theta * c - 1)
        new = (1 - eta) * scale + eta * (2 * scaled_loss / eta / np.sum(scaled_slope**2) * scale)
        theta, scale = theta - eta * scaled_slope * new / scale, new
        chex.assert_trees_all_close((metrics["weight/a"], metrics["weight/b"]), (scale, scale), rtol=1e-12)
        chex.assert_trees_all_close(state.params, theta, rtol=1e-12)


@pytest.mark.parametrize(
    "rule",
    [term_weights.gradnorm, term_weights.relobralo, term_weights.dwa, term_weights.softadapt],
    ids=lambda rule: rule.__name__,
)
def test_a_term_that_is_never_violated_stops_no_other_one(rule):
    """Compiled, 0 / 0 / mean is 0 / (0 mean) to XLA."""
    balancer = rule()
    state, update = balancer.init(GRADS), jax.jit(lambda s, ls: balancer.update(GRADS, s, losses=ls)[1])
    for pde in (4.0, 1.0, 0.5, 0.1):
        state = update(state, losses(pde, 0.0))
    assert state.steps == 4
    assert state.held == {"pde": 0, "bc": 0}


def test_a_loss_that_starts_at_zero_is_measured_by_the_first_that_does_not():
    """A network of zeros meets homogeneous boundary values exactly; L(0) = 0 is no measure of what follows."""
    grads = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([4.0, 3.0])}
    for rule in (term_weights.gradnorm(), term_weights.relobralo(saudade=0.0)):
        found = run(rule, (1.0, 0.0), (1.0, 10.0), (1.0, 10.0), (1.0, 10.0), grads=grads)
        np.testing.assert_allclose(found[-1], [1.0, 1.0], atol=0.02)


def test_an_epoch_of_dwa_has_as_many_losses_when_one_is_broken():
    whole = [(4.0, 1.0), (2.0, 1.0), (1.0, 1.0), (1.0, 0.0), (7.0, 7.0)]
    with_one_broken = [*whole[:3], (np.nan, 1.0), *whole[3:]]
    np.testing.assert_array_equal(
        run(term_weights.dwa(every=2), *with_one_broken)[-1], run(term_weights.dwa(every=2), *whole)[-1]
    )


def test_db_pinn_means_of_losses_of_other_magnitudes():
    grads = {name: jnp.array([1.0, 2.0]) for name in ("pde", "bc")}
    balancer = term_weights.db_pinn("pde", every=1)
    state, seen = balancer.init(grads), [1e9, 2.0, 1e-6, 5.0]
    for k, value in enumerate(seen):
        _, state = balancer.update(grads, state, losses=losses(1.0, value))
        np.testing.assert_allclose(state.memory.mean_losses["bc"], np.mean(seen[: k + 1]), rtol=1e-6)
