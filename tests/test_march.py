"""Marching: windows that go on from one another, as short and as steep as they have to be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

import pinnjax as pj
from pinnjax.problems import in_windows, kuramoto_sivashinsky
from pinnjax.train._orders import orders_of

KEY = jax.random.key(0)


def features(outputs="scalar", width=60, scale=3.0, box=((0.0,), (1.0,)), activation=jnp.tanh):
    def network(key, level):
        slopes = [scale if i == 0 else scale * 2.0**level for i in range(len(box[0]))]
        return pj.nn.RandomFeatures(
            *map(list, box), outputs, width=width, scale=slopes, activation=activation, rngs=pj.nn.Rngs(key)
        )

    return network


def on_line(end, n=200):
    return lambda key: {"ode": pj.sampling.box(key, [0.0], [end], n), "start": jnp.zeros((1, 1))}


def oscillator(omega):
    return {
        "ode": lambda u, t: pj.diff(u, 0, 0)(t) / omega**2 + u(t),
        "start": lambda u, t: {"value": u(t) - 1.0, "rate": pj.diff(u, 0)(t) / omega},
    }


@pytest.mark.exhaustive
def test_windows_of_an_oscillator_are_as_short_as_they_have_to_be(x64):
    """cos(40 t) up to t = 5, 32 waves: 60 features cannot hold more than a few of them."""
    u, pieces, _ = pj.march(
        oscillator(40.0), on_line(5.0), features(), axis=0, begin=0.0, end=5.0, initial=["start"],
        first=0.5, tight=1e-7, key=KEY, levels=1,
    )  # fmt: skip
    t = jnp.linspace(0, 5, 401)[:, None]
    np.testing.assert_allclose(jax.vmap(u)(t), np.cos(40 * t[:, 0]), atol=1e-4)
    assert pieces[0].length < 2.5 and len(pieces) > 5
    ends = [piece.begin + piece.length for piece in pieces]
    np.testing.assert_allclose(ends[:-1], [piece.begin for piece in pieces[1:]], rtol=1e-12)
    assert ends[-1] == pytest.approx(5.0) and max(piece.residual for piece in pieces) < 1e-5
    jump = [abs(float(u(jnp.array([end - 1e-9])) - u(jnp.array([end + 1e-9])))) for end in ends[:-1]]
    assert max(jump) < 1e-5


@pytest.mark.exhaustive
def test_prey_and_predators_are_those_of_an_integrator(x64):
    """The Lotka-Volterra system to t = 10, beside an integrator that shares nothing with it."""
    slopes = lambda t, y: [1.5 * y[0] - y[0] * y[1], y[0] * y[1] - 3 * y[1]]
    terms = {
        "ode": lambda u, t: pj.diff(u, 0)(t) - jnp.stack(slopes(t, u(t))),
        "start": lambda u, t: u(t) - jnp.array([10.0, 5.0]) / 5,
    }
    u, _, _ = pj.march(
        terms, on_line(10.0), features(2), axis=0, begin=0.0, end=10.0, initial=["start"], key=KEY, levels=1, tight=1e-8
    )
    t = np.linspace(0, 10, 301)
    theirs = scipy.integrate.solve_ivp(slopes, (0, 10), [2.0, 1.0], t_eval=t, rtol=1e-11, atol=1e-12).y.T
    mine = np.asarray(jax.vmap(u)(jnp.asarray(t)[:, None]))
    assert np.linalg.norm(mine - theirs) / np.linalg.norm(theirs) < 1e-6


@pytest.mark.exhaustive
def test_a_front_that_steepens_gets_steeper_features(x64):
    """u = tanh((x - t / 2) / w(t)), whose width falls from 0.5 to 0.15: a source makes it so."""
    exact = lambda x: jnp.tanh((x[1] - x[0] / 2) / (0.5 * 0.3 ** x[0]))
    equation = lambda u: lambda x: pj.diff(u, 0)(x) - 0.1 * pj.diff(u, 1, 1)(x) + u(x) ** 3
    terms = {
        "pde": lambda u, x: equation(u)(x) - equation(exact)(x),
        "start": lambda u, x: u(x) - exact(x),
        "sides": lambda u, x: u(x) - exact(x),
    }

    def draw(key):
        one, two, three = jax.random.split(key, 3)
        inside = pj.sampling.box(one, [0.0, -1.0], [1.0, 1.0], 1200)
        start = pj.sampling.box(two, [0.0, -1.0], [0.0, 1.0], 100)
        sides = pj.sampling.box(three, [0.0, 1.0], [1.0, 1.0], 100)
        return {"pde": inside, "start": start, "sides": sides.at[:50, 1].set(-1.0)}

    network = features(width=400, scale=2.0, box=((0.0, -1.0), (1.0, 1.0)))
    u, pieces, reached = pj.march(
        terms, draw, network, axis=0, begin=0.0, end=1.0, initial=["start"], first=0.25, tight=1e-4, loose=0.1,
        levels=6, key=KEY,
        weights={"start": 10.0, "sides": 10.0},
    )  # fmt: skip
    x = pj.sampling.box(KEY, [0.0, -1.0], [1.0, 1.0], 1000)
    assert pj.relative_l2(u, x, jax.vmap(exact)(x)) < 1e-2
    assert pieces[-1].level > 0 and reached == 1.0


def test_what_cannot_be_followed_is_given_up(x64):
    """Noise in place of a solution: shorter windows do not help, and no field is returned."""
    terms = {
        "ode": lambda u, t: pj.diff(u, 0)(t) - 1e3 * jnp.sin(1e7 * t[0]),
        "start": lambda u, t: u(t),
    }
    u, pieces, reached = pj.march(
        terms, on_line(1.0, 60), features(width=10), axis=0, begin=0.0, end=1.0, initial=["start"], key=KEY, levels=1
    )
    assert u is None and pieces[-1].residual > 1e-2 and reached == 0.0


@pytest.mark.slow
def test_the_time_is_limited_and_what_was_reached_is_kept(x64):
    u, pieces, reached = pj.march(
        oscillator(1.0), on_line(4.0), features(width=20), axis=0, begin=0.0, end=4.0, initial=["start"], key=KEY,
        seconds=0.0,
    )  # fmt: skip
    assert len(pieces) == 1 and reached == pytest.approx(0.4)
    t = jnp.linspace(0, reached, 11)[:, None]
    np.testing.assert_allclose(jax.vmap(u)(t), np.cos(t[:, 0]), atol=1e-3)


def test_an_equation_has_a_derivative_along_the_coordinate():
    still = {"ode": lambda u, t: u(t) - 1.0, "start": lambda u, t: u(t)}
    with pytest.raises(ValueError, match="no equation has a derivative along coordinate 0"):
        pj.march(still, on_line(1.0), features(width=5), axis=0, begin=0.0, end=1.0, initial=["start"], key=KEY)


def test_the_order_and_the_factor_of_the_derivative_in_time_are_seen_from_a_residual(x64):
    x = pj.sampling.box(KEY, [0.0, 1.0], [1.0, 2.0], 20)
    wave = lambda u, x: {"pde": 4.0 * pj.diff(u, 0, 0)(x) - pj.diff(u, 1, 1)(x), "other": u(x)}
    mixed = lambda u, x: jnp.stack([x[1] * pj.diff(u, 0)(x)[0] + u(x)[1] ** 2, u(x)[0]])
    u = lambda x: jnp.stack([x[0], x[1]])
    assert orders_of(wave, lambda x: x[0], x, 0) == ({"pde": 2, "other": 0}, {"pde": pytest.approx(4.0), "other": 1.0})
    orders, factors = orders_of(mixed, u, x, 0)
    np.testing.assert_array_equal(orders, [1, 0])
    np.testing.assert_allclose(factors, [np.sqrt(np.mean(np.asarray(x)[:, 1] ** 2)), 1.0], rtol=1e-12)
    assert orders_of(lambda u, x: u(x) - u(x.at[1].add(1.0)), u, x, 0)[0].tolist() == [0, 0]


@pytest.mark.exhaustive
def test_a_chaotic_problem_of_the_library_is_followed_in_windows(x64):
    problem = kuramoto_sivashinsky
    u, _, reached = in_windows(problem, until=0.03, key=KEY)
    seen = problem.grid[:, 0] <= reached
    assert reached == 0.03 and len(set(problem.grid[seen, 0])) > 3
    assert pj.relative_l2(u, jnp.asarray(problem.grid[seen]), jnp.asarray(problem.reference[seen])) < 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"begin": 2.0}, r"begin is 2.0, end 1.0; expected begin < end"),
        ({"initial": ["nowhere"]}, "nowhere"),
        ({"initial": ["ode", "start"]}, "all terms are initial"),
        ({"first": 2.0}, "first is 2.0"),
        ({"loose": 1e-9}, "loose"),
        ({"axis": 1}, "axis is 1; expected a coordinate of the points of 'ode'"),
        ({"weights": {"odd": 2.0}}, "no term has the residual 'odd'"),
    ],
)
def test_bad_arguments_are_named(options, message):
    options = {"axis": 0, "begin": 0.0, "end": 1.0, "initial": ["start"], "key": KEY, **options}
    with pytest.raises(ValueError, match=message):
        pj.march(oscillator(1.0), on_line(1.0), features(), **options)


def test_terms_of_any_name_and_points_that_no_window_can_take():
    march = lambda terms, draw: pj.march(
        terms, draw, features(width=5), axis=0, begin=0.0, end=1.0, initial=["a/start"], key=KEY, levels=1, seconds=0.0,
        weights={"a/ode/x": 2.0, "a/start": 3.0},
    )  # fmt: skip
    terms = {"a/ode": lambda u, t: {"x": pj.diff(u, 0)(t)}, "a/start": lambda u, t: u(t)}
    draw = lambda key: {f"a/{name}": x for name, x in on_line(1.0, 20)(key).items()}
    assert len(march(terms, draw)[1]) == 1  # the weights are those of these names
    with pytest.raises(ValueError, match=r"no points of 'a/start'; expected \{'a/start': \(n, d\)\}"):
        march(terms, lambda key: {"a/ode": draw(key)["a/ode"]})
    with pytest.raises(ValueError, match="the points of 'a/start' are a tuple; expected an array"):
        march(terms, lambda key: {**draw(key), "a/start": (jnp.zeros((1, 1)), jnp.zeros(1))})
    with pytest.raises(ValueError, match="called \\['held'\\], as those of the march"):
        march({**terms, "held": terms["a/start"]}, draw)


def test_windows_and_their_bad_arguments():
    network = features(width=3)(KEY, 0)
    with pytest.raises(ValueError, match="expected at least one"):
        pj.nn.Windows([])
    with pytest.raises(TypeError, match=r"expected an nnx\.Module"):
        pj.nn.Window(lambda x: x, 0, 0.0, 1.0)
    with pytest.raises(ValueError, match="none before the first"):
        pj.nn.Window(network, 0, 0.0, 1.0).before(jnp.zeros(1))


@pytest.mark.slow
def test_newtons_method_starts_from_a_field_at_rest_and_in_a_window_that_is_short_enough(x64):
    """From zero, or over a tenth of the time, it does not come to the solution."""
    terms = {  # van der Pol's oscillator, μ = 5: slow stretches and jumps
        "ode": lambda u, t: pj.diff(u, 0, 0)(t) - 5 * (1 - u(t) ** 2) * pj.diff(u, 0)(t) + u(t),
        "start": lambda u, t: jnp.stack([u(t) - 2.0, pj.diff(u, 0)(t)]),
    }
    options = {"axis": 0, "begin": 0.0, "end": 10.0, "initial": ["start"], "first": 0.3, "key": KEY}
    network = features(scale=1.5, activation=jnp.sin)
    u, pieces, reached = pj.march(terms, on_line(10.0), network, tight=1e-10, loose=1e-4, **options)
    assert reached == 10.0 and pieces[0].length < 1.0
    flow = lambda t, y: [y[1], 5 * (1 - y[0] ** 2) * y[1] - y[0]]
    exact = scipy.integrate.solve_ivp(flow, (0, 10), [2.0, 0.0], method="DOP853", rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(u(jnp.array([10.0])), exact.y[0, -1], rtol=1e-6)
