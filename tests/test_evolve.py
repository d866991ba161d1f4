"""Evolving in time: exact solutions, where more waves are wanted, what cannot be done so, and `solve` with it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

import pinnjax as pj
from pinnjax.nn import evolved
from pinnjax.solver import _plan, _setting
from pinnjax.train import _waves
from pinnjax.train.evolve import NotOfWaves

from .marks import few

pytestmark = pytest.mark.usefixtures("x64")
D = pj.diff


def error(u, exact, low, high):
    """Relative, at random points."""
    x = jax.random.uniform(jax.random.key(1), (300, 2), minval=jnp.array(low), maxval=jnp.array(high))
    found, expected = (np.asarray(jax.jit(jax.vmap(f))(x)) for f in (u, exact))
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def soliton(x):
    """Of u_t + 6 u u_x + u_xxx = 0, at the speed of 4."""
    return 2.0 / jnp.cosh(x[1] - 4.0 * x[0] + 4.0) ** 2


def kink(x):
    """Of the sine-Gordon equation."""
    return 4 * jnp.arctan(jnp.exp((x[1] - 0.5 * x[0]) / jnp.sqrt(0.75)))


def pair(x):
    """Of two fields that push each other."""
    return jnp.stack([jnp.sin(3 * x[1]) * jnp.cos(3 * x[0]), jnp.cos(3 * x[1]) * jnp.sin(3 * x[0])])


def both(u, x):
    e, h = pj.component(u, 0), pj.component(u, 1)
    return {"e": D(e, 0)(x) - D(h, 1)(x), "h": D(h, 0)(x) - D(e, 1)(x)}


# terms, conditions, initial, box, times, outputs, exact, error that is allowed
PROBLEMS = {
    "third order, with all conditions": (
        {
            "pde": lambda u, x: D(u, 0)(x) + 6 * u(x) * D(u, 1)(x) + D(u, 1, 1, 1)(x),
            "start": lambda u, x: u(x) - soliton(x),
            "ends": lambda u, x: u(x) - soliton(x),
            "slope": lambda u, x: D(u, 1)(x) - D(soliton, 1)(x),
        },
        {"ends": [-10.0, 10.0], "slope": [10.0]},
        ["start"],
        (-10.0, 10.0),
        (0.0, 2.0),
        "scalar",
        soliton,
        1e-5,
    ),
    "second order in time": (
        {
            "pde": lambda u, x: D(u, 0, 0)(x) - D(u, 1, 1)(x) + jnp.sin(u(x)),
            "start": lambda u, x: jnp.stack([u(x) - kink(x), D(u, 0)(x) - D(kink, 0)(x)]),
            "ends": lambda u, x: u(x) - kink(x),
        },
        {"ends": [-6.0, 8.0]},
        ["start"],
        (-6.0, 8.0),
        (0.0, 4.0),
        "scalar",
        kink,
        1e-5,
    ),
    "two fields, a condition on one": (
        {"pde": both, "start": lambda u, x: u(x) - pair(x), "wall": lambda u, x: u(x)[0]},
        {"wall": [0.0, float(jnp.pi)]},
        ["start"],
        (0.0, float(jnp.pi)),
        (0.0, 2.0),
        2,
        pair,
        1e-5,
    ),
    "a factor that depends on the place, in other units": (
        {
            "pde": lambda u, x: 1e6 * (2 + x[1]) * (D(u, 0)(x) + jnp.exp(-x[0]) * x[1] ** 2),
            "start": lambda u, x: u(x) - x[1] ** 2,
            "end": lambda u, x: 1e-6 * u(x),
        },
        {"end": [0.0]},
        ["start"],
        (0.0, 1.0),
        (0.0, 1.0),
        "scalar",
        lambda x: jnp.exp(-x[0]) * x[1] ** 2,
        1e-5,
    ),
    "two fields, one without a derivative in time": (
        {
            "pde": lambda w, x: jnp.stack(
                [D(pj.component(w, 0), 0)(x) - w(x)[1], w(x)[1] - D(pj.component(w, 0), 1, 1)(x)]
            ),
            "start": lambda w, x: w(x)[0] - jnp.sin(x[1]),
            "ends": lambda w, x: w(x)[0],
        },
        {"ends": [0.0, float(jnp.pi)]},
        ["start"],
        (0.0, float(jnp.pi)),
        (0.0, 1.0),
        2,
        lambda x: jnp.exp(-x[0]) * jnp.sin(x[1]) * jnp.array([1.0, -1.0]),
        1e-3,  # of the second, which only residuals of 1e-4 hold
    ),
    "periodic": (
        {
            "pde": lambda u, x: D(u, 0)(x) + 50 * D(u, 1)(x),
            "start": lambda u, x: u(x) - jnp.sin(x[1]),
            "round": lambda u, x: u(x) - u(x.at[1].add(2 * jnp.pi)),
        },
        {"round": [0.0]},
        ["start"],
        (0.0, float(2 * jnp.pi)),
        (0.0, 1.0),
        "scalar",
        lambda x: jnp.sin(x[1] - 50 * x[0]),
        1e-5,
    ),
}


@pytest.mark.parametrize("name", few(PROBLEMS, "two fields, a condition on one", "periodic"))
def test_exact_solutions(name):
    terms, conditions, initial, box, (begin, end), outputs, exact, allowed = PROBLEMS[name]
    found = pj.evolve(
        terms,
        conditions,
        initial,
        lower=box[0],
        upper=box[1],
        begin=begin,
        end=end,
        outputs=outputs,
        tolerance=1e-7,
        enough=1e-4,
    )
    assert found.reached == end and isinstance(found.u, pj.nn.Evolved)
    assert error(found.u, exact, [begin, box[0]], [end, box[1]]) < allowed


HEAT = {
    "pde": lambda u, x: D(u, 0)(x) - D(u, 1, 1)(x),
    "start": lambda u, x: u(x) - jnp.sin(jnp.pi * x[1]),
    "ends": lambda u, x: u(x),
}
WHERE = {"lower": 0.0, "upper": 1.0, "begin": 0.0, "end": 0.5}


@pytest.mark.slow
def test_the_time_may_be_either_coordinate():
    turned = {name: lambda u, x, f=f: f(lambda y: u(y[::-1]), x[::-1]) for name, f in HEAT.items()}
    first, second = (
        pj.evolve(terms, {"ends": [0.0, 1.0]}, ["start"], **WHERE, axis=axis)
        for terms, axis in ((HEAT, 0), (turned, 1))
    )
    x = jnp.array([0.3, 0.4])
    exact = jnp.exp(-0.3 * jnp.pi**2) * jnp.sin(0.4 * jnp.pi)
    np.testing.assert_allclose([first.u(x), second.u(x[::-1])], exact, rtol=1e-6)


@pytest.mark.slow
def test_a_front_that_steepens_is_given_more_waves():
    """Burgers' equation, by the exact solution of Cole and Hopf: a travelling front of width 0.02."""
    nu = 0.02
    exact = lambda x: 1 - jnp.tanh((x[1] - x[0]) / (2 * nu))
    terms = {
        "pde": lambda u, x: D(u, 0)(x) + u(x) * D(u, 1)(x) - nu * D(u, 1, 1)(x),
        "start": lambda u, x: u(x) - exact(x),
        "ends": lambda u, x: u(x) - exact(x),
    }
    where = {"lower": -1.0, "upper": 2.0, "begin": 0.0, "end": 1.0, "tolerance": 1e-7}
    runs = [pj.evolve(terms, {"ends": [-1.0, 2.0]}, ["start"], **where, enough=enough) for enough in (1e-2, 1e-5)]
    assert runs[0].waves < runs[1].waves and runs[0].left <= 1e-2 and runs[1].left <= 1e-5
    assert error(runs[1].u, exact, [0.0, -1.0], [1.0, 2.0]) < 1e-6


