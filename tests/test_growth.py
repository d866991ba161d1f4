"""Networks that grow: the field is what it was, and what optimiser and rules remember goes on or starts anew."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.terms import bridge

from . import poisson
from .marks import few

pytestmark = pytest.mark.usefixtures("quick_compilation")

POINTS = jax.random.uniform(jax.random.key(0), (20, 2), minval=-1)
rngs = pj.nn.Rngs
waves = lambda: pj.nn.FourierFeatures(2, 3, scale=1.0, rngs=rngs(7))

# A network of a given width, which may grow.
KINDS = {
    "MLP": lambda width, seed: pj.nn.MLP(2, 3, width=width, depth=3, rngs=rngs(seed)),
    "ModifiedMLP": lambda width, seed: pj.nn.ModifiedMLP(2, "scalar", width=width, depth=2, rngs=rngs(seed)),
    "SIREN": lambda width, seed: pj.nn.SIREN(2, "scalar", width=width, depth=2, omega=3.0, rngs=rngs(seed)),
    "ChebyshevKAN": lambda width, seed: pj.nn.ChebyshevKAN(2, 2, width=width, depth=2, degree=3, rngs=rngs(seed)),
    "PirateNet": lambda width, seed: pj.nn.PirateNet(
        6, "scalar", width=width, depth=width // 4, inputs=waves(), rngs=rngs(seed)
    ),
    "Factorized": lambda width, seed: pj.nn.Factorized(KINDS["MLP"](width, seed), rngs=rngs(seed)),
    "Separable": lambda width, seed: pj.nn.Separable(
        [pj.nn.MLP(1, 4, width=width, depth=2, rngs=rngs(seed + i)) for i in range(2)]
    ),
    "with a coefficient": lambda width, seed: pj.nn.WithCoefficients(KINDS["ModifiedMLP"](width, seed), {"nu": 0.1}),
}


def shaken(network):
    """As if it had been trained: no parameter is where it began."""
    definition, params, constants = bridge.split(network)
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [p + 0.1 * jax.random.normal(key, p.shape, p.dtype) for p, key in zip(leaves, keys, strict=True)]
    return bridge.field(definition, jax.tree.unflatten(structure, moved), constants)


@pytest.mark.parametrize("kind", few(list(KINDS), "MLP", rest="exhaustive"))
def test_a_grown_network_is_the_field_that_it_was_with_its_derivatives(kind, x64):
    small, large = shaken(KINDS[kind](4, 0)), KINDS[kind](9, 5)
    grown, points = pj.nn.grown(small, large), POINTS.astype(jnp.float64)
    count = lambda u: sum(p.size for p in jax.tree.leaves(bridge.split(u)[1]))
    assert count(grown) == count(large) > count(small)
    of = lambda u: jax.jit(jax.vmap(lambda x: (u(x), jax.jacfwd(u)(x))))(points)
    chex.assert_trees_all_close(of(grown), of(small), rtol=1e-11, atol=1e-12)  # sums in another order
    assert np.abs(of(large)[0] - of(small)[0]).max() > 1e-3  # before, it was another field


def test_the_next_gradient_notices_the_new_units():
    grown = pj.nn.grown(level(4), level(8))
    definition, params, constants = bridge.split(grown)
    slopes = jax.grad(lambda p: bridge.field(definition, p, constants)(jnp.array([0.4])))(params)
    out = np.asarray(slopes["out"]["kernel"][...])[4:]
    assert not np.asarray(grown.out.kernel[...])[4:].any() and np.abs(out).min() > 0


def test_new_blocks_of_a_pirate_net_are_the_identity_to_the_bit():
    make = lambda depth, seed: pj.nn.PirateNet(6, "scalar", width=4, depth=depth, inputs=waves(), rngs=rngs(seed))
    small, larger = shaken(make(1, 0)), shaken(make(3, 5))  # the blocks of the larger one have an α of their own
    grown = pj.nn.grown(small, larger)
    np.testing.assert_array_equal(jax.vmap(grown)(POINTS), jax.vmap(small)(POINTS))
    assert [float(block.alpha[...]) for block in grown.blocks][1:] == [0.0, 0.0] != float(grown.blocks[0].alpha[...])
    assert float(larger.blocks[1].alpha[...]) != 0.0


def test_what_cannot_grow_is_refused_by_name():
    mlp = lambda width, depth=2, m="scalar": pj.nn.MLP(2, m, width=width, depth=depth, rngs=rngs(0))
    for small, large, error, said in [
        (mlp(4), mlp(8, 3), ValueError, "hidden/2/.*cannot begin as the identity; expected the same depth"),
        (mlp(4, 3), mlp(8), ValueError, "the larger network has no hidden/2/"),
        (mlp(8), mlp(4), ValueError, r"hidden/0/bias has shape \(8,\), and \(4,\)"),
        (mlp(4, m=2), mlp(4, m=3), ValueError, "out_features of the network is 2, and 3"),
        (mlp(4), KINDS["SIREN"](8, 0), TypeError, "the network is a MLP, and a SIREN"),
        (mlp(4), lambda x: x, TypeError, "larger is a function"),
        (KINDS["MLP"](4, 0), KINDS["Factorized"](8, 0), TypeError, "the network is a MLP, and a Factorized"),
    ]:
        with pytest.raises(error, match=said):
            pj.nn.grown(small, large)
    features = lambda n: pj.nn.FourierFeatures(2, n, scale=1.0, rngs=rngs(0))
    pirate = lambda n: pj.nn.PirateNet(2 * n, 1, width=4, depth=1, inputs=features(n), rngs=rngs(0))
    with pytest.raises(ValueError, match="features of inputs is 6, and 8"):
        pj.nn.grown(pirate(3), pirate(4))


def params_of(width):
    return bridge.split(pj.nn.MLP(2, "scalar", width=width, depth=2, rngs=rngs(0)))[1]


OPTIMIZERS = {
    "adam": optax.adam(1e-3),
    "momentum": optax.sgd(1e-3, momentum=0.9),
    "adagrad": optax.adagrad(1e-3),
    "a chain": optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(1e-3, 9))),
    "spring": pj.optimizers.spring(),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_moments_of_old_parameters_go_on_and_new_ones_are_as_the_optimizer_begins(name):
    tx, small, large = OPTIMIZERS[name], params_of(3), params_of(5)
    counted = iter(range(1000))
    state = jax.tree.map(lambda leaf: jnp.full_like(leaf, next(counted)), tx.init(small))
    fresh, grown = tx.init(large), pj.optimizers.grown(tx, state, small, large)
    chex.assert_trees_all_equal_structs(grown, fresh)
    for old, begun, new in zip(*map(jax.tree.leaves, (state, fresh, grown)), strict=True):
        expected = np.array(begun)
        expected[tuple(slice(n) for n in old.shape)] = old
        np.testing.assert_array_equal(new, expected)


def test_a_state_of_numbers_and_a_random_key_goes_on_as_it_is():
    tx, small = pj.optimizers.gauss_newton(), params_of(3)
    state = tx.init(small)
    grown = pj.optimizers.grown(tx, state, small, params_of(5))
    chex.assert_trees_all_equal(grown[:4], state[:4])
    np.testing.assert_array_equal(*(jax.random.key_data(each[4]) for each in (grown, state)))


@pytest.mark.parametrize("tx", [optax.lbfgs(), pj.optimizers.ssbroyden(), pj.optimizers.soap(1e-3)])
def test_memories_that_do_not_grow_are_refused(tx):
    small = params_of(3)
    with pytest.raises(ValueError, match="which does not grow with a parameter; expected moments"):
        pj.optimizers.grown(tx, tx.init(small), small, params_of(5))
    with pytest.raises(ValueError, match="expected a state of its kind"):
        pj.optimizers.grown(optax.adam(1e-3), tx.init(small), small, params_of(5))


def test_a_late_parameter_takes_the_first_steps_that_are_said():
    """With a steady gradient: 0.1 / √0.001 = 3.16 rates in its first step, and 6.6 at most."""
    tx, small, large = optax.adam(1.0), {"w": jnp.zeros(1)}, {"w": jnp.zeros(2)}
    state = optax.tree.set(tx.init(small), count=jnp.array(100_000))
    state, steps = pj.optimizers.grown(tx, state, small, large), []
    for _ in range(60):
        updates, state = tx.update({"w": jnp.ones(2)}, state)
        steps.append(-float(updates["w"][1]))
    np.testing.assert_allclose([steps[0], max(steps)], [0.1 / np.sqrt(0.001), 6.57], rtol=0.01)


BALANCER = pj.term_weights.lr_annealing("pde", every=1)
BATCH = {"pde": jnp.linspace(0.1, 0.9, 5)[:, None], "bc": jnp.array([[0.0], [1.0]])}
TRAIN = pj.train_step(poisson.SMALL, optax.adam(1e-2), term_weights=BALANCER)  # shared, so that it is compiled once


def level(width):
    return pj.nn.MLP(1, "scalar", width=width, depth=2, rngs=rngs(width))


def cascade(*keeps):
    """Ten steps of a narrow network, and one of a wide one that goes on from it."""
    state = TRAIN.init(level(4), BATCH, key=jax.random.key(0))
    before, _ = pj.fit(TRAIN, state, BATCH, steps=10, progress=False)
    wider = lambda trained, key: pj.nn.grown(trained, level(8))
    phases = [pj.Phase(TRAIN, 10), pj.Phase(TRAIN, 1, model=wider, keeps=keeps)]
    return before, *pj.fit(phases, state, BATCH, progress=False)


@pytest.mark.parametrize(
    "keeps",
    few([(), ("term_weights",), ("term_weights", "optimizer")], ("term_weights", "optimizer"), rest="exhaustive"),
)
def test_a_phase_keeps_what_it_is_told_to(keeps):
    """Its first step is the one that is made by hand, of the grown model and of what goes on."""
    before, after, history = cascade(*keeps)
    grown = pj.nn.grown(TRAIN.model(before), level(8))
    begin = TRAIN.init(grown, BATCH)
    if "term_weights" in keeps:
        begin = dataclasses.replace(begin, term_weights=before.term_weights)
    if "optimizer" in keeps:
        moments = pj.optimizers.grown(optax.adam(1e-2), before.optimizer, before.params, begin.params)
        begin = dataclasses.replace(begin, optimizer=moments)
    by_hand, metrics = TRAIN.update(begin, BATCH)
    chex.assert_trees_all_close(after.params, by_hand.params, rtol=1e-6)
    chex.assert_trees_all_close(after.term_weights, by_hand.term_weights, rtol=1e-6)
    chex.assert_trees_all_close(after.optimizer, by_hand.optimizer, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(history["loss/pde"][10], metrics["loss/pde"], rtol=1e-5)
    assert int(optax.tree.get(after.optimizer, "count")) == (11 if "optimizer" in keeps else 1)


def test_the_loss_is_continuous_where_the_network_grows():
    before, _, history = cascade("term_weights")
    _, without = TRAIN.update(before, BATCH)
    for name in ("loss/pde", "loss/bc"):
        np.testing.assert_allclose(history[name][10], without[name], rtol=1e-4)


def test_what_a_phase_cannot_keep_is_refused():
    for wrong in ("optimizer", ("sampler",)):
        with pytest.raises(ValueError, match=r"keeps is .*expected a tuple of some of"):
            pj.Phase(TRAIN, 1, keeps=wrong)
    held = pj.train_step(poisson.SMALL, optax.adam(1e-2), term_weights=pj.term_weights.held(BALANCER))
    with pytest.raises(ValueError, match="held, but keeps has no 'term_weights'"):
        pj.fit(
            [pj.Phase(TRAIN, 1), pj.Phase(held, 1, keeps=())],
            TRAIN.init(level(4), BATCH),
            BATCH,
            progress=False,
        )
