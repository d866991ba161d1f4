"""The Nyström natural gradient: its kernel by hand, the exact step at full rank, and its search."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.optimizers import nystrom_natural_gradient, spring
from tests import poisson

pytestmark = pytest.mark.usefixtures("quick_compilation")

SEED = 3
N, P = 7, 5
J = np.random.default_rng(0).normal(size=(N, P))
B = np.random.default_rng(1).normal(size=N)


def residual_fn(params):
    return jnp.asarray(J) @ params - jnp.asarray(B)


def value_fn(params):
    return jnp.sum(residual_fn(params) ** 2)


def step(optimizer, params, state, residual_fn=residual_fn, **extra):
    return jax.jit(lambda p, s: optimizer.update(p, s, p, residual_fn=residual_fn, **extra))(params, state)


def test_the_step_is_that_of_the_papers_kernel(x64):
    """K̂ = KΩ (ΩᵀKΩ)⁻¹ (KΩ)ᵀ written out in numpy, with the columns that the rule draws."""
    damping, decay, rank = 0.05, 0.8, 3
    optimizer = nystrom_natural_gradient(0.3, rank=rank, seed=SEED, damping=damping, decay=decay)
    params = jnp.ones(P)
    state = optimizer.init(params)
    theta, phi, kernel = np.ones(P), np.zeros(P), J @ J.T
    for _ in range(2):
        columns = np.asarray(jax.random.normal(jax.random.split(state.key)[1], (N, rank)))
        updates, state = step(optimizer, params, state)
        params = optax.apply_updates(params, updates)
        low = kernel @ columns @ np.linalg.inv(columns.T @ kernel @ columns) @ columns.T @ kernel
        zeta = J @ theta - B - decay * J @ phi
        phi = decay * phi + J.T @ np.linalg.solve(low + damping * np.eye(N), zeta)
        theta = theta - 0.3 * phi
    np.testing.assert_allclose(params, theta, rtol=1e-10)


@pytest.mark.parametrize(("shape", "damping"), [((4, 9), 1e-3), ((4, 9), 1e-8), ((9, 4), 1e-3)])
def test_at_full_rank_it_is_spring(x64, shape, damping):
    """To 1e-7: Woodbury in a basis of JQ does not lose rounding / λ, which is 1e-8 here, times |J| / √λ."""
    jacobian = jnp.asarray(np.random.default_rng(0).normal(size=shape))
    residuals = lambda p: jacobian @ p - 1.0
    mine = nystrom_natural_gradient(0.3, rank=20, seed=SEED, damping=damping, decay=0.9)
    exact = spring(0.3, damping=damping, decay=0.9, norm_constraint=None)
    found = expected = jnp.ones(shape[1])
    one, other = mine.init(found), exact.init(found)
    for _ in range(3):
        updates, one = step(mine, found, one, residuals)
        found = found + updates
        updates, other = step(exact, expected, other, residuals)
        expected = expected + updates
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_the_search_halves_as_long_as_the_loss_falls():
    """(1 - 5η)² falls for η = 1, ½, ¼, is 0.14 at 1/8 and 0.47 at 1/16: η = ¼ with 0.0625 is the best."""
    optimizer = nystrom_natural_gradient(rank=1, seed=SEED, damping=1e-6)
    params = jnp.ones(1)
    loss = lambda p: (5 * p[0] - 4) ** 2
    updates, state = step(optimizer, params, optimizer.init(params), lambda p: p, value_fn=loss)
    np.testing.assert_allclose(updates, -0.25, rtol=1e-4)
    np.testing.assert_allclose(state.value, 0.0625, rtol=1e-4)


def test_a_search_in_vain_takes_no_step_and_forgets_the_direction():
    optimizer = nystrom_natural_gradient(rank=2, seed=SEED, decay=0.9)
    params = jnp.ones(P)
    state = step(optimizer, params, optimizer.init(params), value_fn=value_fn)[1]
    assert jnp.any(state.direction != 0)
    for vain in (lambda p: jnp.sum((p - 1) ** 2), lambda p: jnp.nan * p[0]):
        updates, after = step(optimizer, params, state, value=jnp.float32(0.0), value_fn=vain)
        np.testing.assert_array_equal(updates, 0)
        np.testing.assert_array_equal(after.direction, 0)
        assert after.value == 0
        assert jnp.any(jax.random.key_data(after.key) != jax.random.key_data(state.key))  # other columns next time


def test_the_state_says_the_loss_after_the_step(x64):
    optimizer = nystrom_natural_gradient(rank=2, seed=SEED)
    params = jnp.ones(P)
    updates, state = step(optimizer, params, optimizer.init(params), value_fn=value_fn)
    assert value_fn(params + updates) < value_fn(params)
    np.testing.assert_allclose(state.value, value_fn(params + updates), rtol=1e-12)


def test_the_loss_is_traced_once():
    calls = []

    def counted(params):
        calls.append(1)
        return value_fn(params)

    optimizer = nystrom_natural_gradient(rank=2, seed=SEED)
    params = jnp.ones(P)
    step(optimizer, params, optimizer.init(params), value_fn=counted)
    assert len(calls) == 1


def test_errors_say_what_was_expected():
    with pytest.raises(ValueError, match="rank is 0; expected an integer >= 1"):
        nystrom_natural_gradient(rank=0, seed=SEED)
    with pytest.raises(ValueError, match="damping is 0"):
        nystrom_natural_gradient(rank=1, seed=SEED, damping=0)
    optimizer, params = nystrom_natural_gradient(rank=1, seed=SEED), jnp.ones(P)
    with pytest.raises(ValueError, match="residual_fn is missing"):
        optimizer.update(params, optimizer.init(params), params)
    with pytest.raises(ValueError, match=r"value_fn is missing; .* or a learning_rate"):
        optimizer.update(params, optimizer.init(params), params, residual_fn=residual_fn)


@pytest.mark.slow
def test_half_the_rank_goes_a_thousand_times_lower_than_adam(x64):
    def reached(optimizer, steps=200):
        train = pj.train_step(poisson.TERMS, optimizer)
        batch = poisson.batch(dtype=jnp.float64)
        state = train.init(poisson.model(dtype=jnp.float64), batch)
        return float(pj.fit(train, state, batch, steps=steps)[1]["loss"][-1])

    assert reached(nystrom_natural_gradient(rank=9, seed=SEED)) < 1e-3 * reached(optax.adam(1e-2))
