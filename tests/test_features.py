"""Random features: the formula, what least squares make of them, and how `solve` chooses which."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnjax as pj
from pinnjax.solver import _features, _pilot, _plan

KEY = jax.random.key(0)


def features(d=1, width=40, **options):
    options = {"scale": 4.0, "rngs": pj.nn.Rngs(0), **options}
    return pj.nn.RandomFeatures([0.0] * d, [2.0] * d, options.pop("outputs", "scalar"), width=width, **options)


def waves(k):
    """u'' + k² u = 0, u(0) = 0, u'(0) = k: sin(k t)."""
    terms = {
        "ode": lambda u, t: pj.diff(u, 0, 0)(t) + k**2 * u(t),
        "start": lambda u, t: {"value": u(t), "slope": pj.diff(u, 0)(t) - k},
    }
    return terms, {"ode": jnp.linspace(0, 2, 300)[:, None], "start": jnp.zeros((1, 1))}


def test_the_field_is_the_formula():
    u = features(d=2, width=3, outputs=2, activation=jnp.sin, scale=[1.0, 5.0])
    assert not u(jnp.array([0.3, 1.0])).any()  # it begins at zero
    c, b = jnp.arange(6.0).reshape(3, 2), jnp.array([0.5, -1.0])
    u.out.kernel[...], u.out.bias[...] = c, b
    z = jnp.array([0.3, 1.0]) - 1.0  # the box [0, 2] as [-1, 1]
    by_hand = sum(c[j] * np.sin(float(u.weights[j] @ (z - u.centres[j]))) for j in range(3)) + b
    np.testing.assert_allclose(u(jnp.array([0.3, 1.0])), by_hand, rtol=1e-5)
    many = features(d=2, width=4000, scale=[1.0, 5.0])
    np.testing.assert_allclose(jnp.abs(many.weights[...]).max(axis=0), [1.0, 5.0], rtol=5e-3)
    assert float(jnp.abs(many.centres[...]).max()) <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0.0}, "scale is 0.0; expected a positive number, or one for each of 1 coordinates"),
        ({"scale": [1.0, 2.0]}, "expected a positive number, or one for each of 1 coordinates"),
        ({"width": 0}, "width is 0"),
        ({"outputs": "vector"}, "out_features"),
        ({"activation": 3}, "activation is 3; expected a function"),
        ({"rngs": 0}, "rngs is 0"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        features(**options)


def test_corners_span_a_box():
    with pytest.raises(ValueError, match="expected two corners"):
        pj.nn.RandomFeatures([0.0, 1.0], [1.0, 1.0], "scalar", width=3, scale=1.0, rngs=pj.nn.Rngs(0))


def test_one_step_of_least_squares_solves_a_linear_equation(x64):
    terms, points = waves(6.0)
    train = pj.train_step(terms, pj.optimizers.gauss_newton(solver="qr"))
    state = train.init(features(width=80, activation=jnp.sin, scale=12.0), points)
    state, _ = train.update(state, points)
    t = jnp.linspace(0, 2, 101)[:, None]
    np.testing.assert_allclose(jax.vmap(train.model(state))(t), np.sin(6 * t[:, 0]), atol=1e-9)


def plan(terms, points, outputs="scalar", **coefficients):
    return _plan.planned(terms, points, None, outputs, coefficients, KEY)


@pytest.mark.slow
@pytest.mark.parametrize("k", [3.0, 120.0])
def test_features_are_as_steep_as_the_solution(k, x64):
    """Of sin(kt) on [0, 2], which is sin(kz + k)."""
    kind, left, *_ = _features.chosen(plan(*waves(k)), 200, KEY)
    assert left < 1e-5
    assert kind.activation == "sin" or k < 10
    assert kind.slopes[0] > 0.9 * k or k < 10


@pytest.mark.exhaustive
def test_kinds_of_which_none_does_are_none(x64):
    """A step inside, for which 60 points stay: nothing is small at others."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.uniform(size=(300, 2)))
    noise = jnp.asarray(rng.normal(size=300))
    terms = {"pde": lambda u, xy: pj.laplacian(u)(xy[0]) - xy[1], "bc": lambda u, x: u(x)}
    points = {"pde": (x, noise), "bc": jnp.zeros((1, 2))}
    assert _features.with_features(plan(terms, points), KEY) is None


@pytest.mark.slow
def test_points_that_stay_limit_the_parameters(x64):
    terms, points = waves(3.0)
    points["ode"] = jnp.asarray(np.random.default_rng(0).normal(size=(100, 1)))  # no box
    staying = plan(terms, points)
    assert staying.sources["ode"].generate is None
    assert _features.parameters(staying, {"ode": 1, "start": 2}) == 80 // 3
    assert _features.with_features(staying, KEY) is None  # too few


@pytest.mark.exhaustive
def test_a_field_of_several_components_with_a_coefficient_has_features_of_its_own(x64):
    """u' = -a v, v' = a u on data: the columns of the outer layer and of the coefficient are told apart."""
    t = jnp.linspace(0, 3, 200)[:, None]
    terms = {
        "ode": lambda u, t: jnp.stack([pj.diff(u, 0)(t)[0] + u.a * u(t)[1], pj.diff(u, 0)(t)[1] - u.a * u(t)[0]]),
        "start": lambda u, t: u(t) - jnp.array([1.0, 0.0]),
    }
    found = _features.with_features(plan(terms, {"ode": t, "start": t[:1]}, 2, a=2.0), KEY)
    assert found is not None and found.features
    model = found.made.network(KEY)
    assert model.network.network.out.kernel.shape == (_features.PARAMETERS // 2, 2)
    assert found.numbers["ode"] == round(_features.OVER * _features.PARAMETERS / 2)


@pytest.mark.slow
def test_a_wave_of_an_equation_that_nobody_tuned_is_found_to_many_digits():
    """u_xx + 3 u_yy + 50 u = f on [0, 3] x [-1, 1] in units of 1e-3: an error below 1e-8, and believed to be so."""
    exact = lambda x: 1e-3 * jnp.sin(7 * x[0] + 1) * jnp.cos(5 * x[1] - x[0])
    operator = lambda u: lambda x: pj.diff(u, 0, 0)(x) + 3 * pj.diff(u, 1, 1)(x) + 50 * u(x)
    terms = {"pde": lambda u, x: operator(u)(x) - operator(exact)(x), "sides": lambda u, x: u(x) - exact(x)}
    low, high = [0.0, -1.0], [3.0, 1.0]
    points = {
        "pde": lambda key, n: pj.sampling.box(key, low, high, n),
        "sides": lambda key, n: pj.sampling.box_faces(key, low, high, n // 4),
    }
    solution = pj.solve(terms, points, steps=100, progress=False, reference=exact)
    assert solution.relative_l2 < 1e-8
    assert 0.1 < solution.accuracy.value / solution.relative_l2 < 10
    assert "RandomFeatures" in solution.recipe and 'gauss_newton(solver="qr")' in solution.recipe


@pytest.mark.slow
def test_waves_of_a_linear_equation_may_be_many_along_one_coordinate_alone(x64):
    """u_t + 60 u_x = 0 from sin x: 19 times as many along t as along x, more than equally steep features can tell."""
    terms = {
        "pde": lambda u, x: pj.diff(u, 0)(x) + 60 * pj.diff(u, 1)(x),
        "ic": lambda u, x: u(x) - jnp.sin(x[1]),
        "ends": lambda u, x: u(x) - u(x.at[1].add(2 * np.pi)),
    }
    box = lambda low, high: lambda key, n: pj.sampling.box(key, low, high, n)
    whole = 2 * np.pi
    points = {"pde": box([0, 0], [1, whole]), "ic": box([0, 0], [0, whole]), "ends": box([0, 0], [1, 0])}
    found = _features.chosen(plan(terms, points), _features.PARAMETERS, KEY)
    assert found.left < 1e-4
    assert found.kind.slopes[0] > 30 > 10 > found.kind.slopes[1]  # z = 2 t - 1 goes over half of t


@pytest.mark.slow
def test_whether_equations_are_linear_is_seen_from_their_residuals(x64):
    terms, points = waves(3.0)
    bent = terms | {"ode": lambda u, t: pj.diff(u, 0, 0)(t) + jnp.sin(u(t))}
    kind = _pilot.Kind("sin", (3.0,))
    assert [_pilot.Pilot(plan(some, points), 40, 0.2, KEY).linear(kind) for some in (terms, bent)] == [True, False]
