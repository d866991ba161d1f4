import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.problems import helmholtz
from pinnjax.terms import bridge, term_gradients

pytestmark = pytest.mark.usefixtures("quick_compilation")

POINTS = {"pde": 512, "bc": 128}


def setting(points):
    definition, params, constants = bridge.split(pj.nn.MLP(**helmholtz.network, rngs=pj.nn.Rngs(0)))
    return definition, params, constants, helmholtz.draw(jax.random.key(0), points, jnp.float32)


def flops(function, *arguments):
    return jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]


def summed_loss(terms, definition, constants):
    """The loss that everybody writes: one sum, one gradient."""

    def loss(params, batch):
        u = bridge.field(definition, params, constants)
        return sum(jnp.mean(jax.vmap(lambda x, f=f: f(u, x))(batch[name]) ** 2) for name, f in terms.items())

    return loss


def test_term_gradients_cost_the_flops_of_the_gradient_of_the_sum():
    definition, params, constants, batch = setting(POINTS)
    separate = flops(pj.value_and_grads(helmholtz.terms, definition, constants), params, batch)
    together = flops(jax.value_and_grad(summed_loss(helmholtz.terms, definition, constants)), params, batch)
    assert separate <= 1.01 * together


@pytest.mark.slow
def test_repeated_forward_passes_are_merged_inside_loops_too():
    """The gradient of the sum, written by hand, repeats the network below each derivative; a term evaluates it once."""
    definition, params, constants, batch = setting(POINTS)
    evaluate = pj.value_and_grads(helmholtz.terms, definition, constants)
    by_hand = jax.value_and_grad(summed_loss(helmholtz.terms, definition, constants))

    def in_a_loop(gradient):
        step = lambda p, _: (jax.tree.map(lambda a, g: a - 1e-3 * g, p, gradient(p)), None)
        return flops(lambda p: jax.lax.scan(step, p, None, 8)[0], params)

    merged = in_a_loop(lambda p: term_gradients.total(evaluate(p, batch)[1]))
    assert merged < 0.75 * in_a_loop(lambda p: by_hand(p, batch)[1])


@pytest.mark.slow
def test_equations_on_shared_points_share_their_forward_pass():
    """Two equations of one term cost two pullbacks but one forward pass, less than two terms with their own points."""
    definition, params, constants, batch = setting(POINTS)

    def coupled(u, x):
        laplacian = pj.laplacian(u)(x)
        return {"a": laplacian - u(x), "b": laplacian * u(x)}

    terms = {"a": lambda u, x: coupled(u, x)["a"], "b": lambda u, x: coupled(u, x)["b"]}
    shared = flops(pj.value_and_grads({"flow": coupled}, definition, constants), params, {"flow": batch["pde"]})
    other = batch["pde"][::-1]
    separate = flops(pj.value_and_grads(terms, definition, constants), params, {"a": batch["pde"], "b": other})
    assert shared < 0.9 * separate


def test_the_sum_of_term_gradients_is_the_gradient_of_the_sum():
    definition, params, constants, batch = setting(POINTS)
    term_losses, grads = pj.value_and_grads(helmholtz.terms, definition, constants)(params, batch)
    value, grad = jax.value_and_grad(summed_loss(helmholtz.terms, definition, constants))(params, batch)
    np.testing.assert_allclose(sum(term_losses.values()), value, rtol=1e-5)
    norm = optax.tree.norm(optax.tree.sub(term_gradients.total(grads), grad)) / optax.tree.norm(grad)
    assert norm < 1e-5  # rounding in float32


def test_point_weights_are_held_fixed_in_the_gradient():
    residual = lambda u, x: u(x) - 1.0
    evaluate = pj.value_and_grads({"data": residual}, lambda a, x: a * x[0])
    weights = {"data": jnp.array([0.5, 2.0])}
    value, grads = evaluate(jnp.float32(2.0), {"data": jnp.array([[1.0], [3.0]])}, weights)
    np.testing.assert_allclose(value["data"], (0.5 * 1 + 2 * 25) / 2)
    np.testing.assert_allclose(grads["data"], (0.5 * 2 * 1 * 1 + 2 * 2 * 5 * 3) / 2)


@pytest.mark.slow
def test_a_chunk_bounds_memory_and_changes_nothing_beyond_rounding(x64):
    points = {"pde": 8192, "bc": 512}
    definition, params, constants, batch = setting(points)
    found, memory = {}, {}
    for chunk in (None, 256):
        evaluate = pj.value_and_grads(helmholtz.terms, definition, constants, chunk=chunk)
        compiled = jax.jit(evaluate).lower(params, batch).compile()
        memory[chunk] = compiled.memory_analysis().temp_size_in_bytes
        found[chunk] = compiled(params, batch)
    assert memory[256] < memory[None] / 8
    chex.assert_trees_all_close(*found.values(), rtol=2e-4, atol=2e-4)
    with pytest.raises(ValueError, match="chunk is 0; expected a number of points >= 1"):
        pj.value_and_grads(helmholtz.terms, definition, constants, chunk=0)
