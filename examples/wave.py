"""The wave equation in two phases: Muon finds the weights, L-BFGS minimises the loss that they define.

    u_tt = 4 u_xx  on [0, 1]²,  u = 0 at x = 0 and x = 1,  with the solution
    u = sin(πx) cos(2πt) + ½ sin(2πx) cos(4πt)

The second derivatives drown both initial conditions. `pj.term_weights.ntk` balances the terms while Muon runs. A
quasi-Newton method remembers gradients of the loss as it was weighed then, so the weights rest before it takes over.

Run `python examples/wave.py [STEPS]`; the second phase has a tenth of the steps. With 2000 steps the relative L2
errors are 0.59 (equal weights), 0.18 (NTK weights) and 0.11 after L-BFGS.
"""

import sys

import jax
import jax.numpy as jnp
import optax

import pinnjax as pj

# Physics, x = (t, x). The initial conditions come as a dict: two terms, ic/u and ic/u_t, on the same points.


def exact(x):
    low = jnp.sin(jnp.pi * x[1]) * jnp.cos(2 * jnp.pi * x[0])
    return low + 0.5 * jnp.sin(2 * jnp.pi * x[1]) * jnp.cos(4 * jnp.pi * x[0])


def pde(u, x):
    return pj.diff(u, 0, 0)(x) - 4 * pj.diff(u, 1, 1)(x)


def ic(u, x):
    return {"u": u(x) - exact(x), "u_t": pj.diff(u, 0)(x)}


def bc(u, x):
    return u(x)


terms = {"pde": pde, "ic": ic, "bc": bc}

# Points that stay: L-BFGS needs one loss, not a new one in every step.
lower, upper = [0.0, 0.0], [1.0, 1.0]
batch = {
    "pde": pj.sampling.box(jax.random.key(1), lower, upper, 500),
    "ic": pj.sampling.grid(lower, [0.0, 1.0], (1, 100)),
    "bc": pj.sampling.grid(lower, upper, (100, 2)),
}

grid = pj.sampling.grid(lower, upper, (100, 100))
reference = jax.vmap(exact)(grid)


def solve(model, optimizer, term_weights, steps):
    train = pj.train_step(terms, optimizer, term_weights=term_weights)
    state, _ = pj.fit(train, train.init(model, batch), batch, steps=steps)
    model = train.model(state)
    return model, state, float(pj.relative_l2(model, grid, reference))


def main(steps=2000):
    inputs = pj.nn.Standardize.box(lower, upper)
    start = pj.nn.ModifiedMLP(2, "scalar", width=40, depth=3, inputs=inputs, rngs=pj.nn.Rngs(0))
    muon = optax.contrib.muon(optax.cosine_decay_schedule(1e-2, steps))
    _, _, error = solve(start, muon, None, steps)
    print(f"Muon, equal weights:   relative L2 error {error:.1e}")
    model, state, error = solve(start, muon, pj.term_weights.ntk(), steps)
    print(f"Muon, NTK weights:     relative L2 error {error:.1e}")
    reached = optax.tree.get(state.term_weights, "weights")
    _, _, error = solve(model, optax.lbfgs(), pj.term_weights.fixed(reached), max(1, steps // 10))
    print(f"L-BFGS, weights fixed: relative L2 error {error:.1e}")
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
