"""The study of phases of learning: gradients of parts, the events that are compared, and claims that can fail."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.cli import reproduce
from pinnjax.cli.pages import landscape, phases_runs
from pinnjax.cli.reproduce import Run, Study, phases
from pinnjax.cli.reproduce.study import Watch
from pinnjax.problems import harmonic

POINTS = {"pde": 2 * phases.PARTS}


def step(**options):
    """A step of the oscillator that sees what the study sees."""
    options |= {"term_weights": pj.term_weights.fixed({"ic": 3.0})}
    see = pj.Monitor(lambda info: {"parts": phases.part_gradients(info)} | phases.measure(info))
    monitors = [see, pj.monitors.signal_to_noise(parts=phases.PARTS, every=1)]
    train = pj.train_step(harmonic.terms, optax.adam(1e-3), monitors=monitors[:1], **options)
    other = pj.train_step(harmonic.terms, optax.adam(1e-3), monitors=monitors[1:], **options)
    batch = harmonic.draw(jax.random.key(0), POINTS, jnp.float32)
    model = pj.nn.MLP(1, "scalar", width=4, depth=2, rngs=pj.nn.Rngs(0))
    state = train.init(model, batch)
    return train, other, state, batch


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compilation")
def test_gradients_of_parts_have_the_gradient_of_the_loss_as_their_mean():
    train, other, state, batch = step()
    _, metrics = train.update(state, batch)
    loss = landscape.weighted_loss(harmonic.terms, state, batch, {"ic": 3.0})
    flat = jax.flatten_util.ravel_pytree(state.params)[0]
    np.testing.assert_allclose(metrics["parts"].mean(axis=0), jax.grad(loss)(flat), rtol=1e-4, atol=1e-5)
    assert metrics["snr"] == pytest.approx(float(other.update(state, batch)[1]["snr"]), rel=1e-3)
    chex.assert_shape(metrics["cosines"], (phases.PARTS,))
    assert np.all(np.abs(metrics["cosines"]) <= 1 + 1e-5)


def result(snr, error, homogeneity, saturation=(0.2, 0.3, 0.1)):
    """Two seeds of one history."""
    both = lambda values: np.repeat(np.asarray(values, float)[:, None], 2, axis=1)
    history = {"snr": both(snr), "relative_l2": both(error), "homogeneity": both(homogeneity)}
    history["saturation"] = np.tile(np.array(saturation), (len(error), 2, 1))
    return reproduce.Result(history, 10 * np.arange(len(error)), 0.0, {})


LOW = np.concatenate([np.full(5, 8.0), np.full(55, 0.3)])
RISING = np.concatenate([np.full(5, 8.0), np.full(25, 0.3), np.full(30, 3.0)])
FALLING = np.concatenate([np.full(33, 1.0), np.full(27, 1e-2)])
EVEN = np.concatenate([np.full(30, 0.3), np.full(30, 0.7)])


def test_what_total_diffusion_marks_is_measured_around_it():
    around = phases.around_total_diffusion(result(RISING, FALLING, EVEN))
    np.testing.assert_allclose(around["share"], 1.0)
    np.testing.assert_allclose(around["even_before"], 0.3)
    np.testing.assert_allclose(around["even_after"], 0.7)
    risen = np.concatenate([np.full(15, 0.1), np.full(20, 1.0), np.full(25, 1e-2)])  # before it, the error rose
    np.testing.assert_allclose(phases.around_total_diffusion(result(RISING, risen, EVEN))["share"], 2.0)
    assert all(np.isnan(values).all() for values in phases.around_total_diffusion(result(LOW, FALLING, EVEN)).values())


def test_each_claim_of_the_phases_can_fail():
    good = {}
    for name in phases.SETUPS:
        good[f"{name}, equal points"] = result(RISING, np.sqrt(FALLING), 0.9 * EVEN)
        good[f"{name}, RBA"] = result(RISING, FALLING, EVEN)
    assert set(good) == set(phases.STUDY.runs) and all(phases.claims(good).values())
    early = np.concatenate([np.full(10, 1.0), np.full(20, 0.1), np.full(30, 1e-2)])
    worse = {
        "Allen-Cahn, RBA": (result(LOW, FALLING, EVEN), "the SNR rises"),
        "Helmholtz, RBA": (result(RISING, early, EVEN), "most of the error's fall"),
        "Allen-Cahn, equal points": (result(RISING, np.sqrt(FALLING), np.full(60, 0.5)), "more even after"),
        "Helmholtz, equal points": (result(RISING, 0.1 * FALLING, 0.9 * EVEN), "error is smaller"),
    }
    for label, (changed, words) in worse.items():
        (failed,) = (claim for claim, holds in phases.claims(good | {label: changed}).items() if not holds)
        assert words in failed and label.split(",")[0] in failed
    uneven = result(RISING, FALLING, 0.8 * EVEN)
    assert not phases.claims(good | {"Helmholtz, RBA": uneven})[
        "Helmholtz: with RBA the residuals are more even at the end"
    ]


def test_the_figure_has_a_column_for_each_run():
    runs = {label: result(RISING, FALLING, EVEN) for label in phases.STUDY.runs}
    (figure,) = phases.figures(runs).values()
    assert len(figure.axes) == 4 * len(runs)
    plt.close(figure)


def test_each_claim_of_the_page_can_fail():
    flat = landscape.Slice(np.ones((3, 3)), 1.0, 50.0, 1.0)
    round_ = flat._replace(steepest=5.0)
    way = landscape.Trajectory(np.zeros((2, 2)), 1.0, np.ones((3, 3)), np.zeros(2), np.zeros(2))
    run = lambda found, slices: {"A": phases_runs.Watched(found, slices, way)}
    holds = lambda *parts: [h for h, _ in phases_runs.claims(run(*parts)).values()]
    assert holds(result(RISING, FALLING, EVEN), (flat, round_)) == [True] * 6
    assert holds(result(LOW, FALLING, EVEN), (round_, flat)) == [True, False, True, False]
    early, uneven = np.concatenate([np.full(5, 1.0), np.full(55, 0.1)]), np.full(60, 0.3)
    found = holds(result(RISING, early, uneven, (0.1, 0.2, 0.3)), (flat, round_))
    assert found == [True, True, False, False, False, True]
    assert not holds(result(np.full(60, 4.0), FALLING, EVEN), (flat, round_))[0]


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compilation")
def test_a_study_may_watch_its_runs_and_is_stored_as_they_are(tmp_path):
    recipe = dataclasses.replace(harmonic.recipes["plain"], steps=40, resampled=False)
    watch = Watch(lambda info: {"two": jnp.stack([info.step, info.step])}, moments=4)
    one = Study(
        name="watched",
        title="a study that watches",
        source="nobody",
        runs={"a": Run(harmonic, recipe)},
        claims=lambda results: {},
        quick_claims=lambda results: {},
        figures=lambda results: {},
        seeds=2,
        watch=watch,
    )
    first = reproduce.run(one, tmp_path, progress=False).results["a"]
    np.testing.assert_array_equal(first.steps, [0, 10, 20, 30, 40])
    np.testing.assert_array_equal(first.history["two"][:, 1, 0], first.steps)
    chex.assert_shape(first.history["relative_l2"], (5, 2))
    again = reproduce.run(one, tmp_path, progress=False).results["a"]
    np.testing.assert_array_equal(first.history["loss/ic"], again.history["loss/ic"])
