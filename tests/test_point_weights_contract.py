"""The contract of point space: every rule, every row. A new rule adds one line to RULES."""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax import point_weights

from . import poisson
from .marks import few

pytestmark = pytest.mark.usefixtures("quick_compilation")


class Case(NamedTuple):
    """A rule.

    Attributes:
        make: the rule; called with the name of a term, so that terms can be renamed.
        initial: its weights in the first step, one number or a function of the residuals.
        injected: the rule with a number that `inject_hyperparams` hands over as an array.
        grows: whether a larger residual never has the smaller weight.
        apart: whether a term is weighed without a look at the others.
        rests: whether residuals of zero leave the weights; not where equal residuals, whatever their size, attract it.
    """

    make: Callable[..., optax.GradientTransformation]
    initial: float | Callable[[dict[str, jax.Array]], dict[str, jax.Array]]
    injected: Callable[[], optax.GradientTransformation]
    grows: bool = True
    apart: bool = True
    rests: bool = True


def relative(r):
    """|r| over the largest, and zeros where all are zero."""
    return jnp.abs(r) / jnp.maximum(jnp.max(jnp.abs(r)), 1e-30)


RULES = {
    "self_adaptive": Case(
        make=lambda reference=None: point_weights.self_adaptive(0.3),
        initial=0.5,
        injected=lambda: optax.inject_hyperparams(point_weights.self_adaptive, static_args=("mask",))(0.3),
    ),
    "self_adaptive, the authors'": Case(
        make=lambda reference=None: point_weights.self_adaptive(optax.adam(5e-3), mask=jnp.square, initial=1.0),
        initial=1.0,
        injected=lambda: optax.inject_hyperparams(point_weights.self_adaptive, static_args=("mask",))(
            optax.adam(5e-3), mask=jnp.square, initial=1.0
        ),
    ),
    "residual_attention": Case(
        make=lambda reference=None: point_weights.residual_attention(decay=0.9, eta=0.5),
        initial=lambda found: {t: (0.5 * relative(r)) ** 2 for t, r in found.items()},
        injected=lambda: optax.inject_hyperparams(point_weights.residual_attention)(decay=0.9, eta=0.5),
    ),
    "vrba": Case(
        make=lambda reference=None: point_weights.vrba("quadratic", decay=0.9, eta=0.5),
        initial=lambda found: {t: (0.5 * relative(r)) ** 2 for t, r in found.items()},
        injected=lambda: optax.inject_hyperparams(point_weights.vrba, static_args=("potential",))(
            potential="quadratic", decay=0.9, eta=0.5
        ),
    ),
    "vrba exponential": Case(
        make=lambda reference=None: point_weights.vrba(
            decay=0.9, eta=0.5
        ),  # e^{(s - max s) ln 2 / max s} in the first step
        initial=lambda found: {
            t: (0.5 * jnp.where(jnp.max(jnp.abs(r)) > 0, 2.0 ** (relative(r) - 1), 1)) ** 2 for t, r in found.items()
        },
        injected=lambda: optax.inject_hyperparams(point_weights.vrba, static_args=("potential",))(
            potential="exponential", decay=0.9, eta=0.5
        ),
        rests=False,
    ),
    "brdr": Case(
        make=lambda reference=None: point_weights.brdr(decay=0.9, weights_decay=0.5),
        initial=1.0,
        injected=lambda: optax.inject_hyperparams(point_weights.brdr)(decay=0.9, weights_decay=0.5),
        apart=False,
    ),
    "by_position": Case(
        make=lambda reference="pde": point_weights.by_position({reference: lambda x: 2.0 + x[0]}),
        initial=lambda found: {  # all points are at 0, see apply
            t: jnp.full_like(r, 2.0 if t == "pde" else 1.0) for t, r in found.items()
        },
        injected=lambda: optax.inject_hyperparams(point_weights.by_position, static_args=("weights",))(
            weights={"pde": lambda x: 2.0 + x[0]}
        ),
    ),
    "causal": Case(
        make=lambda reference="pde": point_weights.causal([reference], interval=(0.0, 1.0), slices=3, epsilon=1e-3),
        initial=1.0,  # at one time, see apply
        injected=lambda: optax.inject_hyperparams(
            point_weights.causal, static_args=("terms", "interval", "slices", "time", "advance")
        )(["pde"], interval=(0.0, 1.0), slices=3, epsilon=1e-3),
        grows=False,
    ),
    # The norms that apply offers are those of the residuals, and larger norms are weighed down.
    "inverse_point_gradients": Case(
        make=lambda reference=None: point_weights.inverse_point_gradients(every=1, cap=5.0),
        initial=lambda found: {
            t: jnp.where(jnp.max(jnp.abs(r)) > 0, jnp.minimum(1 / (relative(r) + 1e-8), 5.0), 1)
            for t, r in found.items()
        },
        injected=lambda: optax.inject_hyperparams(
            point_weights.inverse_point_gradients, static_args=("every", "terms")
        )(every=1, cap=5.0),
        grows=False,
    ),
    "pecann": Case(
        make=lambda reference="pde": point_weights.pecann([reference], max_penalty=100.0),
        # After the first move μ = 2 and λ = μ c.
        initial=lambda found: {t: 4.0 * r**2 if t == "pde" else jnp.ones_like(r) for t, r in found.items()},
        injected=lambda: optax.inject_hyperparams(point_weights.pecann, static_args=("constraints", "every"))(
            ["pde"], every=1, max_penalty=100.0
        ),
    ),
}

