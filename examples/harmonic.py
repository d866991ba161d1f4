"""The harmonic oscillator: the right fixed weight by trial, or NTK weights that find it.

    u'' + ω² u = 0  on [0, 1],  u(0) = 1,  u'(0) = 0,  ω = 2π,  with the solution u = cos(ωt)

With a small weight on the initial conditions the network forgets them, since u = 0 solves the equation; with a large
one it forgets the equation. `pj.term_weights.ntk` lets both terms converge at the same rate, and nothing is tried.

Run `python examples/harmonic.py [STEPS]`. With 10 000 steps the relative L2 error is 2.4e-4 at λ_ic = 100 and 1.4e-4
with NTK weights; at 0.01, 1 and 1e5 it is above 0.7.
"""

import sys

import jax.numpy as jnp
import optax

import pinnjax as pj

OMEGA = 2 * jnp.pi

# Physics: the initial conditions are two residuals at one point, whose squares add up.


def pde(u, t):
    return pj.diff(u, 0, 0)(t) + OMEGA**2 * u(t)


def ic(u, t):
    return jnp.stack([u(t) - 1.0, pj.diff(u, 0)(t)])


terms = {"pde": pde, "ic": ic}

# Points: few, and always the same.
batch = {"pde": jnp.linspace(0.0, 1.0, 50)[:, None], "ic": jnp.zeros((1, 1))}

grid = jnp.linspace(0.0, 1.0, 201)[:, None]
reference = jnp.cos(OMEGA * grid[:, 0])


def solve(term_weights, steps):
    train = pj.train_step(terms, optax.adam(optax.cosine_decay_schedule(1e-3, steps)), term_weights=term_weights)
    model = pj.nn.MLP(1, "scalar", width=32, depth=3, rngs=pj.nn.Rngs(0))
    state, history = pj.fit(train, train.init(model, batch), batch, steps=steps)
    return float(pj.relative_l2(train.model(state), grid, reference)), history["weight/ic"][-1]


def main(steps=10_000):
    for weight in (1e-2, 1.0, 1e2, 1e5):
        error, _ = solve(pj.term_weights.fixed({"ic": weight}), steps)
        print(f"λ_ic = {weight:<6g} relative L2 error {error:.1e}")
    error, found = solve(pj.term_weights.ntk(), steps)
    print(f"NTK weights:  relative L2 error {error:.1e}, λ_ic = {found:.1f} at the end")
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
