import _thread
import importlib
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj

from . import poisson
from .test_step import arrays

pytestmark = pytest.mark.usefixtures("quick_compilation")

fit = importlib.import_module("pinnjax.fit")  # `pinnjax.fit` itself is the function
BATCH = poisson.batch()


def train_step(**options):
    settings = {"point_weights": pj.self_adaptive(optax.adam(1e-1)), "term_weights": pj.lr_annealing("pde")} | options
    return pj.train_step(poisson.TERMS, optax.adam(1e-2), **settings)


def sampled():
    return train_step(point_weights=None, sampler=pj.sampling.resample(poisson.draw))


def exact(x):
    return jnp.sin(jnp.pi * x[0])


def error(u):
    grid = jnp.linspace(0.0, 1.0, 101)[:, None]
    return pj.relative_l2(u, grid, jax.vmap(exact)(grid))


def equal(a, b):
    for x, y in zip(arrays(a), arrays(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_it_solves_the_poisson_problem():
    train = train_step(point_weights=None)
    state, history = pj.fit(train, train.init(poisson.model(), BATCH), BATCH, steps=2000, evaluate=error)
    assert history["evaluation/error"][-1] < 1e-2
    assert history["loss/pde"][-1] < 1e-3 * history["loss/pde"][0]
    assert float(error(train.model(state))) == pytest.approx(history["evaluation/error"][-1], rel=1e-3)


def test_the_history_is_that_of_the_python_loop():
    train = train_step()
    start = loop = train.init(poisson.model(), BATCH)
    losses, weights = [], []
    for _ in range(25):
        loop, metrics = train.update(loop, BATCH)
        losses.append(metrics["loss/bc"])
        weights.append(metrics["weight/bc"])
    state, history = pj.fit(train, start, BATCH, steps=25, chunk=10, evaluate=error, evaluate_every=10)
    np.testing.assert_array_equal(history["step"], np.arange(1, 26))
    np.testing.assert_allclose(history["loss/bc"], losses, rtol=1e-3)
    np.testing.assert_allclose(history["weight/bc"], weights, rtol=1e-3)
    np.testing.assert_array_equal(history["evaluation/step"], [10, 20, 25])
    assert np.all(np.diff(history["evaluation/seconds"]) > 0)
    _, thin = pj.fit(train, start, BATCH, steps=25, chunk=10, record_every=5)
    np.testing.assert_array_equal(thin["step"], [5, 10, 15, 20, 25])
    np.testing.assert_allclose(thin["loss/bc"], history["loss/bc"][4::5], rtol=1e-6)


def test_a_second_fit_goes_on_where_the_first_stopped():
    train = train_step()
    start = train.init(poisson.model(), BATCH)
    whole, _ = pj.fit(train, start, BATCH, steps=40, chunk=10)
    half, _ = pj.fit(train, start, BATCH, steps=20, chunk=10)
    rest, history = pj.fit(train, half, BATCH, steps=20, chunk=10)
    equal(whole, rest)
    np.testing.assert_array_equal(history["step"], np.arange(21, 41))


@pytest.mark.parametrize("make", [train_step, sampled])
def test_resume_equals_the_uninterrupted_run_bit_for_bit(make, tmp_path):
    train = make()
    batch = None if make is sampled else BATCH
    start = train.init(poisson.model(), batch, key=jax.random.key(0))
    options = {"chunk": 10, "evaluate": error, "evaluate_every": 10}
    whole, history = pj.fit(train, start, batch, steps=60, **options)
    pj.fit(train, start, batch, steps=30, checkpoint=tmp_path / "run", **options)
    fresh = train.init(poisson.model(seed=5), batch, key=jax.random.key(5))  # what is on disk decides
    resumed, after = pj.fit(train, fresh, batch, steps=60, checkpoint=tmp_path / "run", **options)
    equal(whole, resumed)
    assert set(history) == set(after)
    for name in history:
        if name != "evaluation/seconds":
            np.testing.assert_array_equal(history[name], after[name], err_msg=name)
    again, _ = pj.fit(train, fresh, batch, steps=60, checkpoint=tmp_path / "run", **options)
    equal(whole, again)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    train = train_step()
    pj.fit(train, train.init(poisson.model(), BATCH), BATCH, steps=10, checkpoint=tmp_path)
    other = pj.train_step(poisson.TERMS, optax.sgd(1e-2))
    with pytest.raises(ValueError, match=r"differs from this run in \d+ arrays, first .*; expected one of the same"):
        pj.fit(other, other.init(poisson.model(), BATCH), BATCH, steps=20, checkpoint=tmp_path)


@pytest.fixture
def ctrl_c():
    """Let SIGINT interrupt, also where the tests run in the background, whose processes are told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda seconds: threading.Timer(seconds, _thread.interrupt_main).start()
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_returns_what_there_is(ctrl_c):
    train = train_step()
    start = train.init(poisson.model(), BATCH)
    pj.fit(train, start, BATCH, steps=100)  # compile first, so that the interruption falls into the run
    ctrl_c(0.5)
    with pytest.warns(UserWarning, match=r"interrupted after \d+ of 1000000 steps"):
        state, history = pj.fit(train, start, BATCH, steps=1_000_000)
    done = int(state.step)
    assert 0 < done < 1_000_000
    assert done % 100 == 0
    assert len(history["loss"]) == done
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("place", ["_thin", "_evaluate"])
def test_ctrl_c_between_chunks_loses_nothing(ctrl_c, monkeypatch, place):
    original = getattr(fit, place)

    def interrupted(*arguments):
        _thread.interrupt_main()
        return original(*arguments)

    train = train_step()
    start = train.init(poisson.model(), BATCH)
    monkeypatch.setattr(fit, place, interrupted)
    with pytest.warns(UserWarning, match=r"interrupted after 100 of 1000 steps"):
        state, history = pj.fit(train, start, BATCH, steps=1000, evaluate=error, evaluate_every=100)
    assert int(state.step) == len(history["loss"]) == history["evaluation/step"][-1] == 100


def test_a_second_ctrl_c_ends_at_once(ctrl_c, monkeypatch):
    def twice(*arguments):
        _thread.interrupt_main()
        _thread.interrupt_main()

    train = train_step()
    start = train.init(poisson.model(), BATCH)
    monkeypatch.setattr(fit, "_thin", twice)
    with pytest.raises(KeyboardInterrupt):
        pj.fit(train, start, BATCH, steps=1000)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_run_that_cannot_move_stops_and_says_why():
    broken = lambda u, x: u(x) / (x[0] - x[0])
    train = pj.train_step({"pde": poisson.pde, "bc": broken}, optax.adam(1e-2))
    start = train.init(poisson.model(), BATCH)
    with pytest.warns(UserWarning, match=r"stopped after 100 of 1000 steps: .*\(terms \['bc'\]\)"):
        state, history = pj.fit(train, start, BATCH, steps=1000, chunk=10)
    assert int(state.skipped) == 100
    equal(state.params, start.params)
    assert history["skipped"][-1] == 100


def test_the_progress_bar_shows_loss_error_and_weights(capsys):
    train = train_step()
    state = train.init(poisson.model(), BATCH)
    pj.fit(train, state, BATCH, steps=100, chunk=50, evaluate=error, progress=True)
    shown = capsys.readouterr().err
    for word in ("loss=", "error=", "λ_bc=", "|∇L_pde|=", "100/100", "step/s"):
        assert word in shown
