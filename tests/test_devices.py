"""A run on many devices is the run on one, to rounding: every rule of the three spaces, and every sampler."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax import optimizers, point_weights, sampling, term_weights
from pinnjax.problems import helmholtz
from pinnjax.terms.spread import spread

from . import poisson, test_optimizers_contract, test_point_weights_contract, test_term_weights_contract
from .marks import few

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(0)
STEPS = 100
BATCH = {"pde": np.linspace(0.0, 1.0, 32)[:, None], "bc": np.array([[0.0], [1.0]])}  # two points stay whole
DEVICES = few((2, 4, 8), 4, rest="exhaustive")


def mesh_of(n, *names):
    return None if n == 1 else jax.make_mesh((n,), names or ("points",))


def ran(train, batch, n, steps=STEPS):
    """State and metrics after a run on n devices, with what a random key is."""
    state = train.init(poisson.small(jnp.float64), batch, key=KEY)
    state, history = pj.fit(
        train, state, batch, steps=steps, steps_per_call=steps // 2, progress=False, mesh=mesh_of(n)
    )
    arrays = jax.tree.map(lambda leaf: np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf), state)
    return arrays, history


def is_key(leaf):
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def same(train, batch, n, steps=STEPS):
    """The same numbers, to what a hundred steps make of rounding."""
    (one, history), (many, histories) = (ran(train, batch, devices, steps) for devices in (1, n))
    for path, leaf in jax.tree.leaves_with_path(one):
        found = dict(jax.tree.leaves_with_path(many))[path]
        np.testing.assert_allclose(found, leaf, rtol=1e-8, atol=1e-9, err_msg=jax.tree_util.keystr(path))
    for name in history:
        np.testing.assert_allclose(histories[name], history[name], rtol=1e-8, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("n", DEVICES)
@pytest.mark.parametrize("name", few(test_term_weights_contract.RULES, "gradnorm", rest="exhaustive"))
def test_term_weights(name, n):
    make = test_term_weights_contract.RULES[name].make
    same(pj.train_step(poisson.SMALL, optax.adam(1e-2), term_weights=make()), BATCH, n)


@pytest.mark.parametrize("n", DEVICES)
@pytest.mark.parametrize("name", few(test_point_weights_contract.RULES, "vrba", rest="exhaustive"))
def test_point_weights(name, n):
    make = test_point_weights_contract.RULES[name].make
    same(pj.train_step(poisson.SMALL, optax.adam(1e-2), point_weights=make()), BATCH, n)


@pytest.mark.parametrize("n", DEVICES)
@pytest.mark.parametrize(
    "name", few(test_optimizers_contract.RULES, "ssbroyden", "gauss_newton primal", rest="exhaustive")
)
def test_optimizers(name, n):
    """Ten steps: what searches on a loss at rounding afterwards finds something else on every machine."""
    make = test_optimizers_contract.RULES[name].make
    same(pj.train_step(poisson.SMALL, make(34)), BATCH, n, steps=10)


def draw(key, n):
    return jax.random.uniform(key, (n, 1))


def both(key):
    return {"pde": draw(key, 32), "bc": jnp.array([[0.0], [1.0]])}


ENDS = sampling.resample(lambda key: {"bc": jnp.array([[0.0], [1.0]])})
SAMPLERS = {
    "resample": lambda: sampling.resample(both),
    "rad": lambda: sampling.combine(sampling.rad("pde", draw, 32, candidates=256, every=10), ENDS),
    "rar_d": lambda: sampling.combine(
        sampling.rar_d("pde", draw, 16, capacity=32, candidates=64, add=4, every=10), ENDS
    ),
    "rar_g": lambda: sampling.combine(
        sampling.rar_g("pde", draw, 16, capacity=32, candidates=64, add=4, every=10), ENDS
    ),
    "r3": lambda: sampling.combine(sampling.r3("pde", draw, 32), ENDS),
    "minibatches": lambda: sampling.minibatches(both(KEY), {"pde": 8}),
    "importance": lambda: sampling.importance(both(KEY), {"pde": 8}, every=10),
    "growing": lambda: sampling.growing(sampling.resample(both), 1e-2, axis=0, start=0.0, every=10),
}


@pytest.mark.parametrize("n", DEVICES)
@pytest.mark.parametrize("name", few(SAMPLERS, "rad", rest="exhaustive"))
def test_samplers(name, n):
    """With weights that travel with the points, where points stay."""
    travel = name in ("minibatches", "r3", "importance")
    rule = point_weights.residual_attention() if travel else None
    same(pj.train_step(poisson.SMALL, optax.adam(1e-2), sampler=SAMPLERS[name](), point_weights=rule), None, n)


def test_every_sampler_is_here():
    renewing = {name for name in sampling.__all__ if name.islower()} - {
        "box", "box_faces", "combine", "distances", "grid", "interfaces", "quasi", "r2",
    }  # fmt: skip
    assert renewing == set(SAMPLERS)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [8, 12, "auto", None])
def test_chunks_of_points_that_lie_on_devices(chunk):
    train = pj.train_step(poisson.SMALL, optax.adam(1e-2), term_weights=term_weights.lr_annealing("pde"), chunk=chunk)
    same(train, BATCH, 4)


@pytest.mark.slow
def test_seeds_and_points_are_two_axes_of_a_mesh():
    train = pj.train_step(poisson.SMALL, optimizers.ssbroyden(), sampler=sampling.resample(both, every=10))
    apply, params = poisson.small(jnp.float64)
    begin = jax.vmap(lambda key: train.init((apply, jax.tree.map(lambda p: p * (1 + 0.1 * key[0]), params)), key=KEY))
    states = begin(jnp.arange(4.0)[:, None])
    options = {"steps": 10, "steps_per_call": 5, "progress": False}
    one, history = pj.fit(train, states, **options)
    many, histories = pj.fit(train, states, mesh=jax.make_mesh((2, 4), ("seeds", "points")), **options)
    np.testing.assert_allclose(histories["loss"], history["loss"], rtol=1e-6, atol=1e-12)
    assert len(many.params["out"].sharding.device_set) == 8
    assert many.params["out"].sharding.spec[0] == "seeds"


def test_an_inverse_hessian_lies_in_columns_and_nothing_compiles_again():
    """Twelve parameters on four devices: three columns each; two calls are one program."""
    model = (
        lambda params, x: params["out"] @ jnp.sin(params["kernel"] @ x),
        {
            "kernel": jnp.arange(1.0, 7.0)[:, None],
            "out": jnp.full(6, 0.1),
        },
    )
    train = pj.train_step(poisson.SMALL, optimizers.ssbroyden())
    with jax.log_compiles(False):
        state = train.init(model, BATCH)
        state, _ = pj.fit(train, state, BATCH, steps=5, steps_per_call=5, progress=False, mesh=mesh_of(4))
        before = pj.train._run._scan._cache_size()
        state, _ = pj.fit(train, state, BATCH, steps=10, steps_per_call=5, progress=False, mesh=mesh_of(4))
    assert pj.train._run._scan._cache_size() == before
    hessian = state.optimizer.inverse_hessian
    assert {shard.data.shape for shard in hessian.addressable_shards} == {(12, 3)}


def communicated(n):
    """Bytes that one step of a Helmholtz problem sends, from its compiled program on four devices."""
    batch = {"pde": jnp.zeros((n, 2)), "bc": jnp.zeros((n // 4, 2))}
    model = pj.nn.MLP(2, "scalar", width=16, depth=2, rngs=pj.nn.Rngs(0))
    train = pj.train_step(helmholtz.terms, optax.adam(1e-3), term_weights=term_weights.lr_annealing("pde"))
    state = train.init(model, batch)
    with jax.set_mesh(jax.make_mesh((4,), ("points",), axis_types=(jax.sharding.AxisType.Auto,))):
        text = jax.jit(train.update).lower(state, batch).compile().as_text()
    sent = re.findall(r"= (.*?) (?:all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute)\(", text)
    sizes = {"f64": 8, "f32": 4, "s32": 4, "s64": 8, "u32": 4, "u64": 8, "pred": 1}
    shapes = [shape for line in sent for shape in re.findall(r"(\w+)\[([\d,]*)\]", line)]
    return sum(sizes[kind] * int(np.prod([int(k) for k in dims.split(",") if k] or [1])) for kind, dims in shapes)


@pytest.mark.slow
def test_what_a_step_sends_does_not_grow_with_the_points():
    few_points, many_points = communicated(64), communicated(4096)
    assert 0 < few_points == many_points


def test_without_a_mesh_nothing_is_spread():
    tree = {"pde": jnp.ones((8, 1))}
    assert spread(tree) is tree


@pytest.mark.parametrize(
    ("mesh", "error", "message"),
    [
        (4, TypeError, "mesh is a int"),
        (lambda: jax.make_mesh((2,), ("data",)), ValueError, r"axes \('data',\); expected \"points\""),
    ],
)
def test_a_mesh_that_says_nothing_is_named(mesh, error, message):
    train = pj.train_step(poisson.SMALL, optax.sgd(0.1))
    state = train.init(poisson.small(jnp.float64), BATCH)
    with pytest.raises(error, match=message):
        pj.fit(train, state, BATCH, steps=1, mesh=mesh() if callable(mesh) else mesh)


def test_seeds_that_do_not_fit_are_named():
    train = pj.train_step(poisson.SMALL, optax.sgd(0.1))
    states = jax.vmap(lambda _: train.init(poisson.small(jnp.float64), BATCH))(jnp.arange(3))
    with pytest.raises(ValueError, match="3 seeds on 2 devices"):
        pj.fit(train, states, BATCH, steps=1, mesh=mesh_of(2, "seeds"))
