"""Fields on periodic boxes of several coordinates, evolved: exact solutions, other packages, what is refused."""

import fractions
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

import pinnjax as pj
from pinnjax import diff as D
from pinnjax.problems import gray_scott
from pinnjax.solver import _plan, _setting
from pinnjax.train import _exponential
from pinnjax.train.evolve import NotOfWaves

PI = float(np.pi)
pytestmark = pytest.mark.usefixtures("x64")


def spread(u, x, axes=(1, 2)):
    return pj.laplacian(u, axes=axes)(x)


def wave(x):
    return jnp.cos(6.0 * jnp.sqrt(5.0) * x[0]) * jnp.sin(2 * x[1]) * jnp.cos(4 * x[2])


def moving(x):  # the time comes last
    return jnp.cos(x[0] + x[1] - x[2]) + 0.3 * jnp.sin(x[1] + 2 * x[2])


def bumpy(x):
    return jnp.sin(x[0]) ** 2 * jnp.exp(jnp.sin(x[1])) * jnp.cos(x[2])


def coefficient(x):
    return 1 + 0.9 * jnp.cos(x[1]) * jnp.sin(x[2])


def phase(x):
    turned = x[1] + 2 * x[2] - 2.5 * x[0]
    return jnp.stack([jnp.cos(turned), jnp.sin(turned)])


def spaced(x):
    return jnp.exp(-0.6 * x[0]) * jnp.sin(x[1]) * jnp.cos(x[2]) * jnp.sin(x[3])


def fast(x):
    return jnp.sin(x[1] - 100 * x[0])


def burgers(u, x):
    return D(u, 2)(x) + u(x) * D(u, 0)(x) - 0.1 * spread(u, x, (0, 1)) + 0.2 * D(u, 0, 1)(x)


def varied(u, x):
    return 2 * D(u, 0)(x) - coefficient(x) * spread(u, x)


def schroedinger(u, x):
    (p_t, q_t), (p, q) = D(u, 0)(x), spread(u, x)
    return jnp.stack([p_t + 0.5 * q, q_t - 0.5 * p])


# exact solution, residual, lower, upper, axis of the time
CASES = {
    "waves, a rate at the start": (wave, lambda u, x: D(u, 0, 0)(x) - 9 * spread(u, x), [0, -1], [PI, PI / 2 - 1], 0),
    "burgers, mixed, the time last": (moving, lambda u, x: burgers(u, x) - burgers(moving, x), [0, 0], [2 * PI] * 2, 2),
    "a coefficient, at rest": (bumpy, lambda u, x: varied(u, x) - varied(bumpy, x), [0, 0], [2 * PI] * 2, 0),
    "two components": (phase, schroedinger, [0, 0], [2 * PI] * 2, 0),
    "three dimensions": (spaced, lambda u, x: D(u, 0)(x) - 0.2 * spread(u, x, (1, 2, 3)), [0] * 3, [2 * PI] * 3, 0),
    "one dimension, c = 100": (fast, lambda u, x: D(u, 0)(x) + 100 * D(u, 1)(x), [0], [2 * PI], 0),
}  # fmt: skip


QUICK = "burgers, mixed, the time last", "one dimension, c = 100"


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_exact_solutions(name):
    exact, residual, lower, upper, axis = CASES[name]

    def start(u, x):
        at = [u(x) - exact(x)]
        return jnp.stack([*at, D(u, 0)(x) - D(exact, 0)(x)]) if exact is wave else at[0]

    outputs = 2 if exact is phase else "scalar"
    options = {"lower": lower, "upper": upper, "begin": 0.0, "end": 1.0, "axis": axis, "outputs": outputs}
    found = pj.evolve({"pde": residual, "start": start}, {}, ["start"], tolerance=1e-8, **options)
    rng = np.random.default_rng(0)
    places = rng.uniform(lower, upper, (300, len(lower)))
    points = jnp.asarray(np.insert(places, axis, rng.uniform(0, 1, 300), axis=1))
    assert found.reached == 1.0
    assert pj.relative_l2(found.u, points, jax.vmap(exact)(points)) < 1e-7
    left = jax.jit(jax.vmap(lambda x: residual(found.u, x)))(points)  # and it is smooth where its polynomials meet
    assert np.sqrt(np.mean(np.square(left))) < 2e-3


