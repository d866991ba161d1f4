"""Formulas by hand, and loops in NumPy, for the rules of point space."""

import chex
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import strategies as st

import pinnjax as pj
from pinnjax import point_weights


def run(rule, sequence, **extra):
    """Weights of the one term after each of the residuals, and the last state."""
    state, found = rule.init({"pde": jnp.asarray(sequence[0])}), []
    for r in sequence:
        residuals = {"pde": jnp.asarray(r)}
        ones = {"pde": jnp.ones(len(r), residuals["pde"].dtype)}
        weights, state = rule.update(ones, state, residuals=residuals, **extra)
        found.append(np.asarray(weights["pde"]))
    return found, state


def sequence(n=6, steps=5, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=n) for _ in range(steps)]


def test_residual_attention_is_ten_lines_of_numpy_and_never_passes_its_bound(x64):
    residuals, attention = sequence(steps=1000), np.zeros(6)
    rule = point_weights.residual_attention()
    state = rule.init({"pde": jnp.asarray(residuals[0])})
    update = jax.jit(lambda s, r: rule.update({"pde": jnp.ones(6)}, s, residuals={"pde": r}))
    for r in residuals:
        attention = 0.999 * attention + 0.01 * np.abs(r) / np.abs(r).max()
        weights, state = update(state, r)
        assert attention.max() <= 0.01 / (1 - 0.999)
    np.testing.assert_allclose(weights["pde"], attention**2, rtol=1e-12)


def test_residual_attention_comes_to_its_bound_where_the_residual_is_largest():
    found, _ = run(point_weights.residual_attention(decay=0.9, eta=0.1), [np.array([3.0, -1.5, 0.0], np.float32)] * 200)
    np.testing.assert_allclose(found[-1], [1.0, 0.25, 0.0], rtol=1e-4)


@pytest.mark.parametrize("potential", ["exponential", "quadratic"])
def test_vrba_three_steps_in_numpy(potential):
    residuals, attention = sequence(steps=3), np.zeros(6)
    found, _ = run(point_weights.vrba(potential, decay=0.9, eta=0.1, phi=0.8, temperature=0.5), residuals)
    for k, r in enumerate(residuals):
        size = np.abs(r)
        if potential == "quadratic":
            q = size / size.max()
        else:
            beta = np.log(k + 2) / (0.5 * size.max())
            q = beta * np.exp(beta * size)
            q = q / q.max()
        attention = 0.9 * attention + 0.1 * (0.8 * q + 0.2)
        np.testing.assert_allclose(found[k], attention**2, rtol=1e-5)


def test_brdr_in_numpy_over_two_terms():
    rng = np.random.default_rng(2)
    rule = point_weights.brdr(decay=0.9, weights_decay=0.8)
    shapes = {"pde": 5, "bc": 2}
    state = rule.init({t: jnp.zeros(n) for t, n in shapes.items()})
    fourth, smoothed = {t: np.zeros(n) for t, n in shapes.items()}, {t: np.ones(n) for t, n in shapes.items()}
    for k in range(4):
        residuals = {t: rng.normal(size=n) * 0.5**k for t, n in shapes.items()}
        fourth = {t: 0.9 * f + 0.1 * residuals[t] ** 4 for t, f in fourth.items()}
        rates = {t: residuals[t] ** 2 / np.sqrt(f / (1 - 0.9 ** (k + 1)) + 1e-14) for t, f in fourth.items()}
        mean = np.mean(np.concatenate(list(rates.values())))
        smoothed = {t: 0.8 * s + 0.2 * rates[t] / mean for t, s in smoothed.items()}
        ones = {t: jnp.ones(n) for t, n in shapes.items()}
        given = {t: jnp.asarray(r, jnp.float32) for t, r in residuals.items()}
        weights, state = rule.update(ones, state, residuals=given)
        chex.assert_trees_all_close(weights, smoothed, rtol=2e-4)
        np.testing.assert_allclose(np.mean(np.concatenate([*weights.values()])), 1.0, rtol=1e-5)


@pytest.mark.parametrize("decay", [0.9, 0.999])
def test_brdr_a_new_point_weighs_as_the_others_whose_residual_does_not_decay(decay):
    """Residuals that stand still have c = 1, old or new; without bias correction a new one has c = 1 / √(1 - β_c)."""
    rule = point_weights.per_point_memory(point_weights.brdr(decay=decay, weights_decay=0.0))
    residuals, ones = {"pde": jnp.array([1.0, 3.0, 0.2, 2.0])}, {"pde": jnp.ones(4)}
    update = jax.jit(rule.update)
    state = rule.init(residuals)
    for _ in range(50):
        _, state = update(ones, state, residuals=residuals, previous_index={"pde": jnp.arange(4)})
    for _ in range(3):
        weights, state = update(ones, state, residuals=residuals, previous_index={"pde": jnp.array([0, -1, 2, 3])})
        np.testing.assert_allclose(weights["pde"], np.ones(4), rtol=1e-4)


