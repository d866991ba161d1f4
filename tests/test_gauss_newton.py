"""Gauss-Newton steps: by hand, by scipy, one solver against the other, and what happens where J is singular."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

import pinnjax as pj
from pinnjax.optimizers import _linear, _radius, gauss_newton
from pinnjax.optimizers._least_squares import LeastSquares

pytestmark = pytest.mark.usefixtures("x64")


def problem(residual, flat):
    return LeastSquares(flat, lambda x: x, residual, jax.jacrev(residual))


def exponentials(p):
    t = jnp.linspace(0, 2, 15)
    return p[0] * jnp.exp(-p[1] * t) + p[2] * jnp.exp(-p[3] * t) - (2 * jnp.exp(-t) + jnp.exp(-5 * t))


def minimized(optimizer, residual, params, steps):
    loss = lambda p: jnp.sum(residual(p) ** 2)
    state, values = optimizer.init(params), []
    update = jax.jit(
        lambda g, s, p, v: optimizer.update(g, s, p, value=v, value_fn=loss, residual_fn=residual), static_argnums=()
    )
    for _ in range(steps):
        value, grads = jax.value_and_grad(loss)(params)
        updates, state = update(grads, state, params, value)
        params = optax.apply_updates(params, updates)
        values.append(float(value))
    return params, state, values


def test_a_step_is_the_one_by_hand():
    """r = (a - 1, 10 b), so J = diag(1, 10) and the damped step is -(JᵀJ + μI)⁻¹Jᵀr."""
    residual = lambda p: jnp.array([1.0, 10.0]) * p - jnp.array([1.0, 0.0])
    model = _linear.model("test", problem(residual, jnp.array([3.0, 1.0])), "primal", None, jax.random.key(0))
    step, predicted = model.step(jnp.float64(0.5))
    np.testing.assert_allclose(step, [-2 / 1.5, -100 / 100.5], rtol=1e-12)
    after = (2 - 2 / 1.5) ** 2 + (10 - 1000 / 100.5) ** 2
    np.testing.assert_allclose([model.scale, predicted], [(1 + 100) / 2, 104 - after], rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "p"), [(7, 4), (4, 7), (5, 5)])
@pytest.mark.parametrize("damping", [1e-6, 1e-2, 10.0])
def test_primal_dual_and_conjugate_gradients_agree(n, p, damping):
    random = np.random.default_rng(0)
    matrix, offset = jnp.asarray(random.normal(size=(n, p))), jnp.asarray(random.normal(size=n))
    residual = lambda x: matrix @ x + jnp.sin(x[0]) * offset
    found = {
        solver: _linear.model("test", problem(residual, jnp.ones(p)), solver, None, jax.random.key(0)).step(damping)
        for solver in ("primal", "dual", "qr", "cg")
    }
    for solver in ("dual", "qr", "cg"):
        np.testing.assert_allclose(found[solver][0], found["primal"][0], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(found[solver][1], found["primal"][1], rtol=1e-8)
    stacked = np.vstack([matrix + np.outer(np.cos(1.0) * offset, np.eye(p)[0]), np.sqrt(damping) * np.eye(p)])
    right = np.concatenate([residual(jnp.ones(p)), np.zeros(p)])
    np.testing.assert_allclose(found["primal"][0], -np.linalg.lstsq(stacked, right)[0], rtol=1e-6, atol=1e-9)


def test_a_sketch_as_large_as_the_problem_is_the_problem():
    random = np.random.default_rng(1)
    matrix = jnp.asarray(random.normal(size=(8, 5)))
    one = problem(lambda x: matrix @ x - 1.0, jnp.zeros(5))
    exact = _linear.model("test", one, "primal", None, jax.random.key(0)).step(0.1)
    sketched = _linear.model("test", one, "auto", 5, jax.random.key(0)).step(0.1)
    np.testing.assert_allclose(sketched[0], exact[0], rtol=1e-10)


@pytest.mark.slow
def test_steps_of_a_sketch_go_downhill_and_reach_the_minimum():
    random = np.random.default_rng(2)
    matrix = jnp.asarray(random.normal(size=(200, 40)))
    truth = jnp.asarray(random.normal(size=40))
    residual = lambda x: jnp.tanh(matrix @ x) - jnp.tanh(matrix @ truth)
    _, _, values = minimized(gauss_newton(sketch=30), residual, truth + 0.05, 100)
    assert np.all(np.diff(values) <= 0) and values[-1] < 1e-3 * values[0]


@pytest.mark.parametrize("solver", ["primal", "dual", "qr", "cg"])
def test_the_minimum_is_that_of_scipy(solver):
    start = jnp.array([1.0, 0.5, 1.0, 3.0])
    theirs = scipy.optimize.least_squares(lambda p: np.asarray(exponentials(jnp.asarray(p))), start, method="lm")
    params, _, values = minimized(gauss_newton(solver=solver), exponentials, start, 60)
    assert values[-1] < 1e-20 and theirs.cost < 1e-20
    np.testing.assert_allclose(params, theirs.x, rtol=1e-6)


def test_the_largest_region_that_passes_is_taken_not_the_one_of_the_least_loss():
    """Trials pass from damping 1e-2 on; the loss is least at 1, and 1e-2 is taken to within the factor."""

    def trial(ratio):
        value = jnp.abs(jnp.log10(ratio))
        return _radius.Trial(ratio, jnp.ones(2), value, jnp.where(ratio >= 1e-2, 0.5, 0.0))

    for start in (1e-6, 1e-2, 1.0, 1e4):
        found, _ = _radius.largest(trial, jnp.float64(start), 0.075, 30, jnp.array(True), jnp.ones(2), least=1e-14)
        assert 1e-2 <= found.ratio < 4e-2


def test_where_no_region_passes_nothing_moves():
    trial = lambda ratio: _radius.Trial(ratio, jnp.ones(2), jnp.float64(1.0), jnp.float64(-1.0))
    found, trials = _radius.largest(trial, jnp.float64(1.0), 0.075, 5, jnp.array(True), jnp.ones(2), least=1e-14)
    assert trials == 5 and not found.step.any() and jnp.isinf(found.value)


def test_a_singular_jacobian_is_damped():
    residual = lambda p: jnp.stack([p[0] + p[1] - 2.0, 2 * (p[0] + p[1]) - 4.0, 0.0 * p[0]])
    params, _, values = minimized(gauss_newton(), residual, jnp.array([5.0, 1.0, 7.0]), 10)
    assert values[-1] < 1e-24
    np.testing.assert_allclose(params, [3.0, -1.0, 7.0], atol=0.1)  # nearly the shortest way there


def test_at_a_solution_it_stays():
    params, state, _ = minimized(gauss_newton(), lambda p: p - 1.0, jnp.ones(3), 3)
    np.testing.assert_array_equal(params, jnp.ones(3))
    assert state.idle and state.trials == 0


def test_residuals_that_are_not_finite_beyond_a_point_are_survived():
    residual = lambda p: jnp.log(p) * jnp.array([1.0, 3.0])  # NaN for p <= 0, where the first step leads
    params, _, values = minimized(gauss_newton(damping=1e-8), residual, jnp.array([5.0, 0.01]), 20)
    assert np.all(np.isfinite(values))
    np.testing.assert_allclose(params, 1.0, atol=1e-8)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="solver is 'svd'; expected one of auto, primal, dual, qr, cg"):
        gauss_newton(solver="svd")
    with pytest.raises(ValueError, match="sketch"):
        gauss_newton(sketch=0)
    with pytest.raises(ValueError, match="residual_fn is missing"):
        gauss_newton().update(jnp.ones(2), gauss_newton().init(jnp.ones(2)), jnp.ones(2))
    huge = problem(lambda x: jnp.zeros(20_000) * x[0], jnp.zeros(20_000))
    with pytest.raises(ValueError, match=r'more than 2 GiB; expected fewer points, solver="cg"'):
        _linear.model("gauss_newton", huge, "primal", None, jax.random.key(0))


@pytest.mark.slow
def test_the_train_step_offers_the_jacobian_of_its_weighted_residuals():
    seen = {}

    def update(grads, state, params=None, *, value, residual_fn, jacobian_fn, **extra):
        seen["j"], seen["r"] = jacobian_fn(params), residual_fn(params)
        seen["jacrev"], seen["value"], seen["grad"] = jax.jacrev(residual_fn)(params), value, grads
        return jax.tree.map(jnp.zeros_like, grads), state

    terms = {
        "pde": lambda u, x: {"a": pj.diff(u, 0, 0)(x) - 1.0, "b": jnp.stack([u(x), x[0] * u(x)])},
        "mean": pj.batchwise(lambda u, x: jnp.mean(jax.vmap(u)(x))),
    }
    model = (lambda p, x: p[0] * jnp.sin(p[1] * x[0]) + p[2], jnp.array([1.0, 2.0, 0.5]))
    batch = {"pde": jnp.linspace(0, 1, 5)[:, None], "mean": jnp.linspace(0, 1, 3)[:, None]}
    train = pj.train_step(
        terms,
        optax.GradientTransformationExtraArgs(lambda p: (), update),
        term_weights=pj.term_weights.fixed({"mean": 7.0}),
        point_weights=pj.point_weights.by_position({"pde": lambda x: 1 + x[0]}),
    )
    with jax.disable_jit():
        train.update(train.init(model, batch), batch)
    np.testing.assert_allclose(seen["j"], seen["jacrev"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(2 * seen["j"].T @ seen["r"], seen["grad"], rtol=1e-10)
    np.testing.assert_allclose(seen["r"] @ seen["r"], seen["value"], rtol=1e-12)


def test_an_orthogonal_factorisation_keeps_the_digits_that_normal_equations_lose():
    """A matrix of condition 1e12 and a right-hand side within its range: scipy's answer, in one step."""
    random = np.random.default_rng(3)
    u, v = (np.linalg.qr(random.normal(size=(n, 8)))[0] for n in (30, 8))
    matrix, truth = jnp.asarray(u * np.logspace(0, -12, 8) @ v.T), random.normal(size=8)
    residual = lambda x: matrix @ x - matrix @ truth
    left = {}
    for solver in ("qr", "primal"):
        params, _, values = minimized(gauss_newton(solver=solver), residual, jnp.zeros(8), 2)
        left[solver] = float(jnp.sum(residual(params) ** 2))
    theirs = np.linalg.lstsq(np.asarray(matrix), np.asarray(matrix @ truth), rcond=None)[0]
    assert left["qr"] < 1e-27 and left["primal"] > 1e-24
    assert left["qr"] < 100 * max(float(jnp.sum(residual(theirs) ** 2)), 1e-32)


def test_an_orthogonal_factorisation_adds_nothing_that_no_residual_asks_for(x64):
    """The second parameter changes residuals by 1e-10 of itself: it matters only where nothing else is left."""

    def ends(left):
        terms = {"data": lambda u, x: jnp.stack([u(x)[0] - 1.0, 1e-10 * u(x)[1] - 1e-6, jnp.asarray(left)])}
        train = pj.train_step(terms, pj.optimizers.gauss_newton(solver="qr"))
        state = train.init((lambda p, x: p, jnp.zeros(2)), {"data": jnp.zeros((1, 1))})
        return pj.fit(train, state, {"data": jnp.zeros((1, 1))}, steps=2, progress=False)[0].params

    np.testing.assert_allclose(ends(0.0), [1.0, 1e4], rtol=1e-6)
    first, second = ends(1.0)
    np.testing.assert_allclose(first, 1.0, rtol=1e-3)
    assert abs(second) < 1.0
