"""Problems without a recipe: their solutions satisfy their terms, and the scoreboard says what happened."""

import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from pinnjax.cli import main, scoreboard, scoring
from pinnjax.problems import unseen
from pinnjax.terms import bridge, evaluation

from .marks import few

# Unknown coefficients that the solution has.
TRUE = {"eigenvalue": {"energy": 0.5}, "inverse_heat": {"a": 0.2}, "inverse_oscillator": {"c": 0.4, "k": 9.0}}
INTEGRATED = {"van_der_pol": (2.0, 0.0), "lorenz": (1.0, 1.0, 1.0)}
FORMULAS = [name for name in unseen.MODULES if name not in INTEGRATED and name != "l_shape"]
# The rows of `few`: one steady, one with a coefficient.
DEFAULT = ("kovasznay", "inverse_oscillator")


def module(name):
    return __import__(f"pinnjax.problems.unseen.{unseen.MODULES[name]}", fromlist=["*"])


def exact(name, problem):
    """The solution as a field; of Helmholtz and Poisson, which are made by a function, from what the problem says."""
    if name.startswith("helmholtz"):
        a = int(name.split("_")[1])
        return lambda x: jnp.sin(a * jnp.pi * x[0]) * jnp.sin(a * jnp.pi * x[1])
    if name.startswith("poisson"):
        return {"poisson_3d": module(name).waves, "poisson_5d": module(name).neighbours}[name]
    return module(name).exact


@pytest.mark.parametrize("name", few(FORMULAS, *DEFAULT))
def test_the_solution_satisfies_every_term(name, x64):
    problem = unseen.problem(name)
    u = bridge.Derived(exact(name, problem), types.SimpleNamespace(**TRUE.get(name, {})))
    definition, params, _ = bridge.of_field(u)
    residuals = evaluation.residuals(problem.terms, definition)(params, scoreboard.posed(problem)[1])
    for term, r in residuals.items():
        scale = max(1.0, float(np.max(np.abs(problem.reference))))
        tolerance = 5e-3 if term == "data" else 2e-7  # measurements have noise of 1e-3; float32 draws places only
        assert float(jnp.max(jnp.abs(r))) < tolerance * scale, term
    np.testing.assert_allclose(jax.vmap(u)(jnp.asarray(problem.grid)), problem.reference, atol=1e-12)
    assert problem.reference.dtype == np.float64


@pytest.mark.parametrize("name", INTEGRATED)
def test_the_reference_of_a_system_is_that_of_another_integrator(name):
    problem, of = unseen.problem(name), module(name)
    found = scipy.integrate.solve_ivp(
        of._slopes, (0, of.END), INTEGRATED[name], method="Radau", t_eval=problem.grid[:, 0], rtol=1e-10, atol=1e-10
    )
    values = found.y.T if problem.reference.ndim == 2 else found.y[0]
    np.testing.assert_allclose(problem.reference, values, rtol=1e-6, atol=1e-6)


def test_the_reference_on_the_l_satisfies_the_equation_and_vanishes_on_the_boundary():
    """By the maximum principle its error is nowhere larger than on the boundary."""
    of = module("l_shape")
    assert np.max(np.abs(of.exact(of.edges(1777)))) < 1e-11
    x, h = np.array([[-0.5, 0.5], [0.3, 0.4], [-0.2, -0.7]]), 1e-2
    e = np.eye(2) * h
    weights = {1: 4 / 3, 2: -1 / 12}  # of fourth order
    laplacian = sum(
        w * (of.exact(x + k * step) - 2 * of.exact(x) + of.exact(x - k * step)) / h**2
        for k, w in weights.items()
        for step in e
    )
    np.testing.assert_allclose(laplacian, -1.0, atol=1e-6)


@pytest.mark.exhaustive
def test_the_scoreboard_plays_writes_and_goes_on(tmp_path, capsys):
    place = tmp_path / "scores.json"
    deepxde = {
        "problem": "van_der_pol",
        "kind": "new",
        "contestant": "deepxde",
        "seed": 0,
        "error": 0.5,
        "accuracy": None,
    }
    place.write_text(json.dumps({"seconds": 20.0, "runs": [deepxde | {"seconds": 1.0, "seconds_to": {}, "also": {}}]}))
    command = ["scoreboard", "--problems", "van_der_pol", "--seconds", "20", "--json", str(place)]
    assert main([*command, "--contestants", "adam"]) == 0
    assert main([*command, "--contestants", "adam,solve", "--out", str(tmp_path)]) == 0
    found = json.loads(place.read_text())["runs"]
    assert [r["contestant"] for r in found] == ["deepxde", "adam", "solve"]  # of another package, and ours
    assert all(0 < r["error"] < 2 for r in found)  # how much is for measurements to say
    assert found[1]["accuracy"] is None and found[2]["known_from"]["residual"] > 0
    assert (tmp_path / "scoreboard.png").stat().st_size > 1000
    assert "deepxde: solve has the lower error on" in capsys.readouterr().out
    assert main(["scoreboard", "--seconds", "30", "--json", str(place)]) == 2
    assert "has runs of 20 s" in capsys.readouterr().err


def test_the_scoreboard_says_what_happened():
    run = lambda problem, who, error, accuracy=None, kind="new": {
        "problem": problem,
        "kind": kind,
        "contestant": who,
        "seed": 0,
        "error": error,
        "accuracy": accuracy,
        "seconds_to": {"1e-02": 5.0, "1e-03": None, "1e-04": None},
    }
    lines = scoring.summary(
        [
            run("a", "solve", 1e-5, 2e-5),
            run("a", "adam", 1e-1),
            run("b", "solve", 2e-2, 1e-3),
            run("b", "adam", None),
            run("c", "solve", 1.0, None, "library"),
            run("a", "deepxde", 1e-3),
        ]
    )
    assert lines[0].startswith("library: 0 of 1") and lines[1].startswith("new: 1 of 2")
    assert "lower error on 2 of 2" in lines[2]
    assert lines[3] == "deepxde: solve has the lower error on 1 of 1; the geometric mean of the ratio is 1e+02."
    assert "within a factor of 3 in 1 of 2 runs, below a tenth of the error in 1; 1 were said" in lines[4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--problems", "burger"], "burger"),
        (["--contestants", "sgd"], "sgd"),
        (["--seconds", "0"], "--seconds is 0"),
        (["--seeds", "0"], "seeds"),
    ],
)
def test_bad_options_are_one_sentence(options, message, capsys):
    assert main(["scoreboard", *options]) == 2
    assert message in capsys.readouterr().err
