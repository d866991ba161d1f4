import _thread
import signal
import threading

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.train import _evaluation, _history

from . import poisson
from .marks import few
from .test_step import arrays

pytestmark = pytest.mark.usefixtures("quick_compilation")

BATCH = poisson.batch()


def train_step(**options):
    settings = {
        "point_weights": pj.point_weights.self_adaptive(optax.adam(1e-1)),
        "term_weights": pj.term_weights.lr_annealing("pde"),
    } | options
    return pj.train_step(poisson.SMALL, optax.adam(1e-2), **settings)


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
    train = pj.train_step(poisson.TERMS, optax.adam(1e-2), term_weights=pj.term_weights.lr_annealing("pde"))
    state, history = pj.fit(train, train.init(poisson.model(), BATCH), BATCH, steps=2000, evaluate=error)
    assert history["evaluation/error"][-1] < 1e-2
    assert history["loss/pde"][-1] < 1e-3 * history["loss/pde"][0]
    assert float(error(train.model(state))) == pytest.approx(history["evaluation/error"][-1], rel=1e-3)


@pytest.mark.slow
def test_the_history_is_that_of_the_python_loop():
    train = train_step()
    start = loop = train.init(poisson.model(), BATCH)
    losses, weights = [], []
    for _ in range(25):
        loop, metrics = train.update(loop, BATCH)
        losses.append(metrics["loss/bc"])
        weights.append(metrics["weight/bc"])
    state, history = pj.fit(train, start, BATCH, steps=25, steps_per_call=10, evaluate=error, evaluate_every=10)
    np.testing.assert_array_equal(history["step"], np.arange(1, 26))
    np.testing.assert_allclose(history["loss/bc"], losses, rtol=1e-3)
    np.testing.assert_allclose(history["weight/bc"], weights, rtol=1e-3)
    np.testing.assert_array_equal(history["evaluation/step"], [10, 20, 25])
    assert np.all(np.diff(history["evaluation/seconds"]) > 0)
    _, thin = pj.fit(train, start, BATCH, steps=25, steps_per_call=10, record_every=5)
    np.testing.assert_array_equal(thin["step"], [5, 10, 15, 20, 25])
    np.testing.assert_allclose(thin["loss/bc"], history["loss/bc"][4::5], rtol=1e-6)


def test_a_second_fit_goes_on_where_the_first_stopped():
    train = train_step()
    start = train.init(poisson.model(), BATCH)
    whole, _ = pj.fit(train, start, BATCH, steps=40, steps_per_call=10)
    half, _ = pj.fit(train, start, BATCH, steps=20, steps_per_call=10)
    rest, history = pj.fit(train, half, BATCH, steps=20, steps_per_call=10)
    equal(whole, rest)
    np.testing.assert_array_equal(history["step"], np.arange(21, 41))


@pytest.mark.parametrize("make", [train_step, sampled])
def test_resume_equals_the_uninterrupted_run_bit_for_bit(make, tmp_path):
    train = make()
    batch = None if make is sampled else BATCH
    start = train.init(poisson.model(), batch, key=jax.random.key(0))
    options = {"steps_per_call": 10, "evaluate": error, "evaluate_every": 10}
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


@pytest.mark.parametrize(("module", "place"), [(_history, "thinned"), (_evaluation, "measured")])
def test_ctrl_c_between_calls_loses_nothing(ctrl_c, monkeypatch, module, place):
    original = getattr(module, place)

    def interrupted(*arguments):
        _thread.interrupt_main()
        return original(*arguments)

    train = train_step()
    start = train.init(poisson.model(), BATCH)
    monkeypatch.setattr(module, place, interrupted)
    with pytest.warns(UserWarning, match=r"interrupted after 100 of 1000 steps"):
        state, history = pj.fit(train, start, BATCH, steps=1000, evaluate=error, evaluate_every=100)
    assert int(state.step) == len(history["loss"]) == history["evaluation/step"][-1] == 100


def test_a_second_ctrl_c_ends_at_once(ctrl_c, monkeypatch):
    def twice(*arguments):
        _thread.interrupt_main()
        _thread.interrupt_main()

    train = train_step()
    start = train.init(poisson.model(), BATCH)
    monkeypatch.setattr(_history, "thinned", twice)
    with pytest.raises(KeyboardInterrupt):
        pj.fit(train, start, BATCH, steps=1000)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_run_that_cannot_move_stops_and_says_why():
    broken = lambda u, x: u(x) / (x[0] - x[0])
    train = pj.train_step({"pde": poisson.pde, "bc": broken}, optax.adam(1e-2))
    start = train.init(poisson.model(), BATCH)
    with pytest.warns(UserWarning, match=r"stopped after 100 of 1000 steps: .*\(terms \['bc'\]\)"):
        state, history = pj.fit(train, start, BATCH, steps=1000, steps_per_call=10)
    assert int(state.skipped) == 100
    equal(state.params, start.params)
    assert history["skipped"][-1] == 100


