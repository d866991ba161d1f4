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
# # Hard points: who speaks for four points among thirty?
#
# Regression of the front $f(x) = \tanh 20x$ from thirty equidistant points. Four of them lie in the front; the loss is an
# average, so it hears the other twenty-six. There is one term and no equation: whatever goes wrong is *between points*.
#
# A point weight $w_i$ turns the loss into $\frac1n \sum_i w_i r_i^2$. Three published ideas, and none:
#
# * **per-point gradient norm**: $w_i = \max_j g_j / g_i$ with $g_i = \|\nabla_\theta r(x_i)\|$, so that all points pull equally;
# * **self-adaptive** (SA-PINN): $w_i = m(\gamma_i)$ with $\gamma$ *ascending* the loss that $\theta$ descends;
# * **residual-based attention** (RBA): $\lambda_i \leftarrow \gamma \lambda_i + \eta\, |r_i| / \max_j |r_j|$, $w_i = \lambda_i^2$.

# %%
import dataclasses
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import pinnjax as pj
from pinnjax import plot
from pinnjax.cli.race import race
from pinnjax.problems import tanh

FAST = bool(os.environ.get("PINNJAX_FAST"))
SEEDS = range(3 if FAST else 10)

# %% [markdown]
# The same problem four times, one line different. Each rule is an optax transform in point space, its state part of the
# train state.

# %%
rules = {
    "uniform": None,
    "per-point gradient norm": pj.point_weights.inverse_point_gradients(),
    "self-adaptive": pj.point_weights.self_adaptive(optax.adam(5e-3), mask=jnp.square, initial=1.0),
    "attention": pj.point_weights.residual_attention(),
}
plain = dataclasses.replace(tanh.recipes["plain"], resampled=False)
recipes = {label: dataclasses.replace(plain, point_weights=rule) for label, rule in rules.items()}
outcomes = race(tanh, recipes, seeds=SEEDS, progress=False)  # all seeds in one program, by jax.vmap

# %%
print(f"{'':24} error    front/rest   (medians of {len(SEEDS)} seeds)")
ratio, error = {}, {}
for label, outcome in outcomes.items():
    ratio[label] = float(np.median(outcome.history["front_over_rest"][-1]))
    error[label] = float(np.median(outcome.errors))
    print(f"{label:24} {error[label]:.1e}  {ratio[label]:.1f}")

# %% [markdown]
# *front/rest* is the mean residual in the front over that elsewhere: how badly the average drowned the front.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
left.plot(tanh.grid, tanh.reference, "k", linewidth=4, alpha=0.3, label="tanh 20x")
for label, outcome in outcomes.items():
    u = outcome.train.model(jax.tree.map(lambda leaf: leaf[0], outcome.states))
    left.plot(tanh.grid, np.asarray(jax.vmap(u)(jnp.asarray(tanh.grid))), label=label, linewidth=1)
points = outcomes["attention"].points["data"][0]
left.plot(points, np.tanh(20 * points), "k.", markersize=5)
left.set(xlabel="x", ylabel="u", xlim=(-0.4, 0.4))
left.legend(frameon=False, fontsize="small")
weighed = {label: outcome for label, outcome in outcomes.items() if outcome.point_weights}
plot.masks(
    {label: outcome.points["data"][0] for label, outcome in weighed.items()},
    {label: outcome.point_weights["data"] for label, outcome in weighed.items()},
    ax=right,
)
plt.show()

# %% [markdown]
# Self-adaptive weights are highest in the front. Weights by the inverse gradient norm do the opposite: the points of the
# front have the *largest* gradients, so they are weighed down. The rule balances *gradients*, and over-corrects here.

# %%
assert ratio["uniform"] > 2 * ratio["self-adaptive"]
assert error["self-adaptive"] < error["uniform"] and error["attention"] < error["uniform"]
x, mask = (
    outcomes["self-adaptive"].points["data"][0, :, 0],
    np.median(outcomes["self-adaptive"].point_weights["data"], axis=0),
)
assert abs(x[np.argmax(mask)]) < 0.15
assert ratio["per-point gradient norm"] > ratio["self-adaptive"]

