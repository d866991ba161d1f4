"""The contract of term space: every rule, every row. A new rule adds one line to RULES."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax import term_weights
from pinnjax.term_weights import current_weights, numbers_by_term
from pinnjax.terms import bridge
from pinnjax.train import frozen, spaces

from . import poisson
from .marks import few

pytestmark = pytest.mark.usefixtures("quick_compilation")

TERMS = ("pde", "bc", "ic")


class Case(NamedTuple):
    """A rule and what its paper says of it.

    Attributes:
        make: the rule; called with the reference's name, so that terms can be renamed.
        injected: the same with numbers that `inject_hyperparams` hands over as arrays.
        power: among orthogonal gradients, the weight of a term whose gradient is scaled by c changes, against another
            term's, by c**power in the first step; "falls" or "grows" where that is no power of c.
        alone: what one term alone gives in the first step: its "plain" gradient; a multiple of it, "parallel", for
            rules whose scale is absolute; or numbers of its "signs", for rules that are adaptive optimisers.
        sum: what the weights of three terms add up to, where that is documented.
        reference: whether the weight of the reference is 1.
        adaptive: whether weights follow the gradients or losses, so that those of a broken step are not taken.
        holds_dead: whether the weight of a term with zero gradient is kept, and the event counted.
        positive: whether weights are never negative; surgery may subtract a gradient.
        unique: whether the weights are; where equal gradients can share theirs in many ways, the direction still is.
        ordered: whether the rule draws random numbers for the terms in the order of their names.
        drawn: whether the weights themselves are random numbers, so that those of equal terms are equal on average.
        scalar: whether a term's gradient is multiplied by a weight that the state keeps; an optimiser has none.
    """

    make: Callable[..., optax.GradientTransformation]
    injected: Callable[..., optax.GradientTransformation]
    power: float | str
    alone: str = "plain"
    sum: float | None = None
    reference: bool = False
    adaptive: bool = True
    holds_dead: bool = False
    positive: bool = True
    unique: bool = True
    ordered: bool = False
    drawn: bool = False
    scalar: bool = True


def annealing(variant):
    options = {"variant": variant, "decay": 0.0, "every": 1}
    return Case(
        make=lambda reference="pde": term_weights.lr_annealing(reference, **options),
        injected=lambda: optax.inject_hyperparams(
            term_weights.lr_annealing, static_args=("reference", "variant", "every")
        )(reference="pde", **options),
        power=-1.0,
        reference=True,
        holds_dead=True,
    )


def of(factory, static=(), **options):
    """A rule without a reference, plain and injected, and what is left to say of it."""
    return {
        "make": lambda reference=None: factory(**options),
        "injected": lambda: optax.inject_hyperparams(factory, static_args=static)(**options),
    }


def balancing(variant):
    return Case(
        make=lambda reference="pde": term_weights.db_pinn(reference, variant=variant, every=1),
        injected=lambda: optax.inject_hyperparams(term_weights.db_pinn, static_args=("reference", "variant", "every"))(
            reference="pde", variant=variant, every=1
        ),
        power=0.0,  # the conditions share one sum by their difficulties, which are 1 in the first step
        reference=True,
        holds_dead=True,
    )


def cone(variant):
    return Case(
        make=lambda reference="pde": term_weights.dcgd(reference, variant=variant),
        injected=lambda: optax.inject_hyperparams(term_weights.dcgd, static_args=("pde", "variant"))(
            pde="pde", variant=variant
        ),
        power=0.0,  # all conditions share one coefficient
        positive=False,
    )


RULES = {
    "fixed": Case(
        make=lambda reference="pde": term_weights.fixed({reference: 1.0}),
        injected=lambda: optax.inject_hyperparams(term_weights.fixed)(weights={"pde": 1.0}),
        power=0.0,
        sum=3.0,
        reference=True,
        adaptive=False,
    ),
    "lr_annealing released": annealing("released"),
    "lr_annealing cavity": annealing("cavity"),
    "lr_annealing paper": annealing("paper"),
    "lr_annealing mean": annealing("mean"),
    "lr_annealing norm": annealing("norm"),
    "grad_norm_ratio": Case(**of(term_weights.grad_norm_ratio, ("every", "total"), decay=0.0, every=1), power=-1.0),
    "inverse_dirichlet": Case(
        **of(term_weights.inverse_dirichlet, ("every",), decay=0.0, every=1), power=-1.0, holds_dead=True
    ),
    "gradnorm": Case(
        **of(term_weights.gradnorm, ("every", "layers"), alpha=1.5, learning_rate=0.1), power=0.0, sum=3.0
    ),
    "relobralo": Case(**of(term_weights.relobralo, ("seed",), decay=0.9, saudade=0.5), power=0.0, sum=3.0),
    "pcgrad": Case(**of(term_weights.pcgrad, ("seed",), seed=3), power=0.0, positive=False, unique=False, ordered=True),
    "mgda": Case(**of(term_weights.mgda), power=-2.0, sum=1.0, unique=False, positive=False),
    "upgrad": Case(**of(term_weights.upgrad), power=0.0, unique=False, positive=False),
    "imtl_g": Case(**of(term_weights.imtl_g), power=-1.0, sum=1.0, positive=False),
    "config": Case(**of(term_weights.config), power=-1.0, positive=False),
    "aligned_mtl": Case(**of(term_weights.aligned_mtl), power=-1.0, positive=False),
    "softadapt": Case(
        **of(term_weights.softadapt, ("every", "normalized", "loss_weighted"), beta=0.1), power=0.0, sum=1.0
    ),
    "ntk": Case(**of(term_weights.ntk, ("trace", "every"), decay=0.0, every=1), power=-1.0, holds_dead=True),
    "ntk trace": Case(
        **of(term_weights.ntk, ("trace", "every"), trace=True, decay=0.0, every=1), power=-1.0, holds_dead=True
    ),
    # Kendall's loss has a factor of one half on every term.
    "uncertainty": Case(**of(term_weights.uncertainty, learning_rate=0.1), power=0.0, alone="parallel"),
    "minimax": Case(**of(term_weights.minimax, ("reference",), learning_rate=1e-3), power=0.0),
    "augmented_lagrangian": Case(
        make=lambda reference="pde": term_weights.augmented_lagrangian(reference),
        injected=lambda: optax.inject_hyperparams(term_weights.augmented_lagrangian, static_args=("objective",))(
            objective="pde"
        ),
        power="grows",
        reference=True,
    ),
    "brdr_scale": Case(**of(term_weights.brdr_scale, learning_rate=0.1), power=0.0, alone="parallel"),
    "dwa": Case(**of(term_weights.dwa, ("every",), temperature=2.0), power=0.0, sum=3.0),
    "random": Case(
        **of(term_weights.random, ("seed",), seed=1), power=0.0, sum=1.0, adaptive=False, ordered=True, drawn=True
    ),
    "db_pinn mean": balancing("mean"),
    "db_pinn std": balancing("std"),
    "db_pinn kurt": balancing("kurt"),
    "van_der_meer": Case(
        make=lambda reference="pde": term_weights.van_der_meer(reference, {reference: 1.0}),
        injected=lambda: optax.inject_hyperparams(term_weights.van_der_meer, static_args=("interior",))(
            interior="pde", measures={"pde": 1.0}
        ),
        power=0.0,
        sum=3.0,
        reference=True,
        adaptive=False,
    ),
    # Its update is the mean of the gradients and as much again of the radius: 1 + c times the gradient of one term.
    "cagrad": Case(
        **of(term_weights.cagrad, radius=0.5), power="falls", alone="parallel", positive=False, unique=False
    ),
    # Its update has length √T, whatever the gradients.
    "nash_mtl": Case(**of(term_weights.nash_mtl), power=-1.0, alone="parallel", positive=False),
    "dcgd center": cone("center"),
    "dcgd average": cone("average"),
    "dcgd projection": cone("projection"),
    "m_config": Case(
        **of(term_weights.m_config, b1=0.5, b2=0.5),
        power=-1.0,
        alone="signs",
        positive=False,
        unique=True,
        scalar=False,
    ),
    "multiadam": Case(**of(term_weights.multiadam, b1=0.5, b2=0.5), power=-1.0, alone="signs", scalar=False),
}

# Run with the slow tests, for time: variants that only swap a formula inside a rule which is here already, and
# surgeries whose machinery is that of "config" and "pcgrad" (`test_surgery_scales.py` asks their formulas by default).
# What the machinery does and not the formula is run for one rule of each kind of memory, traced for every rule, and
# run for every rule by `pytest -m exhaustive`.
SLOW = {
    "lr_annealing cavity",
    "lr_annealing mean",
    "lr_annealing norm",
    "ntk trace",
    "db_pinn std",
    "db_pinn kurt",
    "dcgd average",
    "dcgd projection",
    "aligned_mtl",
    "cagrad",
    "imtl_g",
    "mgda",
    "nash_mtl",
    "upgrad",
}
RULES = {name: case._replace(make=functools.cache(case.make)) for name, case in RULES.items()}  # one program a rule
rule = pytest.mark.parametrize(
    "case", [pytest.param(case, id=name, marks=[pytest.mark.slow] * (name in SLOW)) for name, case in RULES.items()]
)
KINDS = {
    "gradnorm": [],
    "m_config": [pytest.mark.slow],
    "lr_annealing released": [pytest.mark.slow],
    "pcgrad": [pytest.mark.slow],
}
machinery = pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=name, marks=KINDS.get(name, [pytest.mark.exhaustive])) for name, case in RULES.items()],
)
every = pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in RULES.items()])


def gradients(seed=0, names=TERMS, dtype=jnp.float32):
    """Gradients of a two-layer net whose terms differ by powers of ten."""
    grads = {}
    for i, name in enumerate(names):
        keys = jax.random.split(jax.random.key(seed * 10 + i), 3)
        grads[name] = {
            "first": {
                "kernel": jax.random.normal(keys[0], (2, 3), dtype),
                "bias": jax.random.normal(keys[1], (3,), dtype),
            },
            "second": {"kernel": jax.random.normal(keys[2], (3, 1), dtype)},
        }
        grads[name] = jax.tree.map(lambda g, i=i: g * 10.0 ** (-i), grads[name])
    return grads


def orthogonal():
    """Gradients at right angles whose lengths differ by powers of ten."""
    grads = gradients()
    flat = {name: jax.flatten_util.ravel_pytree(g)[0] for name, g in grads.items()}
    columns, _ = jnp.linalg.qr(jnp.stack(list(flat.values()), axis=1))
    back = jax.flatten_util.ravel_pytree(grads["pde"])[1]
    return {name: back(columns[:, i] * 10.0 ** (-i)) for i, name in enumerate(flat)}


FAR = jax.tree.map(np.asarray, gradients(5))


def losses_of(grads):
    return {name: optax.tree.norm(g, squared=True) for name, g in grads.items()}


def extra_args(grads):
    """As the train step would offer them; the trace of a term's kernel follows the size of its gradient."""
    norms = lambda: {name: jnp.sqrt(optax.tree.norm(g))[None] for name, g in grads.items()}
    return {"losses": losses_of(grads), "residuals": {}, "point_grad_norms": norms}