def test_what_was_reached_is_kept_when_time_is_over():
    fast = HEAT | {"pde": lambda u, x: D(u, 0)(x) + 500 * D(u, 1)(x)}
    found = pj.evolve(fast, {"ends": [0.0]}, ["start"], **WHERE, tolerance=1e-12, seconds=0.5)
    assert found.u is None or 0.0 < found.reached < 0.5


@pytest.mark.slow
def test_a_field_that_becomes_infinite_ends_before():
    """u_t = u² from 1 is 1 / (1 - t)."""
    terms = HEAT | {"pde": lambda u, x: D(u, 0)(x) - u(x) ** 2, "start": lambda u, x: u(x) - 1.0}
    del terms["ends"]
    found = pj.evolve(terms, {}, ["start"], **WHERE | {"end": 2.0}, tolerance=1e-6, enough=1e-3, seconds=60.0)
    assert 0.9 < found.reached < 1.01
    np.testing.assert_allclose(found.u(jnp.array([0.5, 0.3])), 2.0, rtol=1e-4)


def test_waves_have_their_derivatives():
    x, box = np.array([0.2, 0.7]), (0.0, 2.0)
    function = lambda x: evolved.waves(x, *box, 3, 1.3)
    for k in range(4):
        expected = jax.vmap(function)(jnp.asarray(x))
        np.testing.assert_allclose(_waves._waves(x, box, 3, 1.3, k)[k], expected, rtol=1e-10, atol=1e-10)
        function = lambda x, f=function: jax.jvp(f, (x,), (jnp.ones(()),))[1]