def test_the_progress_bar_shows_loss_error_and_weights(capsys):
    train = train_step()
    state = train.init(poisson.model(), BATCH)
    pj.fit(train, state, BATCH, steps=100, steps_per_call=50, evaluate=error, progress=True)
    shown = capsys.readouterr().err
    for word in ("loss=", "error=", "λ_bc=", "|∇L_pde|=", "100/100", "step/s"):
        assert word in shown


def broken_at(part, every):
    """A sampler of one point whose residual is NaN in `part` of every `every` draws."""
    init = lambda key: jnp.zeros((), jnp.int32)
    pool = lambda count: {"data": jnp.where(count % every < part, jnp.nan, 1.0).reshape(1, 1)}
    return pj.sampling.Sampler(init, lambda count, **extra: (pj.sampling.Draw(pool(count)), count + 1), lambda c: POOL)


POOL = {"data": jnp.ones((1, 1))}
line = lambda a, x: a * x[0]


def data_step(**options):
    return pj.train_step({"data": lambda u, x: u(x) - 2.0}, options.pop("optimizer", optax.sgd(0.1)), **options)


@pytest.mark.parametrize("steps_per_call", [1, 7, 100])
def test_minibatches_that_are_not_finite_do_not_stop_a_run(steps_per_call):
    train = data_step(sampler=broken_at(9, 10))  # nine of ten
    start = train.init((line, jnp.float32(0.0)), key=jax.random.key(0))
    state, history = pj.fit(train, start, steps=300, steps_per_call=steps_per_call)
    assert int(state.step) == 300 and int(state.skipped) == 270
    np.testing.assert_allclose(state.params, 2 * (1 - 0.8**30), rtol=1e-5)  # 2 - a falls by 1 - 2 · 0.1 in each of 30