def apply(balancer, grads, state):
    return balancer.update(grads, state, None, **extra_args(grads))


@functools.partial(jax.jit, static_argnums=(0, 3))
def compiled(balancer, grads, state, order=None):
    """One program a rule, for all rows; a program's arguments are sorted, so the order of the names is given."""
    return apply(balancer, {name: grads[name] for name in order or grads}, state)


def balanced_after(balancer, *sequence, order=None):
    state = balancer.init(sequence[0])
    for grads in sequence:
        balanced, state = compiled(balancer, grads, state, order)
    return balanced


def weights_after(balancer, *sequence):
    """‖balanced g_t‖ / ‖g_t‖, which is the size of a scalar weight."""
    balanced = balanced_after(balancer, *sequence)
    return {name: optax.tree.norm(balanced[name]) / optax.tree.norm(g) for name, g in sequence[-1].items()}


def close(a, b, rtol=1e-5):
    # atol: surgery solves T x T systems, whose coefficients are of magnitude one and carry roundings of some 1e-6
    chex.assert_trees_all_close(a, b, rtol=rtol, atol=5e-6)


@rule
def test_permuted_terms_permute_the_weights(case):
    grads = [gradients(seed) for seed in range(3)]
    sorted_, as_given = balanced_after(case.make(), *grads), balanced_after(case.make(), *grads, order=TERMS)
    assert sorted(TERMS) != list(TERMS)
    close(sorted_, as_given, rtol=0)