def test_pieces_are_polynomials_that_meet():
    """Of degree five: t⁵, with its derivatives at the ends of three intervals."""
    times = np.array([0.0, 0.5, 1.5, 2.0])
    powers = [times**5, 5 * times**4, 20 * times**3]
    u = pj.nn.Evolved(0.0, 1.0, "scalar", 0, 1.0, times, *(p[:, None, None] for p in powers))
    for t in (0.1, 0.5, 1.2, 2.0, 2.3):  # the last one beyond the end
        x = jnp.array([t, 0.3])
        np.testing.assert_allclose(
            [u(x), D(u, 0)(x), D(u, 0, 0)(x)], [t**5, 5 * t**4, 20 * t**3], rtol=1e-9, atol=1e-12
        )


def test_a_grid_is_named_and_so_are_arrays_that_do_not_fit():
    one = np.ones((2, 1, 1))
    u = pj.nn.Evolved(0.0, 1.0, "scalar", 0, 1.0, np.array([0.0, 1.0]), one, one, one)
    with pytest.raises(ValueError, match=r"a point has shape \(5, 2\); expected one point \(2,\)"):
        u(jnp.ones((5, 2)))
    with pytest.raises(ValueError, match="arrays have shapes"):
        pj.nn.Evolved(0.0, 1.0, "scalar", 0, 1.0, np.array([0.0, 1.0, 2.0]), one, one, one)


@pytest.mark.parametrize(
    ("terms", "conditions", "message"),
    [
        (
            HEAT | {"pde": lambda u, x: D(u, 1, 1)(x)},
            {"ends": [0.0, 1.0]},
            "no equation has a derivative along the time",
        ),
        (HEAT | {"start": lambda u, x: 0.0 * u(x)}, {"ends": [0.0]}, "the beginning leave a part of the field open"),
        (HEAT | {"pde": lambda u, x: D(u, 0, 1)(x)}, {"ends": [0.0]}, "sees the field elsewhere|no equation|open"),
        (
            HEAT | {"ends": lambda u, x: u(x) - 0.5 * u(x.at[1].set(0.5))},
            {"ends": [0.0, 1.0]},
            "'ends' sees the field else",
        ),
        (
            HEAT | {"pde": lambda u, x: D(u, 0)(x) * u(x) * 0.0 + D(u, 0)(x) * x[1] * 0},
            {"ends": [0.0]},
            "open|no equation",
        ),
    ],
)
def test_what_is_not_of_this_kind_is_said(terms, conditions, message):
    with pytest.raises(NotOfWaves, match=message):
        pj.evolve(terms, conditions, ["start"], **WHERE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"end": 0.0}, r"time is \[0.0, 0.0\]"),
        ({"tolerance": 2.0}, "tolerance is 2.0"),
        ({"initial": ["begin"]}, "begin"),
        ({"conditions": {"walls": [0.0]}}, "walls"),
    ],
)
def test_what_is_wrong_is_named(changes, message):
    given = {"conditions": {"ends": [0.0, 1.0]}, "initial": ["start"], **WHERE} | changes
    with pytest.raises(ValueError, match=message):
        pj.evolve(HEAT, **given)


def box(low, high):
    low, high = jnp.array(low), jnp.array(high)
    return lambda key, n: jax.random.uniform(key, (n, 2), minval=low, maxval=high)


def held(axis, values):
    def draw(key, n):
        x = jax.random.uniform(key, (n, 2))
        return x.at[:, axis].set(jnp.asarray(values)[jnp.arange(n) % len(values)])

    return draw