@pytest.mark.slow
def test_sharp_fronts_are_given_more_waves_and_are_those_of_another_integrator():
    """Allen and Cahn's equation, u_t = Δu / 50 + 4 (u - u³), against the method of lines with DOP853."""
    start = lambda x: 0.9 * jnp.sin(x[1]) * jnp.cos(x[2])
    pde = lambda u, x: D(u, 0)(x) - 0.02 * spread(u, x) - 4 * (u(x) - u(x) ** 3)
    terms = {"pde": pde, "start": lambda u, x: u(x) - start(x)}
    options = {"lower": [0, 0], "upper": [2 * PI] * 2, "begin": 0.0, "end": 1.0}
    found = pj.evolve(terms, {}, ["start"], first=8, tolerance=1e-7, enough=1e-4, **options)
    assert found.waves > 16
    n = 128
    x = 2 * PI * np.arange(n) / n
    k = np.fft.fftfreq(n, 1 / n)
    square = k[:, None] ** 2 + k[: n // 2 + 1] ** 2

    def rate(_, y):
        u = y.reshape(n, n)
        return (0.02 * np.fft.irfft2(-square * np.fft.rfft2(u), (n, n)) + 4 * (u - u**3)).ravel()

    begin = 0.9 * np.sin(x)[:, None] * np.cos(x)
    end = scipy.integrate.solve_ivp(rate, (0, 1), begin.ravel(), method="DOP853", rtol=1e-9, atol=1e-10).y[:, -1]
    points = np.stack([np.ones(n * n), *(axis.ravel() for axis in np.meshgrid(x, x, indexing="ij"))], axis=1)
    assert pj.relative_l2(found.u, jnp.asarray(points), end) < 1e-5


@pytest.mark.slow
def test_gray_and_scotts_pattern_is_that_of_the_reference():
    u, *_ = pj.problems.in_windows(gray_scott, until=0.4, key=jax.random.key(0))
    some = gray_scott.grid[:, 0] <= 0.4
    assert pj.relative_l2(u, jnp.asarray(gray_scott.grid[some]), np.asarray(gray_scott.reference)[some]) < 1e-5


@pytest.mark.slow
def test_what_was_reached_is_kept_and_a_field_that_becomes_infinite_ends_before():
    pde = lambda u, x: D(u, 0)(x) - u(x) ** 2 - 0.01 * spread(u, x)
    terms = {"pde": pde, "start": lambda u, x: u(x) - 1.0 - 0.1 * jnp.sin(x[1])}
    found = pj.evolve(terms, {}, ["start"], lower=[0, 0], upper=[2 * PI] * 2, begin=0.0, end=2.0, most=2000)
    assert 0.8 < found.reached < 1.0  # it is infinite at about 1 / 1.1
    assert found.u(jnp.array([0.1, 0.3, 0.4])) > 1.0


@pytest.mark.parametrize("m", [1, 2, 3])
def test_phi_is_that_of_an_exponential_with_a_column_more(m):
    """e^[[A, 1], [0, 0]] = [[e^A, φ₁(A)], [0, 1]], by scipy."""
    rng = np.random.default_rng(m)
    a = rng.normal(size=(9, m, m)) * np.geomspace(1e-9, 30, 9)[:, None, None] + 1j * rng.normal(size=(9, m, m))
    a -= np.eye(m) * np.geomspace(1e-3, 500, 9)[:, None, None]
    whole = np.zeros((9, 2 * m, 2 * m), complex)
    whole[:, :m, :m], whole[:, :m, m:] = a, np.eye(m)
    expected = np.stack([scipy.linalg.expm(one)[:m, m:] for one in whole])
    np.testing.assert_allclose(_exponential.phi(jnp.asarray(a)), expected, rtol=1e-11, atol=1e-13)


def test_splines_meet_the_values_with_six_derivatives_that_are_continuous():
    x = np.linspace(0, 2, 24, endpoint=False)
    values = np.exp(np.sin(PI * x))[None, :, None] * np.array([1.0, 2.0])[:, None, None]
    u = pj.nn.Splined([0.0], [2.0], "scalar", 1, np.array([0.0, 1.0]), values, 0 * values, 0 * values)
    at = lambda place: u(jnp.array([place, 0.0]))
    np.testing.assert_allclose([at(one) for one in x], values[0, :, 0], rtol=1e-12)
    np.testing.assert_allclose(at(x[3] + 2.0), at(x[3]), rtol=1e-12)
    np.testing.assert_allclose(jax.grad(at)(0.25), PI * np.cos(PI / 4) * np.exp(np.sin(PI / 4)), rtol=1e-6)
    for order in range(7):  # a place is behind one grid point, or at the next one
        derivative = functools.reduce(lambda f, _: jax.jacfwd(f), range(order), pj.nn.splined.b_splines)
        behind, at_next = (np.asarray(jax.jit(derivative)(jnp.array(s))) for s in (1.0, 0.0))
        np.testing.assert_allclose(behind[1:], at_next[:-1], atol=1e-9, err_msg=str(order))
        np.testing.assert_allclose([behind[0], at_next[-1]], 0.0, atol=1e-9)


def test_splines_are_those_of_exact_fractions():
    """B₇ at half an integer, by its sum of truncated powers in exact arithmetic (Schoenberg 1946)."""
    choose = lambda k: fractions.Fraction(np.prod(range(9 - k, 9), dtype=int), np.prod(range(1, k + 1), dtype=int))
    factorial = fractions.Fraction(np.prod(range(1, 8), dtype=int))

    def spline(x):
        return (
            sum(((-1) ** k * choose(k) * max(x - k, fractions.Fraction(0)) ** 7 for k in range(9)), start=0) / factorial
        )

    expected = [float(spline(fractions.Fraction(2 * (7 - j) + 1, 2))) for j in range(8)]
    np.testing.assert_allclose(pj.nn.splined.b_splines(jnp.array(0.5)), expected, rtol=1e-13)


HEAT = {"pde": lambda u, x: D(u, 0)(x) - spread(u, x), "start": lambda u, x: u(x) - jnp.sin(x[1])}
BOX = {"lower": [0.0, 0.0], "upper": [2 * PI, 2 * PI], "begin": 0.0, "end": 1.0}


@pytest.mark.parametrize(
    ("terms", "conditions", "message"),
    [
        ({"pde": lambda u, x: spread(u, x)}, {}, "no equation has a derivative along the time"),
        ({"pde": lambda u, x: D(u, 0)(x) - D(u, 0, 1, 1)(x)}, {}, "together with one in space"),
        ({"pde": lambda u, x: D(u, 0)(x) - u(x.at[1].add(0.1))}, {}, "elsewhere than at its place"),
        ({"pde": lambda u, x: D(u, 0)(x) + 0.1 * D(u, 0)(x) ** 3 - spread(u, x)}, {}, "not linear in its highest"),
        ({"start": lambda u, x: D(u, 1)(x)}, {}, "has a derivative in space"),
        ({"start": lambda u, x: 0.0 * u(x) + x[1]}, {}, "leave a part of the field open"),
        ({"start": lambda u, x: jnp.stack([u(x), u(x) - 1.0])}, {}, "contradict each other"),
        ({"pde": lambda u, x: D(u, 0)(x) * jnp.where(x[1] < 3, 1.0, 0.0) - spread(u, x)}, {}, "derivative open"),
        ({"walls": lambda u, x: u(x)}, {"walls": [[0.0, 1.0]]}, "not every periodic field satisfies 'walls'"),
    ],
)
def test_what_is_not_of_this_kind_is_said(terms, conditions, message):
    with pytest.raises(NotOfWaves, match=message):
        pj.evolve(HEAT | terms, conditions, ["start"], **BOX)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"upper": [1.0]}, "expected intervals"),
        ({"upper": [1.0, -1.0]}, "expected intervals"),
        ({"upper": 1.0}, "expected as many numbers in both"),
        ({"end": -1.0}, "expected intervals"),
        ({"axis": 3}, "axis is 3 of 3 coordinates"),
        ({"tolerance": 0.0}, "tolerance"),
    ],
)
def test_what_is_wrong_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        pj.evolve(HEAT, {}, ["start"], **BOX | changes)


