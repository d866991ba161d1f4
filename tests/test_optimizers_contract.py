"""The contract of parameter space: every optimiser in `train_step`, every row. A new one adds one line to RULES."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

import pinnjax as pj
from pinnjax import optimizers

from . import poisson
from .marks import few

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
POINTS = 12
N = POINTS + 2  # residuals, for 12 parameters


class Case(NamedTuple):
    """An optimiser and what its paper says of it.

    Attributes:
        make: the optimiser; called with the number of residuals.
        share: of the loss, what 30 steps leave at most.
        searches: whether a step is taken only where it lowers the loss.
        asks: whether it asks for the loss, so that rules which turn gradients are refused.
        scales: whether the loss may be multiplied by a number; not where a constant is in units of the loss.
        ordered: whether the order of the parameters counts: random numbers are drawn in it, or layers are told apart.
        settled: whether rounding is forgotten; not where it chooses among eigenbases.
        mixes: whether a parameter that no residual sees may move with others.
        moving: of the loss, what 30 steps leave at most when the weights move in each: those that keep nothing of
            another loss, or have a rate, are slow.
    """

    make: Callable[[int], optax.GradientTransformation]
    share: float
    searches: bool = True
    asks: bool = True
    scales: bool = True
    ordered: bool = False
    settled: bool = True
    mixes: bool = False
    moving: float = 0.2


def optimistix(solver, residuals=None):
    made = getattr(pytest.importorskip("optimistix"), solver)(1e-8, 1e-8)
    return optimizers.from_optimistix(made, residuals=residuals)


RULES = {
    "bfgs": Case(lambda n: optimizers.bfgs(), share=0.2),
    "ssbfgs": Case(lambda n: optimizers.ssbfgs(), share=1e-2),
    "ssbroyden": Case(lambda n: optimizers.ssbroyden(), share=1e-2),
    "ssbroyden retake": Case(lambda n: optimizers.ssbroyden(retake=True), share=1e-2),
    "gauss_newton primal": Case(lambda n: optimizers.gauss_newton(solver="primal"), share=1e-4),
    "gauss_newton dual": Case(lambda n: optimizers.gauss_newton(solver="dual"), share=1e-4),
    "gauss_newton qr": Case(lambda n: optimizers.gauss_newton(solver="qr"), share=1e-4),
    "gauss_newton cg": Case(lambda n: optimizers.gauss_newton(solver="cg"), share=1e-4, ordered=True),
    "gauss_newton sketch": Case(lambda n: optimizers.gauss_newton(sketch=8), share=1e-2, ordered=True, mixes=True),
    # The dampings of these three are in units of the loss.
    "spring": Case(
        lambda n: optimizers.spring(0.1, decay=0.9, norm_constraint=0.1), share=0.2, searches=False, scales=False
    ),
    "nystrom_natural_gradient": Case(
        lambda n: optimizers.nystrom_natural_gradient(rank=10, damping=1e-2, decay=0.5),
        share=0.1,
        scales=False,
    ),
    "nystrom_natural_gradient rate": Case(
        lambda n: optimizers.nystrom_natural_gradient(0.1, rank=10, damping=0.1),
        share=0.1,
        moving=0.5,
        searches=False,
        scales=False,
    ),
    "soap": Case(
        lambda n: optimizers.soap(0.03, precondition_every=2),
        share=0.9,
        searches=False,
        asks=False,
        ordered=True,
        settled=False,
        moving=1.0,
    ),
    "from_optimistix bfgs": Case(lambda n: optimistix("BFGS"), share=1e-2, moving=0.4),
    "from_optimistix lm": Case(lambda n: optimistix("LevenbergMarquardt", n), share=1e-4, moving=0.4),
}


def rule(*kept, where=lambda case: True, rest="exhaustive"):
    """A question to all optimisers where it has an answer, by default to those named; `rest` marks the others."""
    return pytest.mark.parametrize("name", few([name for name, case in RULES.items() if where(case)], *kept, rest=rest))


def pde(u, point):
    """The source comes with the point, so that one program has several problems."""
    x, source = point
    return pj.diff(u, 0, 0)(x) + source


TERMS = {"pde": pde, "bc": poisson.bc}


def sourced(x, dtype=None):
    return x.astype(dtype), (jnp.pi**2 * jnp.sin(jnp.pi * x[:, 0])).astype(dtype)


def batch(dtype=jnp.float64):
    x = jnp.linspace(0.03, 0.97, POINTS)[:, None]
    return {"pde": sourced(x, dtype), "bc": jnp.array([[0.0], [1.0]], dtype)}


def model(seed=0, dtype=jnp.float64):
    """The same numbers in both precisions."""
    params = poisson.plain_params(seed, width=4, dtype=jnp.float32)
    return poisson.apply, jax.tree.map(lambda p: p.astype(dtype), params)


@functools.cache
def step(name):
    """One step a rule, so that the questions share its programs."""
    return pj.train_step(TERMS, RULES[name].make(N))


def begun(name, seed=0, dtype=jnp.float64):
    return step(name), step(name).init(model(seed, dtype), batch(dtype)), batch(dtype)


def run(train, state, points=None, steps=30, **options):
    """Ten steps a call, in all questions, for one program."""
    return pj.fit(train, state, points, steps=steps, steps_per_call=10, progress=False, **options)


def total(history):
    """The loss without weights, step by step."""
    return sum(values for name, values in history.items() if name.startswith("loss/"))


def numbers(tree):
    leaves = jax.tree.leaves(tree)
    keys = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
    return [np.asarray(jax.random.key_data(a) if is_key else a) for a, is_key in zip(leaves, keys, strict=True)]


def equal(one, other):
    for a, b in zip(numbers(one), numbers(other), strict=True):
        np.testing.assert_array_equal(a, b)


def close(one, other, rtol):
    for a, b in zip(numbers(one), numbers(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


def finite(tree):
    return all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(tree))


settled = functools.partial(rule, where=lambda case: case.settled)
searching = functools.partial(rule, where=lambda case: case.searches)
asking = functools.partial(rule, where=lambda case: case.asks)
scaling = functools.partial(rule, where=lambda case: case.scales)
of_the_vector = functools.partial(rule, where=lambda case: not case.ordered)


# Programs


@rule(*RULES)
def test_it_traces_in_scans_and_for_seeds_with_a_state_of_fixed_types(name, x64):
    """By its types alone, so that every optimiser is asked in every run."""
    train, state, points = begun(name)
    types = lambda tree: jax.tree.map(jax.typeof, tree)
    after, _ = jax.eval_shape(train.update, state, points)
    assert types(after) == types(state)
    seeds = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), state)
    together, _ = jax.eval_shape(jax.vmap(train.update, in_axes=(0, None)), seeds, points)
    assert types(together) == types(seeds)


@settled(rest="slow")
def test_a_step_is_the_same_without_compilation(name, x64):
    """A curve through points, since every operation compiles by itself."""
    train, points = pj.train_step(poisson.SMALL, RULES[name].make(6)), poisson.batch(4, jnp.float64)
    state = train.init(poisson.small(jnp.float64), points)
    compiled, _ = train.update(state, points)
    with jax.disable_jit():
        eager, _ = train.update(state, points)
    close(compiled.params, eager.params, 1e-8)


@settled("ssbroyden", "gauss_newton primal")
def test_scanned_steps_are_those_of_a_loop_in_one_program(name, x64):
    """To 1e-6: what XLA reorders is rounding, and ten steps carry it on."""
    train, state, points = begun(name)
    scanned, _ = run(train, state, points, 10)
    looped, before = state, train.update._cache_size()
    for _ in range(10):
        looped, _ = train.update(looped, points)
    close(looped.params, scanned.params, 1e-6)
    assert train.update._cache_size() <= max(before, 1)  # the question before may have asked in the same precision


@rule("ssbroyden")
def test_a_run_in_calls_is_the_run_at_once(name, x64):
    train, state, points = begun(name)
    equal(run(train, state, points, 20)[0], pj.fit(train, state, points, steps=20, progress=False)[0])


@settled("gauss_newton primal")
def test_seeds_together_are_each_alone(name, x64):
    train, state, points = begun(name)
    states = [state, begun(name, seed=1)[1]]
    together, _ = run(train, jax.tree.map(lambda *leaves: jnp.stack(leaves), *states), points, 10)
    for i, alone in enumerate(states):
        mine = jax.tree.map(lambda leaf, i=i: leaf[i], together.params)
        close(mine, run(train, alone, points, 10)[0].params, 1e-6)


@rule("ssbroyden", "nystrom_natural_gradient")
def test_resume_equals_the_uninterrupted_run_bit_for_bit(name, x64, tmp_path):
    train, state, points = begun(name)
    whole, _ = run(train, state, points, 20)
    run(train, state, points, 10, checkpoint=tmp_path)
    resumed, _ = run(train, state, points, 20, checkpoint=tmp_path)
    equal(whole, resumed)


# Numbers


@rule("ssbroyden", rest="slow")
def test_it_descends_and_keeps_the_dtype(name, dtype):
    train, state, points = begun(name, dtype=dtype)
    after, history = run(train, state, points)
    assert jax.tree.map(jax.typeof, after) == jax.tree.map(jax.typeof, state)
    assert {leaf.dtype for leaf in jax.tree.leaves(after.params)} == {dtype}
    assert history["loss"][-1] < (1 if dtype == jnp.float64 else 10) * RULES[name].share * history["loss"][0]


@searching("ssbroyden", "gauss_newton primal", "from_optimistix lm")
def test_a_step_never_raises_the_loss_and_one_that_is_not_taken_is_counted(name, x64):
    train, state, points = begun(name)
    _, history = run(train, state, points, 60)
    loss, stayed = history["loss"], np.diff(history["skipped"]) > 0  # the count after a step, the loss before it
    assert np.all(np.diff(loss) <= 1e-12 * loss[:-1])  # rounding of two programs for one number
    np.testing.assert_array_equal(loss[1:-1][stayed[:-1]], loss[2:][stayed[:-1]])


@rule("ssbroyden", "gauss_newton primal", "nystrom_natural_gradient")
def test_a_step_on_bad_points_leaves_no_trace(name, x64):
    train, state, points = begun(name)
    state, _ = run(train, state, points, 10)
    x, source = points["pde"]
    broken, metrics = train.update(state, points | {"pde": (x.at[3].set(jnp.nan), source)})
    assert broken.skipped == state.skipped + 1 and broken.nonfinite["pde"] == 1 and metrics["skipped"] == broken.skipped
    equal((broken.params, broken.optimizer), (state.params, state.optimizer))
    after, without = run(train, broken, points, 10)[0], run(train, state, points, 10)[0]
    equal((after.params, after.optimizer), (without.params, without.optimizer))


def walled(u, point):
    """Not finite beyond a value of u."""
    x, side, limit = point
    return jnp.where(side * (u(x) - limit) > 0, jnp.nan, 0.0)


@searching("ssbroyden")
def test_a_trial_that_is_not_finite_is_survived(name, x64):
    """The wall stands half way along the first step that would be taken without it."""
    train, state, points = begun(name)
    x = jnp.array([[0.5]])
    before, after = (train.model(s)(x[0]) for s in (state, train.update(state, points)[0]))
    train = pj.train_step(TERMS | {"wall": walled}, RULES[name].make(N + 1))
    points |= {"wall": (x, jnp.sign(after - before)[None], (before + after)[None] / 2)}
    state = train.init(model(), points)
    after, history = run(train, state, points)
    assert finite(after.params) and finite(history["loss"])
    assert history["loss"][-1] < history["loss"][0]


@rule("gauss_newton primal")
def test_equal_terms_and_a_parameter_that_nothing_sees_are_no_trouble(name, x64):
    train = pj.train_step(TERMS | {"again": pde}, RULES[name].make(N + POINTS))
    apply, params = model()
    points = batch() | {"again": batch()["pde"]}
    state = train.init((apply, params | {"unseen": jnp.ones(3)}), points)
    after, history = run(train, state, points)
    assert finite(after.params) and finite(history["loss"])
    assert history["loss"][-1] < RULES[name].share * history["loss"][0]
    if not RULES[name].mixes:
        np.testing.assert_array_equal(after.params["unseen"], 1.0)


@rule("ssbroyden", "gauss_newton primal", "soap")
def test_at_an_exact_solution_it_stays(name, x64):
    """u = 0 without a source; a searched method says that it has converged."""
    train, state, points = begun(name)
    apply, params = model()
    state = train.init((apply, params | {"out": jnp.zeros(4)}), points)
    points["pde"] = (points["pde"][0], jnp.zeros(POINTS))
    if RULES[name].searches:
        with pytest.warns(UserWarning, match="converged to rounding"):
            after, history = run(train, state, points, 150)
        assert after.skipped == len(history["step"]) == 100
    else:
        after, history = run(train, state, points, 30)
        assert after.skipped == 0
    equal(after.params, state.params)
    assert finite(history) and np.all(history["loss"] == 0)


# Losses that move


def at(key, n):
    return sourced(pj.sampling.box(key, [0.0], [1.0], n))


def drawn(key):
    return {"pde": at(key, POINTS)}


SAMPLERS = {
    "every step": lambda: pj.sampling.resample(drawn),
    "every 5 steps": lambda: pj.sampling.resample(drawn, every=5),
    "rad": lambda: pj.sampling.rad("pde", at, POINTS, candidates=40, every=5),
}


@pytest.mark.parametrize("sampler", ["every 5 steps"])
@rule("ssbroyden", rest="slow")
def test_points_that_move_are_followed(name, sampler, x64):
    """Down on other points than those of the steps; and no step raises the loss that it was searched on."""
    train = pj.train_step(TERMS, RULES[name].make(N), sampler=SAMPLERS[sampler]())
    ends = {"bc": batch()["bc"]}
    state = train.init(model(), ends, key=KEY)

    def taken(state, _):
        new, metrics = train.update(state, ends)
        return new, metrics | {"after": optax.tree.get(new.optimizer, "value", jnp.nan)}

    after, history = jax.jit(lambda s: jax.lax.scan(taken, s, None, length=60))(state)
    judge = lambda s: sum(jnp.mean(r**2) for r in pj.residuals(TERMS, s.definition)(s.params, batch()).values())
    share = judge(after) / judge(state)
    assert finite(after.params) and share < max(RULES[name].share, 0.3 if sampler == "every step" else 0.05)
    if RULES[name].searches:
        assert np.all(history["after"] <= history["loss"])
        sampled = np.asarray(history["loss"])
        if sampler != "every step":  # the points of five steps are the same
            inside = np.arange(1, 60) % 5 != 0
            assert np.all(np.diff(sampled)[inside] <= 1e-12 * sampled[:-1][inside])


WEIGHTS = {
    "lr_annealing and residual_attention": lambda: {
        "term_weights": pj.term_weights.lr_annealing("pde", every=1),
        "point_weights": pj.point_weights.residual_attention(),
    },
    "relobralo and self_adaptive": lambda: {
        "term_weights": pj.term_weights.relobralo(),
        "point_weights": pj.point_weights.self_adaptive(0.1),
    },
    "ntk": lambda: {"term_weights": pj.term_weights.ntk(every=1)},
    "pcgrad": lambda: {"term_weights": pj.term_weights.pcgrad()},  # a sum of the gradients with weights of its own
}


@pytest.mark.parametrize("weights", ["lr_annealing and residual_attention"])
@rule("ssbroyden retake", rest="slow")
def test_weights_that_move_are_followed(name, weights, x64):
    train = pj.train_step(TERMS, RULES[name].make(N), **WEIGHTS[weights]())
    after, history = run(train, train.init(model(), batch()), batch())
    assert finite(after.params) and finite(history)
    assert total(history)[-1] < RULES[name].moving * total(history)[0]


@pytest.mark.parametrize(
    "turning", few([pj.term_weights.multiadam, pj.term_weights.m_config], pj.term_weights.multiadam)
)
@asking("ssbroyden")
def test_gradients_that_are_turned_are_refused_by_name(name, turning, x64):
    train = pj.train_step(TERMS, RULES[name].make(N), term_weights=turning())
    with pytest.raises(ValueError, match=rf"has {turning.__name__}, .*optimizer \({name.split()[0]}\) asks"):
        jax.eval_shape(train.update, train.init(model(), batch()), batch())


# Invariances


@of_the_vector("gauss_newton primal")
def test_the_order_of_the_parameters_does_not_count(name, x64):
    """One vector, in another order, of the parameters of a tree."""
    train, state, points = begun(name)
    params = model()[1]
    backwards, back = ravel_pytree([params["out"], params["kernel"], params["bias"]])
    reordered = lambda flat: dict(zip(("out", "kernel", "bias"), back(flat), strict=True))
    other = pj.train_step(TERMS, RULES[name].make(N))
    flat = other.init((lambda p, x: poisson.apply(reordered(p), x), backwards), points)
    for _ in range(2):
        flat, _ = other.update(flat, points)
        state, _ = train.update(state, points)
    flat, state = run(other, flat, points, 10)[0], run(train, state, points, 10)[0]
    close(reordered(flat.params), state.params, 1e-6)


@pytest.mark.parametrize("factor", [1e6])
@scaling("ssbroyden")
def test_a_loss_in_other_units_is_as_easy(name, factor, x64):
    _, plain = run(*begun(name))
    train = pj.train_step(TERMS, RULES[name].make(N), term_weights=pj.term_weights.fixed(dict.fromkeys(TERMS, factor)))
    _, scaled = run(train, train.init(model(), batch()), batch())
    np.testing.assert_allclose(scaled["loss"][0], factor * plain["loss"][0], rtol=1e-12)
    assert scaled["loss"][-1] < 10 * factor * plain["loss"][-1]


# Runs


@rule("gauss_newton primal")
def test_it_follows_adam_in_a_second_phase_in_double_precision(name, x64):
    adam = pj.train_step(TERMS, optax.adam(1e-2))
    phases = [pj.Phase(adam, 10), pj.Phase(step(name), 30, dtype=jnp.float64)]
    single = batch(jnp.float32)
    state, history = run(phases, adam.init(model(dtype=jnp.float32), single), single, steps=None)
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype("float64")}
    assert state.step == 40 and finite(state.params)
    assert history["loss"][-1] < RULES[name].share * history["loss"][10]


@rule("ssbroyden", "gauss_newton primal", "from_optimistix bfgs")
def test_a_loop_of_ones_own_needs_optax_only(name, x64):
    """Straight lines through points: the minimum is that of numpy's least squares."""
    random = np.random.default_rng(0)
    matrix, target = random.normal(size=(7, 3)), random.normal(size=7)
    found, _, _, _ = np.linalg.lstsq(matrix, target)
    residual_fn = lambda p: jnp.asarray(matrix) @ jnp.concatenate([p["slope"], p["offset"]]) - jnp.asarray(target)
    value_fn = lambda p: jnp.sum(residual_fn(p) ** 2)
    optimizer = RULES[name].make(7)
    params = {"slope": jnp.zeros(2), "offset": jnp.zeros(1)}

    @jax.jit
    def update(params, state):
        value, grad = jax.value_and_grad(value_fn)(params)
        updates, state = optimizer.update(
            grad, state, params, value=value, grad=grad, value_fn=value_fn, residual_fn=residual_fn
        )
        return optax.apply_updates(params, updates), state

    start, state = value_fn(params), optimizer.init(params)
    for _ in range(40):
        params, state = update(params, state)
    if RULES[name].share <= 1e-2:
        np.testing.assert_allclose(np.concatenate([params["slope"], params["offset"]]), found, rtol=1e-6)
    least = np.sum((matrix @ found - target) ** 2)
    assert value_fn(params) - least < 0.5 * (start - least)
