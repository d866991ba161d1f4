"""Phases of a run: what goes on from one to the next, and that several are one run."""

import _thread
import dataclasses
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.train import _history
from pinnjax.train.phases import following

from . import poisson
from .marks import few
from .test_fit import ctrl_c, equal  # noqa: F401  (a fixture)

pytestmark = pytest.mark.usefixtures("quick_compilation")

BATCH = {"pde": jnp.linspace(0.1, 0.9, 5)[:, None], "bc": jnp.array([[0.0], [1.0]])}
BALANCER = pj.term_weights.lr_annealing("pde", every=1)
MASK = pj.point_weights.residual_attention(eta=0.3)
KEY = jax.random.key(3)


def draw(key):
    return {"pde": jax.random.uniform(key, (5, 1))}


RENEWED = pj.sampling.resample(draw, every=4)


def step(optimizer=None, terms=poisson.SMALL, **options):
    return pj.train_step(terms, optimizer or optax.adam(1e-2), **options)


PLAIN = step()  # shared, so that their programs are compiled once
BALANCED = step(term_weights=BALANCER)
SAMPLED = step(sampler=RENEWED)


def start(train, batch=BATCH, key=KEY, dtype=jnp.float32):
    given = {name: points for name, points in batch.items() if train.parts.sampler is None or name != "pde"}
    return train.init(poisson.small(dtype), given, key=key)


def error(u):
    return jnp.abs(u(jnp.array([0.5])) - 0.25)


def fit(phases, state, batch=BATCH, **options):
    return pj.fit(phases, state, batch, **{"steps_per_call": 5, "progress": False} | options)


def test_two_phases_are_two_fits_by_hand():
    first = step(term_weights=BALANCER, point_weights=MASK)
    second = step(optax.sgd(1e-2), term_weights=pj.term_weights.lr_annealing("pde", every=2), point_weights=MASK)
    state, history = fit([pj.Phase(first, 10), pj.Phase(second, 20)], start(first), evaluate=error, evaluate_every=5)
    half, one = pj.fit(first, start(first), BATCH, steps=10, steps_per_call=5)
    fresh = second.init((poisson.small()[0], half.params), BATCH)
    begin = dataclasses.replace(fresh, step=half.step, point_weights=half.point_weights, term_weights=half.term_weights)
    whole, two = pj.fit(second, begin, BATCH, steps=20, steps_per_call=5)
    equal(whole.params, state.params)
    equal(whole.term_weights, state.term_weights)
    equal(whole.point_weights, state.point_weights)
    for name in one:
        np.testing.assert_array_equal(history[name], np.concatenate([one[name], two[name]]), err_msg=name)
    np.testing.assert_array_equal(history["step"], np.arange(1, 31))
    np.testing.assert_array_equal(history["phase"], [0] * 10 + [1] * 20)
    np.testing.assert_array_equal(history["evaluation/step"], [5, 10, 15, 20, 25, 30])
    assert np.all(np.diff(history["evaluation/seconds"]) > 0)


@pytest.mark.parametrize("optimizer", few([optax.adam, optax.lbfgs], optax.adam))
def test_held_weights_are_those_that_the_rule_ended_at(optimizer):
    first, second = BALANCED, step(optimizer(1e-2), term_weights=pj.term_weights.held(BALANCER))
    phases = [pj.Phase(first, 10), pj.Phase(second, 10), pj.Phase(first, 10)]
    state, history = fit(phases, start(first))
    np.testing.assert_array_equal(history["weight/bc"][10:20], history["weight/bc"][9])
    assert len(np.unique(history["weight/bc"][:10])) == 10 == len(np.unique(history["weight/bc"][20:]))
    assert int(state.term_weights.steps) == 20  # of the rule, in the phases in which it ran
    other = step(term_weights=pj.term_weights.held(pj.term_weights.bounded(BALANCER)))
    with pytest.raises(ValueError, match=r"hold weights that the phase before does not have.*'lr_annealing'"):
        fit([pj.Phase(first, 10), pj.Phase(other, 10)], start(first))
    with pytest.raises(ValueError, match="held: the rule's state has 0 sets of term weights"):
        start(step(term_weights=pj.term_weights.held(optax.clip(1.0))))


