"""SPRING: its formula by hand, its two systems, its length, and what it reaches."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.optimizers import _damped, spring
from tests import poisson

pytestmark = pytest.mark.usefixtures("quick_compilation")

A = np.array([[2.0, 1.0], [0.5, -1.0]])
B = np.array([1.0, 3.0])


def residual_fn(params):
    return jnp.asarray(A) @ params["w"] - jnp.asarray(B)


def step(optimizer, params, state, residual_fn=residual_fn, **extra):
    return jax.jit(lambda p, s: optimizer.update(p, s, p, residual_fn=residual_fn, **extra))(params, state)


def test_two_steps_on_two_residuals_by_hand(x64):
    """The second step solves for what the first direction leaves; numpy, and the N by N system as the paper has it."""
    rate, damping, decay = 0.5, 0.1, 0.9
    optimizer = spring(rate, damping=damping, decay=decay, norm_constraint=None)
    params = {"w": jnp.array([1.0, -1.0])}
    state = optimizer.init(params)
    w, phi = np.array([1.0, -1.0]), np.zeros(2)
    for _ in range(2):
        updates, state = step(optimizer, params, state)
        params = optax.apply_updates(params, updates)
        zeta = A @ w - B - decay * A @ phi
        phi = A.T @ np.linalg.inv(A @ A.T + damping * np.eye(2)) @ zeta + decay * phi
        w = w - rate * phi
    np.testing.assert_allclose(params["w"], w, rtol=1e-12)
    np.testing.assert_allclose(state.direction["w"], phi, rtol=1e-12)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4)])
def test_both_systems_give_the_minimum_of_damped_least_squares(x64, shape):
    """numpy's lstsq of [J; √λ] φ = [ζ; 0] shares nothing with either."""
    jacobian, target = np.random.default_rng(0).normal(size=shape), np.random.default_rng(1).normal(size=shape[0])
    stacked = np.concatenate([jacobian, np.sqrt(0.01) * np.eye(shape[1])])
    expected = np.linalg.lstsq(stacked, np.concatenate([target, np.zeros(shape[1])]))[0]
    for solution in (_damped.by_residuals, _damped.by_parameters):
        np.testing.assert_allclose(jax.jit(solution)(jacobian, target, 0.01), expected, rtol=1e-10)


def test_a_kernel_that_is_singular_in_single_precision_is_solved_for():
    """Without damping, Cholesky's factor of a matrix of rank one would be NaN."""
    solve = jax.jit(lambda j: _damped.damped_solution("rule", j, jnp.ones(30), 0.0))
    direction = solve(jnp.ones((30, 40)))
    np.testing.assert_allclose(direction, 1 / 40, rtol=1e-3)


def test_a_step_is_no_longer_than_its_constraint():
    params = {"w": jnp.array([100.0, -1.0])}
    for constraint, length in ((4.0, 2.0), (1e-4, 1e-2)):
        optimizer = spring(1.0, norm_constraint=constraint)
        updates, _ = step(optimizer, params, optimizer.init(params))
        np.testing.assert_allclose(jnp.linalg.norm(updates["w"]), length, rtol=1e-5)


def test_the_rate_may_be_a_schedule():
    optimizer = spring(lambda step: 1.0 / (1 + step), decay=0.0, norm_constraint=None)
    params = {"w": jnp.array([1.0, -1.0])}
    state = optimizer.init(params)
    first, state = step(optimizer, params, state)
    second, state = step(optimizer, params, state)
    np.testing.assert_allclose(second["w"], first["w"] / 2, rtol=1e-6)


def test_a_jacobian_that_is_offered_is_used(x64):
    """Twice the Jacobian of the same residuals gives the step of residuals that are twice as steep."""
    params = {"w": jnp.array([1.0, -1.0])}
    optimizer = spring()
    doubled, _ = step(optimizer, params, optimizer.init(params), jacobian_fn=lambda p: 2 * jnp.asarray(A))
    steeper = lambda p: residual_fn({"w": 2 * p["w"] - params["w"]})
    expected, _ = step(optimizer, params, optimizer.init(params), steeper)
    np.testing.assert_allclose(doubled["w"], expected["w"], rtol=1e-12)


def test_one_bad_batch_is_forgotten():
    """In a loop of one's own: the step is not finite, the next one is, with the direction from before."""
    optimizer, params = spring(), {"w": jnp.array([1.0, -1.0])}
    state = step(optimizer, params, optimizer.init(params))[1]
    bad, after = step(optimizer, params, state, lambda p: jnp.nan * residual_fn(p))
    assert not jnp.isfinite(bad["w"]).any()
    np.testing.assert_array_equal(after.direction["w"], state.direction["w"])


def test_errors_say_what_was_expected():
    with pytest.raises(ValueError, match=r"spring: damping is -1; expected a number in \[0, inf\]"):
        spring(damping=-1)
    with pytest.raises(ValueError, match=r"spring: decay is 1.5"):
        spring(decay=1.5)
    optimizer, params = spring(), jnp.ones(2)
    with pytest.raises(ValueError, match="spring: residual_fn is missing"):
        optimizer.update(params, optimizer.init(params), params)
    with pytest.raises(ValueError, match="spring: params is None"):
        optimizer.update(params, optimizer.init(params))


def test_systems_that_do_not_fit_name_the_alternative():
    huge = jax.ShapeDtypeStruct((40_000, 40_000), jnp.float32)
    solve = lambda jacobian, target: _damped.damped_solution("spring", jacobian, target, 1e-3)
    with pytest.raises(ValueError, match=r"takes 6\.0 GiB; expected at most 23170 .* nystrom_natural_gradient"):
        jax.eval_shape(solve, huge, jax.ShapeDtypeStruct((40_000,), jnp.float32))


@pytest.mark.slow
def test_it_goes_lower_than_adam_on_points_that_are_drawn_anew():
    """Sixteen points a step: the loss on 200 points, a tenth of Adam's at most, whose rate decays from its best."""

    def reached(optimizer, steps=400):
        train = pj.train_step(poisson.TERMS, optimizer)
        whole = poisson.batch(200)
        state = train.init(poisson.model(), whole)

        def drawn(state, key):
            return train.update(state, whole | {"pde": jax.random.uniform(key, (16, 1))})[0], None

        state, _ = jax.lax.scan(drawn, state, jax.random.split(jax.random.key(1), steps))
        return float(train.update(state, whole)[1]["loss"])

    cosine = lambda rate: optax.cosine_decay_schedule(rate, 400)
    assert reached(spring(cosine(0.1), norm_constraint=1e-2)) < 0.1 * reached(optax.adam(cosine(1e-2)))
