"""A reaction: the network prefers u = 0, which solves the equation too, until time is learnt in order.

    u_t = 5u (1 - u)  on [0, 1] x [0, 2π],  u(0, x) = exp(-(x - π)² / 2(π/4)²)

Where u is small at the start it is easier to be wrong near t = 0 and to follow u = 0 from there on: the average of the
residual is then small. `pj.point_weights.causal` gives later times no weight before the earlier ones are right. One
line differs.

Run `python examples/reaction.py [STEPS]`. With 6000 steps the relative L2 error is 0.99 all at once and 8.0e-2 with
causal weights.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

import pinnjax as pj

WIDTH = np.pi / 4

# Physics, x = (t, x): each place has an ordinary differential equation of its own.


def exact(x):
    start = jnp.exp(-((x[1] - jnp.pi) ** 2) / (2 * WIDTH**2))
    return start / (start + (1 - start) * jnp.exp(-5 * x[0]))


def pde(u, x):
    return pj.diff(u, 0)(x) - 5 * u(x) * (1 - u(x))


def ic(u, x):
    return u(x) - exact(x)


# Points: new ones inside in every step.
lower, upper = [0.0, 0.0], [1.0, 2 * np.pi]
batch = {"ic": pj.sampling.grid(lower, [0.0, upper[1]], (1, 129))}


def draw(key):
    return {"pde": pj.sampling.box(key, lower, upper, 500)}


grid = pj.sampling.grid(lower, upper, (101, 129))
reference = jax.vmap(exact)(grid)


def solve(point_weights, steps):
    train = pj.train_step(
        {"pde": pde, "ic": ic},
        optax.adam(optax.cosine_decay_schedule(2e-3, steps)),
        point_weights=point_weights,
        sampler=pj.sampling.resample(draw),
    )
    inputs = pj.nn.Standardize.box(lower, upper)
    model = pj.nn.MLP(2, "scalar", width=50, depth=4, inputs=inputs, rngs=pj.nn.Rngs(0))
    state, _ = pj.fit(train, train.init(model, batch, key=jax.random.key(1)), batch, steps=steps)
    return float(pj.relative_l2(train.model(state), grid, reference))


def main(steps=6000):
    print(f"all times at once: relative L2 error {solve(None, steps):.1e}")
    error = solve(pj.point_weights.causal(["pde"], interval=(0.0, 1.0), epsilon=10.0), steps)
    print(f"causal weights:    relative L2 error {error:.1e}")
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
