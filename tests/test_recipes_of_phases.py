"""Recipes of several phases, and optimisers on the command line: they are `pinnjax.fit` of phases, by hand."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnjax as pj
from pinnjax.cli import clock, ending, main, optimizing
from pinnjax.cli.diagnosing import examine
from pinnjax.cli.race import race
from pinnjax.problems import EVERY, Recipe, dtypes, harmonic, phases, prepare, solve

pytestmark = pytest.mark.usefixtures("quick_compilation")

SMALL = dataclasses.replace(harmonic, network={**harmonic.network, "width": 6, "depth": 1}, points={"pde": 12})
FIRST = dataclasses.replace(SMALL.recipes["annealed"], steps=30, resampled=False)
THEN = Recipe(
    "Gauss-Newton",
    steps=8,
    optimizer=lambda rate: pj.optimizers.gauss_newton(),
    term_weights=pj.term_weights.held(pj.term_weights.lr_annealing("pde")),
    resampled=False,
    dtype="float64",
    before=FIRST,
)
# The same with an optimiser that compiles soon.
QUICK = dataclasses.replace(THEN, optimizer=lambda rate: pj.optimizers.soap(rate), steps=7)


@pytest.mark.slow
def test_a_recipe_of_two_phases_is_fit_of_two_phases(x64):
    """The single precision of the first, points that stay, and the weights at which the first ended."""
    found = solve(SMALL, QUICK, seed=3, progress=False)
    steps = [
        pj.train_step(SMALL.terms, one.optimizer(one.schedule(one.steps)), term_weights=one.term_weights)
        for one in QUICK.phases
    ]
    key, model_key = jax.random.split(jax.random.key(3))
    model = pj.nn.MLP(**SMALL.network, param_dtype=jnp.float32, rngs=pj.nn.Rngs(model_key))
    batch = SMALL.draw(key, SMALL.points, jnp.float64)
    single = jax.tree.map(lambda x: x.astype(jnp.float32), batch)
    state = steps[0].init(model, single, key=key)
    by_hand = [pj.Phase(steps[0], 30, dtype=jnp.float32), pj.Phase(steps[1], 7, dtype=jnp.float64)]
    state, history = pj.fit(by_hand, state, batch, progress=False)
    assert found.steps == 37 and {leaf.dtype.name for leaf in jax.tree.leaves(found.state.params)} == {"float64"}
    np.testing.assert_array_equal(found.history["phase"], np.repeat([0, 1], [30, 7]))
    for name in ("loss", "weight/ic"):
        np.testing.assert_allclose(found.history[name], history[name], rtol=1e-9)
    assert len(set(found.history["weight/ic"][30:])) == 1 and found.history["weight/ic"][30] != 1


@pytest.mark.slow
def test_the_second_phase_brings_the_digits_and_steps_are_its_own(x64):
    short, long = (solve(SMALL, THEN, steps=steps, progress=False) for steps in (1, 8))
    assert (short.steps, long.steps) == (31, 38)
    assert long.history["loss"][-1] < 0.2 * long.history["loss"][29]  # far beyond eight steps of Adam


@pytest.mark.slow
def test_a_race_of_recipes_with_phases_is_the_single_runs(x64):
    outcome = race(SMALL, {"both": QUICK}, seeds=[0, 3], progress=False)["both"]
    assert outcome.steps[-1] == 37
    for i, seed in enumerate((0, 3)):
        alone = solve(SMALL, QUICK, seed=seed, progress=False)
        # Under vmap single precision is added up in another order, in 30 steps.
        np.testing.assert_allclose(outcome.errors[i], alone.relative_l2, rtol=1e-4)


def test_a_phase_grows_the_network_and_the_loss_goes_on(x64):
    """By one step of a rate of zero; in a race, too, whose seeds are one program."""
    wide = lambda **network: pj.nn.MLP(**{**network, "width": 9})
    changes = {"before": FIRST, "grown": wide, "keeps": ("term_weights",), "schedule": lambda _: 0.0}
    larger = dataclasses.replace(FIRST, steps=1, **changes)
    found = solve(SMALL, larger, progress=False)
    assert max(leaf.size for leaf in jax.tree.leaves(found.state.params)) == 9
    before = solve(SMALL, FIRST, progress=False)
    assert found.relative_l2 == pytest.approx(before.relative_l2, rel=1e-5)
    raced = race(SMALL, {"grown": larger}, seeds=[0, 1], progress=False)["grown"]
    assert raced.errors[0] == pytest.approx(found.relative_l2, rel=1e-4)
    assert max(leaf.shape[-1] for leaf in jax.tree.leaves(raced.states.params)) == 9


def test_what_is_missing_or_does_not_fit_is_said():
    with pytest.raises(ValueError, match="grown is given, but nothing comes before"):
        dataclasses.replace(FIRST, grown=pj.nn.MLP)
    with pytest.raises(ValueError, match="model is None, and nothing comes before it"):
        Recipe("nothing", steps=3)
    with pytest.raises(ValueError, match="dtype is 'float16'; expected \"float32\""):
        dataclasses.replace(THEN, dtype="float16")
    with pytest.raises(ValueError, match="dtype is float64; expected float32"):
        phases(SMALL, THEN)
    with pytest.raises(ValueError, match="has 2 phases"):
        prepare(SMALL, THEN, 3, "float32")
    with pytest.raises(ValueError, match=r"points of 'pde' stay in the phases .* different numbers"):
        phases(SMALL, dataclasses.replace(THEN, points={"pde": 13}), dtype="float32")


def test_the_dtype_is_the_callers_or_the_phases_or_that_before():
    third = dataclasses.replace(THEN, dtype=None, before=THEN)
    assert list(map(str, dtypes(third))) == ["float32", "float64", "float64"]
    assert list(map(str, dtypes(third, "float32"))) == ["float32"] * 3
    assert [phase.steps for phase in phases(SMALL, third, 5, "float32")[0]] == [30, 8, 5]


@pytest.mark.slow
def test_the_doctor_looks_at_the_first_phase():
    assert examine(SMALL, THEN, steps=20).evidence.history["weight/ic"][-1] != 1  # annealed, and not held


def test_a_second_order_method_warms_up_and_keeps_points_and_weights():
    recipe = optimizing.with_optimizer(SMALL, SMALL.recipes["annealed"], "ssbroyden:retake=True")
    first, last = recipe.phases
    assert (first.steps, first.dtype, first.term_weights) == (1000, "float64", FIRST.term_weights)
    sampler = last.sampler({"pde": 12}, jnp.float32)
    state = sampler.init(jax.random.key(0))
    moves = jax.jit(lambda s: sampler.update(s, residuals=None)[1])
    for _ in range(EVERY):
        state = moves(state)
    assert jnp.array_equal(state.key, sampler.init(jax.random.key(0)).key)  # no draw until then
    assert not jnp.array_equal(moves(state).key, state.key)
    # A first-order one is put in, and what has phases already keeps them.
    assert optimizing.with_optimizer(SMALL, FIRST, "soap").before is None
    again = optimizing.with_optimizer(SMALL, THEN, "lbfgs")
    assert again.before is FIRST and again.term_weights is THEN.term_weights


FACTORY = """
import dataclasses
from pinnjax.problems import harmonic
small = lambda: dataclasses.replace(
    harmonic, network={**harmonic.network, "width": 6, "depth": 1}, points={"pde": 12}, name="small"
)
"""


@pytest.fixture
def mine(tmp_path, monkeypatch, x64):
    (tmp_path / "small_oscillator.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(optimizing, "WARM_UP", 5)
    return "small_oscillator:small"


@pytest.mark.slow
def test_solve_takes_an_optimizer_and_says_what_comes_with_it(mine, capsys, tmp_path):
    arguments = ["solve", mine, "--method", "annealed", "--steps", "4", "--json", "a.json"]
    assert main([*arguments, "--optimizer", "gauss_newton:damping=1e-2"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for words in (
        "gauss_newton:damping=1e-2",
        f"new points every {EVERY} steps",
        "weights held",
        "5 steps of warm-up and 4",
    ):
        assert words in shown, words
    assert "4 steps in float64" in shown
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["method"] == "annealed+changes" and record["steps"] == 9


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ("ssbroiden", "did you mean 'ssbroyden'"),
        ("ssbroyden:rate=1", "does not take these options, rate=1"),
        ("adam:learning_rate=fast", "cannot be used here"),
        ("gauss_newton:solver=lu", "solver is 'lu'; expected one of"),
    ],
)
def test_an_optimizer_that_is_none_is_one_sentence(optimizer, message, capsys):
    for command in (["solve", "harmonic", "--optimizer"], ["race", "harmonic", "--optimizers"]):
        assert main([*command, optimizer, "--steps", "2", "--dtype", "float32"]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and message in err, err


@pytest.mark.exhaustive
def test_optimizers_race_by_the_clock(mine, capsys, tmp_path):
    arguments = ["race", mine, "--method", "annealed", "--optimizers", "adam,soap:learning_rate=1e-2,gauss_newton"]
    assert main([*arguments, "--seeds", "2", "--steps", "20", "--json", "race.json", "--out", "."]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "one run after another" in shown and "60 seconds each, float64" in shown
    outcomes = json.loads((tmp_path / "race.json").read_text())["outcomes"]
    assert list(outcomes) == ["adam", "soap:learning_rate=1e-2", "gauss_newton"]
    for name, outcome in outcomes.items():
        assert outcome["steps"] == [25 if name == "gauss_newton" else 20] * 2
        for history, final in zip(outcome["history"], outcome["relative_l2"], strict=True):
            assert np.all(np.diff(history["seconds"]) > 0) and history["relative_l2"][-1] == final
    assert (tmp_path / "clock_small.png").stat().st_size > 5000


@pytest.mark.slow
def test_time_ends_a_run_and_a_race_goes_on():
    runs = clock.race_by_clock(
        SMALL, {"one": FIRST, "two": FIRST}, seconds=1e-3, steps=1000, after=lambda runs, label, seed: None
    )
    assert [run.steps[-1] for found in runs.values() for run in found] == [100, 100]  # the call that was running
    solution = solve(SMALL, FIRST, steps=1000, seconds=1e-3, progress=False)
    assert solution.steps == 100
    assert not ending.interrupted(solution.history, FIRST, 1000, solution.seconds, 1e-3)
    assert ending.interrupted(solution.history, FIRST, 1000, solution.seconds, None)  # as if by Ctrl-C
    waits = solution.history | {"skipped": np.arange(1, 101)}
    assert not ending.interrupted(waits, FIRST, 1000, solution.seconds, None)  # converged to rounding


def test_a_term_that_is_built_in_is_no_part_of_the_loss_and_an_unknown_one_is_refused():
    hard = harmonic.recipes["hard"]
    for resampled in (True, False):
        train, start = prepare(SMALL, dataclasses.replace(hard, resampled=resampled), 2)
        state, batch = start(jax.random.key(0))
        state, metrics = train.update(state, batch)
        assert batch is None or set(batch) == {"pde"}
        assert {name for name in metrics if name.startswith("loss/")} == {"loss/pde"}
    u = train.model(state)
    np.testing.assert_allclose(harmonic.terms["ic"](u, jnp.zeros(1)), 0, atol=1e-12)
    with pytest.raises(ValueError, match=r"built_in names unknown terms \['bc'\]; expected some of \['pde', 'ic'\]"):
        prepare(SMALL, dataclasses.replace(hard, built_in=("bc",)), 2)
