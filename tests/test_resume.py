"""Which checkpoints go on with which runs, and what survives."""

import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import pinnjax as pj
from pinnjax import term_weights
from pinnjax.train import _fingerprint, checkpoint

pytestmark = pytest.mark.usefixtures("quick_compilation")

BATCH = {"pde": jnp.linspace(0.0, 1.0, 5)[:, None], "bc": jnp.array([[0.0], [1.0]])}
SOURCE = 0.000318314  # prints like 0.000318312 in float32's shortest form at low print precision


def apply(params, x):
    return params["out"] @ jnp.tanh(params["in"] * x[0])


def params(seed=0):
    a, b = jax.random.normal(jax.random.key(seed), (2, 4))
    return {"in": a, "out": b}


def pde(source=SOURCE):
    return lambda u, x: pj.diff(u, 0)(x) - source * x[0]


def bc(u, x):
    return u(x)


def train_step(source=SOURCE, rate=1e-2, weight=2.0, clip=3.0, optimizer=None, **options):
    settings = {
        "term_weights": term_weights.fixed({"bc": weight}),
        "point_weights": optax.chain(pj.point_weights.self_adaptive(optax.sgd(1e-2)), optax.clip(clip)),
    } | options
    return pj.train_step({"pde": pde(source), "bc": bc}, optimizer or optax.adam(rate), **settings)


def run(folder, train=None, batch=BATCH, model=apply, seed=0, **options):
    train = train_step() if train is None else train
    start = train.init((model, params(seed)), batch, key=jax.random.key(0))
    chosen = {"steps": 6, "steps_per_call": 3, "checkpoint": folder, "progress": False} | options
    return pj.fit(train, start, batch, **chosen)


def wider(u, x):
    return jnp.sin(u["in"] * x[0]) @ u["out"]


def nudged(array):
    """The last bit of one number."""
    return array.at[2, 0].set(jnp.nextafter(array[2, 0], jnp.float32(2.0)))


