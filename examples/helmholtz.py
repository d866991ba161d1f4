"""The Helmholtz equation, plain and then balanced: one line of difference.

    u_xx + u_yy + u = q  on [-1, 1]²,  u = 0 on the boundary,  q such that u = sin(πx) sin(4πy)

Run `python examples/helmholtz.py [STEPS]`. With 40 000 steps the plain network ends at a relative L2 error of some 0.2,
the balanced one at some 4e-3 (Wang, Teng & Perdikaris 2021).
"""

import sys

import jax
import jax.numpy as jnp
import optax

import pinnjax as pj

# Physics: each residual is a function of the field u and one point x.


def exact(x):
    return jnp.sin(jnp.pi * x[0]) * jnp.sin(4 * jnp.pi * x[1])


def pde(u, x):
    q = (1 - 17 * jnp.pi**2) * exact(x)
    return pj.laplacian(u)(x) + u(x) - q


def bc(u, x):
    return 2 * u(x)  # the paper adds up the means over the four sides: 2² = 4 times the mean over all of them


terms = {"pde": pde, "bc": bc}

# Points: new ones in every step, drawn inside the compiled program.
lower, upper = [-1.0, -1.0], [1.0, 1.0]


def draw(key):
    inside, sides = jax.random.split(key)
    return {"pde": pj.sampling.box(inside, lower, upper, 128), "bc": pj.sampling.box_faces(sides, lower, upper, 128)}


side = jnp.linspace(-1.0, 1.0, 100)
grid = jnp.stack(jnp.meshgrid(side, side), axis=-1).reshape(-1, 2)
reference = jax.vmap(exact)(grid)


def solve(term_weights, steps):
    train = pj.train_step(
        terms,
        optax.adam(optax.exponential_decay(1e-3, 1000, 0.9)),
        term_weights=term_weights,
        sampler=pj.sampling.resample(draw),
    )
    inputs = pj.nn.Standardize.box(lower, upper)
    model = pj.nn.ModifiedMLP(2, "scalar", width=50, depth=3, inputs=inputs, rngs=pj.nn.Rngs(0))
    state = train.init(model, key=jax.random.key(1))
    state, _ = pj.fit(train, state, steps=steps)
    return float(pj.relative_l2(train.model(state), grid, reference))


def main(steps=40_000):
    print(f"plain:    relative L2 error {solve(None, steps):.1e}")
    error = solve(pj.term_weights.lr_annealing("pde"), steps)
    print(f"balanced: relative L2 error {error:.1e}")
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