def periodic(axis, period):
    def condition(u, x):
        there = x.at[axis].add(period)
        return jnp.stack([u(there) - u(x), D(u, axis)(there) - D(u, axis)(x)])

    return condition


def _posed(*conditions):
    box = pj.sampling.Box((0.0, -1.0, 0.0), (1.5, 1.0, PI))
    face = lambda i, value: lambda key, n: box.inside(key, n).at[:, i].set(value)
    terms = HEAT | {name: term for name, term, _ in conditions}
    points = {"pde": box.inside, "start": face(0, 0.0)} | {name: face(*where) for name, _, where in conditions}
    return _setting.setting(_plan.planned(terms, points, None, "scalar", {}, jax.random.key(0)))


ALONG = [("x/period", periodic(1, 2.0), (1, -1.0)), ("y/period", periodic(2, PI), (2, 0.0))]


def test_solve_finds_the_periods_although_random_points_end_before_them():
    found = _posed(*ALONG)
    assert (found.lower, found.upper, found.begin, found.end) == ((-1.0, 0.0), (1.0, pytest.approx(PI)), 0.0, 1.5)
    assert (found.initial, list(found.conditions), found.axis) == (["start"], ["x/period", "y/period"], 0)


def test_time_may_come_after_coordinates_whose_conditions_have_their_points_at_the_beginning():
    """A periodic condition holds at one end, as a start does; but it sees the field at the other one."""
    box = pj.sampling.Box((0.0, -1.0, 0.0), (2.0, 1.5, 1.3))
    face = lambda i, value: lambda key, n: box.inside(key, n).at[:, i].set(value)
    terms = {
        "a/pde": lambda u, x: D(u, 2)(x) - spread(u, x, (0, 1)),
        "a/b": lambda u, x: u(x) - jnp.sin(PI * x[0]),
        "x": periodic(0, 2.0),
        "y": periodic(1, 2.5),
    }
    points = {"a/pde": box.inside, "a/b": face(2, 0.0), "x": face(0, 0.0), "y": face(1, -1.0)}
    found = _setting.setting(_plan.planned(terms, points, None, "scalar", {}, jax.random.key(0)))
    assert (found.axis, found.initial, found.lower, found.upper) == (2, ["a/b"], (0.0, -1.0), (2.0, 1.5))