@pytest.mark.slow
def test_a_rule_with_a_memory_of_another_kind_starts_anew():
    """The states of these two look alike, losses and gradients' moments."""
    first, second = step(term_weights=pj.term_weights.softadapt()), BALANCED
    state, _ = pj.fit(first, start(first), BATCH, steps=5)
    begin = following(first, state, pj.Phase(second, 1), BATCH)
    equal(begin.term_weights, start(second).term_weights)
    equal(begin.optimizer, start(second).optimizer)
    rate = lambda decay: optax.inject_hyperparams(pj.term_weights.lr_annealing, static_args=("reference", "every"))(
        "pde", every=1, decay=decay
    )
    first, second = step(term_weights=rate(0.5)), step(term_weights=rate(0.9))
    state, _ = pj.fit(first, start(first), BATCH, steps=5)
    begin = following(first, state, pj.Phase(second, 1), BATCH)
    assert float(optax.tree.get(begin.term_weights, "decay")) == pytest.approx(0.9)
    equal(optax.tree.get(begin.term_weights, "weights"), optax.tree.get(state.term_weights, "weights"))


@pytest.mark.slow
def test_single_precision_goes_on_in_double(x64):
    batch = jax.tree.map(lambda x: x.astype(jnp.float32), BATCH)
    first = step(term_weights=BALANCER, point_weights=MASK, sampler=pj.sampling.minibatches(batch, {"pde": 4}))
    second = step(optax.sgd(1e-2), term_weights=pj.term_weights.held(BALANCER), point_weights=MASK)
    begin = first.init(poisson.small(), None, key=KEY)
    phases = [pj.Phase(first, 10, dtype=jnp.float32), pj.Phase(second, 20, dtype=jnp.float64), pj.Phase(second, 5)]
    state, history = fit(phases, begin, batch)
    assert "float32" not in {str(leaf.dtype) for leaf in jax.tree.leaves(state)}
    assert state.params["out"].dtype == state.term_weights.weights["bc"].dtype == jnp.float64
    assert history["loss"].dtype == np.float64
    half, _ = pj.fit(first, begin, None, steps=10, steps_per_call=5)
    by_hand = second.init(
        (poisson.small()[0], jax.tree.map(lambda x: x.astype(jnp.float64), half.params)),
        jax.tree.map(lambda x: x.astype(jnp.float64), batch),
    )
    found = following(first, half, phases[1], batch)
    equal(found.params, by_hand.params)
    for name, kept in half.point_weights.rule.attention.items():  # the pool is the batch: the memory stays
        np.testing.assert_array_equal(found.point_weights.attention[name], kept.astype(jnp.float64))
    with pytest.raises(ValueError, match=r"phase 1 of 1: dtype is float64, but the state's .* \['float32'\]"):
        fit([pj.Phase(first, 1, dtype=jnp.float64)], begin, None)


def test_double_precision_has_to_be_switched_on():
    train = PLAIN
    with pytest.raises(ValueError, match=r"phase 2 of 2: dtype is float64; expected float32, or jax.config"):
        fit([pj.Phase(train, 5), pj.Phase(train, 5, dtype=jnp.float64)], start(train))


def wider(trained, key):
    """Two more units that are zero at first: the same field."""
    apply, params = trained
    more = jax.random.normal(key, (2, 1))
    return apply, {
        "kernel": jnp.concatenate([params["kernel"], more]),
        "out": jnp.concatenate([params["out"], jnp.zeros(2)]),
    }


@pytest.mark.parametrize("optimizer", few([optax.adam, pj.optimizers.ssbroyden], optax.adam))
def test_an_optimiser_goes_on_with_its_memory_where_it_is_kept(optimizer):
    make = lambda: optimizer(1e-2) if optimizer is optax.adam else optimizer()
    first, second = step(make()), step(make())
    keeps = ("point_weights", "term_weights", "optimizer")
    one = fit([pj.Phase(first, 10)], start(first))[0]
    two, anew = (
        fit([pj.Phase(first, 6), pj.Phase(second, 4, **kept)], start(first))[0] for kept in ({"keeps": keeps}, {})
    )
    far = lambda a: max(float(jnp.max(jnp.abs(x))) for x in jax.tree.leaves(jax.tree.map(jnp.subtract, a, one.params)))
    assert far(two.params) < 1e-4 < 1e-3 < far(anew.params)  # programs of other lengths, in single precision