@machinery
def test_renamed_terms_rename_the_weights(case):
    """Leaf order follows the names, so a rule that counts positions swaps its weights here."""
    new = {"pde": "a/equation", "bc": "z/wall", "ic": "weights"}
    if case.ordered:  # the draws follow the order of the names, so names that keep it change nothing
        new = {"pde": "z/equation", "bc": "a/wall", "ic": "weights"}
    grads = [gradients(seed) for seed in range(3)]
    renamed = [{new[name]: g for name, g in some.items()} for some in grads]
    found = balanced_after(case.make(new["pde"]), *renamed)
    close({name: found[new[name]] for name in TERMS}, balanced_after(case.make(), *grads), rtol=1e-4)


@rule
def test_one_term_alone_gives_the_plain_gradient(case):
    grads = gradients(names=("pde",))
    balancer = case.make()
    balanced, _ = compiled(balancer, grads, balancer.init(grads))
    if case.alone == "plain":
        close(balanced, grads, rtol=2e-5)  # grad_norm_ratio guards its denominator by 1e-5
    elif case.alone == "parallel":
        size = optax.tree.norm(balanced) / optax.tree.norm(grads)
        close(balanced, optax.tree.scale(size, grads))
    else:
        close(balanced, jax.tree.map(jnp.sign, grads), rtol=1e-4)


