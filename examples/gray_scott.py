"""The Gray-Scott equations: two substances, four terms of very different size, one rule.

    u_t = 0.2 Δu + 40 (1 - u) - 1000 u v²,  v_t = 0.1 Δv - 100 v + 1000 u v²  on [-1, 1]², periodic, t in [0.2, 0.4],
    from measurements of u and v at t = 0.2

With rates of up to 1000 the residuals of the equations are far larger than those of the start, and the start is never
learnt. The residuals are dicts, so each equation is a term of its own, and `pj.term_weights.grad_norm_ratio` gives the
gradients of all four one length.

Run `python examples/gray_scott.py [STEPS]`. The error is that at t = 0.4. With 6000 steps it is 0.47 with every weight
1 and 0.20 with gradients of one length; a pattern that did not move would have 0.26.
"""

import sys

import jax
import jax.numpy as jnp
import optax

import pinnjax as pj
from pinnjax.problems.references import load

# Physics, x = (t, x, y); w = (u, v). Each dict is two terms on the same points: pde/u, pde/v, ic/u and ic/v.


def pde(w, x):
    (u, v), (u_t, v_t), (spread_u, spread_v) = w(x), pj.diff(w, 0)(x), pj.laplacian(w, axes=(1, 2))(x)
    reaction = 1000 * u * v**2
    return {"u": u_t - 0.2 * spread_u - 40 * (1 - u) + reaction, "v": v_t - 0.1 * spread_v + 100 * v - reaction}


def ic(w, xy):
    x, (u_start, v_start) = xy
    u, v = w(x)
    return {"u": u - u_start, "v": v - v_start}


terms = {"pde": pde, "ic": ic}

# Points: new ones inside in every step, minibatches of the measurements, which are pairs of a place and (u, v).
lower, upper = [0.2, -1.0, -1.0], [0.4, 1.0, 1.0]
stored = load("gray_scott")
plane = jnp.stack(jnp.meshgrid(stored["x"], stored["x"], indexing="ij"), axis=-1).reshape(-1, 2)
start, grid = (jnp.insert(plane, 0, t, axis=1) for t in (0.2, 0.4))
measured, reference = (jnp.asarray(u.reshape(-1, 2)) for u in stored["u"][1:3])
sampler = pj.sampling.combine(
    pj.sampling.resample(lambda key: {"pde": pj.sampling.box(key, lower, upper, 300)}),
    pj.sampling.minibatches({"ic": (start, measured)}, {"ic": 300}),
)


def solve(term_weights, steps):
    train = pj.train_step(
        terms,
        optax.contrib.muon(optax.cosine_decay_schedule(1e-2, steps)),
        term_weights=term_weights,
        sampler=sampler,
    )
    inputs = pj.nn.Periodic([None, 2.0, 2.0], harmonics=3)
    model = pj.nn.ModifiedMLP(inputs.features, 2, width=40, depth=3, inputs=inputs, rngs=pj.nn.Rngs(0))
    state, history = pj.fit(train, train.init(model, key=jax.random.key(1)), steps=steps)
    return float(pj.relative_l2(train.model(state), grid, reference)), history


def main(steps=6000):
    error, _ = solve(None, steps)
    print(f"every weight 1:         relative L2 error {error:.1e}")
    error, history = solve(pj.term_weights.grad_norm_ratio(every=100), steps)
    weights = {name: f"{history[f'weight/{name}'][-1]:.2g}" for name in ("pde/u", "pde/v", "ic/u", "ic/v")}
    print(f"gradients of one length: relative L2 error {error:.1e}, weights at the end {weights}")
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
