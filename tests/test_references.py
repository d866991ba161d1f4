"""References against refinement, and against solvers that share nothing with them."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.cli.race import race
from pinnjax.problems import burgers, tanh, wave
from pinnjax.problems.references import cole_hopf, etdrk4, load
from pinnjax.problems.wave import exact


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def test_cole_hopf_is_converged_in_its_nodes():
    x, t = np.linspace(-1, 1, 201), np.linspace(0, 1, 21)
    fine = cole_hopf.burgers(x, t, 0.01 / np.pi, nodes=300)
    assert relative(cole_hopf.burgers(x, t, 0.01 / np.pi), fine) < 1e-13
    assert relative(cole_hopf.burgers(x, t, 0.01 / np.pi, nodes=50), fine) > 1e-12  # 50 nodes can be told apart


def test_cole_hopf_agrees_with_a_spectral_solver():
    """Fourier and ETDRK4 on u_t = ν u_xx - (u²/2)_x, 4096 modes, which share no line with the quadrature."""
    modes, viscosity = 4096, 0.01 / np.pi
    x = -1 + 2 * np.arange(modes) / modes
    k = np.pi * np.arange(modes // 2 + 1)
    times = np.linspace(0, 1, 11)
    burgers_ = lambda v: -0.5j * k * np.fft.rfft(np.fft.irfft(v, modes) ** 2)
    u = etdrk4.solve(-np.sin(np.pi * x), -viscosity * k**2, burgers_, times, 200)
    assert relative(u[:, ::16], cole_hopf.burgers(x[::16], times, viscosity)) < 1e-9


def test_allen_cahn_converges_and_the_stored_file_is_what_it_converges_to():
    stored = load("allen_cahn")
    assert float(stored["error"]) < 1e-8
    errors = [relative(etdrk4.allen_cahn(modes, 5), stored["u"]) for modes in (512, 1024, 2048)]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]
    assert errors[2] < 1e-8
    coarse_in_time = relative(etdrk4.allen_cahn(2048, 2), stored["u"])
    assert errors[2] < coarse_in_time < 1e-6
    np.testing.assert_allclose(stored["u"][:, 0], stored["u"][:, -1])
    np.testing.assert_allclose(stored["u"], stored["u"][:, ::-1], atol=1e-9)  # even in x


@pytest.mark.slow
def test_the_wave_satisfies_its_equations(x64):
    u = lambda x: exact(x[0], x[1])
    batch = wave.draw(jax.random.key(0), {"pde": 50, "ic": 20, "bc": 20}, jnp.float64)
    for name, residual in wave.terms.items():
        found = jax.vmap(lambda x, residual=residual: residual(u, x))(batch[name])
        chex.assert_trees_all_close(found, jax.tree.map(jnp.zeros_like, found), atol=1e-9)


def test_the_points_of_burgers_are_where_they_belong():
    batch = burgers.draw(jax.random.key(0), {"pde": 30, "ic": 7, "bc": 5})
    assert {name: x.shape for name, x in batch.items()} == {"pde": (30, 2), "ic": (7, 2), "bc": (10, 2)}
    assert np.all(np.asarray(batch["ic"][:, 0]) == 0)
    np.testing.assert_array_equal(np.abs(batch["bc"][:, 1]), np.ones(10))
    assert sorted(set(np.asarray(batch["bc"][:, 1]).tolist())) == [-1.0, 1.0]
    reference = burgers.reference.reshape(burgers.grid_shape)
    np.testing.assert_allclose(reference[0], -np.sin(np.pi * burgers.grid[:201, 1]), atol=1e-12)


@pytest.mark.slow
def test_self_adaptive_weights_halve_the_front_of_the_tanh_race():
    adaptive = pj.point_weights.self_adaptive(optax.adam(5e-3), mask=jnp.square, initial=1.0)
    rules = {"plain": None, "self_adaptive": adaptive, "residual_attention": pj.point_weights.residual_attention()}
    recipes = {
        name: dataclasses.replace(tanh.recipes["plain"], point_weights=rule, resampled=False)
        for name, rule in rules.items()
    }
    outcomes = race(tanh, recipes, seeds=range(10), progress=False)
    ratio = {name: float(np.median(lap.history["front_over_rest"][-1])) for name, lap in outcomes.items()}
    assert ratio["plain"] > 2 * ratio["self_adaptive"], ratio
    assert ratio["plain"] > 2 * ratio["residual_attention"], ratio


@pytest.mark.exhaustive
def test_rad_beats_uniform_points_on_burgers():
    recipes = {name: burgers.recipes[name] for name in ("uniform", "rad")}
    outcomes = race(burgers, recipes, seeds=range(3), progress=False)
    medians = {name: float(np.median(lap.errors)) for name, lap in outcomes.items()}
    assert medians["uniform"] > 3 * medians["rad"], medians
