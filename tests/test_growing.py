"""Early times first: which coordinate is time, which runs are lost, and that a lost one is found again."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnjax as pj
from pinnjax.problems import unseen
from pinnjax.solver import _accuracy, _code, _judging, _lost, _phases, _plan
from pinnjax.solver._accuracy import Snapshot

KEY = jax.random.key(3)
LINE = {"ode": jnp.linspace(0.0, 2.0, 100)[:, None], "start": jnp.zeros((1, 1))}
ODE = {"ode": lambda u, t: pj.diff(u, 0, 0)(t) + u(t), "start": lambda u, t: u(t) - 1}


def planned(terms, points):
    return _plan.planned(terms, points, None, "scalar", {}, KEY)


def test_time_is_where_something_holds_at_the_beginning_and_nothing_at_the_end(x64):
    assert planned(ODE, LINE).time == (0, 0.0)
    ends = {"end": lambda u, t: u(t)}, {"end": jnp.full((1, 1), 2.0)}
    assert planned(ODE | ends[0], LINE | ends[1]).time is None
    stay = jnp.concatenate([LINE["ode"][:30], LINE["ode"][70:]])  # they fill no box
    assert planned(ODE, LINE | {"ode": stay}).time is None
    field = {
        "pde": lambda u, x: pj.diff(u, 0)(x) - pj.diff(u, 1, 1)(x),
        "ic": lambda u, x: u(x),
        "bc": lambda u, x: u(x),
    }
    inside = lambda key, n: pj.sampling.box(key, [1.0, 0.0], [3.0, 1.0], n)
    points = {
        "pde": inside,
        "ic": lambda key, n: inside(key, n).at[:, 0].set(1.0),
        "bc": lambda key, n: inside(key, n).at[:, 1].set(jnp.arange(n) % 2),
    }
    assert planned(field, points).time == (0, 1.0)


def test_the_plan_of_a_lost_run_draws_early_times_first(x64):

    growing = dataclasses.replace(planned(ODE, LINE), growing=True)
    for sampler in (_phases.in_every_step(growing), _phases.now_and_then(growing)):
        points = sampler.pool(sampler.init(KEY))
        assert float(points["ode"].max()) <= 0.2


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_lost_run_is_told_from_one_that_learns(broken):
    def says(validation, loss):
        until = _lost.watch()
        return [until({"evaluation/validation": v, "loss": loss}) for v in validation]

    assert says([1.0, np.nan, 1.0, 1.0, 1.0], 1e-4) == [False, False, False, False, True]
    assert not any(says([1.0] * 6, 0.5))  # not learnt yet,
    assert says([1.0] * 9, 0.5) == [False] * 8 + [True]  # and not for a long time
    assert not any(says(list(0.9 ** np.arange(20)), 0.5))
    assert not any(says([5e-6] * 20, 5e-6))
    assert not any(says([1e-6] * 6, 1e-12))  # learnt by heart, but learnt
    assert not any(says([1.0, 1.0, 1e-6] * 3, 1e-4))  # found again
    assert says([broken] * 5, 1.0)[-1] == np.isinf(broken)


@pytest.mark.exhaustive
def test_the_recipe_of_a_run_that_was_done_again_makes_its_field(x64):
    plan, keys = _plan.early_times_first(planned(ODE, LINE)), (KEY, jax.random.key(4))
    steps = (260, 300)  # in each phase there is a decision
    phases = [dataclasses.replace(p, steps=n) for p, n in zip(_phases.phases(plan), steps, strict=True)]
    state = phases[0].train.init(plan.made.network(keys[0]), plan.batch, key=keys[1])
    options = {"steps_per_call": 50, "progress": False}
    state, _ = pj.fit(phases, state, plan.batch, **options)
    made = {"terms": ODE, "points": LINE}
    exec(_code.code(plan, keys, (260, 300)), made)
    assert float(made["state"].sampler.share) == float(state.sampler.share) < 1
    t = jnp.array([1.3])
    assert made["u"](t) == phases[1].train.model(state)(t)


def test_a_narrow_jump_is_seen_by_the_last_look(x64):
    """u = 1 up to a jump to -1 of width 1e-5 solves u' = 0 nearly everywhere, and 2000 points miss it."""
    plan = planned({"ode": lambda u, t: pj.diff(u, 0)(t), "start": ODE["start"]}, LINE)
    jump = lambda a, t: -jnp.tanh((t[0] - a) / 1e-5)
    best = _judging.looked_at_closely(plan, jump, [Snapshot(1, 1e-9, (jnp.asarray(1.0), None))], KEY)
    assert best.validation > 1.0
    flat = Snapshot(2, 1e-8, (jnp.asarray(10.0), None))
    assert _judging.looked_at_closely(plan, jump, [best, flat], KEY).step == 2


def test_a_residual_that_is_no_number_at_a_few_points_is_no_solution(x64):
    plan = planned({"ode": lambda u, t: pj.diff(u, 0)(t), "start": ODE["start"]}, LINE)
    root = lambda a, t: a + 0 * jnp.sqrt(t[0] - 1e-3)
    best = _judging.looked_at_closely(plan, root, [Snapshot(1, 1e-9, (jnp.asarray(1.0), None))], KEY)
    assert np.isnan(best.validation)
    assert _accuracy.estimate([(best.validation, np.ones(9))], None).failure


@pytest.mark.exhaustive
def test_the_system_of_lorenz_is_solved(x64):
    """At once, a network is on the wrong side of a jump between its points; the error is 1."""
    problem = unseen.problem("lorenz")
    points = problem.draw(KEY, problem.points, jnp.float64)
    solution = pj.solve(problem.terms, points, outputs=3, steps=5000, evaluate=problem.evaluate, progress=False)
    assert "growing" in solution.recipe
    assert solution.solved and problem.evaluate(solution.model)["relative_l2"] < 1e-4
    assert solution.accuracy.value < 1e-3
