"""The Kuramoto-Sivashinsky equation, the start: causal weights that get stricter by themselves.

    u_t + α u u_x + β u_xx + γ u_xxxx = 0  on [0, 0.05] x [0, 2π],  u(0, x) = cos(x) (1 + sin(x)),  periodic in x,
    α = 100/16, β = 100/16², γ = 100/16⁴

The equation is chaotic, errors grow, and time has to be learnt in order. How strict `pj.point_weights.causal` is
depends on ε: too small does nothing, too large and the network never gets to later times. With several of them the next
is taken once all times have been learnt under the last. For longer times one trains one network after the other, each
from the end of the last.

Run `python examples/kuramoto_sivashinsky.py [STEPS]`. With 3000 steps the relative L2 error is 2.4e-2 all at once and
1.8e-2 with causal weights.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

import pinnjax as pj
from pinnjax.problems.references import load

ALPHA, BETA, GAMMA = 100 / 16, 100 / 16**2, 100 / 16**4
END, LENGTH = 0.05, 2 * np.pi

# Physics, x = (t, x).


def initial(x):
    return jnp.cos(x[1]) * (1 + jnp.sin(x[1]))


def pde(u, x):
    linear = BETA * pj.diff(u, 1, 1)(x) + GAMMA * pj.diff(u, 1, 1, 1, 1)(x)
    return pj.diff(u, 0)(x) + ALPHA * u(x) * pj.diff(u, 1)(x) + linear


# Points: new ones in every step.
lower, upper = [0.0, 0.0], [END, LENGTH]


def draw(key):
    return {"pde": pj.sampling.box(key, lower, upper, 256)}


stored = load("kuramoto_sivashinsky")
solution = stored["u"][stored["t"] <= END]
grid, reference = pj.sampling.grid(lower, upper, solution.shape), jnp.asarray(solution.ravel())


def solve(point_weights, steps):
    train = pj.train_step(
        {"pde": pde},
        optax.adam(optax.exponential_decay(2e-3, steps // 4, 0.5)),
        point_weights=point_weights,
        sampler=pj.sampling.resample(draw),
    )
    inputs = pj.nn.Periodic([None, LENGTH])
    network = pj.nn.MLP(inputs.features, "scalar", width=40, depth=3, inputs=inputs, rngs=pj.nn.Rngs(0))
    # t / END is of order one, as the network's output is.
    model = pj.nn.Constrained(network, lift=initial, factor=lambda x: x[0] / END)
    state, _ = pj.fit(train, train.init(model, key=jax.random.key(1)), steps=steps)
    return float(pj.relative_l2(train.model(state), grid, reference)), state


def main(steps=3000):
    error, _ = solve(None, steps)
    print(f"all times at once:    relative L2 error {error:.1e}")
    schedule = (1e-3, 1e-2, 1e-1, 1.0)
    error, state = solve(pj.point_weights.causal(["pde"], interval=(0.0, END), slices=16, epsilon=schedule), steps)
    stage = int(optax.tree.get(state.point_weights, "stage"))
    print(f"causal, ε = {schedule[stage]:g} at the end: relative L2 error {error:.1e}")
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
