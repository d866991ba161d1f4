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
# # Gradient pathologies: what do the gradients of a failing PINN look like?
#
# The Helmholtz equation $u_{xx} + u_{yy} + u = q$ on $[-1, 1]^2$, $u = 0$ on the boundary, with $u = \sin \pi x \sin 4\pi y$:
# the problem on which Wang, Teng & Perdikaris (2021) found that a plain PINN fails because the boundary's gradient is
# nearly nothing beside the equation's. We train it plain (M1), balanced (M2), with a better network (M3), and both (M4).

# %%
import os

import jax
import matplotlib.pyplot as plt
import numpy as np

import pinnjax as pj
from pinnjax import plot
from pinnjax.cli.race import race
from pinnjax.problems import helmholtz

FAST = bool(os.environ.get("PINNJAX_FAST"))
STEPS = 5_000 if FAST else 40_000
METHODS = ("M1", "M2", "M3", "M4")

# %% [markdown]
# What the four have in common, and the one line in which M2 and M4 differ:

# %%
print(helmholtz.title)
for method in METHODS:
    recipe = helmholtz.recipes[method]
    balancer = "none" if recipe.term_weights is None else "pj.term_weights.lr_annealing('pde')"
    print(f"{method}: {recipe.model.__name__:12} term_weights={balancer}")

# %%
outcomes = race(helmholtz, {m: helmholtz.recipes[m] for m in METHODS}, steps=STEPS, progress=False)
errors = {method: float(outcome.errors[0]) for method, outcome in outcomes.items()}
for method, error in errors.items():
    published = helmholtz.recipes[method].published
    print(f"{method}: relative L2 error {error:.1e}" + (f", published {published:.1e}" if published else ""))

# %%
figure, axes = plt.subplots(1, 5, figsize=(16, 3), layout="constrained")
plot.field(helmholtz.grid, helmholtz.reference, helmholtz.grid_shape, title="solution", limit=1.0, ax=axes[0])
for ax, (method, outcome) in zip(axes[1:], outcomes.items(), strict=True):
    u = outcome.train.model(jax.tree.map(lambda leaf: leaf[0], outcome.states))
    values = np.asarray(jax.vmap(u)(helmholtz.grid))
    plot.field(helmholtz.grid, values, helmholtz.grid_shape, title=f"{method}: {errors[method]:.1e}", limit=1.0, ax=ax)
plt.show()

# %% [markdown]
# ## The gradients, layer by layer
#
# $\nabla_\theta L_\mathrm{pde}$ and $\nabla_\theta L_\mathrm{bc}$ at the end of training, for every weight matrix.


# %%
def gradients(method):
    outcome = outcomes[method]
    state = jax.tree.map(lambda leaf: leaf[0], outcome.states)
    batch = helmholtz.draw(jax.random.key(0), {"pde": 1000, "bc": 250})
    evaluate = pj.value_and_grads(helmholtz.terms, state.definition, state.constants)
    _, term_grads = jax.jit(evaluate)(state.params, batch)
    weights = {term: outcome.history[f"weight/{term}"][-1, 0] for term in helmholtz.terms}
    return {
        layer: {term: weights[term] * np.asarray(g) for term, g in found.items()}
        for layer, found in pj.diagnostics.by_layer(term_grads).items()
    }


plain, balanced = gradients("M1"), gradients("M2")
plot.gradient_histograms(plain, title="M1, plain: the boundary's gradient is a spike at zero")
plot.gradient_histograms(balanced, title="M2, balanced: it has a width again")
plt.show()


# %%
def width_ratio(layers):
    """Mean |gradient| of the equation over the boundary's, the median over the layers."""
    return np.median([np.mean(np.abs(g["pde"])) / np.mean(np.abs(g["bc"])) for g in layers.values()])


print(f"equation over boundary: plain {width_ratio(plain):.1f}, balanced {width_ratio(balanced):.2f}")
assert width_ratio(plain) > 5
assert width_ratio(balanced) < width_ratio(plain) / 1.5

# %% [markdown]
# The gap shrinks and does not close: the rule compares with a gradient that is weighted already, so $\lambda$ settles near
# the *square root* of what would make both equal. That is enough; `pj.term_weights.lr_annealing("pde", variant="norm")` closes it.
#
# ## The weight that annealing finds
#
# $\hat\lambda = \max|\nabla L_\mathrm{pde}| / \mathrm{mean}|\nabla \lambda L_\mathrm{bc}|$, a moving average. It is not a constant of
# the problem: it changes while the network learns, so no grid search over one $\lambda$ replaces it.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for method in METHODS:
    outcome = outcomes[method]
    left.semilogy(outcome.steps, outcome.history["relative_l2"][:, 0], label=method)
    right.semilogy(outcome.steps, outcome.history["weight/bc"][:, 0], label=method)
left.set(xlabel="step", ylabel="relative L2 error")
right.set(xlabel="step", ylabel="weight of the boundary")
left.legend(frameon=False)
plt.show()

# %%
assert errors["M1"] == max(errors.values())
assert errors["M4"] < errors["M1"] / (5 if FAST else 20)
assert outcomes["M4"].history["weight/bc"][-1, 0] > 5

# %% [markdown]
# ## The measured table
#
# The same equation, points, optimiser and number of steps. Plain (M1), the gradient of the equation drowns that of the boundary;
# balanced, here with the modified network (M4), both are learnt. `pinnjax solve helmholtz --method all`, relative L2 error on a
# 100 x 100 grid after 40 000 steps in float32, seed 0, two cores:
#
# | method | | here | published |
# |---|---|---|---|
# | M1 | MLP, equal weights | 2.2e-1 | 1.81e-1 |
# | M2 | MLP, balanced | 2.5e-2 | 1.27e-2 |
# | M3 | modified MLP, equal weights | 3.1e-2 | |
# | M4 | modified MLP, balanced | 4.9e-3 (seeds 1, 2: 3.9e-3, 3.7e-3) | 3.69e-3 |
# | best | modified MLP, λ_bc = 1000 found by trial, 256 points inside, cosine decay | 4.7e-4 | |
#
# Published: Wang, Teng & Perdikaris 2021. The variant matters. The default of `lr_annealing` is the rule of the authors' released
# code, which is behind the published figures. With the rule as the paper prints it, M4 fails (`--method M4 --term-weights
# lr_annealing:variant=paper`: 3.0e-1), and with plain norm ratios (`variant=norm`) it ends at 1.4e-3. Medians over three seeds, of
# this problem and of two more, are in [Figures and costs](07_figures_and_costs.ipynb).
#
# `pinnjax solve helmholtz --out plots` draws the picture of the README:
#
# ![The Helmholtz problem: the reference, the plain network, the balanced network, and their errors over the steps](pictures/helmholtz.png)
#
# `pinnjax reproduce helmholtz` draws the gradients at the end, plain:
#
# ![Histograms of the gradients, layer by layer: the boundary's is a spike at zero beside the equation's](pictures/helmholtz_gradients_M1.png)

# %% [markdown]
# ## What to change
#
# * The balancer: `dataclasses.replace(helmholtz.recipes["M1"], term_weights=pj.term_weights.config())`.
# * The frequency 4π of the solution: at π there is hardly a pathology.
#
# `pinnjax reproduce helmholtz` makes the paper's table, medians over three seeds. Reference: Wang, Teng & Perdikaris,
# [Understanding and mitigating gradient pathologies](https://arxiv.org/abs/2001.04536), SIAM J. Sci. Comput. 43(5), 2021.