def test_a_network_may_grow_and_a_correction_be_trained():
    train = PLAIN
    seen = []
    grown = [pj.Phase(train, 10), pj.Phase(train, 10, model=wider)]
    state, _ = fit(grown, start(train), callback=lambda n, metrics, state: seen.append((n, metrics["phase"], state)))
    assert [(n, i) for n, i, _ in seen] == [(5, 0), (10, 0), (15, 1), (20, 1)]
    begin = following(train, seen[1][2], grown[1], BATCH)
    np.testing.assert_allclose(error(train.model(begin)), error(train.model(seen[1][2])), rtol=1e-6)
    chex.assert_shape(state.params["kernel"], (5, 1))
    assert np.all(state.params["out"][3:] != 0)


HOLDING = step(optax.sgd(1e-2), sampler=RENEWED, term_weights=pj.term_weights.held(BALANCER))


def three(**options):
    """Points in the batch, then points that are drawn, by a second optimiser."""
    return [pj.Phase(BALANCED, 10), pj.Phase(HOLDING, 15, **options), pj.Phase(SAMPLED, 10)]


@pytest.mark.slow
def test_seeds_go_through_phases_as_each_alone():
    phases = three(model=wider)[:2]
    keys = jax.random.split(KEY, 2)
    begin = lambda key: phases[0].train.init(
        (poisson.small()[0], jax.tree.map(lambda p: p * (1 + jax.random.uniform(key)), poisson.small()[1])),
        BATCH,
        key=key,
    )
    states, history = fit(phases, jax.vmap(begin)(keys), evaluate=error)
    chex.assert_shape(history["loss"], (25, 2))
    chex.assert_shape(history["phase"], (25,))
    for i, key in list(enumerate(keys))[1:]:
        alone, own = fit(phases, begin(key), evaluate=error)
        np.testing.assert_allclose(history["loss"][:, i], own["loss"], rtol=1e-2)
        one = jax.tree.map(lambda leaf, i=i: leaf[i], states)
        equal(one.sampler, alone.sampler)  # keys and points
        equal(one.key, alone.key)


class Killed(Exception):
    """As if the process had ended."""


EACH = {"evaluate": error, "evaluate_every": 5, "checkpoint_every": 5}


@pytest.fixture(scope="module")
def unbroken():
    return fit(three(), start(BALANCED), **EACH)


@pytest.mark.parametrize("at", few([5, 10, 15, 20, 25, 30, 35], 20))
def test_a_run_that_is_killed_in_any_phase_ends_as_if_it_were_not(at, unbroken, tmp_path, capsys):
    phases, options, (whole, history) = three(), EACH, unbroken

    def kill(n, metrics, state):
        if n == at:  # the checkpoint of this step is not written
            raise Killed

    with pytest.raises(Killed):
        fit(phases, start(phases[0].train), callback=kill, checkpoint=tmp_path, **options)
    capsys.readouterr()
    for _ in range(2):  # the second time reads all of it
        resumed, after = fit(three(), start(phases[0].train), checkpoint=tmp_path, **options)
        equal(whole, resumed)
        assert list(history) == list(after)
        for name in set(history) - {"evaluation/seconds"}:
            np.testing.assert_array_equal(history[name], after[name], err_msg=name)
    said = capsys.readouterr().err
    assert f"fit: phase 3 of 3: resumed at step 35 from {tmp_path / 'phase-3'}; no steps are left to do" in said
    best = pj.checkpoint.restore_params(tmp_path / "phase-3", resumed, best=True)
    found = float(error(phases[0].train.model(best)))
    assert found == pytest.approx(history["evaluation/error"].min(), rel=1e-3, abs=1e-6)


@pytest.mark.slow
def test_a_folder_of_other_phases_is_refused(tmp_path):
    phases = three()
    train = phases[0].train
    fit(phases, start(train), checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"the phase in .*phase-1 has done 10 steps, here it has 5"):
        fit([pj.Phase(train, 5), *phases[1:]], start(train), checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"phase-2 began at step 10, here it begins at step 15"):
        fit([pj.Phase(train, 15), *phases[1:]], start(train), checkpoint=tmp_path)
    with pytest.raises(ValueError, match="is of a run with phases, this run is one without"):
        fit(train, start(train), steps=5, checkpoint=tmp_path)
    fit(train, start(train), steps=5, checkpoint=tmp_path / "other")
    with pytest.raises(ValueError, match="is of a run without phases, this run is one with"):
        fit(phases, start(train), checkpoint=tmp_path / "other")