# %% [markdown]
# ## Weights travel with their points
#
# When points are shuffled or replaced, a weight must follow *its point*, not its row. Behind any sampler the train step sees
# to it. Here a pool of 300 points is visited thirty at a time; RBA's memory, bounded by $\eta/(1-\gamma) = 10$, is kept for all 300.

# %%
pool = {"data": jnp.linspace(-1, 1, 300)[:, None]}
train = pj.train_step(
    tanh.terms,
    optax.adam(1e-3),
    point_weights=pj.point_weights.residual_attention(),
    sampler=pj.sampling.minibatches(pool, {"data": 30}),
)
model = pj.nn.MLP(1, "scalar", width=20, depth=2, rngs=pj.nn.Rngs(0))
state = train.init(model, key=jax.random.key(0))
state, _ = pj.fit(train, state, steps=2000 if FAST else 10_000, progress=False)
shapes = {leaf.shape for leaf in jax.tree.leaves(state.point_weights)}
print("memory of the point rule:", shapes)
assert any(300 in shape for shape in shapes)
trained = float(pj.relative_l2(train.model(state), jnp.asarray(tanh.grid), jnp.asarray(tanh.reference)))
print(f"relative L2 error from the pool: {trained:.1e}")
assert trained < 0.1

# %% [markdown]
# ## The measured table
#
# Tanh net 1-20-20-1, 2000 steps, ten seeds (`pinnjax race tanh --point-weights
# none,inverse_point_gradients,self_adaptive,residual_attention --seeds 10 --out plots`), medians:
#
# | point weights | relative L2 error | mean residual in the front over that elsewhere |
# |---|---|---|
# | none | 4.9e-2 | 4.7 |
# | `inverse_point_gradients` | 4.9e-2 | 5.2 |
# | `self_adaptive` | 9.0e-3 | 1.8 |
# | `residual_attention` | 2.2e-3 | 1.8 |
#
# ![Point weights over x: the self-adaptive mask is highest in the front, per-point gradient norms lowest](pictures/tanh_masks.png)
#
# ## Two equations
#
# The Allen-Cahn equation is harder: an error at t has grown by up to $e^{5 (1 - t)}$ at the end. `pinnjax solve allen_cahn`, two
# cores, float32, seed 0: the plain network ends at a relative L2 error of 5.6e-1 (30 000 steps of Adam); the modified network with the
# initial condition built in and point weights $e^{5 (1/2 - t)}$,
# `pj.point_weights.by_position({"pde": lambda x: jnp.exp(5 * (0.5 - x[0]))})`, at 7.6e-4 after 40 000 steps of Muon, less than eight
# minutes. With causal weights in their place it ends at 1.1e-3 to 1.8e-3 after 60 000 to 100 000 steps.
#
# Where the points are matters as much. Burgers' equation (ν = 0.01/π) with 500 points, 15 000 steps of Adam, five seeds, median
# relative L2 error (`pinnjax race burgers --seeds 5`): random points that stay 2.5e-1, RAD every 20 steps 1.2e-2. New random
# points in every step do as well, 1.3e-2: most of the gain is that no point stays long enough to be overfitted. (With the
# start built in and early residuals weighed up, `early`, the median is 2.2e-4.)

# %% [markdown]
# ## What to change
#
# * Rules chain: `optax.chain(pj.point_weights.residual_attention(), optax.clip(5.0))`.
# * With a time axis, `pj.point_weights.causal(["pde"], interval=(0, 1))` lets a time be learnt when all earlier ones are.
# * `pinnjax race allen_cahn --point-weights none,self_adaptive,residual_attention,causal` does this for a real equation.
#
# References: McClenny & Braga-Neto, [Self-adaptive PINNs](https://arxiv.org/abs/2009.04544); Anagnostopoulos et al.,
# [Residual-based attention](https://arxiv.org/abs/2307.00379).