@pytest.mark.parametrize("steps_per_call", [1, 30, 1000])
def test_a_run_is_stuck_after_a_hundred_steps_in_a_row_whatever_the_call(steps_per_call):
    train = data_step(sampler=broken_at(150, 200))
    start = train.init((line, jnp.float32(0.0)), key=jax.random.key(0))
    if steps_per_call == 1000:  # what came back within a call is not stuck
        state, _ = pj.fit(train, start, steps=200, steps_per_call=200)
        assert int(state.skipped) == 150
        return
    with pytest.warns(UserWarning, match=r"none of the last \d+ steps was taken: .*\(terms \['data'\]\)"):
        state, _ = pj.fit(train, start, steps=1000, steps_per_call=steps_per_call)
    assert int(state.step) == -(-100 // steps_per_call) * steps_per_call


def test_a_run_that_stops_with_finite_terms_is_not_said_to_have_others():
    never = optax.GradientTransformation(lambda p: (), lambda g, s, p=None: (jax.tree.map(lambda a: a * jnp.nan, g), s))
    train = data_step(optimizer=never)
    with pytest.warns(UserWarning, match="every term was finite, but no step lowered the loss") as found:
        pj.fit(train, train.init((line, jnp.float32(0.0)), POOL), POOL, steps=1000)
    assert "(terms" not in str(found[0].message)


def test_a_callback_gets_the_metrics_of_the_last_step_and_the_state():
    train = train_step()
    seen = []
    take = lambda step, metrics, state: seen.append((step, metrics, state))
    options = {"steps_per_call": 10, "evaluate": error, "evaluate_every": 20}
    state, history = pj.fit(train, train.init(poisson.model(), BATCH), BATCH, steps=45, callback=take, **options)
    assert [step for step, _, _ in seen] == [10, 20, 30, 40, 45] == [int(s.step) for _, _, s in seen]
    for step, metrics, _ in seen:
        assert set(metrics) == set(history) - {"step", "evaluation/step", "evaluation/seconds"}
        assert all(isinstance(value, float) for value in metrics.values())
        assert metrics["loss/pde"] == history["loss/pde"][step - 1]
    np.testing.assert_array_equal(
        np.isnan([m["evaluation/error"] for _, m, _ in seen]), [True, False, True, False, False]
    )
    assert seen[-1][1]["evaluation/error"] == history["evaluation/error"][-1]
    equal(seen[-1][2], state)


def test_training_ends_early_where_it_was_told_to(tmp_path):
    train = data_step()
    start = train.init((line, jnp.float32(0.0)), POOL)
    # 2 - a = 2 · 0.8^n, first below 0.1 at n = 14, so after the call that ends at 15; the loss is 4 · 0.64^(n - 1)
    gap = lambda u: {"z": 2.0 - u(jnp.ones(1)), "a": 0.0}  # the first that is returned decides, not the first in order
    state, history = pj.fit(train, start, POOL, steps=1000, steps_per_call=5, evaluate=gap, evaluate_every=5, until=0.1)
    assert int(state.step) == 15 == history["evaluation/step"][-1]
    below = lambda metrics: metrics["loss"] < 1.0
    state, history = pj.fit(
        train, start, POOL, steps=1000, steps_per_call=5, until=below, evaluate=gap, checkpoint=tmp_path, progress=False
    )
    assert int(state.step) == 5 and history["evaluation/z"].shape == (1,)
    # A call that ended is not resumed.
    again, _ = pj.fit(train, state, POOL, steps=10, steps_per_call=5, checkpoint=tmp_path)
    assert int(again.step) == 15


BAD = {
    "a vector": (
        lambda u: jnp.ones(3),
        ValueError,
        r"evaluate returns float32\[3\] for 'error'; expected a real number",
    ),
    "a vector by name": (lambda u: {"l2": jnp.ones((1,))}, ValueError, r"float32\[1\] for 'l2'"),
    "a complex number": (lambda u: 1j * u(jnp.ones(1)), ValueError, r"complex64\[\] for 'error'"),
    "nothing": (lambda u: None, TypeError, "evaluate returns a NoneType for 'error'"),
    "an empty dict": (lambda u: {}, ValueError, "evaluate returns an empty dict"),
    "words": (lambda u: "small", TypeError, "evaluate returns a str"),
    "a pair": (lambda u: (1.0, 2.0), TypeError, "evaluate returns a tuple"),
    "a name that is taken": (lambda u: {"step": 1.0}, ValueError, "a number named 'step'"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_evaluate_may_not_return_is_said_before_training(case):
    evaluate, kind, words = BAD[case]
    train = data_step()
    start = train.init((line, jnp.float32(0.0)), POOL)
    with pytest.raises(kind, match=words):
        pj.fit(train, start, POOL, steps=5, evaluate=evaluate, callback=lambda *_: pytest.fail("it trained"))


@pytest.mark.parametrize(
    "value", [3, True, 0.5, np.float64(0.5), jnp.int32(3), jnp.float16(0.5), np.array(2)], ids=repr
)
def test_evaluate_may_return_any_real_number(value):
    train = data_step()
    start = train.init((line, jnp.float32(0.0)), POOL)
    _, history = pj.fit(train, start, POOL, steps=5, evaluate=lambda u: {"a": value, "b": jnp.nan})
    assert history["evaluation/a"].tolist() == [float(value)] and np.isnan(history["evaluation/b"][0])


def test_bad_arguments_are_named():
    train = data_step()
    start = train.init((line, jnp.float32(0.0)), POOL)
    with pytest.raises(ValueError, match=r"until is 0\.1, an error to reach, but evaluate is None"):
        pj.fit(train, start, POOL, steps=5, until=0.1)
    with pytest.raises(TypeError, match="until is 'loss'"):
        pj.fit(train, start, POOL, steps=5, until="loss")
    with pytest.raises(TypeError, match=r"the state is a tuple; expected one of train\.init"):
        pj.fit(train, (start, {}), POOL, steps=5)
    named = data_step(monitors=[pj.Monitor(lambda seen: {"step": jnp.ones(())})])
    with pytest.raises(ValueError, match=r"the metrics have the names \['step'\]"):
        pj.fit(named, named.init((line, jnp.float32(0.0)), POOL), POOL, steps=5)


@pytest.mark.parametrize("progress", [None, True, False])
def test_a_loss_balance_crisis_is_said_once(capsys, progress):
    """Gradients of a² 10^6 and a: r = 1e3 (a - 1), 1 (a + 1), so that |∇L| = 2e6 |a - 1|, 2 |a + 1|."""
    terms = {"hard": lambda u, x: 1e3 * (u(x) - 1.0), "soft": lambda u, x: u(x) + 1.0}
    batch = {"hard": jnp.ones((1, 1)), "soft": jnp.ones((1, 1))}
    train = pj.train_step(terms, optax.sgd(1e-12))
    pj.fit(train, train.init((line, jnp.float32(0.0)), batch), batch, steps=20, steps_per_call=5, progress=progress)
    said = capsys.readouterr().err
    assert said.count("loss-balance crisis") == (progress is not False)
    if progress is not False:
        assert (
            "step 5: loss-balance crisis: the gradient of 'hard' (λ |∇L| = 2.0e+06) is 1.0e+06 times that of 'soft'"
            in said
        )
    even = pj.train_step(terms, optax.sgd(1e-12), term_weights=pj.term_weights.fixed({"soft": 5e4}))  # 20 times is none
    pj.fit(even, even.init((line, jnp.float32(0.0)), batch), batch, steps=20, steps_per_call=5, progress=progress)
    assert "crisis" not in capsys.readouterr().err


SEEDS = 2


def seeds(train, batch=BATCH):
    keys = jax.random.split(jax.random.key(0), SEEDS)
    begin = lambda key: train.init(pj.nn.MLP(1, "scalar", width=8, depth=2, rngs=pj.nn.Rngs(key)), batch, key=key)
    return jax.vmap(begin)(keys), [begin(key) for key in keys]


@pytest.mark.slow
@pytest.mark.parametrize("make", few([train_step, sampled], train_step))
def test_stacked_states_train_as_each_alone(make, tmp_path):
    train = make()
    batch = None if make is sampled else BATCH
    states, each = seeds(train, batch)
    options = {"steps_per_call": 10, "evaluate": error, "evaluate_every": 10, "progress": True}
    whole, history = pj.fit(train, states, batch, steps=30, **options)
    chex.assert_shape(history["loss/pde"], (30, SEEDS))
    chex.assert_shape(history["evaluation/error"], (3, SEEDS))
    chex.assert_shape(history["evaluation/seconds"], (3,))
    for i, start in enumerate(each):
        alone, own = pj.fit(train, start, batch, steps=30, **options)
        one = jax.tree.map(lambda leaf, i=i: leaf[i], whole)
        chex.assert_trees_all_close(one.params, alone.params, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(history["loss"][:, i], own["loss"], rtol=1e-2)
        np.testing.assert_allclose(history["evaluation/error"][:, i], own["evaluation/error"], rtol=1e-2)
    pj.fit(train, states, batch, steps=10, checkpoint=tmp_path, **options)
    resumed, after = pj.fit(train, states, batch, steps=30, checkpoint=tmp_path, **options)
    equal(whole, resumed)
    np.testing.assert_array_equal(after["loss"], history["loss"])
    best = pj.checkpoint.restore_params(tmp_path, states, best=True)  # each seed's own
    found = jax.vmap(lambda state: error(train.model(state)))(best)
    np.testing.assert_allclose(found, history["evaluation/error"].min(axis=0), rtol=1e-3)


def test_each_seed_may_have_its_own_points():
    train = pj.train_step({"data": lambda u, xy: u(xy[0]) - xy[1], "bc": poisson.bc}, optax.sgd(0.01))
    own = (jnp.array([[[1.0]], [[2.0]], [[1.0]]]), jnp.array([[2.0], [2.0], [4.0]]))
    shared = jnp.zeros((2, 1))
    begin = lambda x, y: train.init((line, jnp.float32(0.0)), {"data": (x, y), "bc": shared})
    states, _ = pj.fit(train, jax.vmap(begin)(*own), {"data": own, "bc": shared}, steps=1000)
    np.testing.assert_allclose(states.params, [2.0, 1.0, 4.0], rtol=1e-4)
    each, _ = pj.fit(train, jax.vmap(begin)(*own), {"data": own, "bc": jnp.zeros((3, 2, 1))}, steps=1000)
    equal(states, each)
    with pytest.raises(ValueError, match=r"'bc' has points \[\(2, 2, 1\)\] for 3 seeds"):
        pj.fit(train, states, {"data": own, "bc": jnp.zeros((2, 2, 1))}, steps=1)


def test_seeds_stop_early_only_where_all_would():
    train = data_step()
    starts = jax.vmap(lambda a: train.init((line, a), POOL))(jnp.array([0.0, 1.9]))
    gap = lambda u: 2.0 - u(jnp.ones(1))
    states, _ = pj.fit(train, starts, POOL, steps=1000, steps_per_call=1, evaluate=gap, evaluate_every=1, until=0.1)
    assert states.step.tolist() == [14, 14]  # 2 · 0.8^14 < 0.1, and the other one was there at once
    lost = jax.vmap(lambda a: train.init((line, a), POOL))(jnp.array([0.0, jnp.nan]))
    states, history = pj.fit(train, lost, POOL, steps=150, steps_per_call=50)
    assert states.skipped.tolist() == [0, 150]
    both = jax.vmap(lambda a: train.init((line, a), POOL))(jnp.array([jnp.nan, jnp.inf]))
    with pytest.warns(UserWarning, match="stopped after 100 of 1000 steps"):
        pj.fit(train, both, POOL, steps=1000, steps_per_call=50)


def test_a_run_is_compiled_once_however_often_fit_is_called():
    counted = chex.assert_max_traces(lambda u, x: u(x) - 2.0, n=3)  # init, update, and the names of its metrics
    train = pj.train_step({"data": counted}, optax.sgd(0.1))
    state = train.init((line, jnp.float32(0.0)), POOL)
    for _ in range(3):
        state, _ = pj.fit(train, state, POOL, steps=20, steps_per_call=10)
    assert int(state.step) == 60
