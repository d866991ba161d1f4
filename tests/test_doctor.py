"""The doctor's blind trial: planted pathologies are named, healthy runs are left alone, and the cures cure."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnjax as pj
from pinnjax.problems.problem import grid as tensor_grid
from tests.doctor_trials import TRIALS

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


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])  # the thresholds were chosen with seed 0 in view
def test_the_doctor_names_planted_pathologies_and_leaves_healthy_runs_alone(seed):
    named = {name: diagnosis(trial, seed).pathology for name, trial in TRIALS.items()}
    wrong = {name: found for name, found in named.items() if found != TRIALS[name].planted}
    assert len(TRIALS) >= 12
    assert not {name for name in wrong if TRIALS[name].planted is None}, wrong
    assert len(wrong) <= len(TRIALS) // 12, wrong


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:fit. stopped after")  # where steps are not finite
@pytest.mark.parametrize("name", ILL)
def test_the_suggested_change_lowers_the_error(name):
    trial = TRIALS[name]
    first = diagnosis(trial).findings[0]
    assert trial.advice in first.change
    as_it_is = {"problem": trial.problem, "network": trial.network, "optimizer": trial.optimizer}
    ill, cured = run(trial, **as_it_is), run(trial, **as_it_is | dict(trial.cure))
    assert cured < 0.5 * ill or (np.isnan(ill) and cured < 0.5), (ill, cured)
