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
# # The loss-balance crisis: can one number ruin a PINN?
#
# The harmonic oscillator $u'' + \omega^2 u = 0$ on $[0, 1]$ with $\omega = 2\pi$, $u(0) = 1$, $u'(0) = 0$ has the solution
# $\cos 2\pi t$. A network is trained on
#
# $$L(\theta) = \frac1N \sum_i \left(u''(t_i) + \omega^2 u(t_i)\right)^2 + \lambda \left[(u(0) - 1)^2 + u'(0)^2\right].$$
#
# Every $\lambda > 0$ has the same minimiser. Do all of them get there?

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx

import pinnjax as pj

FAST = bool(os.environ.get("PINNJAX_FAST"))  # fewer steps, where only the claims matter
STEPS = 6_000 if FAST else 20_000

# %% [markdown]
# The physics, term by term. A residual is a function of the field and one point.

# %%
omega = 2 * jnp.pi


def pde(u, t):
    return pj.diff(u, 0, 0)(t) + omega**2 * u(t)


def ic(u, t):
    return jnp.stack([u(t) - 1.0, pj.diff(u, 0)(t)])


terms = {"pde": pde, "ic": ic}
batch = {"pde": jnp.linspace(0, 1, 50)[:, None], "ic": jnp.zeros((1, 1))}
grid = jnp.linspace(0, 1, 201)[:, None]
solution = jnp.cos(omega * grid[:, 0])
model = pj.nn.MLP(1, "scalar", width=32, depth=3, rngs=pj.nn.Rngs(0))

# %% [markdown]
# A whole training run is a pure function of $\lambda$: it can be compiled once, and mapped over many $\lambda$ at a time.


# %%
def train_with(term_weights):
    train = pj.train_step(terms, optax.adam(optax.cosine_decay_schedule(1e-3, STEPS)), term_weights=term_weights)
    step = lambda state, _: train.update(state, batch)
    state, metrics = jax.lax.scan(step, train.init(model, batch), None, STEPS)
    u = train.model(state)
    return jax.vmap(u)(grid), pj.relative_l2(u, grid, solution), metrics


run = jax.jit(lambda weight: train_with(pj.term_weights.fixed({"ic": weight})))
exponents = np.arange(-3, 6)
fields, errors, _ = jax.vmap(run)(10.0**exponents)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
left.loglog(10.0**exponents, errors, "o-")
left.set(xlabel="weight λ of the initial conditions", ylabel="relative L2 error")
right.plot(grid, solution, "k", linewidth=4, alpha=0.3, label="solution")
for exponent in (-3, 2, 5):
    right.plot(grid, fields[list(exponents).index(exponent)], label=f"λ = 1e{exponent}")
right.set(xlabel="t", ylabel="u")
right.legend(frameon=False)
plt.show()

# %% [markdown]
# * Small $\lambda$: the network forgets the initial conditions, since $u = 0$ solves the equation.
# * Large $\lambda$: the initial conditions own the gradient, and the equation is not learnt in time.
# * In between lies a *Goldilocks zone*. Nobody knows beforehand where.

# %%
by_weight = dict(zip(exponents.tolist(), np.asarray(errors).tolist(), strict=True))
assert by_weight[-3] > 0.9
assert by_weight[5] > 0.1
assert min(by_weight.values()) < 2e-2

# %% [markdown]
# ## The crisis in one number
#
# How hard does each term pull at the parameters, when they start? The rule of thumb: norms a hundred times apart are a crisis.

# %%
definition, params, constants = nnx.split(model, nnx.Param, ...)
losses, term_grads = pj.value_and_grads(terms, definition, constants)(params, batch)
norms = {name: float(optax.tree.norm(g)) for name, g in term_grads.items()}
print({name: f"{value:.3g}" for name, value in norms.items()}, f"ratio {norms['pde'] / norms['ic']:.0f}")

# %% [markdown]
# ## The cure: weights from the gradients themselves
#
# One line is different. NTK weights (Wang, Yu & Perdikaris 2022) make all terms converge at the same mean rate; they are
# state of an optax transform, inside the compiled program.

# %%
_, error, metrics = jax.jit(lambda: train_with(pj.term_weights.ntk()))()
ratio = metrics["weight/ic"] / metrics["weight/pde"]
print(f"relative L2 error {error:.1e}; λ went from {ratio[0]:.0f} to {ratio[-1]:.0f}")
plt.figure(figsize=(4.5, 2.6), layout="constrained")
plt.semilogy(ratio)
plt.xlabel("step")
plt.ylabel("λ that NTK weights find")
plt.show()
assert error < 2e-2

# %% [markdown]
# ## Turn the knob yourself
#
# The slider trains again for the $\lambda$ that you choose, in a few seconds (it needs a live kernel).

# %%
import ipywidgets


def show(log10_weight):
    values, error, _ = run(10.0**log10_weight)
    plt.figure(figsize=(5, 2.6), layout="constrained")
    plt.plot(grid, solution, "k", linewidth=4, alpha=0.3)
    plt.plot(grid, values)
    plt.title(f"λ = 1e{log10_weight:g}, relative L2 error {error:.1e}")
    plt.show()


slider = ipywidgets.FloatSlider(2.0, min=-3, max=5, step=0.5, description="log10 λ", continuous_update=False)
ipywidgets.interact(show, log10_weight=slider)

# %% [markdown]
# ## The same in numbers
#
# Tanh net 1-32-32-32-1, 50 points, 20 000 steps of Adam, float32. With one fixed weight $\lambda$ on the initial
# conditions, the median relative L2 error over five seeds:
#
# | λ_ic | 1e-3 | 1e-2 | 1e-1 | 1 | 10 | 1e2 | 1e3 | 1e4 | 1e5 |
# |---|---|---|---|---|---|---|---|---|---|
# | error | 1.0 | 1.0 | 1.0 | 1.2e-1 | 2.3e-4 | 1.3e-4 | 1.9e-4 | 7.7e-4 | 5.1e-1 |
#
# `pinnjax race harmonic --seeds 5 --term-weights fixed:ic=1e-3,fixed:ic=1e-2,fixed:ic=0.1,fixed:ic=1,fixed:ic=10,fixed:ic=100,fixed:ic=1e3,fixed:ic=1e4,fixed:ic=1e5`
# makes it; `pinnjax reproduce harmonic` makes the figure. What every balancer does on this problem is a table in
# [GradNorm and friends](04_gradnorm_and_friends.ipynb).

# %% [markdown]
# ## What to change
#
# * `omega`: the higher the frequency, the larger the equation's gradient, and the narrower the zone.
# * `pj.term_weights.ntk()`: any balancer of `pinnjax list term-weights`; `pj.term_weights.relobralo()` fails here. Why? (It never looks at gradients.)
#
# References: Wang, Teng & Perdikaris, [Understanding and mitigating gradient pathologies](https://arxiv.org/abs/2001.04536);
# Wang, Yu & Perdikaris, [When and why PINNs fail to train](https://arxiv.org/abs/2007.14527).
