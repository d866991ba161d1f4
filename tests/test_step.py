import dataclasses
import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.problems import helmholtz
from pinnjax.terms import bridge

from . import poisson
from .marks import few

pytestmark = pytest.mark.usefixtures("quick_compilation")

BATCH = poisson.batch()


def everything_on(**options):
    """A step with balancers in both spaces."""
    settings = {
        "point_weights": pj.point_weights.self_adaptive(1e-1),
        "term_weights": pj.term_weights.lr_annealing("pde", every=1),
    } | options
    return pj.train_step(poisson.SMALL, optax.adam(1e-2), **settings)


def with_sampler():
    return everything_on(point_weights=None, sampler=pj.sampling.resample(poisson.draw))


def arrays(state):
    """A state's leaves as plain arrays, random keys unwrapped."""
    is_key = lambda leaf: jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return [np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf) for leaf in jax.tree.leaves(state)]


def test_a_step_without_balancers_is_the_plain_optax_step():
    train = pj.train_step(poisson.SMALL, optax.adam(1e-2))
    state = train.init(poisson.small(), BATCH)
    definition, params, constants = bridge.split(poisson.small())
    tx = optax.adam(1e-2)
    opt_state = tx.init(params)

    @jax.jit
    def step(params, opt_state):
        def loss(p):
            u = bridge.field(definition, p, constants)
            r = {name: jax.vmap(lambda x, f=f: f(u, x))(BATCH[name]) for name, f in poisson.SMALL.items()}
            return jnp.mean(r["pde"] ** 2) + jnp.mean(r["bc"] ** 2)

        value, grad = jax.value_and_grad(loss)(params)
        updates, opt_state = tx.update(grad, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, value

    for _ in range(20):
        params, opt_state, value = step(params, opt_state)
        state, metrics = train.update(state, BATCH)
        np.testing.assert_allclose(metrics["loss"], value, rtol=1e-4)
    # Adam divides by a root: roundings of small gradients show.
    chex.assert_trees_all_close(state.params, params, rtol=1e-3, atol=1e-5)


def test_metrics_say_what_the_step_did():
    train = everything_on()
    state = train.init(poisson.small(), BATCH)
    for _ in range(3):
        before = state
        state, metrics = train.update(state, BATCH)
    definition, params, constants = bridge.split(poisson.small())
    residuals = pj.residuals(poisson.SMALL, definition, constants)(before.params, BATCH)
    masks = {name: jax.nn.sigmoid(g) for name, g in before.point_weights.self_adaptation.items()}
    _, grads = pj.value_and_grads(poisson.SMALL, definition, constants)(before.params, BATCH, masks)
    total = 0.0
    for name in ("pde", "bc"):
        weight = state.term_weights.weights[name]
        np.testing.assert_allclose(metrics[f"weight/{name}"], weight)
        np.testing.assert_allclose(metrics[f"loss/{name}"], np.mean(residuals[name] ** 2), rtol=1e-5)
        weighted = weight * np.mean(masks[name] * residuals[name] ** 2)
        np.testing.assert_allclose(metrics[f"weighted_loss/{name}"], weighted, rtol=1e-5)
        np.testing.assert_allclose(metrics[f"grad_norm/{name}"], optax.tree.norm(grads[name]), rtol=1e-4)
        total += weighted
    np.testing.assert_allclose(metrics["loss"], total, rtol=1e-5)
    assert metrics["skipped"] == 0
    assert metrics["held/bc"] == 0


def test_one_compilation_serves_1000_steps_with_changing_weights():
    chex.clear_trace_counter()
    train = pj.train_step(
        {"pde": poisson.pde, "bc": chex.assert_max_traces(poisson.bc, n=2)},  # init and update
        optax.adam(1e-2),
        point_weights=pj.point_weights.self_adaptive(1e-1),
        term_weights=pj.term_weights.lr_annealing("pde"),
    )
    state = train.init(poisson.small(), BATCH)
    weights = set()
    for _ in range(1000):
        state, metrics = train.update(state, BATCH)
        weights.add(float(metrics["weight/bc"]))
    assert train.update._cache_size() == 1
    assert len(weights) > 50


@pytest.mark.parametrize("make", [everything_on, with_sampler])
def test_the_step_has_no_callback(make):
    train = make()
    batch = None if make is with_sampler else BATCH
    state = train.init(poisson.small(), batch, key=jax.random.key(0))
    text = str(jax.make_jaxpr(train.update)(state, batch))
    assert len(text) > 1000  # the text is that of the program
    assert "callback" not in text
    assert "infeed" not in text


@pytest.mark.parametrize("make", [everything_on, with_sampler])
def test_steps_run_without_host_transfers(make):
    train = make()
    batch = None if make is with_sampler else jax.device_put(BATCH)
    state = train.init(poisson.small(), batch, key=jax.random.key(0))
    state, _ = train.update(state, batch)
    with jax.transfer_guard("disallow"):
        for _ in range(5):
            state, metrics = train.update(state, batch)
    chex.assert_tree_all_finite(metrics["loss"])


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
@pytest.mark.parametrize("make", [everything_on, with_sampler])
def test_the_step_lowers_for(platform, make):
    train = make()
    batch = None if make is with_sampler else BATCH
    state = train.init(poisson.small(), batch, key=jax.random.key(0))
    flat, structure = jax.tree.flatten((state, batch))
    data = [jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x for x in flat]

    def on_arrays(*leaves):
        back = [
            jax.random.wrap_key_data(leaf) if jnp.issubdtype(old.dtype, jax.dtypes.prng_key) else leaf
            for leaf, old in zip(leaves, flat, strict=True)
        ]
        state, metrics = train.update(*jax.tree.unflatten(structure, back))
        return metrics

    exported = jax.export.export(jax.jit(on_arrays), platforms=[platform])(*data)
    assert exported.platforms == (platform,)
    assert len(exported.mlir_module_serialized) > 1000


# Two programs for one step may round differently. In double precision a rounding is 1e-16 and Adam carries those of 200
# steps on to some 1e-11, so 1e-9 leaves no room for anything but rounding.
ROUNDING = {"rtol": 1e-9, "atol": 1e-11}


@pytest.mark.slow
def test_a_scan_equals_the_python_loop_to_rounding(x64):
    train, batch = everything_on(), poisson.batch(dtype=jnp.float64)
    start = loop = train.init(poisson.model(dtype=jnp.float64), batch)
    for _ in range(200):
        loop, metrics = train.update(loop, batch)
    scanned, history = jax.jit(lambda s: jax.lax.scan(lambda c, _: train.update(c, batch), s, None, 200))(start)
    chex.assert_trees_all_close(loop, scanned, **ROUNDING)
    np.testing.assert_allclose(history["loss"][-1], metrics["loss"], **ROUNDING)


@pytest.mark.slow
def test_vmap_over_8_seeds_gives_the_8_separate_results(x64):
    train = with_sampler()

    def begin(seed):
        return train.init(poisson.model(jax.random.key(seed), dtype=jnp.float64), key=jax.random.key(seed))

    run = lambda s: jax.lax.scan(lambda c, _: train.update(c), s, None, 50)[0]
    together = jax.jit(jax.vmap(lambda seed: run(begin(seed))))(jnp.arange(8))
    alone = jax.jit(lambda seed: run(begin(seed)))
    for seed in range(8):
        these = arrays(jax.tree.map(lambda leaf: leaf[seed], together))  # noqa: B023 (used at once)
        chex.assert_trees_all_close(these, arrays(alone(jnp.int32(seed))), **ROUNDING)
    assert np.ptp(together.term_weights.weights["bc"]) > 0.1


@pytest.mark.slow
def test_points_sharded_over_devices_give_the_same_step():
    mesh = jax.make_mesh((4,), ("points",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("points"))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    batch = {"pde": jnp.linspace(0.0, 1.0, 64)[:, None], "bc": jnp.array([[0.0], [1.0], [0.0], [1.0]])}
    train = everything_on()
    one = many = train.init(poisson.small(), batch)
    many = jax.device_put(many, everywhere)
    sharded = jax.device_put(batch, spread)
    for _ in range(20):
        one, _ = train.update(one, batch)
        many, _ = train.update(many, sharded)
    assert len(sharded["pde"].sharding.device_set) == 4
    chex.assert_trees_all_close(arrays(one), arrays(many), rtol=1e-3, atol=1e-5)


def test_a_chunk_changes_nothing_beyond_rounding():
    states = []
    for chunk in (None, 5):
        train = everything_on(chunk=chunk)
        state = train.init(poisson.model(), BATCH)
        for _ in range(4):
            state, _ = train.update(state, BATCH)
        states.append(state)
    chex.assert_trees_all_close(*states, rtol=1e-3, atol=1e-5)


def poisoned(u, x):
    """A residual that is NaN at points beyond 1."""
    return jnp.where(x[0] > 1, jnp.nan, 1.0) * poisson.bc(u, x)


@pytest.mark.parametrize(
    "optimizer, before", [(optax.adam(1e-2), optax.ema(0.9)), (optax.lbfgs(), optax.clip_by_global_norm(1.0))]
)
def test_a_step_that_is_not_finite_is_counted_and_leaves_no_trace(optimizer, before):
    train = pj.train_step(
        poisson.SMALL | {"bc": poisoned},
        optimizer,
        point_weights=pj.point_weights.self_adaptive(optax.adam(1e-2)),
        term_weights=optax.chain(before, pj.term_weights.lr_annealing("pde", every=1)),
    )
    bad = BATCH | {"bc": jnp.array([[0.0], [2.0]])}
    state = train.init(poisson.small(), BATCH)
    state, _ = train.update(state, BATCH)
    after, metrics = train.update(state, bad)
    assert metrics["skipped"] == 1
    assert (metrics["nonfinite/bc"], metrics["nonfinite/pde"]) == (1, 0)
    counters = {"step": state.step, "skipped": state.skipped, "nonfinite": state.nonfinite}
    chex.assert_trees_all_equal(dataclasses.replace(after, **counters), state)
    after, metrics = train.update(after, BATCH)
    chex.assert_tree_all_finite(metrics["loss"])
    assert metrics["skipped"] == 1


@pytest.mark.slow
def test_lbfgs_minimises_the_weighted_loss_of_the_step():
    weights = pj.term_weights.fixed({"pde": 0.5, "bc": 4.0})
    train = pj.train_step(poisson.TERMS, optax.lbfgs(), term_weights=weights)
    start = state = train.init(poisson.model(), BATCH)
    values = []
    for _ in range(40):
        state, metrics = train.update(state, BATCH)
        values.append(float(metrics["loss"]))
    assert all(b <= a * (1 + 1e-5) for a, b in itertools.pairwise(values))
    assert values[-1] < 1e-2 * values[0]

    definition, params, constants = bridge.split(poisson.model())

    def value_fn(p):
        u = bridge.field(definition, p, constants)
        return sum(
            w * jnp.mean(jax.vmap(lambda x, f=poisson.TERMS[n]: f(u, x))(BATCH[n]) ** 2)
            for n, w in {"pde": 0.5, "bc": 4.0}.items()
        )

    tx = optax.lbfgs()
    opt_state = tx.init(params)
    value, grad = jax.value_and_grad(value_fn)(params)
    updates, opt_state = tx.update(grad, opt_state, params, value=value, grad=grad, value_fn=value_fn)
    first, _ = train.update(start, BATCH)
    chex.assert_trees_all_close(first.params, optax.apply_updates(params, updates), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_optimiser_is_offered_the_weighted_residual_vector():
    """Gauss-Newton's view: the squared norm of residual_fn is the loss, and Jᵀr is half its gradient."""
    seen = {}

    def init(params):
        return optax.EmptyState()

    def update(updates, state, params=None, *, value, grad, value_fn, residual_fn, **extra):
        vector, pull = jax.vjp(residual_fn, params)
        (half,) = pull(vector)
        seen["check"] = (value, value_fn(params), jnp.sum(vector**2), optax.tree.norm(grad), 2 * optax.tree.norm(half))
        difference = optax.tree.norm(optax.tree.sub(grad, optax.tree.scale(2.0, half)))
        return jax.tree.map(lambda g: g * 0 + difference, updates), state

    train = pj.train_step(
        {"pde": poisson.pde, "both": lambda u, x: jnp.stack([u(x), x[0] - 0.5])},
        optax.GradientTransformationExtraArgs(init, update),
        point_weights=pj.point_weights.self_adaptive(1.0, initial=0.3),
        term_weights=pj.term_weights.fixed({"both": 7.0}),
    )
    batch = {"pde": BATCH["pde"], "both": BATCH["bc"]}
    state = train.init(poisson.small(), batch)
    with jax.disable_jit():
        after, metrics = train.update(state, batch)
    value, by_value_fn, by_vector, norm, half = seen["check"]
    np.testing.assert_allclose([by_value_fn, by_vector, metrics["loss"]], [float(value)] * 3, rtol=1e-5)
    np.testing.assert_allclose(half, norm, rtol=1e-4)
    difference = max(float(jnp.max(jnp.abs(d))) for d in jax.tree.leaves(optax.tree.sub(after.params, state.params)))
    assert difference < 1e-4 * float(norm)


def test_fixed_points_and_sampled_points_meet_in_one_step():
    draw = lambda key: {"pde": pj.sampling.box(key, [0.0], [1.0], 16)}
    train = pj.train_step(poisson.SMALL, optax.adam(1e-2), sampler=pj.sampling.resample(draw))
    ends = {"bc": BATCH["bc"]}
    state = train.init(poisson.small(), ends, key=jax.random.key(0))
    losses = []
    for _ in range(3):
        state, metrics = train.update(state, ends)
        losses.append(float(metrics["loss/pde"]))
    assert len(set(losses)) == 3


def test_the_trained_field_is_the_module_itself():
    train = pj.train_step(helmholtz.terms, optax.adam(1e-3))
    model = pj.nn.ModifiedMLP(2, "scalar", width=8, depth=2, rngs=pj.nn.Rngs(0))
    batch = helmholtz.draw(jax.random.key(0), {"pde": 4, "bc": 1}, jnp.float32)
    u = train.model(train.init(model, batch))
    assert isinstance(u, pj.nn.ModifiedMLP)
    x = jnp.array([0.3, -0.2])
    np.testing.assert_array_equal(u(x), model(x))


def test_init_and_update_unpack_as_a_pair_like_optax():
    init, update = everything_on()
    state = init(poisson.small(), BATCH)
    state, metrics = functools.partial(update)(state, BATCH)
    assert int(state.step) == 1


def test_dtypes_are_kept(dtype):
    train = everything_on()
    batch = poisson.batch(dtype=dtype)
    state = train.init(poisson.model(dtype=dtype), batch)
    after, metrics = train.update(state, batch)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    chex.assert_type([*jax.tree.leaves(after.params), metrics["loss"], metrics["weight/bc"]], dtype)


UNIFORM = lambda key, n: pj.sampling.box(key, [0.0], [1.0], n)
DONATED = {
    "rules and a line search": {
        "optimizer": optax.lbfgs(),
        "point_weights": pj.point_weights.self_adaptive(optax.adam(1e-2)),
        "term_weights": pj.term_weights.gradnorm(),
    },
    "a sampler": {
        "sampler": pj.sampling.rar_g("pde", UNIFORM, 6, capacity=9, candidates=20, every=2),
        "point_weights": pj.point_weights.brdr(),
        "term_weights": pj.term_weights.m_config(),
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", few(DONATED, "a sampler"))
def test_a_fresh_state_can_be_donated_and_the_model_stays(name, quick_compilation):
    options = {"optimizer": optax.adam(1e-3)} | DONATED[name]
    optimizer = options.pop("optimizer")
    batch = {t: x for t, x in poisson.batch(6).items() if t == "bc" or "sampler" not in options}
    model = poisson.model()
    train = pj.train_step(poisson.SMALL, optimizer, **options)
    state = train.init(model, batch, key=jax.random.key(0))
    step = jax.jit(train.update, donate_argnums=0)
    for _ in range(3):
        old, (state, metrics) = state, step(state, batch)
        assert jax.tree.leaves(old.params)[0].is_deleted()  # it was donated, not copied
    assert state.step == 3 and metrics["skipped"] == 0
    chex.assert_tree_all_finite(model(jnp.zeros(1)))


@pytest.mark.parametrize(
    "rule",
    [
        pj.point_weights.self_adaptive(0.1),
        pj.point_weights.residual_attention(),
        pj.point_weights.brdr(terms=["bc", "pde"]),
    ],
)
def test_batches_of_another_size_are_refused_where_weights_belong_to_points(rule):
    train = pj.train_step(poisson.SMALL, optax.sgd(1e-3), point_weights=rule)
    state = train.init((poisson.apply, poisson.plain_params()), poisson.batch(6))
    with pytest.raises(ValueError, match="term 'pde' has 7 points, but the point weights were made for 6"):
        train.update(state, poisson.batch(7))


@pytest.mark.parametrize(
    "residual, said",
    [
        (lambda u, x: u(jnp.stack([x, x])), "one point"),
        (lambda u, x: u(x[:1]) + jnp.zeros(3) @ x, "one point"),
        (lambda u, x: pj.laplacian(u, x), "one point"),
        (lambda u, x: pj.laplacian(u), "one point"),
        (lambda u, x: None, "one point"),
        (pj.batchwise(lambda u, x: u(x)), "all points"),
    ],
)
def test_an_error_in_a_residual_names_its_term_and_the_shape_of_the_point(residual, said):
    model = pj.nn.MLP(2, "scalar", width=4, depth=1, rngs=pj.nn.Rngs(0))
    train = pj.train_step({"heat": residual}, optax.sgd(1e-3))
    with pytest.raises((TypeError, ValueError)) as caught:
        train.init(model, {"heat": jnp.ones((3, 2))})
    notes = [note for note in caught.value.__notes__ if "the residual function of term 'heat'" in note]
    assert len(notes) == 1 and f"called as (u, x) with {said} of shape" in notes[0]


def test_a_state_begins_with_the_types_that_a_step_returns(x64):
    """Optax's begins with weak ones, and the second step would compile again."""
    train = pj.train_step(poisson.SMALL, optax.lbfgs())
    batch = poisson.batch(6, jnp.float64)
    state = train.init(poisson.small(jnp.float64), batch)
    after, _ = jax.eval_shape(train.update, state, batch)
    described = lambda tree: [(leaf.shape, leaf.dtype, leaf.weak_type) for leaf in jax.tree.leaves(tree)]
    assert described(state) == described(after)