SLOW = {
    "self_adaptive, the authors'",
    "vrba exponential",
}  # variants that only swap a formula
rule = pytest.mark.parametrize(
    "case", [pytest.param(case, id=name, marks=[pytest.mark.slow] * (name in SLOW)) for name, case in RULES.items()]
)


def residuals(seed=0, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(seed), 2)
    return {"pde": 10 * jax.random.normal(keys[0], (12,), dtype), "bc": jax.random.normal(keys[1], (4,), dtype)}


def apply(weigher, found, state, **more):
    ones = {name: jnp.ones_like(r) for name, r in found.items()}
    points = {name: jnp.zeros((r.size, 1)) for name, r in found.items()}
    norms = lambda: jax.tree.map(jnp.abs, found)
    return weigher.update(ones, state, None, residuals=found, points=points, point_grad_norms=norms, **more)


def run(weigher, *sequence):
    state = weigher.init(sequence[0])
    for found in sequence:
        weights, state = apply(weigher, found, state)
    return weights, state


def close(a, b, rtol=1e-5):
    chex.assert_trees_all_close(a, b, rtol=rtol, atol=1e-7)


def first(case, found):
    """The weights that the case says the first step has."""
    return (
        case.initial(found) if callable(case.initial) else jax.tree.map(lambda r: jnp.full_like(r, case.initial), found)
    )


SEQUENCE = [residuals(seed) for seed in range(5)]


@rule
def test_the_first_weights_are_the_documented_ones_and_none_is_negative(case):
    weights, _ = run(case.make(), SEQUENCE[0])
    close(weights, first(case, SEQUENCE[0]), rtol=1e-6)
    later, _ = run(case.make(), *SEQUENCE)
    assert all(bool(jnp.all(w >= 0)) for w in later.values())


@rule
def test_permuted_points_permute_the_weights(case):
    order = jax.random.permutation(jax.random.key(1), 12)
    permuted = [found | {"pde": found["pde"][order]} for found in SEQUENCE]
    close(run(case.make(), *permuted)[0]["pde"], run(case.make(), *SEQUENCE)[0]["pde"][order])


@rule
def test_renamed_and_permuted_terms_rename_the_weights(case):
    new = {"pde": "a/left", "bc": "z/right"}
    renamed = [{new[name]: found[name] for name in ("bc", "pde")} for found in SEQUENCE]
    found, expected = run(case.make(new["pde"]), *renamed)[0], run(case.make(), *SEQUENCE)[0]
    close({name: found[new[name]] for name in new}, expected)


@rule
def test_equal_residuals_get_equal_weights_and_larger_ones_no_smaller(case):
    found = {"pde": jnp.array([1.0, 1.0, 3.0, -3.0])}
    weights, _ = run(case.make(), *[found] * 5)
    assert weights["pde"][0] == weights["pde"][1]
    assert weights["pde"][2] == weights["pde"][3]
    assert not case.grows or weights["pde"][2] >= weights["pde"][0]


@rule
def test_one_term_alone_is_weighed_as_among_others(case):
    alone = [{"pde": found["pde"]} for found in SEQUENCE]
    if not case.apart:  # then its own mean weight is 1
        np.testing.assert_allclose(jnp.mean(run(case.make(), *alone)[0]["pde"]), 1.0, rtol=1e-5)
        return
    close(run(case.make(), *alone)[0]["pde"], run(case.make(), *SEQUENCE)[0]["pde"])