@pytest.mark.slow
def test_solve_evolves_an_equation_in_time_and_its_recipe_does_as_well():
    terms = HEAT | {"pde": lambda u, x: D(u, 0)(x) - 0.1 * D(u, 1, 1)(x) + u(x) ** 3}
    points = {"pde": box([0.0, 0.0], [1.0, 1.0]), "start": held(0, [0.0]), "ends": held(1, [0.0, 1.0])}
    solution = pj.solve(terms, points, seconds=60.0, progress=False)
    assert solution.solved and isinstance(solution.model, pj.nn.Evolved) and "pj.evolve" in solution.recipe
    assert solution.accuracy.value < 1e-5
    names = {"terms": terms, "points": points}
    exec(solution.recipe, names)
    x = jnp.array([0.5, 0.4])
    assert names["u"](x) == solution.model(x)


def test_a_period_is_found_although_random_points_end_before_it():
    """Up to 1.9984π, where the condition at 0 says 2π."""
    condition = {"round": lambda u, x: u(x) - u(x.at[1].add(2 * jnp.pi))}
    ends = _setting._round(condition, {"round": [0.0]}, (0.0, 6.278), "scalar", 0)
    np.testing.assert_allclose(ends, (0.0, 2 * np.pi))
    other = {"ends": lambda u, x: u(x)}
    assert _setting._round(other, {"ends": [0.0]}, (0.0, 6.278), "scalar", 0) == (0.0, 6.278)


@pytest.mark.slow
def test_solve_does_not_evolve_what_lacks_a_condition():
    """One end is free: least squares would choose a field there, and nobody would see."""
    points = {"pde": box([0.0, 0.0], [0.2, 1.0]), "start": held(0, [0.0]), "ends": held(1, [0.0])}
    solution = pj.solve(HEAT, points, seconds=40.0, progress=False)
    assert not isinstance(solution.model, pj.nn.Evolved)
    assert not solution.solved or solution.accuracy.value > 1e-3


# Of time alone

ALONE = {"lower": None, "upper": None, "begin": 0.0}


def each(w, t):
    return [pj.component(w, i) for i in range(w(t).shape[0])]


def hunted(w, t):
    """Lotka and Volterra's: a component may be small for long."""
    x, y = each(w, t)
    return jnp.stack([D(x, 0)(t) - 1.5 * x(t) + x(t) * y(t), D(y, 0)(t) + 3 * y(t) - x(t) * y(t)])


def reacting(w, t):
    """Robertson's: rates from 4e-2 to 3e7."""
    a, b, c = each(w, t)
    first, second, third = 0.04 * a(t), 1e4 * b(t) * c(t), 3e7 * b(t) ** 2
    return {"a": D(a, 0)(t) + first - second, "b": D(b, 0)(t) - first + second + third, "c": D(c, 0)(t) - third}


SYSTEMS = {
    "hunted": (hunted, [10.0, 5.0], 10.0, lambda t, y: [1.5 * y[0] - y[0] * y[1], -3 * y[1] + y[0] * y[1]]),
    "reacting": (
        reacting,
        [1.0, 0.0, 0.0],
        40.0,
        lambda t, y: [
            -0.04 * y[0] + 1e4 * y[1] * y[2],
            0.04 * y[0] - 1e4 * y[1] * y[2] - 3e7 * y[1] ** 2,
            3e7 * y[1] ** 2,
        ],
    ),
}


@pytest.mark.parametrize("name", few(SYSTEMS, "reacting"))
def test_systems_of_time_alone_are_those_of_another_integrator(name):
    ode, start, end, flow = SYSTEMS[name]
    terms = {"ode": ode, "start": lambda w, t: w(t) - jnp.array(start)}
    found = pj.evolve(terms, {}, ["start"], **ALONE, end=end, outputs=len(start), tolerance=1e-10)
    t = np.linspace(0.0, end, 40)
    exact = scipy.integrate.solve_ivp(flow, (0.0, end), start, method="LSODA", t_eval=t, rtol=1e-12, atol=1e-14).y.T
    np.testing.assert_allclose(jax.vmap(found.u)(jnp.asarray(t)[:, None]), exact, rtol=1e-6, atol=1e-9)
    assert found.waves == 0 and found.reached == end


def test_an_equation_without_a_derivative_is_differentiated():
    """A spring, and the square of where it is."""
    spring = {
        "spring": lambda w, t: D(pj.component(w, 0), 0, 0)(t) + 4 * w(t)[0],
        "start": lambda w, t: jnp.stack([w(t)[0] - 1.0, D(pj.component(w, 0), 0)(t)]),
    }
    with pytest.raises(NotOfWaves, match="open"):
        pj.evolve(spring, {}, ["start"], **ALONE, end=1.0, outputs=2)
    square = lambda w, t: w(t)[1] - w(t)[0] ** 2
    terms = spring | {"spring": lambda w, t: {"spring": spring["spring"](w, t), "square": square(w, t)}}
    found = pj.evolve(terms, {}, ["start"], **ALONE, end=3.0, outputs=2, tolerance=1e-10)
    x = jnp.cos(2 * jnp.array([0.7, 2.9]))
    np.testing.assert_allclose(jax.vmap(found.u)(jnp.array([[0.7], [2.9]])), jnp.stack([x, x**2], 1), rtol=1e-6)


