# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Bring your own: how do I put my equation and my own optax transforms into this?
#
# A reaction-diffusion equation on a plate with a hole, which no list of ready problems has:
#
# $$-\Delta u + u^3 = f \ \text{ in } [0, 1]^2 \setminus D, \qquad u = u^* \text{ on the square}, \qquad
# \partial_n u = \partial_n u^* \text{ on the hole,}$$
#
# with $u^* = \sin(\pi x)\, e^{y}$, so that we can check. Then a transform of our own in each of the three spaces.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import pinnjax as pj

FAST = bool(os.environ.get("PINNJAX_FAST"))
STEPS = 1_500 if FAST else 10_000


def exact(x):
    return jnp.sin(jnp.pi * x[0]) * jnp.exp(x[1])


# %% [markdown]
# ## The physics
#
# A residual is a function of the field `u` and *one* point. A point may be any pytree: on the hole it is a place and its normal.


# %%
def pde(u, x):
    f = -pj.laplacian(exact)(x) + exact(x) ** 3
    return -pj.laplacian(u)(x) + u(x) ** 3 - f


def wall(u, x):
    return u(x) - exact(x)


def hole(u, point):
    x, normal = point
    return jnp.dot(pj.grad(u)(x) - pj.grad(exact)(x), normal)


terms = {"pde": pde, "wall": wall, "hole": hole}

# %% [markdown]
# ## The points
#
# Domains know how to draw points inside and on the boundary, with outward normals. New points in every step, inside the program:

# %%
square, disk = pj.sampling.Box((0.0, 0.0), (1.0, 1.0)), pj.sampling.Disk((0.5, 0.5), 0.25)
plate = pj.sampling.Difference(square, disk)


def draw(key):
    keys = jax.random.split(key, 3)
    on_hole, normals = disk.boundary(keys[2], 64)
    return {
        "pde": plate.inside(keys[0], 512),
        "wall": square.boundary(keys[1], 128)[0],
        "hole": (on_hole, -normals),  # out of the plate, into the hole
    }


points = draw(jax.random.key(0))
plt.figure(figsize=(3.2, 3.2))
plt.plot(*points["pde"].T, ".", markersize=2)
plt.plot(*points["wall"].T, ".", markersize=3)
plt.quiver(*points["hole"][0].T, *points["hole"][1].T, width=4e-3)
plt.axis("equal")
plt.show()

# %% [markdown]
# ## Three transforms of our own
#
# All three have optax's one interface, `init` and `update(updates, state, params, **extra)`. They differ in what flows through.


# %%
def focus(power):
    """Point space, {term: (n,)}: weights |r|^power with mean one."""

    def update(weights, state, params=None, *, residuals, **extra):
        size = {name: jnp.abs(r) ** power + 1e-12 for name, r in residuals.items()}
        return {name: weights[name] * s / jnp.mean(s) for name, s in size.items()}, state

    return optax.GradientTransformationExtraArgs(lambda residuals: optax.EmptyState(), update)


def equal_lengths():
    """Term space, {term: like params}: every term's gradient to the mean length of all."""

    def update(term_grads, state, params=None, **extra):
        length = {name: optax.tree.norm(g) for name, g in term_grads.items()}
        mean = sum(length.values()) / len(length)
        return {name: optax.tree.scale(mean / (length[name] + 1e-12), g) for name, g in term_grads.items()}, state

    return optax.GradientTransformationExtraArgs(lambda term_params: optax.EmptyState(), update)


def centralize():
    """Parameter space, like params: the mean of each column of a matrix out of its gradient (Yong et al. 2020)."""

    def update(updates, state, params=None, **extra):
        center = lambda g: g - jnp.mean(g, axis=0, keepdims=True) if g.ndim == 2 and g.shape[1] > 1 else g
        return jax.tree.map(center, updates), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


# %% [markdown]
# They chain with what is here, and the whole step stays one XLA program.

# %%
schedule = optax.cosine_decay_schedule(3e-3, STEPS)
variants = {
    "plain": {},
    "ours": {
        "optimizer": optax.chain(centralize(), optax.adam(schedule)),
        "point_weights": optax.chain(focus(0.5), optax.clip(5.0)),
        "term_weights": optax.chain(optax.clip_by_global_norm(100.0), equal_lengths()),
    },
    "annealing": {"term_weights": pj.term_weights.lr_annealing("pde")},
}
side = jnp.linspace(0, 1, 61)
grid = jnp.stack(jnp.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
inside = np.asarray(plate.contains(grid))
solution = jax.vmap(exact)(grid)


def solve(optimizer=None, **spaces):
    train = pj.train_step(
        terms, optax.adam(schedule) if optimizer is None else optimizer, sampler=pj.sampling.resample(draw), **spaces
    )
    model = pj.nn.ModifiedMLP(2, "scalar", width=32, depth=2, rngs=pj.nn.Rngs(0))
    state = train.init(model, key=jax.random.key(1))
    state, history = pj.fit(train, state, steps=STEPS, progress=False)
    values = jax.vmap(train.model(state))(grid)
    error = np.linalg.norm((values - solution)[inside]) / np.linalg.norm(solution[inside])
    return values, float(error), history


results = {label: solve(**spaces) for label, spaces in variants.items()}
for label, (_, error, history) in results.items():
    print(f"{label:10} relative L2 error {error:.1e}, steps skipped {int(history['skipped'][-1])}")
assert max(results[label][1] for label in results) < (0.2 if FAST else 3e-2)
assert min(results["ours"][1], results["annealing"][1]) < results["plain"][1]

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
for ax, (label, (values, error, _)) in zip(axes, results.items(), strict=True):
    difference = np.where(inside, np.log10(np.abs(values - solution) + 1e-9), np.nan).reshape(61, 61)
    image = ax.pcolormesh(side, side, difference.T, vmin=-6, vmax=-2)
    ax.set(title=f"{label}: {error:.1e}", aspect="equal")
figure.colorbar(image, ax=axes, label="log10 |u - u*|")
plt.show()

# %% [markdown]
# ## The same in a loop of your own
#
# `pj.balanced` makes an ordinary optax transform of a term-space chain and an optimiser; it works in `nnx.Optimizer`, too.

# %%
from flax import nnx

model = pj.nn.MLP(2, "scalar", width=32, depth=2, rngs=pj.nn.Rngs(0))
graphdef, params, constants = nnx.split(model, nnx.Param, ...)
tx = pj.balanced(optax.adam(3e-3), term_weights=equal_lengths(), terms=terms)
opt_state = tx.init(params)
evaluate = pj.value_and_grads(terms, graphdef, constants)


@jax.jit
def step(params, opt_state, key):
    losses, term_grads = evaluate(params, draw(key))
    updates, opt_state = tx.update(term_grads, opt_state, params, losses=losses)
    return optax.apply_updates(params, updates), opt_state, losses


first = None
for key in jax.random.split(jax.random.key(0), 500):
    params, opt_state, losses = step(params, opt_state, key)
    first = first or {name: float(value) for name, value in losses.items()}
print({name: f"{first[name]:.2g} -> {float(value):.2g}" for name, value in losses.items()})
assert all(losses[name] < first[name] for name in terms)

# %% [markdown]
# ## What to change
#
# * The domain: `pj.sampling.Polygon`, `Union`; the points: `pj.sampling.rad`, `quasi`.
# * An unknown coefficient is an `nnx.Param` on the module: `pinnjax solve inverse_burgers` finds a viscosity so.
#
# Reference: Yong et al., [Gradient centralization](https://arxiv.org/abs/2004.01461), ECCV 2020.