@hypothesis.settings(deadline=None, max_examples=20)
@hypothesis.given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=12), st.sampled_from([0.5, 0.999]))
def test_brdr_average_of_a_point_is_the_weighted_mean_of_what_it_has_seen(sizes, decay):
    """Σ β^(k-j) r_j⁴ / Σ β^(k-j), in float64: whatever came before the point, which is nothing, has no weight."""
    _, state = run(point_weights.brdr(decay=decay), [np.array([size, 1.0], np.float32) for size in sizes])
    powers = decay ** np.arange(len(sizes))[::-1]
    expected = np.sum(powers * np.array(sizes) ** 4) / powers.sum()
    np.testing.assert_allclose(state.fourth["pde"][0] / state.mass["pde"][0], expected, rtol=1e-4)


def test_gradient_norms_at_points_are_inverted_capped_and_kept_in_between():
    rule = point_weights.inverse_point_gradients(every=2, cap=5.0, eps=0.1)
    table = [[4.0, 2.0, 0.0], [1.0, 1.0, 1.0], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    state, found = rule.init({"pde": jnp.ones(3)}), []
    for norms in table:
        ones = {"pde": jnp.ones(3)}
        given = lambda norms=norms: {"pde": jnp.array(norms)}
        weights, state = rule.update(ones, state, residuals=ones, point_grad_norms=given)
        found.append(weights["pde"])
    first, third = [1 / 1.1, 1 / 0.6, 5.0], [1 / (1 / 3 + 0.1), 1 / (2 / 3 + 0.1), 1 / 1.1]
    np.testing.assert_allclose(found[0], first, rtol=1e-6)
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_allclose(found[2], third, rtol=1e-6)
    np.testing.assert_array_equal(found[4], found[2])  # no point has a gradient: nothing to go by
    with pytest.raises(ValueError, match="inverse_point_gradients: update got no point_grad_norms"):
        rule.update(ones, state, residuals=ones)


def times(*values):
    return {"pde": jnp.array(values)[:, None]}


def test_causal_weights_look_at_earlier_slices_only():
    points = times(0.1, 0.9, 0.3, 0.6)  # slices 0, 3, 1, 2 of four
    residuals = np.array([1.0, 5.0, 2.0, 3.0], np.float32)
    found, state = run(
        point_weights.causal(["pde"], interval=(0.0, 1.0), slices=4, epsilon=0.1), [residuals], points=points
    )
    np.testing.assert_allclose(-np.log(found[0]) / 0.1, [0, 1 + 4 + 9, 1, 1 + 4], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state.least, np.exp(-1.4), rtol=1e-5)


def test_causal_slices_hold_means_and_may_be_empty():
    points = times(0.1, 0.2, 0.9, 1.0)  # two in the first half, none in the third quarter, two in the last
    residuals = np.array([1.0, 3.0, 2.0, 2.0], np.float32)
    found, _ = run(
        point_weights.causal(["pde"], interval=(0.0, 1.0), slices=4, epsilon=1.0), [residuals], points=points
    )
    np.testing.assert_allclose(-np.log(found[0]), [0, 0, 5, 5], atol=1e-6)


def test_causal_by_sorted_times_gives_one_time_one_weight():
    points = times(0.5, 0.0, 0.5, 1.0)
    residuals = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    rule = point_weights.causal(["pde"], interval=(0.0, 1.0), slices=None, epsilon=0.01)
    found, _ = run(rule, [residuals], points=points)
    np.testing.assert_allclose(-np.log(found[0]) / 0.01 * 4 / 32, [4, 0, 4, 4 + 1 + 9], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("later", [1e5, 1e7, 1e30, np.inf, np.nan])
@pytest.mark.parametrize("slices", [3, None])
def test_a_large_or_broken_later_slice_does_not_touch_the_weights_of_earlier_ones(slices, later):
    """L = (0.01, later, 1): the second weight is exp(-0.01 ε), not that of a difference of large sums."""
    points = times(0.1, 0.5, 0.9)
    residuals = np.sqrt(np.array([0.01, later, 1.0], np.float32))
    epsilon = 1.0 if slices else 3 / 32  # every point a slice: the sum is over n / 32
    rule = point_weights.causal(["pde"], interval=(0.0, 1.0), slices=slices, epsilon=epsilon)
    found, _ = run(rule, [residuals], points=points)
    np.testing.assert_allclose(found[0][:2], [1.0, np.exp(-0.01)], rtol=1e-6)


@pytest.mark.slow
@hypothesis.settings(deadline=None, max_examples=25)
@hypothesis.given(st.lists(st.floats(-12, 8), min_size=2, max_size=40), st.sampled_from([2, 7, None]))
def test_causal_weights_are_those_of_float64_sums_whatever_the_magnitudes(exponents, slices):
    squares = 10.0 ** np.array(exponents)
    t = (np.arange(len(squares)) + 0.5) / len(squares)
    own = np.arange(len(t)) if slices is None else (t * slices).astype(int)
    means = np.array([squares[own == k].mean() if np.any(own == k) else 0.0 for k in range(own.max() + 1)])
    total = np.array([means[:k].sum() for k in own]) * (32 / len(t) if slices is None else 1)
    points = {"pde": jnp.asarray(t, jnp.float32)[:, None]}
    residuals = np.sqrt(squares).astype(np.float32)
    rule = point_weights.causal(["pde"], interval=(0.0, 1.0), slices=slices, epsilon=0.5)
    found, _ = run(rule, [residuals], points=points)
    np.testing.assert_allclose(found[0], np.exp(-0.5 * total), rtol=1e-4, atol=1e-30)


def test_causal_goes_to_the_next_epsilon_when_all_times_are_learnt():
    rule = point_weights.causal(["pde"], interval=(0.0, 1.0), slices=2, epsilon=(0.1, 1.0, 10.0))
    points, stages = times(0.2, 0.7), []
    state = rule.init({"pde": jnp.ones(2)})
    for size in (1.0, 0.1, 0.1, 0.1, 0.01):
        residuals = {"pde": jnp.full(2, size)}
        _, state = rule.update({"pde": jnp.ones(2)}, state, residuals=residuals, points=points)
        stages.append(int(state.stage))
    assert stages == [0, 1, 2, 2, 2]  # least weights e^-0.1, e^-0.001, e^-0.01 (0.990), e^-0.1, e^-0.001


def test_weights_by_position_are_the_function_of_the_point_and_multiply_what_came_in():
    rule = optax.chain(optax.scale(3.0), point_weights.by_position({"pde": lambda x: jnp.exp(-x[0])}))
    found, _ = run(rule, [np.array([2.0, 1.0], np.float32)], points=times(0.2, 0.7))
    np.testing.assert_allclose(found[0], [3 * np.exp(-0.2), 3 * np.exp(-0.7)], rtol=1e-6)


def test_causal_times_attention_times_a_clip():
    points, residuals = times(0.2, 0.7), [np.array([2.0, 1.0], np.float32)]
    chain = optax.chain(
        point_weights.causal(["pde"], interval=(0.0, 1.0), slices=2, epsilon=0.1),
        point_weights.residual_attention(eta=2.0),
        optax.clip(3.0),
    )
    found, _ = run(chain, residuals, points=points)
    np.testing.assert_allclose(found[0], [3.0, np.exp(-0.4) * 1.0], rtol=1e-5)  # 1 · (2 · 1)², and e^{-0.1·4} (2 · ½)²


def test_self_adaptive_equals_the_same_minimax_by_optax_partition(x64):
    """γ as parameters with the sign of their gradient flipped, 100 steps of both players, to rounding."""
    x = jnp.linspace(-1, 1, 7, dtype=jnp.float64)[:, None]
    residual = lambda u, point: u(point) - jnp.sin(3 * point[0])
    apply = lambda p, point: p["a"] * point[0] + p["b"] * point[0] ** 3
    start = {"a": jnp.float64(0.1), "b": jnp.float64(0.2)}

    train = pj.train_step(
        {"data": residual}, optax.adam(0.05), point_weights=point_weights.self_adaptive(optax.adam(0.02))
    )
    state = train.init((apply, start), {"data": x})
    for _ in range(100):
        state, _ = train.update(state, {"data": x})

    def loss(players):
        r = jax.vmap(lambda point: residual(lambda y: apply(players["theta"], y), point))(x)
        return jnp.mean(jax.nn.sigmoid(players["gamma"]) * r**2)

    tx = optax.partition(
        {"theta": optax.adam(0.05), "gamma": optax.chain(optax.scale(-1.0), optax.adam(0.02))},
        {"theta": "theta", "gamma": "gamma"},
    )
    players = {"theta": start, "gamma": jnp.zeros(7, jnp.float64)}

    @jax.jit
    def step(players, opt_state):
        updates, opt_state = tx.update(jax.grad(loss)(players), opt_state, players)
        return optax.apply_updates(players, updates), opt_state

    opt_state = tx.init(players)
    for _ in range(100):
        players, opt_state = step(players, opt_state)
    gamma = state.point_weights.self_adaptation["data"]
    np.testing.assert_allclose(gamma, players["gamma"], rtol=1e-11, atol=1e-13)
    chex.assert_trees_all_close(state.params, players["theta"], rtol=1e-11)
    assert float(jnp.ptp(gamma)) > 0.1