def test_solve_does_not_take_a_field_for_periodic_where_nothing_says_so():
    assert _posed(ALONG[0]) is None
    assert _posed(*ALONG, ("wall", lambda u, x: u(x), (1, 1.0))) is None
    assert _posed(ALONG[0], ("wall", lambda u, x: u(x), (2, 0.0))) is None


@pytest.mark.slow
def test_solve_in_one_call_says_what_it_is_worth_and_its_recipe_makes_it():
    """A pattern of no problem of the library, u_t = 0.05 Δu + 3u - 3u³ + sin t, and its recipe, run on its own."""
    box = pj.sampling.Box((0.0, -1.0, 0.0), (1.0, 1.0, PI))
    start = lambda x: 0.5 * jnp.sin(PI * x[1]) * jnp.cos(2 * x[2]) + 0.1 * jnp.cos(PI * x[1])
    pde = lambda u, x: D(u, 0)(x) - 0.05 * spread(u, x) - 3 * (u(x) - u(x) ** 3) - jnp.sin(x[0])
    terms = {"pde": pde, "start": lambda u, x: u(x) - start(x)} | {name: term for name, term, _ in ALONG}
    face = lambda i, value: lambda key, n: box.inside(key, n).at[:, i].set(value)
    points = {"pde": box.inside, "start": face(0, 0.0)} | {name: face(*where) for name, _, where in ALONG}
    solution = pj.solve(terms, points, seconds=100, progress=False)
    options = {"lower": [-1.0, 0.0], "upper": [1.0, PI], "begin": 0.0, "end": 1.0}
    conditions = {name: [[0.1, 0.2]] for name, *_ in ALONG}
    truth = pj.evolve(terms, conditions, ["start"], tolerance=1e-10, enough=1e-8, **options).u
    places = box.inside(jax.random.key(5), 500)
    error = float(pj.relative_l2(solution.u, places, jax.vmap(truth)(places)))
    assert error < 1e-5
    assert error / 5 < solution.accuracy.value < 30 * max(error, 1e-8)
    names = {"pj": pj, "jax": jax, "jnp": jnp, "terms": terms, "points": points}
    exec(solution.recipe, names)
    np.testing.assert_array_equal(jax.vmap(names["u"])(places), jax.vmap(solution.u)(places))