@rule
@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_a_rescaled_loss_changes_its_weight_as_the_paper_says(case, factor):
    grads = orthogonal()
    scaled = grads | {"bc": jax.tree.map(lambda g: factor * g, grads["bc"])}
    before, after = weights_after(case.make(), grads), weights_after(case.make(), scaled)
    relative = (after["bc"] / after["ic"]) / (before["bc"] / before["ic"])
    if case.power in ("falls", "grows"):
        assert (relative - 1) * (factor - 1) * (1 if case.power == "grows" else -1) >= -1e-5
    else:
        np.testing.assert_allclose(relative, factor**case.power, rtol=1e-2)  # the guard of grad_norm_ratio


@rule
def test_equal_terms_get_equal_weights(case):
    grads = gradients()
    grads["ic"] = grads["bc"]
    weights = weights_after(case.make(), grads, grads)
    if case.drawn:
        sequence = [grads] * 400
        states = [case.make().init(grads)]
        seen = []
        for some in sequence:
            balanced, state = compiled(case.make(), some, states.pop())
            states.append(state)
            seen.append([float(state.weights["ic"]), float(state.weights["bc"])])
        means, errors = np.mean(seen, axis=0), np.std(seen, axis=0) / 20
        assert abs(means[0] - means[1]) < 3 * np.hypot(*errors)
    elif case.unique:
        np.testing.assert_allclose(weights["ic"], weights["bc"], rtol=1e-4 if not case.positive else 0)
    else:  # the direction is, whichever of the two the weight is given to
        (direction, _), names = (
            compiled(case.make(), grads, case.make().init(grads)),
            {"bc": "ic", "ic": "bc", "pde": "pde"},
        )
        swapped = {names[name]: g for name, g in grads.items()}
        other, _ = compiled(case.make(), swapped, case.make().init(swapped))
        total = lambda d: jax.tree.map(lambda *g: sum(g), *d.values())
        close(total(direction), total(other), rtol=1e-4)


@rule
def test_the_documented_sum_and_the_reference_hold(case):
    weights = weights_after(case.make(), *(gradients(seed) for seed in range(5)))  # magnitudes, so for case.positive
    if case.sum is not None:
        np.testing.assert_allclose(sum(weights.values()), case.sum, rtol=1e-5)
    if case.reference:
        np.testing.assert_allclose(weights["pde"], 1.0, rtol=1e-6)


