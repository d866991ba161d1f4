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
# # How do I ...? Small answers, each of them runs
#
# Points that move, monitors, weights that rest, checkpoints, seeds, double precision, a second phase of a quasi-Newton method, a
# loop of your own, a rule of your own, the doctor. All on the Poisson problem of the README, $u'' = -\pi^2 \sin \pi x$ on $[0, 1]$, $u = 0$ at both ends.

# %%
import contextlib
import tempfile

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx

import pinnjax as pj


def pde(u, x):
    return pj.laplacian(u)(x) + jnp.pi**2 * jnp.sin(jnp.pi * x[0])


def bc(u, x):
    return u(x)


terms = {"pde": pde, "bc": bc}
batch = {"pde": jnp.linspace(0.0, 1.0, 64)[:, None], "bc": jnp.array([[0.0], [1.0]])}
grid = jnp.linspace(0.0, 1.0, 101)[:, None]
exact = jnp.sin(jnp.pi * grid[:, 0])


def network(seed=0):
    return pj.nn.MLP(1, "scalar", width=16, depth=2, rngs=pj.nn.Rngs(seed))


def error(u):
    return pj.relative_l2(u, grid, exact)


# %% [markdown]
# ## ... train, and see what happens?
#
# Names address everything: points, weights, losses, metrics. `train` is a pair `(init, update)` of pure functions, as in optax. `state` is one pytree with everything in it (parameters,
# weights, moving averages, the sampler and its random key): scan it, `vmap` it over seeds, shard it, checkpoint it. The history has,
# for each step and term, `loss/pde`, `weighted_loss/pde`, `weight/pde`, `grad_norm/pde`, and counts of whatever was not finite.
# `pj.fit(..., steps=2000)` does so many *more* steps; `evaluate=...` measures errors on the way, `until=1e-4` stops early,
# `callback=...` feeds a logger ([examples/logged.py](../examples/logged.py)).

# %%
train = pj.train_step(
    terms,
    optax.adam(3e-3),  # parameter space: any optax optimiser
    term_weights=pj.term_weights.lr_annealing("pde"),  # term space: balance the gradients of the terms
    point_weights=pj.point_weights.self_adaptive(1e-2),  # point space: weigh the hard points
)
state = train.init(network(), batch)
state, history = pj.fit(train, state, batch, steps=2000, evaluate=error, evaluate_every=200, until=2e-3, progress=False)
print(f"{int(state.step)} steps, relative L2 error {error(train.model(state)):.1e}")
print(sorted(history))
assert error(train.model(state)) < 0.05

# %% [markdown]
# A term may be called `"bc/left"`, and a residual function may return a dict, `{"mass": ..., "momentum": ...}`, for equations
# that share their points: in a term `"ns"` they are `"ns/mass"` and `"ns/momentum"`, and the name `"ns"` stands for both, in every rule. Terms may take any
# pytree as points (data), see all points at once (`@pj.batchwise`), and train coefficients that live on the module (`u.nu`).
# Derivatives of fields, scalar or vector, compose: `diff(u, 0, 1)`, `grad`, `hessian`, `laplacian`, `divergence`, `curl`,
# `directional`, `component`.
#
# ## ... watch a quantity, and draw points?
#
# Monitors measure inside the one program, every so many steps; their history comes back as arrays. There are `gradients`,
# `homogeneity`, `time_losses`, `saturation`, `point_grad_norms`, `signal_to_noise`, `tangent_kernel`, `curvature`,
# `test_train_ratio` and `error_by_mode`, all of them pure functions in `pj.diagnostics` too; one of your own is
# `pj.Monitor(lambda info: {"name": ...}, every=10)`. `pinnjax.plot` draws what they measure.
#
# Samplers (`pj.sampling`) draw in the program, in fixed shapes: `resample`, `minibatches` of a pool, `importance`, `rad`, `rar_g`,
# `rar_d` ([Wu et al. 2023](https://arxiv.org/abs/2207.10289)) and `r3` ([Daw et al. 2023](https://arxiv.org/abs/2207.02338)), side
# by side with `combine`. The sampler draws the points of its terms, so they are not in the batch, and `init` takes a key. Sets that stay: `grid`, `quasi` (Sobol, Halton, Latin hypercube, by SciPy), `r2`. Domains have
# uniform points inside and on the boundary, with normals: `Box`, `Disk`, `Polygon`, `Union`, `Difference`.

# %%
interval = pj.sampling.Box((0.0,), (1.0,))
watched = pj.train_step(
    terms,
    optax.adam(3e-3),
    term_weights=pj.term_weights.lr_annealing("pde"),
    sampler=pj.sampling.rad("pde", interval.inside, 64, candidates=1000, every=100),
    monitors=[
        pj.monitors.gradients(),
        pj.monitors.signal_to_noise(every=50),
        pj.monitors.test_train_ratio({"pde": grid}, every=50),
    ],
)
ends = {"bc": batch["bc"]}
state, history = pj.fit(watched, watched.init(network(), ends, key=jax.random.key(0)), ends, steps=1000, progress=False)