@pytest.mark.slow
@pytest.mark.parametrize("call", [1, 2])
def test_ctrl_c_ends_the_whole_run(ctrl_c, monkeypatch, tmp_path, call):  # noqa: F811
    """In the first call of two, and in the last of its phase."""
    phases, original, seen = three(), _history.thinned, []

    def interrupted(*arguments):
        seen.append(arguments)
        if len(seen) == call:
            _thread.interrupt_main()
        return original(*arguments)

    monkeypatch.setattr(_history, "thinned", interrupted)
    words = "interrupted after 5 of 10 steps" if call == 1 else "interrupted at its end"
    with pytest.warns(UserWarning, match=f"fit: phase 1 of 3: {words}"):
        state, history = fit(phases, start(phases[0].train), checkpoint=tmp_path)
    assert int(state.step) == len(history["loss"]) == 5 * call
    assert len(seen) == call
    whole, _ = fit(phases, start(phases[0].train))
    resumed, _ = fit(phases, start(phases[0].train), checkpoint=tmp_path)
    equal(whole, resumed)


def test_random_numbers_need_a_key():
    train = PLAIN
    for later, what in [({"sampler": RENEWED}, "a sampler"), ({}, "model=")]:
        phases = [pj.Phase(train, 5), pj.Phase(step(**later), 5, model=None if later else wider)]
        with pytest.raises(
            ValueError, match=f"the phase has {what}, which draws random numbers, but .* no key"
        ) as found:
            fit(phases, start(train, key=None), callback=lambda *_: pytest.fail("it trained"))
        assert found.value.__notes__[-1] == "in phase 2 of 2 of fit"
    with pytest.raises(TypeError, match=r"train.init: key is 3; expected a random key"):
        start(train, key=3)
    plain, _ = fit([pj.Phase(train, 5), pj.Phase(PLAIN, 5)], start(train, key=None))
    assert int(plain.step) == 10 and plain.key is None


def test_a_kept_key_changes_no_run_of_one_phase():
    train = step(sampler=RENEWED)
    state = start(train)
    equal(state.sampler, RENEWED.init(KEY))
    assert not np.array_equal(jax.random.key_data(state.key), jax.random.key_data(KEY))


@pytest.mark.slow
def test_points_go_on_with_the_same_sampler_and_their_memory_with_them():
    pool = {"pde": jnp.arange(1.0, 9.0)[:, None] / 8, "bc": BATCH["bc"]}
    other = {"pde": pool["pde"].at[3].add(0.01), "bc": BATCH["bc"]}
    minis = lambda points: pj.sampling.minibatches(points, {"pde": 4})
    first = step(point_weights=MASK, sampler=minis(pool))
    state, _ = pj.fit(first, first.init(poisson.small(), key=KEY), steps=6)
    before = state.point_weights.rule.attention
    assert np.all(before["pde"] > 0)

    def after(train, given=None):
        found = following(first, state, pj.Phase(train, 1), given)
        rule = found.point_weights
        return (rule if train.parts.sampler is None else rule.rule).attention, found

    same, found = after(step(point_weights=MASK, sampler=first.parts.sampler))
    equal((same, found.sampler), (before, state.sampler))
    moved, _ = after(step(point_weights=MASK, sampler=minis(other)))
    np.testing.assert_array_equal(moved["pde"], before["pde"].at[3].set(0.0))  # as `init` starts a point
    np.testing.assert_array_equal(moved["bc"], before["bc"])
    whole, _ = after(step(point_weights=MASK), pool)
    equal(whole, before)
    smaller, _ = after(step(point_weights=MASK, sampler=minis({"pde": pool["pde"][:5], "bc": BATCH["bc"]})))
    assert not np.any(smaller["bc"])  # other shapes: all of it starts anew