@rule
@pytest.mark.parametrize("broken", few([0.0, jnp.nan, jnp.inf], 0.0, jnp.nan))
@pytest.mark.parametrize("term", few(["bc", "pde"], "bc"))
def test_a_dead_or_broken_term_leaves_a_finite_state_and_recovers(case, broken, term):
    balancer = case.make()
    good = gradients()
    bad = good | {term: jax.tree.map(lambda g: jnp.full_like(g, broken), good[term])}
    _, state = compiled(balancer, good, balancer.init(good))
    before = state
    _, state = compiled(balancer, bad, state)
    chex.assert_tree_all_finite(state)
    if not case.scalar:
        assert optax.tree.get(state, "held")[term] == (0 if broken == 0 else 1)
        floats = lambda tree: [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
        if broken != 0:
            chex.assert_trees_all_equal(floats(state), floats(before), strict=True)
    elif case.adaptive and (broken != 0 or (case.holds_dead and (term == "bc" or case.reference))):
        assert optax.tree.get(state, "weights")["bc"] == optax.tree.get(before, "weights")["bc"]
        assert optax.tree.get(state, "held")["bc"] == 1
    _, state = compiled(balancer, gradients(1), state)
    chex.assert_tree_all_finite(state)
    if case.positive and case.scalar:
        assert all(weight > 0 for weight in optax.tree.get(state, "weights").values())


@machinery
def test_a_run_with_broken_steps_is_the_run_without_them(case):
    """A step that is not finite is no step: not the first, whose losses would be L(0), nor a later one."""
    balancer = case.make()
    good = [gradients(seed) for seed in range(3)]
    update = jax.jit(lambda g, s, losses: balancer.update(g, s, None, **extra_args(g) | {"losses": losses}))

    def outputs(broken_before):
        state = balancer.init(good[0])
        for k, grads in enumerate(good):
            if k in broken_before:
                gradient, loss = broken_before[k]
                bad = grads | {"bc": jax.tree.map(lambda g, x=gradient: g + x, grads["bc"])}
                _, state = update(bad, state, losses_of(grads) | {"bc": jnp.full((), loss)})
            balanced, state = update(grads, state, losses_of(grads))
            yield balanced

    expected = list(outputs({}))
    chex.assert_trees_all_equal(list(outputs({0: (np.nan, np.nan), 2: (np.inf, np.inf)})), expected)
    if case.scalar:  # the others do not look at losses
        chex.assert_trees_all_equal(list(outputs({0: (0.0, np.inf), 1: (0.0, np.nan)})), expected)


@rule
def test_float32_weights_come_from_far_away_as_float64_ones_do(case):
    """From 1e9 in one move; `old + rate * (new - old)` would lose the target."""
    if not case.scalar or case.drawn or not case.positive:
        return
    found = []
    for x64 in (False, True):
        with jax.enable_x64(x64):
            grads = {t: jax.tree.map(lambda g: np.asarray(g, float if x64 else np.float32), g) for t, g in FAR.items()}  # noqa: B023
            balancer = case.make()
            state = balancer.init(grads)
            start = {t: jnp.asarray(1e9, w.dtype) for t, w in optax.tree.get(state, "weights").items()}
            state = optax.tree.set(state, weights=start)
            _, state = compiled(balancer, jax.tree.map(jnp.asarray, grads), state)
            found.append({t: float(w) for t, w in optax.tree.get(state, "weights").items()})
    chex.assert_trees_all_close(*found, rtol=1e-4)


@machinery
def test_broken_and_dead_terms_are_counted_in_the_metrics_of_the_step(case):
    """The residual of `bc` is not finite beyond 1, and vanishes with its gradient beyond 3."""
    poison = lambda u, x: jnp.where(x[0] > 3, 0.0, jnp.where(x[0] > 1, jnp.nan, 1.0)) * u(x)
    train = pj.train_step(poisson.SMALL | {"bc": poison}, optax.adam(1e-2), term_weights=case.make())
    batch = poisson.batch()
    state = train.init(poisson.small(), batch)
    sound, _ = train.update(state, batch)
    after, metrics = train.update(sound, batch | {"bc": jnp.array([[0.0], [2.0]])})
    assert (metrics["nonfinite/bc"], metrics["nonfinite/pde"], metrics["skipped"]) == (1, 0, 1)
    chex.assert_tree_all_finite((after.params, after.term_weights, after.optimizer))
    _, metrics = train.update(state, batch | {"bc": jnp.array([[4.0], [4.0]])})
    assert metrics["skipped"] == 0
    assert metrics.get("held/bc", 0) == (1 if case.holds_dead else 0)


@machinery
def test_it_scans_as_the_python_loop_and_compiles_once(case):
    balancer = case.make()
    sequence = [gradients(seed) for seed in range(6)]
    start = balancer.init(sequence[0])
    chex.clear_trace_counter()
    update = jax.jit(chex.assert_max_traces(lambda g, s: apply(balancer, g, s), n=1))
    state, outputs = start, []
    for grads in sequence:
        balanced, state = update(grads, state)
        outputs.append(balanced)
    stacked = jax.tree.map(lambda *g: jnp.stack(g), *sequence)
    scanned, balanced = jax.lax.scan(lambda s, g: apply(balancer, g, s)[::-1], start, stacked)
    close(scanned, state)
    close(jax.tree.map(lambda b: b[-1], balanced), outputs[-1])


@machinery
def test_it_vmaps_over_seeds(case):
    balancer = case.make()
    sequence = [gradients(seed) for seed in range(4)]
    stacked = jax.tree.map(lambda *g: jnp.stack(g), *sequence)
    together = jax.vmap(lambda g: compiled(balancer, g, balancer.init(g)))(stacked)
    for i, grads in enumerate(sequence):
        close(jax.tree.map(lambda leaf: leaf[i], together), compiled(balancer, grads, balancer.init(grads)))  # noqa: B023


@machinery
def test_it_runs_under_inject_hyperparams(case):
    grads = [gradients(seed) for seed in range(3)]
    close(weights_after(case.injected(), *grads), weights_after(case.make(), *grads), rtol=1e-6)


def seeds(tree):
    """The types of three of it."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((3, *leaf.shape), leaf.dtype), tree)


@every
def test_it_traces_in_scans_for_seeds_and_under_inject_hyperparams_with_a_state_of_fixed_types(case, dtype):
    """By its types alone, so that every rule is asked in every run; unknown extra args are ignored."""
    grads = gradients(dtype=dtype)
    for balancer in (case.make(), case.injected())[: 2 if dtype == jnp.float32 else 1]:
        start = jax.eval_shape(balancer.init, grads)
        step = lambda g, s: balancer.update(g, s, None, **extra_args(g), something_else=1)  # noqa: B023
        balanced, after = jax.eval_shape(step, grads, start)
        assert jax.tree.map(jax.typeof, after) == jax.tree.map(jax.typeof, start)
        chex.assert_trees_all_equal_shapes_and_dtypes(balanced, grads)
        assert not any(leaf.weak_type for leaf in jax.tree.leaves((start, after)))
        together, _ = jax.eval_shape(jax.vmap(step), seeds(grads), seeds(start))
        chex.assert_trees_all_equal_shapes_and_dtypes(together, seeds(grads))


@machinery
def test_resume_equals_the_uninterrupted_run_bit_for_bit(case, tmp_path):
    train = pj.train_step(poisson.SMALL, optax.adam(1e-2), term_weights=case.make())
    start = train.init(poisson.small(), poisson.batch())
    whole, _ = pj.fit(train, start, poisson.batch(), steps=20, steps_per_call=5)
    pj.fit(train, start, poisson.batch(), steps=10, steps_per_call=5, checkpoint=tmp_path)
    resumed, _ = pj.fit(train, start, poisson.batch(), steps=20, steps_per_call=5, checkpoint=tmp_path)
    chex.assert_trees_all_equal(whole, resumed)


@machinery
def test_one_device_equals_four_to_rounding(case):
    mesh = jax.make_mesh((4,), ("points",), axis_types=(jax.sharding.AxisType.Auto,))
    shard = lambda tree, *spec: jax.device_put(tree, jax.NamedSharding(mesh, jax.P(*spec)))
    definition, params, constants = bridge.split(poisson.small())
    batch = {"pde": jnp.linspace(0, 1, 32)[:, None], "bc": jnp.array([[0.0], [1.0], [0.0], [1.0]])}
    evaluate = pj.value_and_grads(poisson.SMALL, definition, constants)
    balancer = case.make()

    at_points = pj.point_grad_norms(poisson.SMALL, definition, constants)

    @jax.jit
    def balanced(params, batch):
        losses, grads = evaluate(params, batch)
        norms = lambda: at_points(params, batch)
        return balancer.update(grads, balancer.init(grads), None, losses=losses, residuals={}, point_grad_norms=norms)[
            0
        ]

    close(balanced(params, batch), balanced(shard(params), shard(batch, "points")), rtol=1e-4)


@machinery
def test_its_weights_multiply_the_gradients_and_are_found_in_a_chain(case):
    grads = gradients()
    chain = optax.chain(optax.clip_by_global_norm(1e9), case.make(), term_weights.fixed({"bc": 2.0}))
    balanced, state = chain.update(grads, chain.init(grads), None, **extra_args(grads))
    if not case.scalar:  # the metrics then show the other rules' weights only
        assert numbers_by_term(state, "weights", TERMS) == [{"pde": 1.0, "bc": 2.0, "ic": 1.0}]
        return
    product = current_weights(state, {name: jnp.ones(1) for name in TERMS})
    weights, exact = frozen.applied(grads, balanced, product)
    assert exact and spaces.scales(chain)  # so that a loss has the sum as its gradient, with these weights
    close(weights, product)
    for name in TERMS:
        close(balanced[name], jax.tree.map(lambda g, w=product[name]: w * g, grads[name]))
