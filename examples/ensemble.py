"""Five seeds of one network in one program: how far do their errors, and their fields, lie apart?

    u'' = -π² sin(πx) on [0, 1],  u(0) = u(1) = 0,  with the solution u = sin(πx)

`jax.vmap` over keys makes a state whose leaves have an axis of seeds in front, and `pj.fit` trains it like any other:
losses, weights and errors in the history then have that axis behind the one of steps.

Run `python examples/ensemble.py [STEPS]`. With 2000 steps the relative L2 errors are between 5e-5 and 2e-4.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

import pinnjax as pj

SEEDS = 5


def pde(u, x):
    return pj.diff(u, 0, 0)(x) + jnp.pi**2 * jnp.sin(jnp.pi * x[0])


def bc(u, x):
    return u(x)


grid = jnp.linspace(0.0, 1.0, 201)[:, None]
exact = jnp.sin(jnp.pi * grid[:, 0])


def error(u):
    return pj.relative_l2(u, grid, exact)


def main(steps=2000):
    train = pj.train_step({"pde": pde, "bc": bc}, optax.adam(3e-3), term_weights=pj.term_weights.lr_annealing("pde"))
    batch = {"pde": jnp.linspace(0.0, 1.0, 64)[:, None], "bc": jnp.array([[0.0], [1.0]])}

    def start(key):
        return train.init(pj.nn.MLP(1, "scalar", width=16, depth=2, rngs=pj.nn.Rngs(key)), batch)

    states = jax.vmap(start)(jax.random.split(jax.random.key(0), SEEDS))
    states, history = pj.fit(train, states, batch, steps=steps, evaluate=error)

    errors = history["evaluation/error"][-1]  # one a seed
    fields = jax.vmap(lambda state: jax.vmap(train.model(state))(grid))(states)
    mean = float(jnp.linalg.norm(fields.mean(axis=0) - exact) / jnp.linalg.norm(exact))
    print("relative L2 errors", " ".join(f"{e:.1e}" for e in np.sort(errors)), f"and that of the mean {mean:.1e}")
    print(f"standard deviation of u over the seeds, at most {float(fields.std(axis=0).max()):.1e}")
    best = jax.tree.map(lambda leaf: leaf[np.argmin(errors)], states)  # the state of one seed
    assert np.isclose(error(train.model(best)), errors.min(), rtol=1e-2)
    return float(np.max(errors))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
