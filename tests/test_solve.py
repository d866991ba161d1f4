"""`pinnjax.solve`: no recipe, and a field that is worth what it says."""

import dataclasses
import doctest
import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnjax as pj
from pinnjax.cli import main
from pinnjax.solver import _accuracy, _judging, _newton, _plan, _points

from .marks import few

KEY = jax.random.key(0)
ODE = {"ode": lambda u, t: pj.diff(u, 0)(t) + u(t), "start": lambda u, t: u(t) - 300.0}
LINE = {"ode": jnp.linspace(0, 2, 60)[:, None], "start": jnp.zeros((1, 1))}


def square(key, n):
    return pj.sampling.box(key, [0.0, 0.0], [1.0, 1.0], n)


def sides(key, n):
    return pj.sampling.box_faces(key, [0.0, 0.0], [1.0, 1.0], n // 4)


def plan(terms, points, outputs="scalar", model=None):
    return _plan.planned(terms, points, model, outputs, {}, KEY)


# Points


@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_set_has_the_dimension_that_it_has(d):
    rng = np.random.default_rng(0)
    inside = rng.uniform(size=(500, d))
    face = inside.copy()
    face[:, 0] = 0.3
    assert abs(_points.dimension(inside) - d) < 0.1
    assert abs(_points.dimension(face) - (d - 1)) < 0.2
    assert _points.dimension(inside[:1]) == 0
    grid = np.stack(np.meshgrid(*[np.linspace(0, 7, round(500 ** (1 / d)))] * d, indexing="ij"), axis=-1).reshape(-1, d)
    assert abs(_points.dimension(grid) - d) < 0.25


def test_arrays_that_fill_a_box_or_a_face_are_drawn_anew_and_others_stay():
    rng = np.random.default_rng(0)
    inside = jnp.asarray(rng.uniform([0, 1], [2, 5], size=(400, 2)))
    bent = inside[(inside[:, 0] < 1) | (inside[:, 1] < 3)]  # an L
    face = inside.at[:, 1].set(5.0)
    found = _points.sources(
        dict.fromkeys(("box", "bent", "face", "few")),
        {"box": inside, "bent": bent, "face": face, "few": inside[:3]},
        KEY,
    )
    assert {t: source.generate is not None for t, source in found.items()} == {
        "box": True,
        "bent": False,
        "face": True,
        "few": False,
    }
    drawn = found["face"].generate(KEY, 50)
    assert drawn.shape == (50, 2) and np.all(drawn[:, 1] == 5.0) and 0 < np.ptp(drawn[:, 0]) <= 2


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("n", few([100, 400], 100, rest="exhaustive"))
def test_points_on_sides_of_a_box_are_drawn_anew_on_those_sides(d, n):
    """Two opposite sides, regular or random, and all of them: between them nothing is known of the term."""
    low, high = jnp.zeros(d), jnp.ones(d)
    around = pj.sampling.box_faces(KEY, low.tolist(), high.tolist(), n)
    two = jnp.concatenate([around[around[:, 0] == 0], around[around[:, 0] == 1]])
    t = jnp.linspace(0, 1, n)
    lines = jnp.concatenate([jnp.stack([t, *[jnp.full(n, at)] * (d - 1)], axis=1) for at in (0.0, 1.0)])
    scattered = jnp.concatenate([around[:50], jnp.full((1, d), 0.5)])
    found = _points.sources(dict.fromkeys("abcd"), {"a": around, "b": two, "c": lines, "d": scattered}, KEY)
    assert found["d"].generate is None
    for term, given in [("a", around), ("b", two), ("c", lines)]:
        new = np.asarray(found[term].generate(KEY, 201))
        assert len(new) == 201 and found[term].counts
        on = lambda x: [np.mean(x[:, i] == at) for i in range(d) for at in (0, 1)]
        np.testing.assert_allclose(on(new), on(np.asarray(given)), atol=0.12)
        assert np.max(on(new)) > 0 and not np.array_equal(new[: len(given)], given[:201])
        names = {"pj": pj, "jax": jax, "jnp": jnp}
        np.testing.assert_array_equal(eval(found[term].code, names)(KEY, 201), new)


def test_points_on_a_part_of_the_boundary_stay_there():
    """A boundary of which a corner is missing is no set of faces that are filled."""
    around = pj.sampling.box_faces(KEY, [0.0, 0.0], [1.0, 1.0], 100)
    part = around[jnp.abs(around - 0.5).max(axis=1) - jnp.abs(around[:, 1] - 0.5) < 0.3]
    found = _points.sources({"bc": None}, {"bc": part}, KEY)["bc"]
    if found.generate is not None:
        new = np.asarray(found.generate(KEY, 400))
        assert np.all((new >= np.asarray(part).min(axis=0)) & (new <= np.asarray(part).max(axis=0)))


def test_a_box_reaches_to_the_conditions_beside_it():
    """Random points stop short of t = 0; in the gap a network would jump from the start to another solution."""
    rng = np.random.default_rng(0)
    inside = jnp.asarray(rng.uniform([0.0, -1.0], [2.0, 3.0], size=(300, 2)))
    start = jnp.stack([jnp.zeros(50), jnp.asarray(rng.uniform(-1, 3, size=50))], axis=1)
    end = jnp.stack([jnp.linspace(0, 2, 50), jnp.full(50, 3.0)], axis=1)
    far = jnp.array([[1.0, 9.0]])
    points = {"pde": inside, "start": start, "end": end, "far": far}
    drawn = _points.sources(dict.fromkeys(points), points, KEY)["pde"].generate(KEY, 20_000)
    np.testing.assert_allclose(drawn.min(axis=0), [0.0, np.min(inside[:, 1])], atol=1e-3)
    np.testing.assert_allclose(drawn.max(axis=0), [2.0, 3.0], atol=1e-3)
    assert np.min(inside[:, 0]) > 1e-3 and np.max(inside[:, 1]) < 3 - 1e-3


def test_a_domain_with_a_hole_is_no_box():
    rng = np.random.default_rng(0)
    square = rng.uniform(size=(400, 2))
    large, small = (square[np.hypot(*(square - 0.5).T) > radius] for radius in (0.2, 0.02))
    angle = np.linspace(0, 2 * np.pi, 40)
    ring = jnp.asarray(0.5 + 0.02 * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    moves = lambda **points: _points.sources(dict.fromkeys(points), points, KEY)["pde"].generate is not None
    assert moves(pde=jnp.asarray(square)) and moves(pde=jnp.asarray(small))
    assert not moves(pde=jnp.asarray(large))
    assert not moves(pde=jnp.asarray(small), ring=ring)
    for d in (1, 2, 3):  # chance, over seeds
        found = [moves(pde=jnp.asarray(np.random.default_rng(i).uniform(size=(300, d)))) for i in range(20)]
        assert np.mean(found) >= 0.9


def test_numbers_that_belong_to_places_stay_with_them():
    x = jnp.linspace(0, 1, 40)[:, None]
    found = _points.sources({"data": None}, {"data": (x, jnp.sin(x[:, 0]))}, KEY)
    assert found["data"].generate is None


@pytest.mark.slow
def test_a_fifth_of_the_points_of_an_equation_that_stay_is_held_out(x64):
    disk = np.random.default_rng(0).uniform(-1, 1, size=(300, 2))
    disk = jnp.asarray(disk[np.hypot(*disk.T) < 1])
    terms = {"pde": lambda u, x: pj.laplacian(u)(x) - 1.0, "bc": lambda u, x: u(x)}
    angle = jnp.linspace(0, 2 * jnp.pi, 40)
    ring = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    found = plan(terms, {"pde": disk, "bc": ring})
    assert found.equations == ("pde",)
    training, held = found.batch["pde"], found.fresh(KEY)["pde"]
    together = np.concatenate([training, held])
    assert len(held) == len(disk) // 5 and len(np.unique(together, axis=0)) == len(disk)
    assert any("learnt by heart" in note for note in found.notes)
    assert found.batch["bc"] is ring


# Sizes


@pytest.mark.slow
@pytest.mark.parametrize("units", few([1e-6, 1.0, 1e9], 1e-6, rest="exhaustive"))
def test_units_of_the_field_and_of_the_residuals_do_not_matter(units, x64):
    """The field in other units, and each residual in its own: the same weighted residuals."""
    terms = {"pde": lambda u, x: pj.laplacian(u)(x) + 1.0, "bc": lambda u, x: u(x)}
    other = {
        "pde": lambda u, x: 7e5 * (pj.laplacian(lambda y: u(y) / units)(x) + 1.0),
        "bc": lambda u, x: 1e-3 * u(x) / units,
    }
    points = {"pde": square, "bc": sides}
    one, two = plan(terms, points), plan(other, points)
    np.testing.assert_allclose(two.made.scale, units * one.made.scale, rtol=1e-6)
    np.testing.assert_allclose(two.weights["pde"], one.weights["pde"] / 7e5**2, rtol=1e-6)
    np.testing.assert_allclose(two.weights["bc"], one.weights["bc"] / 1e-3**2, rtol=1e-6)


@pytest.mark.slow
def test_a_component_that_no_term_asks_for_has_the_size_at_which_it_matters(x64):
    """Stokes: a velocity of 2 at the lid, and a pressure in the units of a viscosity of 1000."""
    mu = 1e3
    component = lambda u, i: lambda x: u(x)[i]

    def flow(u, x):
        return {
            "x": mu * pj.laplacian(component(u, 0))(x) - pj.diff(u, 0)(x)[2],
            "y": mu * pj.laplacian(component(u, 1))(x) - pj.diff(u, 1)(x)[2],
            "mass": pj.diff(u, 0)(x)[0] + pj.diff(u, 1)(x)[1],
        }

    lid = lambda key, n: square(key, n).at[:, 1].set(1.0)
    terms = {"flow": flow, "lid": lambda u, x: jnp.stack([u(x)[0] - 2.0, u(x)[1]])}
    u, v, p = plan(terms, {"flow": square, "lid": lid}, outputs=3).made.scale
    assert 0.5 < u < 4 and 0.5 * mu < p < 100 * mu
    assert v > 0


@pytest.mark.parametrize(
    "equation",
    [
        lambda u, x: pj.diff(u, 0)(x) - pj.diff(u, 1, 1)(x),
        lambda u, x: pj.diff(u, 0, 0)(x) - pj.diff(u, 1, 1)(x),
        lambda u, x: pj.diff(u, 0)(x) + pj.diff(u, 1)(x) - pj.laplacian(u)(x),
    ],
)
def test_an_equation_is_told_from_data_whatever_its_derivatives(equation, x64):
    terms = {"pde": equation, "data": lambda u, x: u(x) - x[0]}
    assert plan(terms, {"pde": square, "data": square}).equations == ("pde",)


def test_a_term_of_values_inside_is_a_condition(x64):
    terms = {"pde": lambda u, x: pj.laplacian(u)(x), "data": lambda u, x: u(x) - x[0]}
    found = plan(terms, {"pde": square, "data": square})
    assert found.equations == ("pde",)
    assert found.weights["data"] > found.weights["pde"]


@pytest.mark.slow
def test_the_equation_of_a_thin_ring_is_one_and_a_flux_on_its_edge_is_not(x64):
    angle = jnp.linspace(0, 2 * jnp.pi, 200)
    radii = 0.9 + 0.1 * jax.random.uniform(KEY, (200,))
    at = lambda r: jnp.stack([r * jnp.cos(angle), r * jnp.sin(angle)], axis=1)
    terms = {
        "outer": lambda u, x: u(x),
        "flux": lambda u, x: pj.diff(u, 0)(x),
        "pde": lambda u, x: pj.laplacian(u)(x) + 1,
    }
    disk = jnp.asarray(np.random.default_rng(0).normal(size=(400, 2)))
    assert plan(terms, {"outer": at(1.0), "flux": at(0.9)[:5], "pde": at(radii)}).equations == ("pde",)
    assert plan(terms, {"outer": at(1.0), "flux": at(0.9), "pde": disk}).equations == ("pde",)


# What a solution is worth


def test_two_fields_that_satisfy_the_same_terms_are_no_solution():
    x = np.linspace(0, 1, 50)
    along = [(1e-6, np.sin(x) + 0.1), (1e-12, np.sin(x))]
    found = _accuracy.estimate(along, (1e-9, np.sin(x) + 1.0))
    assert "do not say which" in found.failure and found.value == np.inf
    assert not _accuracy.estimate(along, (1e-9, np.sin(x) + 1e-4)).failure
    drifting = [(1e-8, np.sin(x) + 0.5), (1e-9, np.sin(x))]  # what no term holds moves while residuals fall
    assert _accuracy.estimate(drifting, (1e-9, np.sin(x) + 1.0)).failure
    loose = _accuracy.estimate(along, None, freedom=4.0)
    assert "hardly say which" in loose.failure and loose.value == np.inf
    assert "component 2" in _accuracy.estimate(along, None, freedom=4.0, component=2).failure
    assert not _accuracy.estimate(along, None, freedom=0.3).failure
    rough = [(1e-2, np.sin(x) + 0.3), (1e-3, np.sin(x))]  # not exact, and said to be so
    assert not _accuracy.estimate(rough, None, freedom=0.9).failure
    unstable = [(1e-6, np.sin(x) + 0.3), (1e-8, np.sin(x))]  # errors are 200 times the residuals
    assert not _accuracy.estimate(unstable, (1e-5, np.sin(x) + 1.0)).failure


def test_residuals_that_are_left_are_no_solution():
    x = np.linspace(0, 1, 50)
    assert _accuracy.estimate([(1.0, x), (0.04, x)], None).failure


@pytest.mark.parametrize("wrong", few([1e-3, 1e-6], 1e-3, rest="exhaustive"))
def test_newtons_correction_is_the_error_where_the_equation_is_linear(wrong, x64):
    """u' + u = 0, u(0) = 1 by a polynomial, off e^{-t} by a known one: the correction finds it, whatever its size."""
    polynomial = lambda p, t: p @ t[0] ** jnp.arange(len(p))
    best = jnp.array([(-1.0) ** k / np.prod(np.arange(1, k + 1)) for k in range(14)])
    off = wrong * jnp.asarray(np.random.default_rng(0).normal(size=14)) * (jnp.arange(14) < 4)
    terms = {"ode": ODE["ode"], "start": lambda u, t: u(t) - 1.0}
    found = dataclasses.replace(plan(terms, LINE, model=(polynomial, best)), weights={"ode": 1.0, "start": 10.0})
    fresh = found.fresh(KEY)
    q = np.sqrt(_judging.judge(found, fresh)(lambda t: polynomial(best + off, t))["validation"])
    c, free, _ = _newton.known(found, polynomial, (best + off, None), fresh["ode"], KEY)
    t = fresh["ode"]
    error = pj.relative_l2(lambda t: polynomial(best + off, t), t, jnp.exp(-t[:, 0]))
    assert 0.5 < c * q / error < 2
    assert error / 2 < free < 1e3 * error


@pytest.mark.parametrize("held", [True, False])
def test_a_field_that_its_terms_leave_open_is_free(held, x64):
    """u'' + u = 0 and u(0) = 1 leave the slope open, by a polynomial that is cos t to 1e-6."""
    polynomial = lambda p, t: p @ t[0] ** jnp.arange(len(p))
    cosine = jnp.array([[1, 0, -1, 0][k % 4] / float(np.prod(np.arange(1, k + 1))) for k in range(13)])
    start = lambda u, t: {"u": u(t) - 1.0} | ({"slope": pj.diff(u, 0)(t)} if held else {})
    terms = {"ode": lambda u, t: pj.diff(u, 0, 0)(t) + u(t), "start": start}
    units = {"ode": 1.0, "start/u": 10.0, "start/slope": 10.0}
    found = dataclasses.replace(plan(terms, LINE, model=(polynomial, cosine)), weights=units)
    fresh = found.fresh(KEY)
    _, free, _ = _newton.known(found, polynomial, (cosine, None), fresh["ode"], KEY)
    assert free < 1e-3 if held else free > 0.5


def test_a_correction_of_noise_says_nothing():
    rng = np.random.default_rng(0)
    j, noise = rng.normal(size=(2, 60, 50)), rng.normal(size=(2, 60))
    assert np.isnan(_newton.growth_of(noise[0], j[0], np.eye(50), 1.0, (noise[1], j[1])))
    error = rng.normal(size=50)
    assert np.isfinite(_newton.growth_of(j[0] @ error, j[0], np.eye(50), 1.0, (j[1] @ error, j[1])))


def test_the_component_that_is_left_open_is_named(x64):
    """u' = v and u(0) = u(1) = 0 say what u is, and nothing of w."""
    basis = lambda p, t: p.reshape(3, 4) @ t[0] ** jnp.arange(4)
    terms = {"ode": lambda u, t: pj.diff(u, 0)(t)[0] - u(t)[1], "start": lambda u, t: u(t)[:2] - 1.0}
    found = plan(terms, LINE, 3, (basis, jnp.linspace(0.1, 1.0, 12)))
    known = _newton.known(found, basis, (jnp.linspace(0.1, 1.0, 12), None), found.fresh(KEY)["ode"], KEY)
    assert known.component == 2 and known.freedom > 0.1


# Runs


@pytest.mark.slow
def test_the_recipe_makes_the_field_bit_for_bit():
    solution = pj.solve(ODE, LINE, steps=150, progress=False, reference=lambda t: 300 * jnp.exp(-t[0]))
    assert solution.solved and solution.relative_l2 < 1e-5
    assert 0.1 < solution.accuracy.value / solution.relative_l2 < 30
    names = {"terms": ODE, "points": LINE}
    with jax.enable_x64(True):
        exec(solution.recipe, names)
        x = jnp.linspace(0, 2, 21)[:, None]
        np.testing.assert_array_equal(jax.vmap(names["u"])(x), jax.vmap(solution.model)(x))
    jax.config.update("jax_enable_x64", False)
    assert solution.u(jnp.array([1.0])).dtype == jnp.float32  # the caller's


@pytest.mark.exhaustive
def test_the_example_in_its_docstring_holds():
    """Among the doctests it would take a minute, without XLA's optimisations."""
    text = pj.solve.__doc__.replace("# doctest: +SKIP", "")
    example = doctest.DocTestParser().get_doctest(text, {}, "solve", None, 0)
    assert len(example.examples) >= 4 and doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.exhaustive  # it takes two minutes
def test_features_correct_a_network_where_from_zero_they_do_not_come_to_the_solution(x64):
    """A plastic bar: the first step from zero, where it is ten times as soft, leaves more than there was."""
    stress = lambda u: lambda x: jnp.sqrt(1e-2 + pj.diff(u, 0)(x) ** 2) * pj.diff(u, 0)(x)
    exact = lambda x: jnp.sin(3 * x[0])
    terms = {
        "bar": lambda u, x: pj.diff(stress(u), 0)(x) - pj.diff(stress(exact), 0)(x),
        "ends": lambda u, x: u(x) - exact(x),
    }
    points = {"bar": lambda key, n: jax.random.uniform(key, (n, 1)), "ends": jnp.array([[0.0], [1.0]])}
    solution = pj.solve(terms, points, steps=20, progress=False, reference=exact)
    assert "pj.nn.Corrected" in solution.recipe and isinstance(solution.model, pj.nn.Corrected)
    assert solution.relative_l2 < 1e-7 and solution.relative_l2 < 10 * solution.accuracy.value
    names = {"terms": terms, "points": points}
    exec(solution.recipe, names)
    x = jnp.linspace(0, 1, 21)[:, None]
    np.testing.assert_array_equal(jax.vmap(names["u"])(x), jax.vmap(solution.model)(x))


@pytest.mark.slow
def test_a_sampler_stands_for_its_points(x64):
    sampler = pj.sampling.resample(lambda key: {"pde": square(key, 300), "bc": sides(key, 80)})
    terms = {"pde": lambda u, x: pj.laplacian(u)(x) + 1.0, "bc": lambda u, x: u(x)}
    solution = pj.solve(terms, sampler, steps=20, progress=False)
    names = {"terms": terms, "points": sampler}
    exec(solution.recipe, names)
    jax.config.update("jax_enable_x64", True)
    x = square(KEY, 20)
    np.testing.assert_array_equal(jax.vmap(names["u"])(x), jax.vmap(solution.model)(x))


@pytest.mark.slow
def test_unknown_coefficients_are_found_with_the_field():
    """x'' + c x' + k x = 0 from exact positions; c and k are wrong by factors of 5 and 2 at first."""
    t = jnp.linspace(0, 4, 60)[:, None]
    exact = jnp.exp(-0.2 * t[:, 0]) * jnp.cos(jnp.sqrt(9 - 0.04) * t[:, 0])
    terms = {
        "ode": lambda u, t: pj.diff(u, 0, 0)(t) + u.c * pj.diff(u, 0)(t) + u.k * u(t),
        "data": lambda u, measured: u(measured[0]) - measured[1],
    }
    solution = pj.solve(
        terms, {"ode": t, "data": (t, exact)}, coefficients={"c": 2.0, "k": 5.0}, steps=600, progress=False
    )
    np.testing.assert_allclose([solution.coefficients[name] for name in "ck"], [0.4, 9.0], rtol=1e-4)
    assert f"k = {solution.coefficients['k']:.6g}" in str(solution)
    assert "WithCoefficients" in solution.recipe


@pytest.mark.exhaustive
def test_the_doctor_says_why_an_equation_is_hard():
    """Equal weights and an equation in other units: the loss-balance crisis that `solve` does not see."""
    terms = {"ode": lambda u, t: 1e4 * (pj.diff(u, 0)(t) + u(t)), "start": ODE["start"]}
    solution = pj.solve(terms, LINE, steps=100, progress=False)
    assert solution.solved
    assert solution.diagnosis is solution.diagnosis and solution.diagnosis.findings


@pytest.mark.slow
def test_a_run_that_is_interrupted_goes_on(tmp_path):
    """Ctrl-C in the second phase (it comes a few calls late), and the same call again: the field of a run without."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    own = {"model": pj.nn.ModifiedMLP(1, "scalar", width=20, depth=3, rngs=pj.nn.Rngs(0)), "progress": False}
    whole = pj.solve(ODE, LINE, steps=600, **own)
    calls = []

    def interrupt(u):
        def one(step):
            calls.append(int(step))
            if len(calls) == 11:
                os.kill(os.getpid(), signal.SIGINT)

        jax.debug.callback(one, 0)
        return {"nothing": jnp.zeros(())}

    folder = tmp_path / "run"
    first = pj.solve(ODE, LINE, steps=600, checkpoint=folder, evaluate=interrupt, **own)
    assert len(first.history["loss"]) < len(whole.history["loss"])
    again = pj.solve(ODE, LINE, steps=600, checkpoint=folder, **own)
    np.testing.assert_array_equal(again.history["loss"], whole.history["loss"])
    t = jnp.linspace(0, 2, 21)[:, None]
    np.testing.assert_allclose(jax.vmap(again.u)(t), jax.vmap(whole.u)(t), rtol=1e-6)


@pytest.mark.exhaustive
def test_a_small_solution_is_found():
    """-Δu = 1 on the square: u is 0.0737 at the centre (the series), which plain training misses by a quarter."""
    terms = {"pde": lambda u, x: pj.laplacian(u)(x) + 1.0, "bc": lambda u, x: u(x)}
    solution = pj.solve(terms, {"pde": square, "bc": sides}, steps=300, progress=False)
    assert solution.solved
    assert abs(float(solution.u(jnp.array([0.5, 0.5]))) / 0.0736713532 - 1) < 3e-3


@pytest.mark.slow
def test_a_missing_condition_is_no_silent_wrong_answer():
    terms = {"ode": lambda u, t: pj.diff(u, 0, 0)(t) + u(t), "start": lambda u, t: u(t) - 1.0}
    points = {"ode": jnp.linspace(0, 3, 60)[:, None], "start": jnp.zeros((1, 1))}
    solution = pj.solve(terms, points, steps=200, progress=False)
    assert not solution.solved and "say which is the solution" in str(solution)


@pytest.mark.slow
def test_a_missing_side_is_no_silent_wrong_answer():
    """Poisson on the square with u = 0 on three sides: a wave in y that grows in x satisfies all of it."""
    source = lambda x: 2 * jnp.pi**2 * jnp.sin(jnp.pi * x[0]) * jnp.sin(jnp.pi * x[1])
    terms = {"pde": lambda u, x: pj.laplacian(u)(x) + source(x), "bc": lambda u, x: u(x)}
    three = lambda key, n: jnp.concatenate([sides(key, n)[: n // 4], sides(key, n)[n // 2 :]])
    assert np.ptp(np.asarray(three(KEY, 40)), axis=0).min() > 0.9
    solution = pj.solve(terms, {"pde": square, "bc": three}, steps=600, progress=False)
    assert not solution.solved and "hardly say which" in str(solution)
    assert pj.solve(terms, {"pde": square, "bc": sides}, steps=600, progress=False).solved


@pytest.mark.exhaustive
def test_contradictory_conditions_are_no_silent_wrong_answer():
    terms = {"ode": lambda u, t: pj.diff(u, 0)(t), "start": lambda u, t: u(t) - 1.0, "end": lambda u, t: u(t) + 1.0}
    points = {"ode": jnp.linspace(0, 1, 60)[:, None], "start": jnp.zeros((1, 1)), "end": jnp.ones((1, 1))}
    solution = pj.solve(terms, points, steps=200, progress=False)
    assert not solution.solved


# Bad input


@pytest.mark.parametrize(
    ("terms", "points", "options", "message"),
    [
        (ODE, {"ode": LINE["ode"]}, {}, "points of 'start' are missing"),
        (ODE, LINE | {"begin": LINE["start"]}, {}, "solve: points names unknown"),
        (ODE, LINE | {"ode": jnp.full((30, 1), jnp.nan)}, {}, "not finite"),
        (ODE, [LINE["ode"]], {}, "solve: points is a list"),
        (ODE, pj.sampling.resample(lambda key: {"ode": LINE["ode"]}), {}, "points of 'start' are missing"),
        (ODE, LINE, {"coefficients": {"k": 0.0}}, "first guess of k is 0"),
        (ODE, LINE, {"coefficients": {"k": 1.0}, "model": (lambda p, x: p * x[0], 1.0)}, "coefficients are given with"),
        (ODE, LINE, {"seconds": 0.5}, "solve: seconds"),
        (ODE, LINE, {"steps": 0}, "solve: steps"),
        (ODE, LINE, {"outputs": "vector"}, "solve: outputs"),
        (ODE, {"ode": jnp.zeros((30, 1)), "start": jnp.zeros((1, 1))}, {}, "share the coordinates"),
        (
            {"ode": lambda u, t: jnp.sqrt(t[0] - 0.5) * u(t), "start": ODE["start"]},
            LINE,
            {},
            "'ode' is not finite at .* points",
        ),
    ],
)
def test_bad_input_is_one_sentence(terms, points, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        pj.solve(terms, points, progress=False, **options)


# The command line


def test_a_new_file_is_written_and_none_is_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "my_heat"]) == 0 and "pinnjax solve my_heat:equation" in capsys.readouterr().out
    assert main(["new", "my_heat"]) == 2 and "is there already" in capsys.readouterr().err
    assert main(["new", "my heat"]) == 2 and "expected a name" in capsys.readouterr().err
    assert main(["solve", "my_heat:equation", "--method", "plain"]) == 2
    assert "leave out --method" in capsys.readouterr().err
    assert main(["race", "my_heat:equation"]) == 2 and "arguments of pinnjax.solve" in capsys.readouterr().err
    assert main(["diagnose", "my_heat:equation"]) == 2 and "returned no model" in capsys.readouterr().err


@pytest.mark.slow
def test_the_new_file_runs_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "my_second_heat"]) == 0
    assert main(["solve", "my_second_heat:equation", "--steps", "100", "--json", "a.json"]) == 0
    assert "Solved to about" in capsys.readouterr().out
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["solved"] and record["relative_l2"] < 1e-2 and "pj.evolve" in record["recipe"]
