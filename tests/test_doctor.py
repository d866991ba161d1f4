"""The doctor's blind trial: planted pathologies are named, healthy runs are left alone, and the cures cure."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax import doctor
from pinnjax.doctor import rules
from pinnjax.problems._problem import grid as tensor_grid
from pinnjax.terms import bridge
from tests.doctor_trials import TRIALS
from tests.doctor_trials_held_out import ANY, HELD_OUT
from tests.marks import few

value = lambda u, x: u(x) - 1.0
slope = lambda u, x: pj.diff(u, 0)(x) + u(x)
NAMES = {
    "plain": {"pde": slope, "bc": value},
    "dict": {"ode": lambda u, x: {"x": slope(u, x), "y": value(u, x)}, "ic": lambda u, x: {"start": value(u, x)}},
    "stroke": {'the "pde"/inside': slope, "bc/left": value},
}
LINE = jnp.linspace(0.5, 1234.5, 20)[:, None]
ILL = [name for name, trial in TRIALS.items() if trial.planted]


def error(u, exact, corners):
    """Relative L2 error on a grid of 101 points a side."""
    sides = [np.linspace(low, high, 101) for low, high in zip(*corners, strict=True)]
    grid = jnp.asarray(tensor_grid(*sides), jnp.float32)
    return float(pj.relative_l2(u, grid, jax.vmap(exact)(grid)))


def run(trial, *, problem, network, optimizer, **options):
    terms, exact, batch = problem
    train = pj.train_step(terms, optimizer, **options)
    state, _ = pj.fit(train, train.init(network(pj.nn.Rngs(0)), batch), batch, steps=trial.steps, progress=False)
    return error(train.model(state), exact, trial.corners)


def diagnosis(trial, seed=0):
    terms, _, batch = trial.problem
    settings = {"steps": trial.steps, "optimizer": trial.optimizer} | dict(trial.told)
    return pj.diagnose(terms, trial.network(pj.nn.Rngs(seed)), batch, **settings)


def reached(trial, found):
    """The true error of the run that was diagnosed."""
    state = found.evidence.state
    return error(bridge.field(state.definition, state.params, state.constants), trial.problem[1], trial.corners)


@pytest.mark.slow
@pytest.mark.parametrize("seed", few([0, 1], rest="exhaustive"))  # the thresholds were chosen with seed 0 in view
def test_the_doctor_names_planted_pathologies_and_leaves_healthy_runs_alone(seed):
    assert len(TRIALS) >= 12
    wrong = {}
    for name, trial in TRIALS.items():
        found = diagnosis(trial, seed)
        error_of_it = reached(trial, found)
        # No run with an error above 10 % gets a clean bill; a healthy one may only be called unfinished where it is.
        assert found.pathology or error_of_it < 0.1, (name, error_of_it)
        unfinished = found.pathology == "not solved" and error_of_it > 0.04
        if found.pathology != trial.planted and not (trial.planted is None and unfinished):
            wrong[name] = found.pathology
    assert not {name for name in wrong if TRIALS[name].planted is None}, wrong
    assert len(wrong) <= len(TRIALS) // 12, wrong


@pytest.mark.exhaustive
def test_the_doctor_is_right_about_problems_that_no_threshold_was_chosen_with():
    """Of 25 it called 21 as they were planted, and none of the others healthy where the error was above 10 %."""
    right = 0
    for name, trial in HELD_OUT.items():
        found = diagnosis(trial)
        error_of_it = reached(trial, found)
        assert found.pathology or not error_of_it > 0.1, (name, error_of_it)
        unfinished = trial.planted is None and found.pathology == "not solved" and error_of_it > 0.04
        right += found.pathology == trial.planted or unfinished or (trial.planted == ANY and bool(found.pathology))
        if trial.planted is None:
            assert found.pathology in (None, "not solved"), name
    assert right >= 0.8 * len(HELD_OUT)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:fit. stopped after")  # where steps are not finite
@pytest.mark.parametrize("name", few(list(ILL), *list(ILL)[::4], rest="exhaustive"))
def test_the_suggested_change_lowers_the_error(name):
    trial = TRIALS[name]
    first = diagnosis(trial).findings[0]
    assert trial.advice in first.remedy
    as_it_is = {"problem": trial.problem, "network": trial.network, "optimizer": trial.optimizer}
    ill, cured = run(trial, **as_it_is), run(trial, **as_it_is | dict(trial.cure))
    assert cured < 0.5 * ill or (np.isnan(ill) and cured < 0.5), (ill, cured)


@functools.cache
def evidence(kind, *, anew=(), points=(0.5, 1234.5)):
    """A short probe; the points of the terms `anew` are drawn anew in every step."""
    terms, points = NAMES[kind], jnp.linspace(*points, 20)[:, None]
    batch = dict(zip(terms, (points, points[:1]), strict=True))
    drawn, rest = {t: batch[t] for t in anew}, {t: p for t, p in batch.items() if t not in anew}
    model = pj.nn.MLP(1, "scalar", width=4, depth=1, rngs=pj.nn.Rngs(0))
    options = {"sampler": pj.sampling.resample(lambda key: drawn), "key": jax.random.key(0)} if anew else {}
    return doctor.probe(terms, model, rest, optimizer=optax.adam(1e-3), steps=8, time=0, **options)


def as_ill_as_can_be(seen):
    """The same run with everything wrong: each rule finds its pathology."""
    names = seen.names
    every = lambda value: dict.fromkeys(names, value)
    history = {name: np.ones(8) for name in seen.history}
    history |= {f"grad_norm/{t}": np.full(8, 1e6 if t == names[0] else 1.0) for t in names}
    history |= {name: np.full(8, -0.9) for name in seen.history if name.startswith("cosine/")}
    now = np.geomspace(1.0, 1e-4, 10)
    start = dataclasses.replace(
        seen.start,
        losses=every(1.0),
        rates={t: 1e6 if t == names[0] else 1.0 for t in names},
        saturation=np.array([0.9]),
        dead=np.array([0.9]),
        fresh=every(1.0),
        time_losses=np.ones(10),
    )
    end = dataclasses.replace(
        start,
        homogeneity=every(0.1),
        waves=dict.fromkeys(seen.end.waves, np.array([10.0])),
        fresh=every(100.0),
        time_losses=now,
    )
    oscillating = dataclasses.replace(end, homogeneity=every(0.9))
    ill = dataclasses.replace(
        seen,
        history=history,
        start=start,
        end=end,
        reference=every((1.0, 1.0)),
        steps=doctor.SHORT,
        relative=every(1.0),
        length=1e-3,
        step_size=0.1,
    )
    without = ill.history | {f"grad_norm/{t}": np.zeros(8) for t in names}
    skipped = ill.history | {"skipped": np.full(8, 3)} | {f"nonfinite/{t}": np.full(8, 3) for t in names}
    return [
        ill,
        dataclasses.replace(ill, end=oscillating),
        dataclasses.replace(ill, history=without, start=dataclasses.replace(start, rates=every(0.0))),
        dataclasses.replace(ill, history=skipped),
        dataclasses.replace(ill, length=1e4, error=1.0),
        dataclasses.replace(ill, broken=dict.fromkeys(names, np.zeros(1))),
    ]


ALL_RULES = (rules.nonfinite, *rules.RULES, rules.no_progress, rules.unsolved)


@pytest.mark.slow
@pytest.mark.parametrize("kind", few(NAMES, "dict"))
def test_every_change_that_the_doctor_prints_is_code_that_runs(kind, quick_compilation):
    seen = evidence(kind)
    checks = [check for ill in as_ill_as_can_be(seen) for rule in ALL_RULES for check in rule(ill) if check.found]
    assert {check.pathology for check in checks} == {
        "not finite",
        "wrong condition",
        "no gradient",
        "saturated network",
        "learning rate too large",
        "learning rate too small",
        "loss-balance crisis",
        "too few points",
        "causality violation",
        "spectral bias",
        "drowned points",
        "conflicting terms",
        "no progress",
        "not solved",
    }
    batch = dict(zip(NAMES[kind], (LINE, LINE[:1]), strict=True))
    for change in dict.fromkeys(check.remedy for check in checks):
        if change.startswith("solution = "):  # no option of a step: a call, which `tests/test_solve.py` makes
            assert callable(eval(change.split("(")[0].removeprefix("solution = "), {"pj": pj}))
            continue
        options = eval(f"dict(\n{change}\n)", {"pj": pj, "optax": optax, "jnp": jnp})
        network = {name: options.pop(name) for name in ("inputs", "activation") if name in options}
        features = getattr(network.get("inputs"), "features", 1)
        model = pj.nn.MLP(features, "scalar", width=4, depth=1, rngs=pj.nn.Rngs(0), **network)
        chex.assert_shape(model(jnp.ones(1)), ())
        train = pj.train_step(NAMES[kind], **{"optimizer": optax.adam(1e-3)} | options)
        drawn = {} if "sampler" not in options else options["sampler"].pool(jax.random.key(0))
        rest = {t: p for t, p in batch.items() if t not in drawn}
        step = lambda key, train=train, model=model, rest=rest: train.update(train.init(model, rest, key=key), rest)
        _, metrics = jax.eval_shape(step, jax.random.key(0))  # a trace is enough, and costs no compilation
        chex.assert_shape(metrics["loss"], ())


@pytest.mark.slow
def test_a_treated_run_has_at_most_half_the_error():
    """The closed loop: look, change one argument, look again; and what no argument cures says so."""
    exact = lambda x: jnp.sin(x[0]) + 1 - x[0] * jnp.sin(3.0) / 3
    terms = {"pde": lambda u, x: 1e3 * (pj.diff(u, 0, 0)(x) + jnp.sin(x[0])), "bc": lambda u, x: u(x) - 1.0}
    batch = {"pde": jnp.linspace(0, 3, 32)[:, None], "bc": jnp.array([[0.0], [3.0]])}
    model = pj.nn.MLP(1, "scalar", width=16, depth=2, rngs=pj.nn.Rngs(0))
    first = pj.diagnose(terms, model, batch, steps=1000, exact=exact)
    assert set(first.treated()) == {"term_weights"}
    second = pj.diagnose(terms, model, batch, steps=1000, exact=exact, **first.treated())
    assert second.evidence.error < first.evidence.error / 2
    wrong = pj.diagnose(terms, model, batch, steps=20, exact=lambda x: jnp.sin(x[0]) + 7.0)
    with pytest.raises(ValueError, match="expected a change by hand"):
        wrong.treated()
    healthy = dataclasses.replace(first, checks=())
    assert healthy.treated() == {}


@pytest.mark.slow
def test_a_change_keeps_all_points(quick_compilation):
    """Rounded to three digits, the interval (1000.5, 1003.5) is empty."""
    seen = evidence("plain", points=(1000.5, 1003.5))
    found = {
        check.pathology: check.remedy for check in (c for rule in ALL_RULES for c in rule(as_ill_as_can_be(seen)[0]))
    }
    assert "interval=(1000.5, 1003.5)" in found["causality violation"]
    assert "box((1000.5,), (1003.5,))" in found["saturated network"]
    assert "pj.sampling.box(key, (1000.5,), (1003.5,), 20)" in found["too few points"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("anew", "changes"),
    [
        (
            ("pde", "bc"),
            {
                "pde": "# points that stay, in the batch, and then "
                'point_weights=pj.point_weights.residual_attention(terms=["pde"])'
            },
        ),
        (("bc",), {"pde": 'point_weights=pj.point_weights.residual_attention(terms=["pde"])'}),
        ((), {"pde": "point_weights=pj.point_weights.residual_attention()"}),
    ],
)
def test_points_that_are_drawn_anew_get_no_rule_that_remembers_them(anew, changes, quick_compilation):
    ill = as_ill_as_can_be(evidence("plain", anew=anew))[0]
    found = rules.drowned_points(ill)
    assert {term: check.remedy for term, check in zip(ill.end.waves, found, strict=True)} == changes
    replaces = [check.remedy.startswith("sampler=") for check in rules.too_few_points(ill)]
    assert all(replaces) != bool(anew)  # another sampler in its place would leave the other terms without points


def test_a_pathology_needs_harm_and_a_crossed_threshold():
    check = lambda value, harm, below: rules.Check("ill", "", value, 1.0, "", harm, "", "", below)
    assert [check(v, h, b).found for b in (False, True) for h in (False, True) for v in (0.5, 1.0, 2.0)] == [
        *(False, False, False, False, False, True),
        *(False, False, False, True, False, False),
    ]
    assert not check(np.nan, True, False).found


@pytest.mark.slow
@pytest.mark.parametrize(("late", "stalls"), [(0.2, False), (0.9, False), (0.96, False), (0.999, True), (1.1, True)])
def test_terms_conflict_only_where_their_losses_have_stopped_falling(late, stalls, quick_compilation):
    ill = as_ill_as_can_be(evidence("plain"))[0]
    falling = np.concatenate([np.ones(8), np.geomspace(1.0, late, 8)])
    history = ill.history | {f"loss/{t}": falling for t in ill.names}
    history |= {"cosine/bc|pde": np.full(16, -0.9)}
    (check,) = rules.conflicting_terms(dataclasses.replace(ill, history=history))
    assert check.crossed and check.found == stalls


@pytest.mark.slow
def test_late_times_are_not_blamed_where_early_ones_are_learnt_as_well(quick_compilation):
    ill = as_ill_as_can_be(evidence("plain"))[0]
    (found,) = rules.causality_violation(ill)
    assert found.found
    before = np.geomspace(1e-4, 1.0, 10)  # a network that is nearly constant, of u'' + u = 0
    even = dataclasses.replace(ill.end, time_losses=np.full(10, 1e-4))
    learnt = dataclasses.replace(ill, start=dataclasses.replace(ill.start, time_losses=before), end=even)
    (found,) = rules.causality_violation(learnt)
    assert found.crossed and not found.found
    zero = dataclasses.replace(learnt, end=dataclasses.replace(ill.end, time_losses=np.zeros(10)))
    assert not rules.causality_violation(zero)[0].found  # and no division by zero


def oscillator(seed):
    terms = {
        "pde": lambda u, x: pj.diff(u, 0, 0)(x) + u(x),
        "ic": lambda u, x: jnp.stack([u(x) - 1.0, pj.diff(u, 0)(x)]),
    }
    batch = {"pde": jnp.linspace(0, 2, 50)[:, None], "ic": jnp.zeros((1, 1))}
    model = pj.nn.MLP(1, "scalar", width=32, depth=2, rngs=pj.nn.Rngs(seed))
    return pj.diagnose(terms, model, batch, steps=2500, time=0)


@pytest.mark.slow
def test_an_oscillator_that_is_learnt_is_left_alone(quick_compilation):
    found = oscillator(seed=1)
    x = jnp.linspace(0, 2, 101)[:, None]
    state = found.evidence.state
    u = bridge.field(state.definition, state.params, state.constants)
    assert float(pj.relative_l2(u, x, jnp.cos(x[:, 0]))) < 3e-3
    assert found.pathology is None, str(found)


@pytest.mark.parametrize("time", [3, 1, -1, 0.0, "t"])
def test_a_time_that_points_do_not_have_is_one_sentence(time):
    terms, _, batch = TRIALS["healthy decay"].problem
    model = TRIALS["healthy decay"].network(pj.nn.Rngs(0))
    with pytest.raises(ValueError, match=f"time is {time!r}; expected the index of a coordinate of the points"):
        pj.diagnose(terms, model, batch, time=time)


def test_a_monitor_says_that_points_have_no_such_coordinate():
    terms, _, batch = TRIALS["healthy decay"].problem
    monitor = pj.monitors.time_losses("pde", (0.0, 1.0), time=lambda points: points[:, 3])
    train = pj.train_step(terms, optax.adam(1e-3), monitors=[monitor])
    with pytest.raises(ValueError, match=r"time_losses: time asks for a coordinate that points of shape \(100, 1\)"):
        jax.eval_shape(lambda: train.update(train.init(TRIALS["healthy decay"].network(pj.nn.Rngs(0)), batch), batch))


def test_causal_says_that_points_have_no_such_coordinate():
    residuals, points = {"pde": jnp.ones(4)}, {"pde": jnp.linspace(0, 1, 4)[:, None]}
    for time, error, message in [
        (lambda points: points[:, 3], ValueError, r"causal: time asks for a coordinate that points of shape \(4, 1\)"),
        (lambda points: points, ValueError, r"causal: time returns shape \(4, 1\)"),
        (3, TypeError, "causal: time is 3; expected a function of points to times"),
    ]:
        rule = pj.point_weights.causal(["pde"], interval=(0.0, 1.0), time=time)
        with pytest.raises(error, match=message):
            rule.update({"pde": jnp.ones(4)}, rule.init(residuals), residuals=residuals, points=points)


@pytest.mark.parametrize(
    ("terms", "blamed"),
    [
        ({"bc/left": lambda u, x: jnp.sqrt(x[0] - 0.5) * u(x)}, "bc/left"),
        ({"ab": lambda u, x: {"p": u(x), "q": jnp.log(x[0] - 0.5) + u(x)}}, "ab/q"),
        ({"ab/c": lambda u, x: {"p": jnp.log(x[0] - 0.5) * u(x)}}, "ab/c/p"),
    ],
)
def test_a_residual_that_is_not_finite_is_blamed_by_any_name(terms, blamed, quick_compilation):
    model = pj.nn.MLP(1, "scalar", width=4, depth=1, rngs=pj.nn.Rngs(0))
    found = pj.diagnose(terms, model, {next(iter(terms)): jnp.linspace(1.0, 0.0, 5)[:, None]}, steps=2, time=0)
    assert found.pathology == "not finite"
    assert f"`{blamed}`" in found.findings[0].message and "[0." in found.findings[0].message