@pytest.mark.parametrize("push", [jnp.cos, jnp.sin])
def test_a_field_at_rest_is_pushed(push):
    """By a source, which may begin at zero too: u' = push(t)."""
    terms = {"ode": lambda u, t: D(u, 0)(t) - push(t[0]), "start": lambda u, t: u(t)}
    found = pj.evolve(terms, {}, ["start"], **ALONE, end=4.0, tolerance=1e-10)
    exact = jnp.sin(3.0) if push is jnp.cos else 1 - jnp.cos(3.0)
    np.testing.assert_allclose(found.u(jnp.array([3.0])), exact, rtol=1e-7)


def test_what_is_wrong_without_an_x_is_named():
    terms = {"ode": lambda u, t: D(u, 0)(t) + u(t), "start": lambda u, t: u(t) - 1.0}
    with pytest.raises(ValueError, match=r"conditions are \{'start': \[0.0\]\}"):
        pj.evolve(terms, {"start": [0.0]}, [], **ALONE, end=1.0)
    with pytest.raises(ValueError, match=r"x in \[None, 1.0\]"):
        pj.evolve(terms, {}, ["start"], **ALONE | {"upper": 1.0}, end=1.0)
    one = np.ones((2, 3, 1))
    with pytest.raises(ValueError, match="with 3 waves; expected two numbers, or None"):
        pj.nn.Evolved(None, None, "scalar", 0, 1.0, np.array([0.0, 1.0]), one, one, one)


def test_solve_sees_which_equations_are_of_time_alone():
    times = lambda key, n: jax.random.uniform(key, (n, 1))
    terms = {"ode": lambda u, t: D(u, 0, 0)(t) + u(t), "start": lambda u, t: jnp.stack([u(t) - 2.0, D(u, 0)(t)])}
    points = {"ode": times, "start": jnp.zeros((1, 1))}
    setting = lambda terms, points: _setting.setting(
        _plan.planned(terms, points, None, "scalar", {}, jax.random.key(0))
    )
    found = setting(terms, points)
    assert (found.initial, found.lower, found.begin, found.conditions) == (["start"], None, 0.0, {})
    seen = {**terms, "data": lambda u, t: u(t) - 1.0}
    assert setting(seen, {**points, "data": jnp.array([[0.5], [0.7]])}) is None
    pair = {**terms, "start": lambda u, ty: u(ty[0]) - ty[1]}
    assert setting(pair, {**points, "start": (jnp.zeros((1, 1)), jnp.array([2.0]))}) is None
    mean = {**terms, "mean": pj.batchwise(lambda u, t: jnp.mean(jax.vmap(u)(t)))}
    assert setting(mean, {**points, "mean": jnp.linspace(0.0, 1.0, 20)[:, None]}) is None


@pytest.mark.slow
def test_solve_is_not_taken_in_by_a_prey_without_hunters():
    """It grows to 1e5, which leaves next to nothing of residuals in units of it: least squares once found that."""
    terms = {"ode": hunted, "start": lambda w, t: w(t) - jnp.array([10.0, 5.0])}
    points = {"ode": jnp.linspace(0.0, 10.0, 500)[:, None], "start": jnp.zeros((1, 1))}
    solution = pj.solve(terms, points, outputs=2, seconds=60.0, progress=False)
    t, flow = np.linspace(0.0, 10.0, 60), SYSTEMS["hunted"][3]
    exact = scipy.integrate.solve_ivp(flow, (0.0, 10.0), [10.0, 5.0], method="DOP853", t_eval=t, rtol=1e-12, atol=1e-12)
    error = pj.relative_l2(solution.model, jnp.asarray(t)[:, None], exact.y.T)
    assert solution.solved and error < 1e-8 and error < 10 * solution.accuracy.value
    given = {"terms": terms, "points": points}
    exec(solution.recipe, given)
    x = jnp.linspace(0.0, 10.0, 50)[:, None]
    np.testing.assert_array_equal(jax.vmap(given["u"])(x), jax.vmap(solution.model)(x))
