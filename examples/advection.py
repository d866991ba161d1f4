"""Transport: periodicity that a term asks for, and periodicity that is built into the network.

    u_t + 10 u_x = 0  on [0, 1] x [0, 2π],  u(0, x) = sin(x),  periodic in x,  with the solution u = sin(x - 10t)

A term that asks for equal values at both ends competes with the others, and what comes in at x = 0 is never quite what
went out at x = 2π. `pj.nn.Periodic` gives the network cos(x) and sin(x) instead of x: the term is gone, and with it a
side on which errors come in. The optimiser is Muon, from optax.

Run `python examples/advection.py [STEPS]`. With 2500 steps the relative L2 error is 5.5e-2 with the term and 8.3e-3
built in.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

import pinnjax as pj

SPEED = 10.0
PERIOD = 2 * np.pi

# Physics, x = (t, x).


def exact(x):
    return jnp.sin(x[1] - SPEED * x[0])


def pde(u, x):
    return pj.diff(u, 0)(x) / SPEED + pj.diff(u, 1)(x)


def ic(u, x):
    return u(x) - jnp.sin(x[1])


def bc(u, x):
    return u(x) - u(x + jnp.array([0.0, PERIOD]))  # for points at x = 0


# Points: new ones inside in every step.
lower, upper = [0.0, 0.0], [1.0, PERIOD]
batch = {"ic": pj.sampling.grid(lower, [0.0, PERIOD], (1, 128)), "bc": pj.sampling.grid(lower, [1.0, 0.0], (64, 1))}


def draw(key):
    return {"pde": pj.sampling.box(key, lower, upper, 300)}


grid = pj.sampling.grid(lower, upper, (101, 128))
reference = jax.vmap(exact)(grid)


def solve(terms, inputs, features, steps):
    train = pj.train_step(
        terms,
        optax.contrib.muon(optax.cosine_decay_schedule(1e-2, steps)),
        term_weights=pj.term_weights.fixed({"ic": 10.0}),
        sampler=pj.sampling.resample(draw),
    )
    some = {name: batch[name] for name in terms if name != "pde"}
    model = pj.nn.ModifiedMLP(features, "scalar", width=50, depth=3, inputs=inputs, rngs=pj.nn.Rngs(0))
    state, _ = pj.fit(train, train.init(model, some, key=jax.random.key(1)), some, steps=steps)
    return float(pj.relative_l2(train.model(state), grid, reference))


def main(steps=2500):
    error = solve({"pde": pde, "ic": ic, "bc": bc}, pj.nn.Standardize.box(lower, upper), 2, steps)
    print(f"a term:   relative L2 error {error:.1e}")
    error = solve({"pde": pde, "ic": ic}, pj.nn.Periodic([None, PERIOD]), 3, steps)
    print(f"built in: relative L2 error {error:.1e}")
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
