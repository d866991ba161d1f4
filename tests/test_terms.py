import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pinnjax as pj
from pinnjax.terms import bridge

from . import poisson
from .marks import few

pytestmark = pytest.mark.usefixtures("quick_compilation")


def coupled(u, x):
    """Two equations that share the second derivative."""
    u_xx = pj.diff(u, 0, 0)(x)
    return {"first": u_xx + u(x), "second": u_xx * u(x) - x[0]}


def data(u, sample):
    x, y = sample
    return u(x) - y


@pj.batchwise
def mass(u, x):
    return jnp.mean(jax.vmap(u)(x)) - 0.5


ALL = {"flow": coupled, "data": data, "mass": mass, "pair": lambda u, x: jnp.stack([u(x), x[0]])}
GRID = jnp.linspace(0.0, 1.0, 6)[:, None]
BATCH = {"flow": GRID, "data": (GRID[:5], jnp.arange(5.0)), "mass": GRID, "pair": GRID[:4]}


def by_hand(u):
    """The residuals of ALL in a Python loop over the points."""
    rows = [coupled(u, x) for x in GRID]
    return {
        "flow/first": jnp.stack([row["first"] for row in rows]),
        "flow/second": jnp.stack([row["second"] for row in rows]),
        "data": jnp.stack([u(x) - y for x, y in zip(GRID[:5], jnp.arange(5.0), strict=True)]),
        "mass": jnp.stack([sum(u(x) for x in GRID) / 6 - 0.5]),
        "pair": jnp.stack([jnp.stack([u(x), x[0]]) for x in GRID[:4]]),
    }


@pytest.mark.parametrize("chunk", [None, 1, 4, 6, 64])
def test_residuals_equal_a_loop_over_the_points(chunk):
    model = poisson.model()
    definition, params, constants = bridge.split(model)
    found = jax.jit(pj.residuals(ALL, definition, constants, chunk=chunk))(params, BATCH)
    expected = jax.jit(lambda: by_hand(model))()
    chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("chunk", few([None, 4], None))
def test_losses_and_gradients_equal_those_of_the_loop(chunk):
    definition, params, constants = bridge.split(poisson.model())

    def loss(p, name):
        r = by_hand(bridge.field(definition, p, constants))[name]
        return jnp.sum(r**2) / r.shape[0]

    losses, grads = jax.jit(pj.value_and_grads(ALL, definition, constants, chunk=chunk))(params, BATCH)
    for name in losses:
        value, grad = jax.jit(jax.value_and_grad(loss), static_argnums=1)(params, name)
        np.testing.assert_allclose(losses[name], value, rtol=1e-5, err_msg=name)
        chex.assert_trees_all_close(grads[name], grad, rtol=1e-4, atol=1e-5)


def test_a_pair_of_apply_and_params_is_a_model_too():
    params = poisson.plain_params()
    losses, grads = pj.value_and_grads(poisson.TERMS, poisson.apply)(params, poisson.batch())
    u = lambda x: poisson.apply(params, x)
    expected = np.mean([float(poisson.pde(u, x)) ** 2 for x in poisson.batch()["pde"]])
    np.testing.assert_allclose(losses["pde"], expected, rtol=1e-5)
    chex.assert_trees_all_equal_shapes_and_dtypes(grads["bc"], params)


class Decay(nnx.Module):
    """u = exp(-ν x) with an unknown ν, and a variable that must not be trained."""

    def __init__(self):
        self.nu = nnx.Param(jnp.float32(2.0))
        self.scale = nnx.Variable(jnp.float32(3.0))

    def __call__(self, x):
        return self.scale[...] * jnp.exp(-x[0])


def test_an_unknown_coefficient_on_the_module_is_trained_and_constants_are_not():
    definition, params, constants = bridge.split(Decay())
    ode = lambda u, x: pj.diff(u, 0)(x) + u.nu[...] * u(x)  # r = (ν - 1) u
    losses, grads = pj.value_and_grads({"ode": ode}, definition, constants)(params, {"ode": jnp.zeros((1, 1))})
    np.testing.assert_allclose(losses["ode"], 9.0)  # ((2 - 1) · 3)²
    (gradient,) = jax.tree.leaves(grads["ode"])
    np.testing.assert_allclose(gradient, 18.0)  # 2 (ν - 1) u²


def test_constants_among_the_params_are_refused():
    graphdef, everything = nnx.split(Decay())
    with pytest.raises(TypeError, match=r"params hold 'scale', a Variable; expected nnx.Param only"):
        pj.value_and_grads({"bc": poisson.bc}, graphdef)(everything, {"bc": jnp.zeros((1, 1))})
