"""Studies: stored and taken up again, claims that can fail, and the analysis of Poisson's gradients."""

import dataclasses
import json

import chex
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax import plot
from pinnjax.cli import reproduce
from pinnjax.cli.reproduce import (
    Run,
    Study,
    cascade,
    gradient_pathologies,
    hard_conditions,
    harmonic_sweep,
    poisson_growth,
)
from pinnjax.problems import harmonic

pytestmark = pytest.mark.usefixtures("quick_compilation")
RECIPE = dataclasses.replace(harmonic.recipes["plain"], steps=40)


def study(claims=lambda results: {"errors are finite": bool(np.isfinite(results["b"].median()))}, recipe=RECIPE):
    return Study(
        name="small",
        title="a small study",
        source="nobody",
        runs={"a": Run(harmonic, RECIPE, 2.0), "b": Run(harmonic, recipe, "large")},
        claims=claims,
        quick_claims=lambda results: {"quick": True},
        figures=lambda results: {"empty": plt.figure()},
        extras=lambda problem, outcome: {"bias": np.asarray(outcome.states.step)},
        seeds=2,
    )


@pytest.mark.slow
def test_a_study_is_stored_and_taken_up_again(tmp_path):
    said = []
    first = reproduce.run(study(), tmp_path, tell=said.append, progress=False)
    assert [line.split(":")[0] for line in said] == ["a", "b"] and not any("stored" in line for line in said)
    (tmp_path / "small" / "b.npz").unlink()  # as an interruption would leave it
    said.clear()
    again = reproduce.run(study(), tmp_path, tell=said.append, progress=False)
    assert ["stored" in line for line in said] == [True, False]
    for label in ("a", "b"):
        for name, values in first.results[label].history.items():
            np.testing.assert_array_equal(values, again.results[label].history[name])
        np.testing.assert_array_equal(again.results[label].extras["bias"], [40, 40])


@pytest.mark.slow
def test_a_changed_run_is_made_anew(tmp_path):
    reproduce.run(study(), tmp_path, progress=False)
    said = []
    changed = dataclasses.replace(RECIPE, steps=60)
    report = reproduce.run(study(recipe=changed), tmp_path, tell=said.append, progress=False)
    assert ["stored" in line for line in said] == [True, False]
    assert report.results["b"].steps[-1] == 60


@pytest.mark.slow
def test_the_record_has_figures_ratios_and_claims(tmp_path):
    reproduce.run(study(claims=lambda results: {"no": False}), tmp_path, about={"device": "x"}, progress=False)
    record = json.loads((tmp_path / "small.json").read_text())
    run = record["runs"]["a"]
    assert record["claims"] == {"no": False} and record["device"] == "x"
    assert run["ratio"] == pytest.approx(run["median"] / 2.0, rel=1e-3)
    assert len(run["relative_l2"]) == 2 and run["worst"] == max(run["relative_l2"])
    assert record["runs"]["b"]["published"] == "large" and record["runs"]["b"]["ratio"] is None
    assert (tmp_path / "small_empty.png").stat().st_size > 0


@pytest.mark.slow
def test_a_quick_run_has_one_seed_and_a_share_of_the_steps(tmp_path):
    report = reproduce.run(study(), tmp_path, quick=True, progress=False)
    assert report.claims == {"quick": True}
    chex.assert_shape(report.results["a"].final(), (1,))
    assert report.results["a"].steps[-1] == 10


def test_an_error_that_is_not_finite_counts_as_infinite():
    result = reproduce.Result({"relative_l2": np.array([[1.0, np.nan, 0.5]])}, np.array([1]), 0.0, {})
    np.testing.assert_array_equal(result.final(), [1.0, np.inf, 0.5])
    assert result.median() == 1.0


def test_every_study_has_runs_of_its_problem_and_a_name_of_its_own():
    names = [s.name for s in reproduce.STUDIES]
    assert len(set(names)) == len(names)
    for s in reproduce.STUDIES:
        assert s.runs and s.seeds >= 3


def test_the_order_of_methods_can_fail():
    result = lambda error: reproduce.Result({"relative_l2": np.full((1, 3), error)}, np.array([1]), 0.0, {})
    results = {"M1": result(1e-1), "M3": result(1e-2), "M4": result(2e-2)}
    assert gradient_pathologies.in_order(results, "M1", "M3")
    assert not gradient_pathologies.in_order(results, "M1", "M3", "M4")


@pytest.mark.slow
def test_poisson_gradients_are_within_their_bounds_and_grow_as_they_do():
    frequencies, found = poisson_growth._analysis()
    for one in found:
        assert one.pde <= one.pde_bound and one.bc <= one.bc_bound
    assert 3.5 <= poisson_growth.exponent(frequencies, [one.pde for one in found]) <= 4.1
    assert abs(poisson_growth.exponent(frequencies, [one.bc for one in found])) <= 0.3


def test_the_exponent_is_the_slope_on_logarithmic_scales():
    x = [1.0, 2.0, 5.0]
    assert poisson_growth.exponent(x, [3 * v**2.5 for v in x]) == pytest.approx(2.5)