figure, axes = plt.subplots(1, 3, figsize=(11, 2.6), layout="constrained")
axes[0].semilogy(history["step"], history["imbalance"])
axes[1].plot(history["step"], history["cosine/bc|pde"])
measured = np.isfinite(history["snr"])
axes[2].semilogy(history["step"][measured], history["snr"][measured])
for ax, name in zip(
    axes, ("largest gradient over the smallest", "cosine of the gradients", "signal to noise"), strict=True
):
    ax.set(xlabel="step", ylabel=name)
plt.show()
assert np.all(np.abs(history["cosine/bc|pde"]) < 1 + 1e-5)

# %% [markdown]
# ## ... bound, smooth or pause a rule?
#
# Tools around a rule edit the weights that it keeps: `bounded`, `smoothed`, `normalized`, `scheduled` (every so many steps, from a
# given one on) and `guarded` (hold the weight of a term whose gradient vanishes or explodes). `per_term` lifts a transform of
# parameter space to each term; `skip_exploding` leaves a step out. They nest and chain. What they did is counted in the metrics, in
# `floored/t`, `capped/t`, `dead/t`, `exploded/t`, beside `held/t` (a proposal was not finite) and `nonfinite/t`.
#
# Point rules chain too. **Weights travel with their points**: behind a sampler that shuffles, takes minibatches or replaces points,
# the train step keeps the memory of every rule by point and not by row (`pj.point_weights.per_point_memory` does it in a loop of
# your own), and a new point starts as the rule starts it.

# %%
careful = pj.train_step(
    terms,
    optax.adam(3e-3),
    term_weights=optax.chain(
        pj.term_weights.per_term(optax.clip_by_global_norm(1.0)),
        pj.term_weights.bounded(pj.term_weights.ntk(), 1e-3, 1e3),
    ),
    point_weights=optax.chain(pj.point_weights.residual_attention(), optax.clip(5.0)),
)
state, history = pj.fit(careful, careful.init(network(), batch), batch, steps=200, progress=False)
print({name: int(history[name][-1]) for name in history if name.split("/")[0] in ("floored", "capped", "held")})

# %% [markdown]
# ## ... go on after an interruption, and keep the best model?
#
# `checkpoint=FOLDER` resumes bit for bit and refuses the folder of another run.

# %%
with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    options = {"steps": 300, "checkpoint": "run", "evaluate": error, "evaluate_every": 100, "progress": False}
    once, _ = pj.fit(train, train.init(network(), batch), batch, **options)
    again, _ = pj.fit(train, train.init(network(), batch), batch, **options)  # all from the folder
    best = pj.checkpoint.restore_params("run", train.init(network(), batch), best=True)
assert jax.tree.all(jax.tree.map(jnp.array_equal, once.params, again.params))
print(f"the best model so far: {error(train.model(best)):.1e}")

# %% [markdown]
# ## ... train many seeds at once?
#
# A state that is vmapped over seeds trains all of them in one program ([examples/ensemble.py](../examples/ensemble.py)).

# %%
seeds = jax.vmap(lambda seed: train.init(network(seed), batch))(jnp.arange(3))
seeds, history = pj.fit(train, seeds, batch, steps=300, evaluate=error, progress=False)
print("errors of three seeds:", history["evaluation/error"][-1])

# %% [markdown]
# ## ... compute in double precision?
#
# One line, before the first array: `jax.config.update("jax_enable_x64", True)`. Networks are then float64, and `pinnjax solve
# PROBLEM --dtype float64` does the same.
#
# ## ... add a second phase with a quasi-Newton method?
#
# Optimisers are offered `value`, `grad`, `value_fn` and `residual_fn` of the weighted loss with this step's weights frozen, so
# `optax.lbfgs()` works as it is. `grad` is the gradient of `value_fn`, always: term weights that turn the gradients (`optax.clip`,
# `multiadam`) refuse an optimiser that asks for it, by name.
#
# A quasi-Newton optimiser remembers gradients of the loss as it was weighted then. Behind `optax.lbfgs` let the weights rest while
# that memory lives, with `pj.term_weights.scheduled(rule, every=500)`, or fix those that a first phase reached, as here. Points stay, too.

# %%
first = pj.train_step(terms, optax.adam(3e-3), term_weights=pj.term_weights.lr_annealing("pde"))
state, _ = pj.fit(first, first.init(network(), batch), batch, steps=300, progress=False)
before = error(first.model(state))
reached = pj.term_weights.fixed(optax.tree.get(state.term_weights, "weights"))
second = pj.train_step(terms, optax.lbfgs(), term_weights=reached)
state, _ = pj.fit(second, second.init(first.model(state), batch), batch, steps=100, progress=False)
print(f"Adam {before:.1e}, then L-BFGS {error(second.model(state)):.1e}")
assert error(second.model(state)) < before

