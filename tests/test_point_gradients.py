"""Gradients at points against the dense Jacobian, in the step and out of it."""

import chex
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.terms import bridge

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


@pytest.mark.slow
def test_the_step_offers_them_to_ntk():
    train = pj.train_step(poisson.TERMS, optax.sgd(1e-9), term_weights=pj.term_weights.ntk(every=2))
    state = train.init(poisson.model(), poisson.batch())
    norms = pj.point_grad_norms(poisson.TERMS, state.definition, state.constants)(state.params, poisson.batch())
    traces = {name: float(jnp.mean(n**2)) for name, n in norms.items()}
    state, metrics = train.update(state, poisson.batch())
    for name, trace in traces.items():
        np.testing.assert_allclose(metrics[f"weight/{name}"], sum(traces.values()) / trace, rtol=1e-5)


def test_a_step_that_does_not_ask_does_not_contain_them():
    """The Jacobian at points would be the only loop over chunks in the program."""
    programs = {}
    for name, rule in {"asks": pj.term_weights.ntk(), "asks not": pj.term_weights.lr_annealing("pde")}.items():
        train = pj.train_step(poisson.TERMS, optax.adam(1e-3), term_weights=rule)
        state = train.init(poisson.model(), poisson.batch())
        programs[name] = str(jax.make_jaxpr(train.update)(state, poisson.batch()))
    assert "cond[" in programs["asks"] and "cond[" not in programs["asks not"]
