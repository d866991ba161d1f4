"""Poisson's equation at growing frequencies: the gradient of the equation outgrows that of the boundary.

    u'' = -(aπ)² sin(aπx)  on [0, 1],  u(0) = u(1) = 0,  with the solution u = sin(aπx)

The residual's gradient grows with a, the boundary's does not, so that the boundary is not learnt. The history has the
norms of both in each step, and `pj.term_weights.lr_annealing` weighs the boundary up by as much as is needed.

Run `python examples/poisson.py [STEPS]`. With 5000 steps and a = 4 the relative L2 error is 1.4e-2 plain and 4.3e-3
balanced.
"""

import sys

import jax.numpy as jnp
import optax

import pinnjax as pj

# Physics, at a frequency.


def terms_with(a):
    def pde(u, x):
        return pj.diff(u, 0, 0)(x) + (a * jnp.pi) ** 2 * jnp.sin(a * jnp.pi * x[0])

    def bc(u, x):
        return u(x)

    return {"pde": pde, "bc": bc}


# Points: equidistant, and both ends.
batch = {"pde": jnp.linspace(0.0, 1.0, 100)[:, None], "bc": jnp.array([[0.0], [1.0]])}
grid = jnp.linspace(0.0, 1.0, 1001)[:, None]


def solve(a, term_weights, steps):
    train = pj.train_step(
        terms_with(a), optax.adam(optax.cosine_decay_schedule(1e-3, steps)), term_weights=term_weights
    )
    model = pj.nn.MLP(1, "scalar", width=50, depth=3, inputs=pj.nn.Standardize.box([0.0], [1.0]), rngs=pj.nn.Rngs(0))
    state, history = pj.fit(train, train.init(model, batch), batch, steps=steps)
    error = float(pj.relative_l2(train.model(state), grid, jnp.sin(a * jnp.pi * grid[:, 0])))
    return error, history


def main(steps=5000):
    print("a  |∇L_pde| / |∇L_bc| at the start   plain     balanced   λ_bc at the end")
    for a in (1, 2, 4):
        plain, history = solve(a, None, steps)
        ratio = history["grad_norm/pde"][0] / history["grad_norm/bc"][0]
        error, history = solve(a, pj.term_weights.lr_annealing("pde"), steps)
        print(f"{a}  {ratio:<33.0f} {plain:.1e}   {error:.1e}    {history['weight/bc'][-1]:.0f}")
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
