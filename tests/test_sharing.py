import jax
import jax.numpy as jnp
import numpy as np

import pinnjax as pj
from pinnjax import sharing


def count(primitive, function, *arguments):
    return sum(e.primitive.name == primitive for e in jax.make_jaxpr(function)(*arguments).eqns)


def residual(kernel, x):
    u = lambda y: jnp.sum(jnp.tanh(kernel @ y))
    return pj.laplacian(u)(x) + u(x) * pj.diff(u, 0)(x)


KERNEL, POINT = jnp.arange(6.0).reshape(3, 2) / 6, jnp.array([0.3, -0.7])


def test_the_network_runs_once_below_all_derivatives():
    assert count("tanh", residual, KERNEL, POINT) == 4
    assert count("tanh", sharing.shared(residual), KERNEL, POINT) == 1
    # kernel @ x, and kernel @ e_0 and kernel @ e_1 for all tangents
    assert count("dot_general", sharing.shared(residual), KERNEL, POINT) == 3


def test_values_and_gradients_stay_the_same(x64):
    kernel, point = KERNEL.astype(float), POINT.astype(float)
    np.testing.assert_allclose(sharing.shared(residual)(kernel, point), residual(kernel, point), rtol=1e-14)
    expected = jax.grad(residual)(kernel, point)
    np.testing.assert_allclose(jax.grad(sharing.shared(residual))(kernel, point), expected, rtol=1e-12, atol=1e-14)


def test_constants_made_anew_are_one_constant_and_different_ones_are_not():
    def scaled(x):
        anew = lambda b: jnp.sin(x * jnp.array([1.0, b]))
        return anew(2.0) + anew(2.0) + anew(3.0)

    x = jnp.ones(2)
    assert count("sin", sharing.shared(scaled), x) == 2
    np.testing.assert_allclose(sharing.shared(scaled)(x), scaled(x))


def test_only_the_same_operation_on_the_same_operands_is_merged():
    def several(x, y):
        return jnp.sum(x), jnp.sum(x, axis=0), jnp.sum(y), x * 2.0, x * 3.0, jnp.float32(x * 2.0).astype(int), x * 2

    arguments = (jnp.arange(4.0).reshape(2, 2), jnp.ones((2, 2)))
    jax.tree.map(np.testing.assert_array_equal, sharing.shared(several)(*arguments), several(*arguments))


def test_side_effects_stay(capsys):
    def noisy(x):
        jax.debug.print("seen {}", x)
        jax.debug.print("seen {}", x)
        return x

    jax.block_until_ready(sharing.shared(noisy)(jnp.float32(1.0)))
    jax.effects_barrier()
    assert capsys.readouterr().out.count("seen 1.0") == 2


def test_pytrees_pass_through():
    both = sharing.shared(lambda p, x: {"a": p["k"] * x, "b": (x, p["k"])})
    found = both({"k": jnp.float32(2.0)}, jnp.float32(3.0))
    assert jax.tree.map(float, found) == {"a": 6.0, "b": (3.0, 2.0)}


def test_functions_inside_functions_are_merged_whole():
    def jitted_twice(x):
        f = jax.jit(lambda y: jnp.exp(jnp.sin(y)))
        return f(x) + f(x) + jax.nn.silu(x)

    x = jnp.float32(0.7)
    np.testing.assert_allclose(sharing.shared(jitted_twice)(x), jitted_twice(x), rtol=1e-6)
