"""A problem small enough for many tests: u'' = -π² sin(πx) on [0, 1], u = 0 at both ends."""

import jax
import jax.numpy as jnp

import pinnjax as pj


def pde(u, x):
    return pj.diff(u, 0, 0)(x) + jnp.pi**2 * jnp.sin(jnp.pi * x[0])


def bc(u, x):
    return u(x)


TERMS = {"pde": pde, "bc": bc}


def batch(n=16, dtype=jnp.float32):
    return {"pde": jnp.linspace(0.03, 0.97, n, dtype=dtype)[:, None], "bc": jnp.array([[0.0], [1.0]], dtype)}


def model(seed=0, dtype=jnp.float32):
    return pj.nn.MLP(1, "scalar", width=8, depth=2, param_dtype=dtype, rngs=pj.nn.Rngs(seed))


def draw(key):
    return {"pde": pj.sampling.box(key, [0.0], [1.0], 16), "bc": jnp.array([[0.0], [1.0]])}


def apply(params, x):
    """A network without flax: one hidden layer."""
    hidden = jnp.tanh(params["kernel"] @ x + params["bias"])
    return params["out"] @ hidden


def plain_params(seed=0, width=8, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(seed), 3)
    return {
        "kernel": jax.random.normal(keys[0], (width, 1), dtype),
        "bias": jax.random.normal(keys[1], (width,), dtype),
        "out": jax.random.normal(keys[2], (width,), dtype) / width,
    }


# A curve through points, by a network without hidden layers: for tests of the machinery, whose programs compile soon.
SMALL = {"pde": lambda u, x: u(x) - x[0] ** 2, "bc": lambda u, x: u(x)}


def small(dtype=jnp.float32):
    return lambda params, x: params["out"] @ jnp.sin(params["kernel"] @ x), {
        "kernel": jnp.array([[1.0], [2.0], [3.0]], dtype),
        "out": jnp.array([0.3, -0.2, 0.1], dtype),
    }
