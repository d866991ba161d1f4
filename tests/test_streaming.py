"""Gradients chunk by chunk: what they are, how often residuals are computed for them, and what they need of memory."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest
from flax import nnx

import pinnjax as pj
from pinnjax.terms import chunks, evaluation
from pinnjax.train import _known_before

from .marks import few

N = 200


def flow(u, x):
    """Two components, one of them a vector."""
    value = u(x)
    return {"mass": pj.divergence(u)(x), "momentum": pj.laplacian(u)(x) - value * value[0] + x[0]}


@pj.batchwise
def mean(u, x):
    return jnp.mean(jax.vmap(u)(x))


TERMS = {"flow": flow, "wall": lambda u, xy: u(xy[0]) - xy[1], "mean": mean}


def points(n=N):
    inside = jax.random.uniform(jax.random.key(1), (n, 2))
    return {"flow": inside, "wall": (inside[:50], jnp.sin(inside[:50])), "mean": inside[:20]}


def network():
    return pj.nn.MLP(2, 2, width=8, depth=2, rngs=nnx.Rngs(0))


RULES = {  # and whether weights, and the next state, are the same for any residuals
    "none": (None, (True, True)),
    "by_position": (pj.point_weights.by_position({"flow": lambda x: 1.0 + x[0]}), (True, True)),
    "self_adaptive": (pj.point_weights.self_adaptive(0.1), (True, False)),
    "inverse_point_gradients": (pj.point_weights.inverse_point_gradients(every=1), (True, True)),
    "residual_attention": (pj.point_weights.residual_attention(), (False, False)),
    "vrba": (pj.point_weights.vrba(), (False, False)),
    "brdr": (pj.point_weights.brdr(), (False, False)),
    "pecann": (pj.point_weights.pecann(["wall"]), (False, False)),
    "causal": (pj.point_weights.causal(["flow"], interval=(0.0, 1.0)), (False, False)),
    "chained": (optax.chain(pj.point_weights.self_adaptive(0.1), optax.scale(2.0)), (True, False)),
}


@pytest.fixture
def small_cache(monkeypatch):
    monkeypatch.setattr(chunks, "cache", lambda: 2**18)
    monkeypatch.setattr(chunks, "LEAST", 8)


CHUNKS = {f"{rule} in {chunk}": (rule, chunk) for chunk in (7, N, "auto") for rule in RULES}


AUTO = [case for case in CHUNKS if case.endswith("auto")]
OTHERS = [case for case in CHUNKS if case not in AUTO]
CASES = few(AUTO, "chained in auto") + few(OTHERS, "none in 7", "causal in 7", f"vrba in {N}", rest="exhaustive")


@pytest.mark.parametrize("case", CASES)
def test_steps_are_the_same_to_rounding(case, x64, small_cache):
    rule, chunk = CHUNKS[case]
    states = []
    for c in (None, chunk):
        balance = pj.term_weights.lr_annealing("flow", every=2)
        train = pj.train_step(TERMS, optax.adam(1e-2), point_weights=RULES[rule][0], term_weights=balance, chunk=c)
        state = train.init(network(), points())
        for _ in range(3):
            state, metrics = train.update(state, points())
        states.append((state.params, state.point_weights, state.term_weights, metrics))
    chex.assert_trees_all_close(*states, rtol=1e-9, atol=1e-12)


def sweeps(function, *arguments):
    """Loops over chunks in a program."""

    def count(jaxpr):
        inner = [p for e in jaxpr.eqns for p in jax.tree.leaves(list(e.params.values()), is_leaf=is_program)]
        own = sum(e.primitive.name == "scan" and e.params["length"] == N // 50 for e in jaxpr.eqns)
        return own + sum(count(getattr(p, "jaxpr", p)) for p in inner if is_program(p))

    is_program = lambda p: isinstance(p, jax.extend.core.ClosedJaxpr | jax.extend.core.Jaxpr)
    return count(jax.make_jaxpr(function)(*arguments).jaxpr)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "inverse_point_gradients"])
def test_points_whose_weights_are_known_are_visited_once(rule):
    train = pj.train_step(
        {"flow": flow, "wall": TERMS["wall"]}, optax.sgd(1e-2), point_weights=RULES[rule][0], chunk=50
    )
    batch = {t: p for t, p in points().items() if t != "mean"}
    state = train.init(network(), batch)
    once = RULES[rule][1][0]
    assert sweeps(train.update, state, batch) == (1 if once else 3)  # two equations are pulled back apart


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_says_by_its_program_whether_it_needs_residuals(rule):
    rule, expected = RULES[rule]
    residuals = {"flow": jnp.ones(5), "wall": jnp.ones(3)}
    tx = optax.with_extra_args_support(optax.identity() if rule is None else rule)
    state, ones = tx.init(residuals), {"flow": jnp.ones(5), "wall": jnp.ones(3)}
    norms = lambda: ones
    extra = {"points": {"flow": jnp.ones((5, 2)), "wall": jnp.ones((3, 2))}, "point_grad_norms": norms}
    update = lambda r: tx.update(ones, state, None, residuals=r, step=jnp.array(0), sampling_weights=ones, **extra)
    assert _known_before.without_residuals(update, jax.eval_shape(lambda: residuals)) == expected


def test_a_gradient_is_summed_over_whole_and_last_chunks(x64):
    sums, each = chunks.swept(lambda x: ({"s": x.sum()}, {"d": 2 * x}), jnp.arange(7.0), 3)
    assert sums["s"] == 21 and each["d"].tolist() == [0, 2, 4, 6, 8, 10, 12]


def test_a_chunk_fills_the_cache_and_no_more():
    assert chunks.automatic(1000, 10) is None
    chunk = chunks.automatic(1000, 10**6)
    assert 0.5 * chunks.cache() < 1000 * chunk <= chunks.cache() and 10**6 % chunk == 0
    assert chunks.automatic(10**9, 10**6) == chunks.LEAST


def test_a_million_points_take_less_than_a_gibibyte():
    """4 layers of 128, as Allen-Cahn's in `pinnjax bench step`; all at once they would take 40 GiB."""
    model = pj.nn.MLP(2, "scalar", width=128, depth=4, rngs=nnx.Rngs(0))
    train = pj.train_step(
        {"pde": lambda u, x: pj.diff(u, 0)(x) - 1e-4 * pj.diff(u, 1, 1)(x) + 5 * u(x) ** 3 - 5 * u(x)},
        optax.adam(1e-3),
        point_weights=pj.point_weights.self_adaptive(1e-2),
    )
    few = {"pde": jnp.zeros((64, 2))}
    state = train.init(model, few)
    weights = pj.point_weights.self_adaptive(1e-2).init({"pde": jnp.zeros(10**6)})
    state = jax.eval_shape(lambda s: s, state).__class__(**{**vars(state), "point_weights": weights})
    compiled = train.update.lower(state, {"pde": jax.ShapeDtypeStruct((10**6, 2), jnp.float32)}).compile()
    memory = compiled.memory_analysis()
    assert memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes < 2**30


def test_residuals_alone_fit_into_memory(monkeypatch):
    monkeypatch.setattr(chunks, "MEMORY", 2**16)
    definition, params, constants = pj.terms.bridge.split(network())
    found = [
        evaluation.residuals({"flow": flow}, definition, constants, chunk=chunk)(params, {"flow": points()["flow"]})
        for chunk in (None, "auto")
    ]
    chex.assert_trees_all_close(*found, rtol=1e-5)


def test_a_wrong_chunk_is_named():
    with pytest.raises(ValueError, match='chunk is 0; expected a number of points >= 1, "auto", or None for all'):
        pj.train_step(TERMS, optax.sgd(0.1), chunk=0)
    with pytest.raises(ValueError, match="chunk is 'all'"):
        pj.train_step(TERMS, optax.sgd(0.1), chunk="all")