@pytest.mark.slow
@pytest.mark.parametrize("sampler", few(["rad", "rar_d", "r3"], "r3"))
def test_adaptive_samplers_go_on_or_start_anew(sampler):
    uniform = lambda key, n: jax.random.uniform(key, (n, 1))
    make = {
        "rad": lambda: pj.sampling.rad("pde", uniform, 6, candidates=20, every=4),
        "rar_d": lambda: pj.sampling.rar_d("pde", uniform, 6, capacity=9, candidates=20, every=4),
        "r3": lambda: pj.sampling.r3("pde", uniform, 6, every=4),
    }[sampler]
    own = make()
    first, second = step(sampler=own, point_weights=MASK), step(optax.sgd(1e-2), sampler=own, point_weights=MASK)
    phases = [pj.Phase(PLAIN, 5), pj.Phase(first, 6), pj.Phase(second, 6), pj.Phase(step(sampler=make()), 6)]
    seen = []
    fit(phases, start(phases[0].train), callback=lambda n, metrics, state: seen.append(state), steps_per_call=6)
    assert [int(state.sampler.draws) for state in seen[1:]] == [6, 12, 6]
    begin = following(first, seen[1], phases[2], BATCH)
    equal((begin.sampler, begin.point_weights), (seen[1].sampler, seen[1].point_weights))
    anew = following(second, seen[2], phases[3], BATCH)
    assert not np.array_equal(
        anew.sampler.points["pde"] if isinstance(anew.sampler.points, dict) else anew.sampler.points,
        seen[2].sampler.points,
    )


def test_points_live_as_many_steps_as_told():
    sampler = pj.sampling.resample(draw, every=3)
    train = step(sampler=sampler, point_weights=pj.point_weights.residual_attention(decay=1.0, eta=1.0))
    state, points, ages = start(train), [], []
    update = jax.jit(sampler.update, static_argnames="residuals")
    own = sampler.init(KEY)
    for _ in range(7):
        state, _ = train.update(state, {"bc": BATCH["bc"]})
        drawn, own = update(own, residuals=None)
        np.testing.assert_array_equal(state.sampler.points["pde"], drawn.points["pde"])
        points.append(drawn.points["pde"])
        ages.append(float(state.point_weights.rule.attention["pde"].max()))  # 1 a step for the largest residual
    assert [np.array_equal(a, b) for a, b in itertools.pairwise(points)] == [1, 1, 0, 1, 1, 0]
    np.testing.assert_allclose(ages, [1, 2, 3, 1, 2, 3, 1], rtol=1e-6)
    later = jax.random.split(KEY)  # the first points, by hand
    np.testing.assert_array_equal(points[0], draw(later[1])["pde"])
    np.testing.assert_array_equal(points[3], draw(jax.random.split(later[0])[1])["pde"])
    with pytest.raises(ValueError, match="resample: every is 0; expected an integer >= 1"):
        pj.sampling.resample(draw, every=0)


def test_a_phase_ends_early_and_the_run_when_it_is_told_to(tmp_path):
    train, slow = step(optax.sgd(1e-1)), step(optax.sgd(1e-9))
    low = lambda metrics: metrics["loss"] < 1.0
    phases = [pj.Phase(train, 50, until=low), pj.Phase(slow, 20), pj.Phase(train, 50)]
    for _ in range(2):  # the second time it is read
        state, history = fit(
            phases,
            start(train),
            until=lambda m: m["phase"] == 1,
            checkpoint=tmp_path,
        )
        assert np.bincount(history["phase"]).tolist() == [5, 5] and int(state.step) == 10
    other = [phases[0], pj.Phase(slow, 20, until=1.0, seconds=1e-9), pj.Phase(slow, 5)]
    _, history = fit(other, start(train), evaluate=error)
    assert np.bincount(history["phase"]).tolist() == [5, 5, 5]
    _, history = fit(other, start(train), evaluate=error, seconds=1e-9)
    assert np.bincount(history["phase"]).tolist() == [5]
    one, _ = pj.fit(train, start(train), BATCH, steps=10, steps_per_call=5, seconds=1e-9, checkpoint=tmp_path / "one")
    assert int(one.step) == 5
    more, _ = pj.fit(train, start(train), BATCH, steps=10, steps_per_call=5, checkpoint=tmp_path / "one")
    assert int(more.step) == 10  # the rest, when it is called again


def test_a_phase_that_is_stuck_gives_way_to_the_next():
    broken = poisson.SMALL | {"bc": lambda u, x: u(x) / (x[0] - x[0])}
    train = PLAIN
    phases = [pj.Phase(step(terms=broken), 300), pj.Phase(train, 10)]
    with pytest.warns(UserWarning, match=r"phase 1 of 2: stopped after 100 of 300 steps: .*\['bc'\]"):
        state, history = fit(phases, start(train), steps_per_call=50)
    assert np.bincount(history["phase"]).tolist() == [100, 10]
    assert int(state.skipped) == 100 and int(state.nonfinite["bc"]) == 100
    assert np.isfinite(history["loss"][-1])


