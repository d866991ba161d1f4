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
# # Without a recipe
#
# The other notebooks cure failing networks one by one: someone looks, finds what is wrong, and changes a line. Here five set-ups
# that fail are handed to `pj.solve` as they are, with nothing but a number of seconds. It scales the field and the terms, and
# asks first whether the solution is smooth enough for least squares on random features. Where it is not, it trains a deep
# network by Adam and then by second order on new points. It says what the result is worth *without knowing the solution*.
#
# For each of them we look at three numbers: the error of plain training, the error of `pj.solve`, and the error that
# `pj.solve` believes that it has. The question is: does an equation need a recipe at all?

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import pinnjax as pj
from pinnjax.problems import allen_cahn, cavity_uvp, harmonic, helmholtz, tanh

FAST = bool(os.environ.get("PINNJAX_FAST"))  # fewer steps and problems, where only the claims matter
SECONDS = 60
BUDGET = {"steps": 400} if FAST else {"seconds": SECONDS}  # a number of steps is the same on every machine
PROBLEMS = [harmonic, tanh] if FAST else [harmonic, tanh, helmholtz, allen_cahn, cavity_uvp]

# %% [markdown]
# ## What is handed over
#
# The terms and the points of a problem, as a user would write them. Nothing else of the library's problems is used: no
# recipe, no weights, no network. The points are arrays; `pj.solve` sees by itself which of them fill a box, and draws new
# ones there.


# %%
def points(problem):
    """The points of a problem, drawn once."""
    with jax.enable_x64(True):
        return problem.draw(jax.random.key(7), problem.points, jnp.float64)


def plain(problem):
    """The error of Adam with equal weights, in half the seconds, on the same points."""
    train = pj.train_step(problem.terms, optax.adam(1e-3))
    network = {**problem.network, "width": 20, "depth": 3}
    model = pj.nn.MLP(**network, rngs=pj.nn.Rngs(0))
    batch = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), points(problem))
    steps = 2000 if FAST else 10**6
    state, _ = pj.fit(train, train.init(model, batch), batch, steps=steps, seconds=SECONDS / 2, progress=False)
    return float(problem.evaluate(train.model(state))["relative_l2"])


def solved(problem):
    """What `pj.solve` finds, and its error, which it does not see."""
    solution = pj.solve(
        problem.terms,
        points(problem),
        outputs=problem.network["out_features"],
        **BUDGET,
        evaluate=problem.evaluate,  # for the picture
        progress=False,
    )
    with jax.enable_x64(True):
        return solution, float(problem.evaluate(solution.model)["relative_l2"])


# %%
plain_errors = {problem.name: plain(problem) for problem in PROBLEMS}
solutions = {problem.name: solved(problem) for problem in PROBLEMS}
for name, (solution, error) in solutions.items():
    print(f"{name}: plain {plain_errors[name]:.0e}, solve {error:.1e}")
    print(f"    {str(solution).splitlines()[0]}")

# %% [markdown]
# ## Over the seconds

# %%
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for i, (name, (solution, _)) in enumerate(solutions.items()):
    history = solution.history
    ax.semilogy(history["evaluation/seconds"], history["evaluation/relative_l2"], label=name, color=f"C{i}")
    ax.axhline(plain_errors[name], color=f"C{i}", linestyle=":", linewidth=1)
ax.set(xlabel="seconds of training", ylabel="relative L2 error")
ax.legend(title="solid: solve; dotted: plain Adam", fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# Three of the five are smooth, and least squares end at rounding, within ten seconds of training. The fronts of Allen-Cahn are left
# to the deep network, which comes to less than a thousandth. What `pj.solve` believes of its error is right to a factor of five.
# The cavity in $(u, v, p)$ is not solved: the velocity jumps where the lid meets the walls, no smooth field does
# that, and the result is called *failed*. Plain training ends with a wrong field as well, and says nothing.

# %% [markdown]
# ## What was done
#
# Nothing is hidden: the recipe is code. Pasted into a file after `terms` and `points` it makes the same field, bit for bit.

# %%
print(solutions["harmonic"][0].recipe)

# %% [markdown]
# ## When there is no solution
#
# The start of the oscillator is left out. Every $A \cos \omega t + B \sin \omega t$ satisfies what remains, and no residual
# shows that something is missing. What shows it is how far the field could move while its residuals stay as small.

# %%
without_start = pj.solve(
    {"pde": harmonic.terms["pde"], "half": lambda u, t: u(t) - 1.0},
    {"pde": points(harmonic)["pde"], "half": jnp.zeros((1, 1))},
    **BUDGET,
    progress=False,
)
print(without_start)

# %% [markdown]
# ## What to change
#
# Begin with `pj.solve(terms, points)`. If it says that it failed, `print(solution.diagnosis)` shows what makes the equation hard:
# the doctor looks at plain training with the same network and points. Give `points` as functions `draw(key, n)` where the domain
# is no box, so that new points can be drawn. Where you know more than the equation, a condition that can be built in, a symmetry,
# a front, a network of your own with `model=` is better than any general one.
#
# References: least squares on random features are those of Chen, Chi, E, Yang (2022), [the random feature
# method](https://arxiv.org/abs/2207.13380); the training of the deep network is that of Urban, Stefanou, Pons (2025), [Unveiling the
# optimization process of physics informed neural networks](https://arxiv.org/abs/2405.04230): self-scaled Broyden in double
# precision, on points drawn anew.

# %%
assert FAST or not without_start.solved  # a short run does not see it
for name in ("harmonic", "tanh"):
    solution, error = solutions[name]
    assert solution.solved, name
    assert error < plain_errors[name] / 10 or error < 1e-6, name
if not FAST:
    assert np.median([error / plain_errors[name] for name, (_, error) in solutions.items()]) < 1e-2