# %% [markdown]
# ## ... keep my own training loop?
#
# `pj.balanced` makes an ordinary optax transform of an optimiser and a rule. It works in `nnx.Optimizer` and in `optax.chain`, too:
# [examples/own_loop.py](../examples/own_loop.py).

# %%
graphdef, params, constants = nnx.split(network(), nnx.Param, ...)
tx = pj.balanced(optax.adam(1e-3), term_weights=pj.term_weights.lr_annealing("pde"), terms=terms)
opt_state = tx.init(params)
losses, term_grads = pj.value_and_grads(terms, graphdef, constants)(params, batch)
updates, opt_state = tx.update(term_grads, opt_state, params, losses=losses)
params = optax.apply_updates(params, updates)

# %% [markdown]
# ## ... write a rule of my own?
#
#     params, batch
#       -> residuals        {term: (n,)}          your functions, vmapped over the points
#       -> point weights    {term: (n,)}          optax transforms in point space
#       -> term gradients   {term: like params}   one pullback a term
#       -> balanced terms   {term: like params}   optax transforms in term space
#       -> gradient         like params           the sum over terms
#       -> updates          like params           any optax optimiser
#
# All three spaces have optax's one interface, so ten lines of your own chain with what is here;
# [examples/own_transforms.py](../examples/own_transforms.py) has one of each space. A term-space transform reads the extra args
# `losses`, `residuals`, `points`, `point_weights` and `point_grad_norms` (a function: ‖∇_θ r_i‖ at every point, evaluated only where
# it is called), a point-space transform `residuals`, `points` and `sampling_weights` (how the sampler says that points count). A
# transform in the wrong space is refused.


# %%
def normalize_terms():
    """Each term's gradient to the length of its loss."""

    def init(term_params):
        return optax.EmptyState()

    def update(term_grads, state, params=None, *, losses, **extra):
        scale = {name: losses[name] / optax.tree.norm(g) for name, g in term_grads.items()}
        return {name: optax.tree.scale(scale[name], g) for name, g in term_grads.items()}, state

    return optax.GradientTransformationExtraArgs(init, update)


chain = optax.chain(optax.clip_by_global_norm(100.0), normalize_terms(), pj.term_weights.fixed({"bc": 10.0}))
own = pj.train_step(terms, optax.adam(1e-3), term_weights=chain)
_, metrics = own.update(own.init(network(), batch), batch)
print({name: float(value) for name, value in metrics.items() if name.startswith("weight/")})

# %% [markdown]
# ## ... find out what is wrong?
#
# `pj.diagnose` takes what `pj.train_step` takes, trains for a thousand steps, and says what it saw, with the line to change. Here
# the equation is a hundred times too loud.

# %%
found = pj.diagnose({"pde": lambda u, x: 100 * pde(u, x), "bc": bc}, network(), batch, steps=500)
print(found)
assert found.pathology == "loss-balance crisis"

# %% [markdown]
# `pinnjax diagnose harmonic`, or `pinnjax diagnose module:factory` for what a function of yours returns, prints the same, and
# `--strict` exits with code 1 when something is found. It names thirteen pathologies: not finite, a wrong condition (given the exact
# solution), no gradient, saturated network, a learning rate too large or too small, loss-balance crisis, too few points, causality
# violation, spectral bias, drowned points, conflicting terms, no progress; each by a measured value, a threshold and its source. Its
# verdict is one of three: a pathology; solved to about so much, and from what; not solved, and it does not know why. The last is said
# where residuals are more than a twentieth of those of an error of 100 %, or the exact solution is far. What it could not measure it
# says, too.
#
# In its trial ([tests/doctor_trials.py](../tests/doctor_trials.py)), fourteen planted pathologies and eight problems without one,
# with seed 1 it names the fourteen, and each suggested change lowers the error at least twofold. Of the eight it calls four solved,
# with errors of 0.1 to 2 %, and four not solved yet: their errors after a thousand steps are 5 to 20 %. The thresholds were chosen
# with seed 0, and some with seed 1, in view: on your problem, read the measured values.
#
# The 10² rule, gradients a hundred times another's, is not enough: where training stalls, the gradients cancel and *are* equal. So
# the doctor compares the terms' rates of convergence, by their tangent kernels, as well.
#
# ## ... do it from the command line?
#
# `pinnjax list` prints every problem, method, rule, sampler, network and monitor; `pinnjax solve helmholtz --term-weights
# lr_annealing:variant=norm --point-weights self_adaptive --model modified_mlp --out plots` combines them freely. `pinnjax solve
# PROBLEM --report page.html` writes one page with configuration, tables, figures and the doctor's words.
#
# ## What to change
#
# * The problem: `pde`, `bc`, `batch`. Everything else stays.
# * The rules: `pinnjax list term-weights`, `pinnjax list point-weights`.
#
# References: the docstring of each method names its paper; [CITATION.cff](../CITATION.cff) has all of them.