@rule
def test_zero_residuals_keep_the_weights(case):
    zeros = jax.tree.map(jnp.zeros_like, SEQUENCE[0])
    weights, state = run(case.make(), *[zeros] * 4)
    chex.assert_tree_all_finite(state)
    if case.rests:
        close(weights, first(case, zeros))


@rule
@pytest.mark.parametrize("broken", few([jnp.nan, jnp.inf], jnp.nan))
def test_a_broken_term_is_counted_and_leaves_a_finite_state(case, broken):
    poison = lambda u, x: jnp.where(x[0] > 1, broken, u(x))
    train = pj.train_step(poisson.SMALL | {"bc": poison}, optax.adam(1e-2), point_weights=case.make())
    batch = poisson.batch()
    state = train.init(poisson.small(), batch)
    state, _ = train.update(state, batch)
    state, metrics = train.update(state, batch | {"bc": jnp.array([[0.0], [2.0]])})
    assert (metrics["nonfinite/bc"], metrics["skipped"]) == (1, 1)
    chex.assert_tree_all_finite((state.params, state.point_weights))
    state, metrics = train.update(state, batch)
    chex.assert_tree_all_finite((state.params, state.point_weights, metrics))


@rule
def test_chains_multiply(case):
    chain = optax.chain(optax.scale(3.0), case.make(), optax.clip(1.2))
    weights, _ = run(chain, SEQUENCE[0])
    close(weights["pde"], jnp.minimum(3 * first(case, SEQUENCE[0])["pde"], 1.2))


@rule
def test_it_scans_as_the_python_loop_and_compiles_once(case):
    weigher = case.make()
    start = weigher.init(SEQUENCE[0])
    chex.clear_trace_counter()
    update = jax.jit(chex.assert_max_traces(lambda r, s: apply(weigher, r, s), n=1))
    state = start
    for found in SEQUENCE:
        weights, state = update(found, state)
    stacked = jax.tree.map(lambda *r: jnp.stack(r), *SEQUENCE)
    scanned, history = jax.lax.scan(lambda s, r: apply(weigher, r, s)[::-1], start, stacked)
    close(scanned, state)
    close(jax.tree.map(lambda w: w[-1], history), weights)


@rule
def test_it_vmaps_over_seeds(case):
    weigher = case.make()
    stacked = jax.tree.map(lambda *r: jnp.stack(r), *SEQUENCE)
    together = jax.vmap(lambda r: apply(weigher, r, weigher.init(r)))(stacked)
    for i, found in enumerate(SEQUENCE):
        close(jax.tree.map(lambda leaf: leaf[i], together), apply(weigher, found, weigher.init(found)))  # noqa: B023


@rule
def test_it_runs_under_inject_hyperparams(case):
    close(run(case.injected(), *SEQUENCE)[0], run(case.make(), *SEQUENCE)[0], rtol=1e-6)


@rule
def test_unknown_extra_args_are_ignored(case):
    weigher = case.make()
    weights, _ = apply(weigher, SEQUENCE[0], weigher.init(SEQUENCE[0]), something_else=1)
    chex.assert_tree_all_finite(weights)


@rule
def test_it_keeps_the_dtype(case, dtype):
    weigher, found = case.make(), residuals(dtype=dtype)
    state = weigher.init(found)
    weights, after = apply(weigher, found, state)
    chex.assert_trees_all_equal_shapes_and_dtypes(weights, found)
    chex.assert_type([*weights.values()], dtype)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    weak = lambda tree: [leaf.weak_type for leaf in jax.tree.leaves(tree)]
    assert weak(after) == weak(state)


@rule
def test_resume_equals_the_uninterrupted_run_bit_for_bit(case, tmp_path):
    train = pj.train_step(poisson.SMALL, optax.adam(1e-2), point_weights=case.make())
    start = train.init(poisson.small(), poisson.batch())
    whole, _ = pj.fit(train, start, poisson.batch(), steps=20, steps_per_call=5)
    pj.fit(train, start, poisson.batch(), steps=10, steps_per_call=5, checkpoint=tmp_path)
    resumed, _ = pj.fit(train, start, poisson.batch(), steps=20, steps_per_call=5, checkpoint=tmp_path)
    chex.assert_trees_all_equal(whole, resumed)


@rule
def test_one_device_equals_four_to_rounding(case):
    mesh = jax.make_mesh((4,), ("points",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = jax.NamedSharding(mesh, jax.P("points"))
    step = jax.jit(lambda r: run(case.make(), r, r, r))
    close(step(SEQUENCE[0]), step(jax.device_put(SEQUENCE[0], spread)))
