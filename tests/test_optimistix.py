"""Solvers of optimistix as optax transforms: the same iterates, in the same number of steps of the solver."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.optimizers import from_optimistix
from tests import poisson

pytestmark = pytest.mark.usefixtures("quick_compilation")

optimistix = pytest.importorskip("optimistix")
START = {"a": jnp.array(-1.2), "b": jnp.array([1.0])}


def residual_fn(params):
    """Rosenbrock's function is its squared norm, which is zero at (1, 1)."""
    return jnp.stack([10 * (params["b"][0] - params["a"] ** 2), 1 - params["a"]])


def value_fn(params):
    return jnp.sum(residual_fn(params) ** 2)


def start():
    return jax.tree.map(lambda leaf: leaf.astype(jnp.result_type(float)), START)


def after(optimizer, steps):
    """Parameters and state after some updates, and how many steps the solver took for them."""
    params = start()

    def body(carry, _):
        p, s = carry
        updates, s = optimizer.update(p, s, p, value=value_fn(p), value_fn=value_fn, residual_fn=residual_fn)
        return (optax.apply_updates(p, updates), s), s.trials

    (params, state), trials = jax.lax.scan(body, (params, optimizer.init(params)), None, length=steps)
    return params, state, int(trials.sum())


@pytest.mark.parametrize("steps", [7, 30])
def test_bfgs_takes_the_steps_of_optimistix(x64, steps):
    """To 1e-6: parameters + updates are rounded, and the steps carry that on."""
    solver = optimistix.BFGS(rtol=0.0, atol=0.0)
    params, state, total = after(from_optimistix(solver), steps)
    alone = optimistix.minimise(lambda p, _: value_fn(p), solver, start(), max_steps=total, throw=False).value
    np.testing.assert_allclose([params["a"], *params["b"]], [alone["a"], *alone["b"]], rtol=1e-6)
    np.testing.assert_allclose(state.value, value_fn(params), rtol=1e-6, atol=1e-20)
    assert state.restarts == 0
    assert (state.value < 1e-3) == (steps == 30)


@pytest.mark.parametrize("steps", [7, 25])
def test_levenberg_marquardt_takes_the_steps_of_optimistix(x64, steps):
    solver = optimistix.LevenbergMarquardt(rtol=0.0, atol=0.0)
    params, state, total = after(from_optimistix(solver, residuals=2), steps)
    alone = optimistix.least_squares(lambda p, _: residual_fn(p), solver, start(), max_steps=total, throw=False).value
    np.testing.assert_allclose([params["a"], *params["b"]], [alone["a"], *alone["b"]], rtol=1e-8)
    assert state.restarts == 0
    assert (state.value < 1e-3) == (steps == 25)


def test_a_jacobian_that_is_offered_is_the_one_the_solver_sees(x64):
    """Gauss-Newton on linear residuals with twice the Jacobian goes half of the way."""
    optimizer = from_optimistix(optimistix.GaussNewton(0.0, 0.0), residuals=2)
    params = jnp.array([3.0, 4.0])
    for factor, reached in ((1.0, 0.0), (2.0, 0.5)):
        updates, _ = optimizer.update(
            params,
            optimizer.init(params),
            params,
            residual_fn=lambda p: p,
            jacobian_fn=lambda p, factor=factor: factor * jnp.eye(2),
        )
        np.testing.assert_allclose(params + updates, reached * params, atol=1e-12)


def test_another_loss_starts_the_solver_anew(x64):
    """After the loss has moved, the steps are those of a solver that has seen nothing of the old one."""
    optimizer = from_optimistix(optimistix.BFGS(rtol=0.0, atol=0.0))
    params, state, _ = after(optimizer, 3)
    moved = lambda p: value_fn(p) + (p["a"] - 2.0) ** 2
    update = jax.jit(lambda s: optimizer.update(params, s, params, value=moved(params), value_fn=moved))
    updates, new = update(state)
    expected, _ = update(optimizer.init(params))
    np.testing.assert_allclose(updates["a"], expected["a"], rtol=1e-12)
    assert new.restarts == 1


def test_no_accepted_trial_is_no_step():
    """At the minimum: zero updates, the old value, and a solver that starts anew."""
    params = {"a": jnp.array(1.0), "b": jnp.array([1.0])}
    optimizer = from_optimistix(optimistix.BFGS(rtol=0.0, atol=0.0), max_trials=5)
    updates, state = optimizer.update(params, optimizer.init(params), params, value_fn=value_fn)
    assert updates["a"] == 0 and updates["b"] == 0
    assert state.value == 0 and state.trials == 5 and state.restarts == 1


def trained(optimizer, terms, model, steps):
    train, batch = pj.train_step(terms, optimizer), poisson.batch(dtype=jnp.float64)
    _, history = pj.fit(train, train.init(model, batch), batch, steps=steps)
    return history["loss"][-1]


def optimizer_of(squares):
    solver = optimistix.LevenbergMarquardt(1e-8, 1e-8) if squares else optimistix.BFGS(1e-8, 1e-8)
    return from_optimistix(solver, residuals=18 if squares else None)


@pytest.mark.parametrize("squares", [False, True])
def test_a_train_step_takes_its_steps_and_points_that_move_are_noticed(x64, squares):
    train, batch = pj.train_step(poisson.SMALL, optimizer_of(squares)), poisson.batch(dtype=jnp.float64)
    state = train.init(poisson.small(jnp.float64), batch)
    for _ in range(8):
        stated = state.optimizer.value
        state, metrics = train.update(state, batch)
    np.testing.assert_allclose(stated, metrics["loss"], rtol=1e-10)
    assert state.optimizer.restarts == 0 and state.skipped == 0
    other = batch | {"pde": jnp.linspace(0.0, 2.0, 16)[:, None]}
    state, metrics = train.update(state, other)
    assert state.optimizer.restarts == 1 and state.optimizer.value < metrics["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("squares", [False, True])
def test_it_goes_a_hundred_times_lower_than_adam(x64, squares):
    model = poisson.model(dtype=jnp.float64)
    found = trained(optimizer_of(squares), poisson.TERMS, model, 150)
    assert found < 0.01 * trained(optax.adam(1e-2), poisson.TERMS, model, 150)


def test_errors_say_what_was_expected():
    with pytest.raises(TypeError, match="the solver is 3; expected a minimiser or a least-squares solver"):
        from_optimistix(3)
    marquardt, bfgs = optimistix.LevenbergMarquardt(1e-3, 1e-3), optimistix.BFGS(1e-3, 1e-3)
    with pytest.raises(ValueError, match="residuals is None; expected an integer >= 1"):
        from_optimistix(marquardt)
    with pytest.raises(ValueError, match="residuals is 5; expected None for BFGS, a minimiser"):
        from_optimistix(bfgs, residuals=5)
    optimizer = from_optimistix(marquardt, residuals=5)
    with pytest.raises(ValueError, match=r"residuals is 5, but residual_fn gives shape \(2,\); expected residuals=2"):
        optimizer.update(START, optimizer.init(START), START, residual_fn=residual_fn)
    with pytest.raises(ValueError, match="params or value_fn is missing"):
        from_optimistix(bfgs).update(START, from_optimistix(bfgs).init(START), START)
