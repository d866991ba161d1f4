"""pinnjax inside a training loop of your own: plain optax, then `nnx.Optimizer`.

    u'' = -π² sin(πx) on [0, 1],  u(0) = u(1) = 0,  with the solution u = sin(πx)

Run `python examples/own_loop.py [STEPS]`.
"""

import sys

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import pinnjax as pj


def pde(u, x):
    return pj.diff(u, 0, 0)(x) + jnp.pi**2 * jnp.sin(jnp.pi * x[0])


def bc(u, x):
    return u(x)


terms = {"pde": pde, "bc": bc}
batch = {"pde": jnp.linspace(0.0, 1.0, 64)[:, None], "bc": jnp.array([[0.0], [1.0]])}
grid = jnp.linspace(0.0, 1.0, 201)[:, None]
reference = jax.vmap(lambda x: jnp.sin(jnp.pi * x[0]))(grid)

# An ordinary optax transform, but that {term: gradient} goes in.
tx = pj.balanced(optax.adam(3e-3), term_weights=pj.term_weights.lr_annealing("pde"), terms=terms)


def new_model():
    return pj.nn.MLP(1, "scalar", width=16, depth=2, rngs=nnx.Rngs(0))


def plain_optax(steps):
    graphdef, params, constants = nnx.split(new_model(), nnx.Param, ...)
    evaluate = pj.value_and_grads(terms, graphdef, constants)

    @jax.jit
    def step(params, opt_state):
        losses, term_grads = evaluate(params, batch)
        updates, opt_state = tx.update(term_grads, opt_state, params, losses=losses)
        return optax.apply_updates(params, updates), opt_state

    opt_state = tx.init(params)
    for _ in range(steps):
        params, opt_state = step(params, opt_state)
    return pj.relative_l2(nnx.merge(graphdef, params, constants), grid, reference)


def nnx_optimizer(steps):
    model = new_model()
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        graphdef, params, constants = nnx.split(model, nnx.Param, ...)
        losses, term_grads = pj.value_and_grads(terms, graphdef, constants)(params, batch)
        optimizer.update(model, term_grads, losses=losses)

    for _ in range(steps):
        step(model, optimizer)
    return pj.relative_l2(model, grid, reference)


def main(steps=3000):
    errors = float(plain_optax(steps)), float(nnx_optimizer(steps))
    print("relative L2 errors {:.1e} (plain optax) and {:.1e} (nnx.Optimizer)".format(*errors))
    return max(errors)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
