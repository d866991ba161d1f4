"""Quasi-Newton steps: the update of H by formulas of others, the search by its conditions, and losses that change."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

import pinnjax as pj
from pinnjax.optimizers import _line_search, _quasi_newton, ssbfgs, ssbroyden
from pinnjax.optimizers.ssbroyden import _coefficients

from .marks import few

METHODS = {"bfgs": pj.optimizers.bfgs, "ssbfgs": pj.optimizers.ssbfgs, "ssbroyden": pj.optimizers.ssbroyden}


pytestmark = pytest.mark.usefixtures("x64")


def rosenbrock(p):
    return jnp.sum(100 * (p[1:] - p[:-1] ** 2) ** 2 + (1 - p[:-1]) ** 2)


def descend(optimizer, loss, params, steps):
    """Parameters and state after so many steps, and the losses before each."""

    def step(carry, _):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(grads, state, params, value=value, value_fn=loss)
        return (optax.apply_updates(params, updates), state), value

    (params, state), values = jax.jit(lambda c: jax.lax.scan(step, c, None, steps))((params, optimizer.init(params)))
    return params, state, np.asarray(values)


def pair(seed, size=6):
    """An inverse Hessian, a step along -Hg, the gradient g and its change, with positive curvature."""
    random = np.random.default_rng(seed)
    a = random.normal(size=(size, size))
    hessian, grad = a @ a.T / size + 0.1 * np.eye(size), random.normal(size=size)
    length = random.uniform(0.3, 2.0)
    s = -length * hessian @ grad
    b = random.normal(size=(size, size))
    return hessian, grad, s, (b @ b.T / size + 0.1 * np.eye(size)) @ s, length


def learnt(coefficients, hessian, grad, s, y):
    """Our H after a pair, and the direction that comes with it."""
    state = ssbroyden().init(jnp.asarray(grad))
    state = state._replace(
        inverse_hessian=jnp.asarray(hessian),
        moved=jnp.asarray(s),
        curvature=s @ np.linalg.solve(hessian, s),
        pairs=jnp.int32(3),
    )
    g = jnp.asarray(grad + y)
    new, direction, used = _quasi_newton._learnt(state, coefficients, g, jnp.asarray(y), jnp.array(True))
    assert used
    np.testing.assert_allclose(direction, -new @ g, rtol=1e-9, atol=1e-12)
    return np.asarray(new)


@pytest.mark.parametrize("seed", range(8))
def test_the_update_of_bfgs_is_that_of_nocedal_and_wright(seed):
    hessian, grad, s, y, _ = pair(seed)
    rho, one = 1 / (y @ s), np.eye(len(s))
    expected = (one - rho * np.outer(s, y)) @ hessian @ (one - rho * np.outer(y, s)) + rho * np.outer(s, s)
    ones = lambda p: (jnp.ones_like(p.h), jnp.ones_like(p.h))
    np.testing.assert_allclose(learnt(ones, hessian, grad, s, y), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", ["SSBroyden", "SSBFGS"])
def test_self_scaled_updates_are_those_of_an_independent_package(name, seed, monkeypatch):
    monkeypatch.setenv("SSBROYDEN_ENABLE_X64", "0")
    theirs = pytest.importorskip("ssbroyden_optimistix")
    hessian, grad, s, y, length = pair(seed)
    rho, hy = 1 / (y @ s), hessian @ y
    h, b = y @ hy * rho, -length * rho * (s @ grad)
    a = b * h - 1
    solver = getattr(theirs, name)(rtol=1e-8, atol=1e-8)
    theta = solver._compute_thetak(jnp.asarray(a), jnp.asarray(b), jnp.asarray(h))
    tau = solver._compute_tauk(theta, a, jnp.asarray(b), h, jnp.array(False), len(s))
    expected = solver._invhessian_update_term(
        jnp.asarray(hessian), jnp.asarray(s), jnp.asarray(hy), y @ s, y @ hy, rho, theta, tau, a
    )
    ours = {
        "SSBroyden": _coefficients,
        "SSBFGS": lambda p: (jnp.ones_like(p.h), jnp.minimum(1, 1 / p.b)),
    }[name]
    np.testing.assert_allclose(learnt(ours, hessian, grad, s, y), expected, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("name", METHODS)
def test_the_minimum_is_that_of_scipy_in_fewer_evaluations(name):
    start = np.random.default_rng(0).normal(size=10)
    theirs = scipy.optimize.minimize(
        scipy.optimize.rosen, start, jac=scipy.optimize.rosen_der, method="BFGS", options={"gtol": 1e-9}
    )
    params, _, values = descend(METHODS[name](), rosenbrock, jnp.asarray(start), 150)
    np.testing.assert_allclose(params, theirs.x, atol=1e-6)
    assert np.all(np.diff(values) <= 0)
    assert values[theirs.nfev] < 1e-9 if theirs.nfev < 150 else values[-1] < 1e-20


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_a_pytree_is_what_its_flat_vector_is(name):
    loss = lambda p: rosenbrock(jnp.concatenate([p["a"].ravel(), p["b"]]))
    tree = {"a": jnp.array([[0.3, -0.2]]), "b": jnp.array([0.7])}
    params, _, _ = descend(METHODS[name](), loss, tree, 20)
    flat, _, _ = descend(METHODS[name](), rosenbrock, jnp.array([0.3, -0.2, 0.7]), 20)
    np.testing.assert_allclose(jnp.concatenate([params["a"].ravel(), params["b"]]), flat, rtol=1e-10)


@pytest.mark.parametrize(
    ("line", "slope"),
    [
        (lambda a: a**2 - 4 * a, -4.0),  # the minimum at 2
        (lambda a: (a - 1e-3) ** 2, -2e-3),  # far below the first trial
        (lambda a: (a - 500.0) ** 2, -1000.0),  # far beyond it
        (lambda a: jnp.where(a > 0.3, jnp.nan, (a - 0.2) ** 2), -0.4),  # not finite beyond 0.3
        (lambda a: -a / (a**2 + 2), -0.5),  # equation 7.1 of Moré and Thuente, β = 2
        (lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4, None),  # their 7.2
    ],
)
def test_a_search_ends_where_the_strong_wolfe_conditions_hold(line, slope):
    both = lambda a: jax.jvp(line, (a,), (jnp.ones_like(a),))
    value, first = both(jnp.float64(0.0))
    slope = first if slope is None else jnp.float64(slope)
    found, trials = _line_search.strong_wolfe(both, value, slope)
    assert found.value <= value + 1e-4 * found.length * slope
    assert abs(found.slope) <= 0.9 * abs(slope)
    assert trials <= 12


def test_a_search_that_lowers_nothing_takes_no_step():
    found, trials = _line_search.strong_wolfe(
        lambda a: (1.0 + a, jnp.ones_like(a)), jnp.float64(1.0), jnp.float64(-1.0)
    )
    assert found.length == 0 and found.value == 1.0 and trials == 25


@pytest.mark.parametrize("name", METHODS)
def test_at_the_minimum_it_stays_and_stops_searching(name):
    loss = lambda p: jnp.sum((p - 1) ** 2)
    optimizer = METHODS[name]()
    params, state, _ = descend(optimizer, loss, jnp.zeros(3), 20)
    np.testing.assert_allclose(params, 1.0, atol=1e-15)
    assert state.idle == 2 and state.trials == 0


@pytest.mark.parametrize("name", METHODS)
def test_a_loss_of_another_size_is_descended_by_the_same_steps(name):
    """By a power of two, so that nothing is rounded otherwise: a first step as long as the gradient would be lost."""
    start = jnp.array([-1.2, 1.0, 0.5])
    path = lambda size: descend(METHODS[name](), lambda p: size * rosenbrock(p), start, 20)
    params, _, values = path(1.0)
    for size in (2.0**-60, 2.0**60):
        scaled, _, seen = path(size)
        np.testing.assert_array_equal(scaled, params)
        np.testing.assert_array_equal(seen, size * values)


def test_a_loss_of_zero_that_can_be_lowered_is():
    params, _, values = descend(ssbroyden(), lambda p: jnp.sum(p**2 - p), jnp.zeros(3), 10)
    np.testing.assert_allclose(params, 0.5, atol=1e-8)
    assert values[0] == 0


def test_pairs_of_another_loss_are_left_out_or_their_gradient_is_taken_anew():
    a = jnp.diag(jnp.array([1.0, 10.0, 100.0]))
    first = lambda p: p @ a @ p
    second = lambda p: first(p - jnp.array([1.0, -1.0, 0.5])) + 3.0

    def after(retake):
        optimizer = ssbfgs(retake=retake)
        params = jnp.ones(3)
        state = optimizer.init(params)
        for i in range(8):
            loss = first if i < 4 else second
            value, grads = jax.value_and_grad(loss)(params)
            before = state
            updates, state = optimizer.update(grads, state, params, value=value, value_fn=loss)
            if i == 4:
                return params, before, state
            params = params + updates

    _, before, skipped = after(False)
    np.testing.assert_array_equal(skipped.inverse_hessian, before.inverse_hessian)
    assert skipped.dropped == 1 and skipped.pairs == before.pairs
    _, before, retaken = after(True)
    assert retaken.dropped == 0 and retaken.pairs == before.pairs + 1
    # The old gradient, taken anew, gives the true change of the quadratic's gradient: H y = s.
    y = 2 * a @ before.moved
    np.testing.assert_allclose(retaken.inverse_hessian @ y, before.moved, rtol=1e-9)


def test_what_is_learnt_survives_new_points():
    """On a quadratic whose minimum moves H is known after some steps, and one step then finds each new minimum."""
    a = jnp.diag(jnp.array([1.0, 10.0, 100.0]))
    optimizer = pj.optimizers.bfgs()
    params = jnp.ones(3)
    state = optimizer.init(params)
    for i in range(28):
        target = jnp.zeros(3) if i < 20 else jnp.array([1.0, float(i), -2.0])
        loss = lambda p, target=target: (p - target) @ a @ (p - target) + 1.0
        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(grads, state, params, value=value, value_fn=loss)
        params = params + updates
        if i > 21:
            np.testing.assert_allclose(params, target, atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("name", few(METHODS, "ssbroyden"))
def test_numbers_that_are_not_finite_leave_no_trace(name):
    optimizer = METHODS[name]()
    params, state, _ = descend(optimizer, rosenbrock, jnp.array([-1.2, 1.0]), 10)
    value, grads = jax.value_and_grad(rosenbrock)(params)
    updates, broken = optimizer.update(grads * jnp.nan, state, params, value=jnp.nan, value_fn=rosenbrock)
    assert np.all(np.asarray(updates) == 0)
    for _ in range(60):
        value, grads = jax.value_and_grad(rosenbrock)(params)
        updates, broken = optimizer.update(grads, broken, params, value=value, value_fn=rosenbrock)
        params = params + updates
    np.testing.assert_allclose(params, 1.0, atol=1e-6)


def test_too_many_parameters_are_an_error_that_names_another_method():
    with pytest.raises(ValueError, match=r"inverse Hessian of 40000 parameters takes 11\.9 GiB.*optax\.lbfgs"):
        jax.eval_shape(ssbroyden().init, jax.ShapeDtypeStruct((40_000,), jnp.float64))


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="value_fn"):
        ssbroyden().update(jnp.ones(2), ssbroyden().init(jnp.ones(2)), jnp.ones(2))
    with pytest.raises(ValueError, match="trials"):
        ssbroyden(trials=0)
