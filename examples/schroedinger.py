"""The nonlinear Schrödinger equation: a field of two components, a dict of residuals and a chain of point rules.

    i h_t + ½ h_xx + |h|² h = 0  on [0, π/4] x [-5, 5],  h(0, x) = 2 sech x,  h = u_0 + i u_1

The breather focuses to a narrow peak at x = 0, too narrow for a network that is smooth in x. With `pj.nn.Periodic`, of
a period that is longer than the interval, it sees harmonics of x. Point rules are optax transforms and multiply: time
in order (`pj.point_weights.causal`), attention to hard points (`pj.point_weights.residual_attention`), and no weight
above 3 (`optax.clip`).

Run `python examples/schroedinger.py [STEPS]`. With 2500 steps the relative L2 errors are 0.21, 0.14 and, with the
rules, 0.16: here they do not pay.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

import pinnjax as pj

# Physics, x = (t, x). The equation is a dict: two terms, pde/real and pde/imaginary, that share their derivatives.


def exact(x):
    """The bound state of two solitons (Satsuma & Yajima 1974)."""
    t, y = x
    below = jnp.cosh(4 * y) + 4 * jnp.cosh(2 * y) + 3 * jnp.cos(4 * t)
    real = jnp.cos(t / 2) * jnp.cosh(3 * y) + 3 * jnp.cos(9 * t / 2) * jnp.cosh(y)
    imaginary = jnp.sin(t / 2) * jnp.cosh(3 * y) + 3 * jnp.sin(9 * t / 2) * jnp.cosh(y)
    return 4 * jnp.stack([real, imaginary]) / below


def pde(u, x):
    h, h_t, h_xx = u(x), pj.diff(u, 0)(x), pj.diff(u, 1, 1)(x)
    rest = 0.5 * h_xx + jnp.sum(h**2) * h
    return {"real": -h_t[1] + rest[0], "imaginary": h_t[0] + rest[1]}


def known(u, x):
    return u(x) - exact(x)


terms = {"pde": pde, "ic": known, "bc": known}

# Points: 512 in each step of a pool that stays, so that attention stays with them.
lower, upper = [0.0, -5.0], [np.pi / 4, 5.0]
pool = {"pde": pj.sampling.quasi("sobol", lower, upper, 8192)}
batch = {"ic": pj.sampling.grid(lower, [0.0, 5.0], (1, 201)), "bc": pj.sampling.grid(lower, upper, (50, 2))}

grid = pj.sampling.grid(lower, upper, (101, 201))
reference = jax.vmap(exact)(grid)


def solve(inputs, features, point_weights, steps):
    train = pj.train_step(
        terms,
        optax.contrib.muon(optax.cosine_decay_schedule(1e-2, steps)),
        point_weights=point_weights,
        term_weights=pj.term_weights.fixed({"ic": 100.0, "bc": 10.0}),
        sampler=pj.sampling.minibatches(pool, {"pde": 512}),
    )
    model = pj.nn.ModifiedMLP(features, 2, width=40, depth=3, inputs=inputs, rngs=pj.nn.Rngs(0))
    state, _ = pj.fit(train, train.init(model, batch, key=jax.random.key(1)), batch, steps=steps)
    return float(pj.relative_l2(train.model(state), grid, reference))


def main(steps=2500):
    smooth, harmonics = pj.nn.Standardize.box(lower, upper), pj.nn.Periodic([None, 12.0], harmonics=5)
    equations = ["pde/real", "pde/imaginary"]
    rules = optax.chain(
        pj.point_weights.causal(equations, interval=(lower[0], upper[0]), epsilon=0.1),
        pj.point_weights.residual_attention(terms=equations, decay=0.99, eta=0.02, initial=1.0),
        optax.clip(3.0),
    )
    print(f"x as it is:     relative L2 error {solve(smooth, 2, None, steps):.1e}")
    error = solve(harmonics, harmonics.features, None, steps)
    print(f"harmonics of x: relative L2 error {error:.1e}")
    print(f"and the rules:  relative L2 error {solve(harmonics, harmonics.features, rules, steps):.1e}")
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
