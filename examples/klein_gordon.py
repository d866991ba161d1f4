"""The Klein-Gordon equation: four terms, and whether the direction or the length of their gradients is in the way.

    u_tt - u_xx + u³ = f  on [0, 1]²,  u(0, x) = x,  u_t(0, x) = 0,  with the solution u = x cos(5πt) + (tx)³

The gradients of the terms differ in direction and in length. Surgery (`pj.term_weights.config`) changes the direction,
to one with the same angle to all of them; weights (`pj.term_weights.lr_annealing`) change the lengths, and here that is
what helps most.

Run `python examples/klein_gordon.py [STEPS]`. With 4000 steps the relative L2 errors are 1.1 (plain), 0.33 (surgery)
and 2.4e-2 (weights).
"""

import sys

import jax
import jax.numpy as jnp
import optax

import pinnjax as pj

# Physics, x = (t, x). The initial conditions come as a dict: two terms, ic/u and ic/u_t, on the same points.


def exact(x):
    return x[1] * jnp.cos(5 * jnp.pi * x[0]) + (x[0] * x[1]) ** 3


def pde(u, x):
    wave = lambda v: pj.diff(v, 0, 0)(x) - pj.diff(v, 1, 1)(x) + v(x) ** 3
    return wave(u) - wave(exact)


def ic(u, x):
    return {"u": u(x) - x[1], "u_t": pj.diff(u, 0)(x)}


def bc(u, x):
    return u(x) - exact(x)


terms = {"pde": pde, "ic": ic, "bc": bc}

# Points: new ones in every step.
lower, upper = [0.0, 0.0], [1.0, 1.0]


def draw(key):
    inside, start, left, right = jax.random.split(key, 4)
    ends = [pj.sampling.box(left, lower, [1.0, 0.0], 64), pj.sampling.box(right, [0.0, 1.0], upper, 64)]
    return {
        "pde": pj.sampling.box(inside, lower, upper, 128),
        "ic": pj.sampling.box(start, lower, [0.0, 1.0], 128),
        "bc": jnp.concatenate(ends),
    }


grid = pj.sampling.grid(lower, upper, (100, 100))
reference = jax.vmap(exact)(grid)


def solve(term_weights, steps):
    train = pj.train_step(
        terms,
        optax.adam(optax.cosine_decay_schedule(2e-3, steps)),
        term_weights=term_weights,
        sampler=pj.sampling.resample(draw),
    )
    inputs = pj.nn.Standardize.box(lower, upper)
    model = pj.nn.MLP(2, "scalar", width=50, depth=4, inputs=inputs, rngs=pj.nn.Rngs(0))
    state, _ = pj.fit(train, train.init(model, key=jax.random.key(1)), steps=steps)
    return float(pj.relative_l2(train.model(state), grid, reference))


def main(steps=4000):
    print(f"plain:   relative L2 error {solve(None, steps):.1e}")
    print(f"surgery: relative L2 error {solve(pj.term_weights.config(), steps):.1e}")
    error = solve(pj.term_weights.lr_annealing("pde"), steps)
    print(f"weights: relative L2 error {error:.1e}")
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