@pytest.mark.slow
def test_gradients_by_layer_are_those_of_the_matrices():
    model = pj.nn.ModifiedMLP(2, "scalar", width=4, depth=2, rngs=pj.nn.Rngs(0))
    terms = {"pde": lambda u, x: pj.laplacian(u)(x), "bc": lambda u, x: u(x)}
    batch = {"pde": jnp.ones((3, 2)), "bc": jnp.zeros((2, 2))}
    state = pj.train_step(terms, optax.identity()).init(model, batch)
    _, term_grads = pj.value_and_grads(terms, state.definition, state.constants)(state.params, batch)
    layers = pj.diagnostics.by_layer(term_grads)
    assert list(layers) == ["encoder_u", "encoder_v", "mlp/hidden/0", "mlp/hidden/1", "mlp/out"]
    kernel = term_grads["bc"]["mlp"]["hidden"][1]["kernel"]
    np.testing.assert_array_equal(layers["mlp/hidden/1"]["bc"], jnp.ravel(jax.tree.leaves(kernel)[0]))


def test_gradient_histograms_count_every_entry():
    layers = {"one": {"pde": np.array([-1.0, 1e-3, 0.0, 1.0]), "bc": np.zeros(5)}, "two": {"pde": np.ones(3)}}
    figure = plot.gradient_histograms(layers)
    assert len(figure.axes) == 2
    for ax in figure.axes:
        for patch in ax.patches:  # shares of the entries add up to one: no bin is missing at either end
            assert np.sum(patch.get_data().values) == pytest.approx(1.0)
    plt.close(figure)


@pytest.mark.slow
def test_a_file_that_cannot_be_written_ends_no_study(tmp_path):
    (tmp_path / "small").touch()  # a file where the runs' folder would be
    (tmp_path / "small.json").mkdir()
    report = reproduce.run(study(), tmp_path, quick=True, progress=False)
    assert len(report.unwritten) == 3 and all("cannot be written" in sentence for sentence in report.unwritten)
    assert report.record["claims"] == report.claims == {"quick": True}


def test_a_claim_of_the_sweep_says_which_weights_it_tests():
    result = lambda error: reproduce.Result({"relative_l2": np.full((1, 3), error)}, np.array([1]), 0.0, {})
    errors = {-3: 1.0, -2: 1.0, -1: 1.0, 0: 0.5, 1: 0.1, 2: 1e-3, 3: 0.1, 4: 0.2, 5: 1.0}
    results = {f"λ = 1e{e}": result(error) for e, error in errors.items()} | {"ntk": result(1e-3)}
    claims = harmonic_sweep.claims(results)
    assert all(claims.values())
    (about,) = (claim for claim in claims if "forgets" in claim)
    largest = float(about.split("<=")[1].split()[0])
    for e in errors:
        worse = harmonic_sweep.claims(results | {f"λ = 1e{e}": result(0.0 if e != 2 else 1e-3)})
        assert worse[about] == (10.0**e > largest)  # it tests the weights that it names, and no others


def test_each_claim_of_conditions_built_in_can_fail():
    result = lambda error: reproduce.Result({"relative_l2": np.full((1, 3), error)}, np.array([1]), 0.0, {})
    runs = hard_conditions.STUDY.runs
    results = {label: result(1.0 if "plain" in label or "distance" in label else 1e-2) for label in runs}
    assert all(hard_conditions.claims(results).values())
    for label, error, failing in [
        ("oscillator, plain", 5e-2, [0]),
        ("oscillator, fixed", 1e-3, [1]),
        ("oscillator, ntk", 1e-3, [1]),
        ("oscillator, hard", 0.5, [0, 1]),
        ("Helmholtz, λ = 100", 1e-3, [2]),
        ("Helmholtz, hard, distance", 1e-3, [3]),
        ("Helmholtz, annealed", 1e-3, []),  # what it does is shown, and nothing is claimed of it
    ]:
        found = hard_conditions.claims(results | {label: result(error)})
        assert [i for i, holds in enumerate(found.values()) if not holds] == failing, label
    built_in = {label: run.recipe.built_in for label, run in runs.items() if run.recipe.built_in}
    assert built_in == {"oscillator, hard": ("ic",), "Helmholtz, hard": ("bc",), "Helmholtz, hard, distance": ("bc",)}


def test_each_claim_of_levels_can_fail():
    result = lambda error, seconds: reproduce.Result(
        {"relative_l2": np.full((1, 3), error)}, np.array([1]), seconds, {}
    )
    levels = "Klein-Gordon, 10, 20, 40"
    results = {label: result(1e-3, 9.0) for label in cascade.STUDY.runs} | {levels: result(1e-4, 5.0)}
    assert all(cascade.claims(results).values())
    for worse, failing in [(result(1e-2, 5.0), 0), (result(1e-4, 10.0), 1)]:
        found = list(cascade.claims(results | {levels: worse}).values())
        assert found.index(False) == failing and found.count(False) == 1
    phases = cascade.STUDY.runs[levels].recipe.phases
    assert [phase.steps for phase in phases] == [1000, *cascade.LEVELS]
    assert [phase.grown is None for phase in phases] == [True, True, False, False]