OTHERS = {
    "another source by eight decimals": (lambda: {"train": train_step(source=0.000318306)}, "loss of 'pde'"),
    "a learning rate": (lambda: {"train": train_step(rate=1.0000001e-2)}, "update"),
    "a schedule": (lambda: {"train": train_step(rate=optax.cosine_decay_schedule(1e-2, 100))}, "arrays|update"),
    "a fixed weight": (lambda: {"train": train_step(weight=2.000001)}, "point or term weights"),
    "a point rule's bound": (lambda: {"train": train_step(clip=3.000001)}, "point or term weights"),
    "an activation": (lambda: {"model": wider}, "loss of 'bc'.*loss of 'pde'"),
    "a point's last bit": (
        lambda: {"batch": BATCH | {"pde": nudged(BATCH["pde"])}},
        "differ in points of 'pde': ",
    ),
    "swapped points": (lambda: {"batch": BATCH | {"bc": BATCH["bc"][::-1]}}, "points of 'bc'"),
    "another number of points": (lambda: {"batch": BATCH | {"bc": BATCH["bc"][:1]}}, "arrays"),
    "an optimiser without arrays of its own": (lambda: {"train": train_step(rate=-1e-2)}, "update"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    return folder, *run(folder)


@pytest.mark.parametrize("case", OTHERS)
def test_a_folder_of_another_run_is_refused_with_what_differs(finished, case):
    make, part = OTHERS[case]
    with pytest.raises(ValueError, match=part) as raised:
        run(finished[0], **make())
    assert "there" in str(raised.value) and "here" in str(raised.value)


def test_a_closed_over_array_is_part_of_the_run(tmp_path):
    table = jnp.arange(7.0)
    made = lambda a: pj.train_step({"bc": lambda u, x: u(x) - a[jnp.int32(3 * x[0])]}, optax.sgd(1e-2))
    batch = {"bc": BATCH["bc"]}
    run(tmp_path, made(table), batch)
    run(tmp_path, made(table + 0.0), batch)
    with pytest.raises(ValueError, match="loss of 'bc'"):
        run(tmp_path, made(table.at[5].add(1e-6)), batch)


def test_injected_hyperparameters_are_part_of_the_run(tmp_path):
    made = lambda rate: pj.train_step({"bc": bc}, optax.inject_hyperparams(optax.sgd)(learning_rate=rate))
    batch = {"bc": BATCH["bc"]}
    state, _ = run(tmp_path, made(1e-2), batch)
    with pytest.raises(ValueError, match="hyperparameters 0, \\['learning_rate'\\]"):
        run(tmp_path, made(2e-2), batch)
    more, _ = pj.fit(made(1e-2), state, batch, steps=4, checkpoint=tmp_path)
    assert int(more.step) == 10


def test_frozen_parts_of_the_model_are_part_of_the_run(tmp_path):
    class Shifted(nnx.Module):
        def __init__(self, shift):
            self.slope, self.shift = nnx.Param(jnp.float32(1.0)), nnx.Variable(jnp.float32(shift))

        def __call__(self, x):
            return self.slope[...] * x[0] + self.shift[...]

    train = pj.train_step({"bc": bc}, optax.sgd(1e-2))
    batch = {"bc": BATCH["bc"]}
    pj.fit(train, train.init(Shifted(1.0), batch), batch, steps=3, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="model's constants"):
        pj.fit(train, train.init(Shifted(2.0), batch), batch, steps=6, checkpoint=tmp_path)
    box = lambda high: pj.nn.MLP(
        1, "scalar", width=4, depth=1, inputs=pj.nn.Standardize.box([0.0], [high]), rngs=pj.nn.Rngs(0)
    )
    folder = tmp_path / "standardised"
    pj.fit(train, train.init(box(1.0), batch), batch, steps=3, checkpoint=folder)
    with pytest.raises(ValueError, match="loss of 'bc'"):
        pj.fit(train, train.init(box(1.000001), batch), batch, steps=6, checkpoint=folder)


def test_the_same_run_goes_on_and_says_where(finished, tmp_path, capsys):
    folder, state, history = finished
    again, same = run(folder)
    assert f"resumed at step 6 from {folder}; no steps are left to do" in capsys.readouterr().err
    chex.assert_trees_all_equal(state, again)
    chex.assert_trees_all_equal(history, same)
    run(tmp_path, steps=3)
    run(tmp_path, steps=9)
    assert f"resumed at step 3 from {tmp_path}; 6 steps to go" in capsys.readouterr().err


PRINTED = """
import jax, sys
sys.path.insert(0, ".")
from tests import test_resume as t
from pinnjax.train import _fingerprint
print(*[0] * int(sys.argv[1]), file=sys.stderr)
unrelated = [object() for _ in range(1000 * int(sys.argv[1]))]
train = t.train_step(weight=2.0)
state = train.init((t.apply, t.params()), t.BATCH)
print(_fingerprint.whole(_fingerprint.of(train.update, state, t.BATCH)))
"""


@pytest.mark.slow
def test_a_fingerprint_is_the_same_in_every_process():
    program = [sys.executable, "-c", PRINTED]
    made = {subprocess.run([*program, n], capture_output=True, text=True, check=True).stdout.strip() for n in "13"}
    assert len(made) == 1 and len(made.pop()) == 16


def test_a_state_that_went_beyond_the_folder_is_not_thrown_away(finished):
    train = train_step()
    start = train.init((apply, params()), BATCH, key=jax.random.key(0))
    ahead, _ = pj.fit(train, start, BATCH, steps=8)
    with pytest.raises(ValueError, match=r"the state has seen 8 steps, the checkpoint in .* 6"):
        pj.fit(train, ahead, BATCH, steps=1, checkpoint=finished[0])


@pytest.mark.parametrize("given", ["the start", "what it returned"])
def test_an_interrupted_call_finishes_its_steps(tmp_path, given):
    whole, history = run(None, steps=12)

    class Stop(Exception):
        pass

    def stop(step, metrics, state):
        if step == 9:
            raise Stop

    with pytest.raises(Stop):
        run(tmp_path, steps=12, callback=stop, checkpoint_every=3)  # the last checkpoint is that of step 6
    if given == "the start":
        state, after = run(tmp_path, steps=12)
    else:
        half, _ = run(None, steps=6)
        state, after = pj.fit(train_step(), half, BATCH, steps=12, steps_per_call=3, checkpoint=tmp_path)
    chex.assert_trees_all_equal(whole, state)
    chex.assert_trees_all_equal(history, after)
    more, _ = pj.fit(train_step(), state, BATCH, steps=12, steps_per_call=3, checkpoint=tmp_path)
    assert int(more.step) == 24


@pytest.mark.slow
def test_a_monitor_may_join_or_leave_and_every_metric_stays_beside_its_step(tmp_path):
    rank = pj.Monitor(lambda seen: {"third/t": jnp.stack([seen.step, seen.step * 3])}, every=1)
    whole, plain = run(None, steps=9)
    run(tmp_path, steps=3)
    _, joined = run(tmp_path, train_step(monitors=[rank]), steps=6, evaluate=lambda u: u(jnp.ones(1)))
    chex.assert_shape(joined["third/t"], (6, 2))
    np.testing.assert_array_equal(joined["third/t"], [[np.nan] * 2] * 3 + [[3, 9], [4, 12], [5, 15]])
    state, left = run(tmp_path, steps=9)
    np.testing.assert_array_equal(left["third/t"][:, 1], [np.nan] * 3 + [9, 12, 15] + [np.nan] * 3)
    np.testing.assert_array_equal(left["evaluation/step"], [6])
    chex.assert_trees_all_equal(whole.params, state.params)
    chex.assert_trees_all_equal(plain, {name: left[name] for name in plain})
    fewer = pj.Monitor(lambda seen: {"third/t": jnp.ones(5)})
    with pytest.raises(ValueError, match=r"'third/t' has shape \(2,\) in one part of a run and \(5,\) in another"):
        run(tmp_path, train_step(monitors=[fewer]), steps=12)


def odd(seen):
    return {
        "none": jnp.zeros((0, 3)),
        "half": jnp.float16(0.1),
        "brain": jnp.bfloat16(0.1),
        "complex": jnp.array([1 + 2j]),
        "whole": jnp.int32(7),
        "truth": jnp.array([True, False]),
        "a.b/c[0]['d'] λ %2F": jnp.nan,
        "inf": jnp.inf,
    }


def test_metrics_of_any_name_shape_and_dtype_are_kept(tmp_path):
    train = train_step(monitors=[pj.Monitor(odd)])
    _, whole = run(None, train)
    run(tmp_path, train, steps=3)
    _, resumed = run(tmp_path, train)
    assert {n: (v.shape, v.dtype) for n, v in whole.items()} == {n: (v.shape, v.dtype) for n, v in resumed.items()}
    for name, values in whole.items():
        np.testing.assert_array_equal(values, resumed[name], err_msg=name)
    chex.assert_shape(resumed["none"], (6, 0, 3))


def test_a_run_that_recorded_nothing_is_saved(tmp_path):
    whole, _ = run(None)
    run(tmp_path, steps=3, record_every=1000)
    state, history = run(tmp_path, record_every=1000)
    chex.assert_trees_all_equal(whole, state)
    assert history["loss"].shape == history["step"].shape == (0,)


def test_a_state_with_empty_leaves_is_saved(tmp_path):
    model = lambda p, x: apply(p[0], x)
    train = pj.train_step({"bc": bc}, optax.adam(1e-2))
    batch = {"bc": BATCH["bc"]}
    start = train.init((model, (params(), jnp.zeros((0, 2)))), batch)
    whole, _ = pj.fit(train, start, batch, steps=6, steps_per_call=3)
    pj.fit(train, start, batch, steps=3, checkpoint=tmp_path)
    state, _ = pj.fit(train, start, batch, steps=6, checkpoint=tmp_path)
    chex.assert_trees_all_equal(whole, state)


def test_a_checkpoint_that_cannot_be_written_does_not_cost_the_run(tmp_path):
    def fill(step, metrics, state):
        if step == 3:  # from now on there is a file where a folder is wanted
            folder.rename(tmp_path / "moved")
            folder.write_text("")

    folder = tmp_path / "run"
    whole, _ = run(None)
    with pytest.warns(UserWarning, match=r"fit: the checkpoint at step 6 could not be written to .*run: \w+"):
        state, history = run(folder, callback=fill)
    chex.assert_trees_all_equal(whole, state)
    assert len(history["loss"]) == 6


def test_a_folder_that_cannot_be_made_is_said_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", "/proc/nowhere/run"):
        with pytest.raises(OSError, match=r"cannot write checkpoints to .*expected a folder to write to"):
            run(place, callback=lambda *_: pytest.fail("it trained"))


def test_the_best_model_is_kept_and_the_model_alone_can_be_restored(tmp_path):
    kept = {}

    def error(u):  # a parabola over the run of a rule that walks past its minimum
        return jnp.abs(u(jnp.ones(1)) - 1.0)

    def note(step, metrics, state):
        kept[metrics["evaluation/error"]] = state

    train = pj.train_step({"data": lambda u, x: u(x) - 2.0}, optax.sgd(0.11))
    model = lambda a, x: a * x[0]
    batch = {"data": jnp.ones((1, 1))}
    start = train.init((model, jnp.float32(0.0)), batch)
    options = {"steps_per_call": 1, "evaluate": error, "evaluate_every": 1, "checkpoint": tmp_path}
    pj.fit(train, start, batch, steps=2, callback=note, **options)
    state, history = pj.fit(train, start, batch, steps=9, callback=note, **options)
    least = min(kept)
    assert least == history["evaluation/error"].min() < history["evaluation/error"][-1]
    other = pj.train_step({"data": lambda u, x: u(x) - 2.0}, optax.adam(1.0))
    fresh = other.init((model, jnp.float32(7.0)), batch)
    best = checkpoint.restore_params(tmp_path, fresh, best=True)
    assert best.params == kept[least].params
    assert checkpoint.restore_params(tmp_path, fresh).params == state.params
    chex.assert_trees_all_equal(best.optimizer, fresh.optimizer)
    with pytest.raises(ValueError, match="differs from this run"):
        checkpoint.restore_params(tmp_path, other.init((lambda a, x: a[0] * x[0], jnp.ones(2)), batch))
    with pytest.raises(ValueError, match=r"there is no checkpoint in .*nothing"):
        checkpoint.restore_params(tmp_path / "nothing", fresh)


def test_a_fingerprint_sees_signs_of_zero_and_dtypes():
    digest = _fingerprint._value
    values = [0.0, -0.0, np.float32(0.0), np.nan, np.zeros(1), np.zeros((1, 1)), np.int64(0), jax.random.key(3)]
    assert len({digest(value) for value in values}) == len(values)


def digests(**options):
    train = train_step(**options)
    return _fingerprint.of(train.update, train.init((apply, params()), BATCH, key=jax.random.key(0)), BATCH)


RULES = {
    "conditions": lambda a: {
        "term_weights": term_weights.scheduled(term_weights.lr_annealing("pde", decay=a), every=5)
    },
    "per-point gradients": lambda a: {
        "term_weights": term_weights.ntk(every=7),
        "point_weights": pj.point_weights.residual_attention(eta=a),
    },
    "a line search": lambda a: {
        "optimizer": optax.lbfgs(linesearch=optax.scale_by_backtracking_linesearch(9, slope_rtol=a))
    },
    "chunks": lambda a: {"chunk": 2, "point_weights": optax.scale(a)},
}


@pytest.mark.parametrize("case", RULES)
def test_a_fingerprint_sees_numbers_inside_every_construct_and_no_monitor(case):
    watch = [pj.monitors.gradients(every=3), pj.monitors.signal_to_noise(every=3)]
    options = RULES[case]
    plain, watched, other = digests(**options(0.5)), digests(**options(0.5), monitors=watch), digests(**options(0.25))
    assert _fingerprint.differing(plain, watched) == []
    assert _fingerprint.whole(plain) == _fingerprint.whole(watched)
    assert _fingerprint.differing(plain, other) != []
