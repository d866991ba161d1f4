"""A race: many seeds in one program, equal to the single runs."""

import dataclasses
import json

import chex
import matplotlib.image
import numpy as np
import pytest

import pinnjax as pj
from pinnjax import term_weights
from pinnjax.cli import main
from pinnjax.cli.race import race
from pinnjax.problems import harmonic, solve, tanh

RECIPE = harmonic.recipes["annealed"]


@pytest.mark.usefixtures("quick_compilation")
def test_a_race_is_the_single_runs_side_by_side(x64):
    outcomes = race(harmonic, {"annealed": RECIPE}, seeds=[0, 3], steps=90, dtype="float64", progress=False)
    for i, seed in enumerate([0, 3]):
        alone = solve(harmonic, RECIPE, steps=90, seed=seed, dtype="float64", progress=False)
        outcome = outcomes["annealed"]
        np.testing.assert_allclose(outcome.errors[i], alone.relative_l2, rtol=1e-9)
        moments = np.isin(alone.history["step"], outcome.steps)
        for name in ("loss/pde", "weight/ic"):
            np.testing.assert_allclose(outcome.history[name][:, i], alone.history[name][moments], rtol=1e-9)
    assert outcomes["annealed"].steps[-1] == 90


def test_points_that_weights_belong_to_are_drawn_once_a_seed():
    recipe = dataclasses.replace(RECIPE, point_weights=pj.point_weights.self_adaptive(1e-2))
    outcomes = race(harmonic, {"both": recipe}, seeds=range(2), steps=20, progress=False)
    chex.assert_tree_all_finite(outcomes["both"].errors)


@pytest.mark.usefixtures("quick_compilation")
def test_the_command_line_races_rules_with_options(tmp_path, capsys):
    json_file = tmp_path / "new" / "race.json"
    rules = "fixed:ic=100,pde=2,multiadam,lr_annealing:variant=norm"
    arguments = ["race", "harmonic", "--term-weights", rules, "--steps", "50", "--seeds", "2"]
    assert main([*arguments, "--json", str(json_file), "--out", str(tmp_path / "new" / "plots")]) == 0
    shown = capsys.readouterr().out
    outcomes = json.loads(json_file.read_text())["outcomes"]
    assert list(outcomes) == ["fixed:ic=100,pde=2", "multiadam", "lr_annealing:variant=norm"]
    for label, outcome in outcomes.items():
        assert len(outcome["relative_l2"]) == 2 and label.split(":")[0] in shown
        assert f"{np.median(outcome['relative_l2']):.1e}" in shown
    assert outcomes["fixed:ic=100,pde=2"]["history"]["weight/ic"][-1] == [100, 100]
    assert matplotlib.image.imread(tmp_path / "new" / "plots" / "race_harmonic.png").std() > 0.05


def test_without_rules_the_methods_race(capsys):
    assert main(["race", "tanh", "--steps", "3", "--seeds", "2"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in tanh.recipes)


@pytest.mark.slow
def test_the_sweep_shows_failure_the_goldilocks_zone_and_failure_again():
    recipes = {
        f"{weight:g}": dataclasses.replace(harmonic.recipes["plain"], term_weights=term_weights.fixed({"ic": weight}))
        for weight in (1e-3, 1e2, 1e5)
    }
    outcomes = race(harmonic, recipes, seeds=range(3), progress=False)
    assert outcomes["0.001"].errors.min() > 0.9
    assert outcomes["100"].errors.max() < 1e-3
    assert outcomes["100000"].errors.min() > 0.2


@pytest.mark.slow
def test_balancers_by_gradients_cure_the_oscillator_without_tuning():
    rules = {
        "ntk": term_weights.ntk(),
        "lr_annealing": term_weights.lr_annealing("pde"),
        "grad_norm_ratio": term_weights.grad_norm_ratio(),
        "inverse_dirichlet": term_weights.inverse_dirichlet(),
        "db_pinn": term_weights.db_pinn("pde"),
        "config": term_weights.config(),
        "nash_mtl": term_weights.nash_mtl(),
        "dcgd": term_weights.dcgd("pde"),
    }
    recipes = {name: dataclasses.replace(harmonic.recipes["plain"], term_weights=rule) for name, rule in rules.items()}
    outcomes = race(harmonic, recipes, seeds=range(3), progress=False)
    medians = {name: float(np.median(outcome.errors)) for name, outcome in outcomes.items()}
    assert max(medians.values()) <= 1e-2, medians
    assert min(medians.values()) <= 1.5e-4, medians  # 9e-5 over five seeds; three leave room for chance