def test_terms_may_come_and_go_and_what_a_phase_lacks_is_nan():
    only = step(terms={"bc": poisson.SMALL["bc"]})
    rank = step(monitors=[pj.Monitor(lambda seen: {"double": 2.0 * seen.step})])
    phases = [pj.Phase(only, 5), pj.Phase(rank, 5, summary="both terms")]
    _, history = fit(phases, only.init(poisson.small(), {"bc": BATCH["bc"]}))
    assert np.isnan(history["loss/pde"][:5]).all() and np.isfinite(history["loss/pde"][5:]).all()
    np.testing.assert_array_equal(history["double"], [np.nan] * 5 + [10, 12, 14, 16, 18])
    with pytest.raises(ValueError, match=r"the batch has points for \['ic'\], which are terms of no phase"):
        fit(phases, start(rank), BATCH | {"ic": BATCH["bc"]})


def test_the_bar_says_in_which_phase_it_is(capsys):
    train = PLAIN
    phases = [pj.Phase(train, 10, summary="Adam"), pj.Phase(PLAIN, 20, until=lambda m: True), pj.Phase(PLAIN, 5)]
    fit(phases, start(train), progress=True)
    shown = capsys.readouterr().err
    for words in ("phase 1/3 Adam", "phase 2/3", "/35", "20/20"):
        assert words in shown


OTHER = {"data": lambda u, x: u(x)}
LATE = {
    "a term without points": (lambda: pj.Phase(step(terms=OTHER), 5), ValueError, "the batch"),
    "a model that is none": (lambda: pj.Phase(PLAIN, 5, model=lambda u, key: 3.0), TypeError, "a model of type float"),
    "an error that needs another model": (
        lambda: pj.Phase(PLAIN, 5, model=lambda u, key: vector(u)),
        ValueError,
        r"evaluate returns float32\[2\]",
    ),
    "an optimiser of no loss": (
        lambda: pj.Phase(step(optax.lbfgs(), term_weights=pj.term_weights.multiadam()), 5),
        ValueError,
        "turns the terms' gradients",
    ),
    "an error to reach that is not measured": (lambda: pj.Phase(PLAIN, 5, until=0.1), ValueError, "evaluate is None"),
    "a metric that is taken": (
        lambda: pj.Phase(step(monitors=[pj.Monitor(lambda seen: {"phase": jnp.ones(())})]), 5),
        ValueError,
        r"the names \['phase'\]",
    ),
}


def vector(trained):
    apply, params = trained
    return lambda p, x: apply(p, x) * jnp.ones(2), params


@pytest.mark.parametrize("case", LATE)
def test_a_mistake_in_the_last_phase_is_said_before_the_first_trains(case):
    make, kind, words = LATE[case]
    train = PLAIN
    options = {"evaluate": error} if "model" in case else {}
    with pytest.raises(kind, match=words) as found:
        fit([pj.Phase(train, 5), make()], start(train), callback=lambda *_: pytest.fail("it trained"), **options)
    assert found.value.__notes__[-1] == "in phase 2 of 2 of fit"


def test_bad_phases_are_named():
    train = PLAIN
    state = start(train)
    for given, words in [
        (lambda: fit([pj.Phase(train, 5)], state, steps=5), "steps is 5 beside phases, which have their own"),
        (lambda: fit(train, state), "steps is None; expected an integer >= 1"),
        (lambda: fit([], state), r"train is a list; expected a pinnjax.train_step, or a list of pinnjax.Phase"),
        (lambda: fit([train, 5], state), r"train is a list; expected"),
        (lambda: fit([pj.Phase(train, 5, model=wider)], state), "phase 1 of 1: model is given"),
        (lambda: pj.Phase(train, 0), "Phase: steps is 0; expected an integer >= 1"),
        (lambda: pj.Phase(poisson.SMALL, 5), "Phase: train is a dict; expected a pinnjax.train_step"),
        (lambda: pj.Phase(train, 5, seconds=-1), "Phase: seconds is -1; expected a number > 0"),
        (lambda: pj.Phase(train, 5, dtype=jnp.int32), "Phase: dtype is .*; expected a floating dtype"),
        (lambda: fit(train, state, steps=5, seconds=0), "fit: seconds is 0"),
    ]:
        with pytest.raises((TypeError, ValueError), match=words):
            given()
