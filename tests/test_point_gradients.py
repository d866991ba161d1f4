"""Gradients at points against the dense Jacobian, in the step and out of it."""

import chex
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.terms import bridge, evaluation, factors

from . import poisson
from .marks import few


def vector(u, x):
    return jnp.stack([u(x), x[0] * pj.diff(u, 0)(x)])


def pair(u, x):
    return {"value": u(x) - 1.0, "slope": pj.diff(u, 0)(x)}


TERMS = poisson.TERMS | {"vector": vector, "pair": pair, "mean": pj.batchwise(lambda u, x: jnp.mean(jax.vmap(u)(x)))}
BATCH = poisson.batch(n=11) | {
    "vector": jnp.linspace(0, 1, 5)[:, None],
    "pair": jnp.linspace(0, 1, 3)[:, None],
    "mean": jnp.linspace(0, 1, 4)[:, None],
}


def dense(params, definition, constants):
    """Norms of the rows of J, by `jax.jacobian` of all residuals at once."""
    flat, back = jax.flatten_util.ravel_pytree(params)
    evaluate = pj.residuals(TERMS, definition, constants)
    rows = jax.jit(jax.jacobian(lambda p: evaluate(back(p), BATCH)))(flat)
    return {name: jnp.sqrt(jnp.sum(row**2, axis=tuple(range(1, row.ndim)))) for name, row in rows.items()}


@pytest.mark.slow
@pytest.mark.parametrize("chunk", few([None, 1, 4], 4))
def test_norms_at_points_are_those_of_the_rows_of_the_jacobian(chunk, x64):
    definition, params, constants = bridge.split(poisson.model(dtype=jnp.float64))
    batch = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), BATCH)
    found = jax.jit(pj.point_grad_norms(TERMS, definition, constants, chunk=chunk))(params, batch)
    chex.assert_trees_all_close(found, dense(params, definition, constants), rtol=1e-6)


SMALL = {"width": 7, "depth": 3, "param_dtype": jnp.float64}
ONE = lambda kind: kind(2, "scalar", rngs=pj.nn.Rngs(0), **SMALL)
NETWORKS = {  # and what of each is neither multiplied nor added only
    "MLP": (lambda: ONE(pj.nn.MLP), ()),
    "modified MLP": (lambda: ONE(pj.nn.ModifiedMLP), ()),
    "PirateNet": (lambda: ONE(pj.nn.PirateNet), ("alpha",)),
    "KAN": (lambda: ONE(pj.nn.ChebyshevKAN), ()),
    "factorized": (lambda: pj.nn.Factorized(ONE(pj.nn.MLP), rngs=pj.nn.Rngs(1)), ("scale",)),
    "matrices": (lambda: (of_matrices, {"a": jnp.array([[0.3, -0.2, 0.5]]), "b": jnp.eye(3, 2) + 0.3}), "ab"),
}


def of_matrices(p, x):
    """Every coordinate goes through a layer of its own, whose matrix comes back transposed."""
    return jnp.sum(jnp.tanh(x[:, None] * p["a"] @ p["b"]) @ p["b"].T)


@pytest.mark.parametrize("name", NETWORKS)
def test_norms_of_any_network_are_those_of_its_jacobian(name, x64):
    """The oracle is `jax.jacobian` of all residuals at once, with derivatives by `jax.hessian`."""
    make, alone = NETWORKS[name]
    definition, params, constants = bridge.split(make())

    def equations(u, x):
        both = pj.laplacian(u)(x) + u(x) * pj.diff(u, 0)(x)
        return {"one": both, "two": jnp.stack([u(x) ** 2, both])}

    def by_hand(u, x):
        both = jnp.trace(jax.hessian(u)(x)) + u(x) * jax.grad(u)(x)[0]
        return {"one": both, "two": jnp.stack([u(x) ** 2, both])}

    points = jax.random.uniform(jax.random.key(1), (5, 2), jnp.float64)
    found = jax.jit(pj.point_grad_norms({"t": equations}, definition, constants))(params, {"t": points})
    flat, back = jax.flatten_util.ravel_pytree(params)
    rows = jax.jacobian(lambda p: jax.vmap(lambda x: by_hand(bridge.field(definition, back(p), constants), x))(points))
    for key, row in rows(flat).items():
        expected = jnp.sqrt(jnp.sum(row.reshape(5, -1) ** 2, axis=1))
        np.testing.assert_allclose(found[f"t/{key}"], expected, rtol=1e-9)
    program = jax.make_jaxpr(evaluation.at_point("t", equations, definition))(params, constants, points[0])
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(params)]
    others = {names[leaf] for leaf in factors.Program(program, len(names)).alone}
    assert all(any(f"'{word}'" in other for word in alone) for other in others) and bool(others) == bool(alone)


@pytest.mark.parametrize("chunk", few([None, 4], 4))
@pytest.mark.parametrize("every", [1, 2])
def test_the_step_offers_them_to_ntk(every, chunk, x64):
    """With a move at every step gradients and norms come out of one pass: both are those of two."""
    terms = {name: TERMS[name] for name in ("pde", "vector", "pair")}
    batch = {name: jnp.asarray(BATCH[name], jnp.float64) for name in terms}
    weights = pj.point_weights.by_position({"pde": lambda x: 1.0 + x[0]})
    options = {"point_weights": weights, "term_weights": pj.term_weights.ntk(every=every), "chunk": chunk}
    train = pj.train_step(terms, optax.sgd(1e-3), **options)
    state = train.init(poisson.model(dtype=jnp.float64), batch)
    norms = pj.point_grad_norms(terms, state.definition, state.constants)(state.params, batch)
    traces = {name: float(jnp.mean(n**2)) for name, n in norms.items()}
    own = {"pde": 1.0 + batch["pde"][:, 0]} | {t: jnp.ones(len(batch[t.split("/")[0]])) for t in norms if t != "pde"}
    _, grads = pj.value_and_grads(terms, state.definition, state.constants)(state.params, batch, own)
    new, metrics = train.update(state, batch)
    for name, trace in traces.items():
        np.testing.assert_allclose(metrics[f"weight/{name}"], sum(traces.values()) / trace, rtol=1e-9)
        np.testing.assert_allclose(metrics[f"grad_norm/{name}"], optax.tree.norm(grads[name]), rtol=1e-9)
    steps = jax.tree.map(
        lambda *g: -1e-3 * sum(g), *(optax.tree.scale(metrics[f"weight/{t}"], grads[t]) for t in grads)
    )
    chex.assert_trees_all_close(new.params, optax.apply_updates(state.params, steps), rtol=1e-9)


def test_a_step_that_does_not_ask_does_not_contain_them():
    """The Jacobian at points would be the only loop over chunks in the program."""
    programs = {}
    for name, rule in {"asks": pj.term_weights.ntk(), "asks not": pj.term_weights.lr_annealing("pde")}.items():
        train = pj.train_step(poisson.TERMS, optax.adam(1e-3), term_weights=rule)
        state = train.init(poisson.model(), poisson.batch())
        programs[name] = str(jax.make_jaxpr(train.update)(state, poisson.batch()))
    assert "cond[" in programs["asks"] and "cond[" not in programs["asks not"]
