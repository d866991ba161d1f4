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
# # Many networks
#
# One network need not do everything. A domain can be cut into pieces, each with a network of its own; many small networks
# can share a domain, each on its window; a network can begin small and grow. Each of these makes more terms, or more
# scales, for a balancer to see. Three questions:
#
# 1. Where a domain is cut, which weights do the terms at the cut need?
# 2. When are many small networks better than one large one?
# 3. When a network or a coefficient grows, what should go on: the field, the weights, the optimiser?

# %%
import os
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import pinnjax as pj

jax.config.update("jax_enable_x64", True)
STEPS = 1200 if os.environ.get("PINNJAX_FAST") else 3000  # fewer, where only the claims matter
KEY = jax.random.key(0)

# %% [markdown]
# ## A coefficient that jumps
#
# $(k u')' + f = 0$ on $[0, 1]$, with $k = 1$ on the left of $x = 1/2$ and $k = 1000$ on the right, $f = 10 \sin 3\pi x$,
# $u(0) = 0$, $u(1) = 1$. At the jump $u$ is continuous, and so is the flux $k u'$: the slope falls to a thousandth. One smooth
# network cannot have such a kink. Two networks can, if two terms more hold them together:
#
# $$ \underbrace{u_0 - u_1}_{\text{value}} = 0, \qquad \underbrace{k_0 u_0' - k_1 u_1'}_{\text{flux}} = 0 \qquad \text{at } x = 1/2. $$
#
# `pj.subdomains.decomposed` makes all terms from the equation. They are terms like others, so any balancer takes them.

# %%
LAYERS = [pj.sampling.Box((0.0,), (0.5,)), pj.sampling.Box((0.5,), (1.0,))]
COEFFICIENTS = [1.0, 1000.0]
RATE = 3 * np.pi


def equation(k):
    return lambda u, x: k * pj.diff(u, 0, 0)(x) + 10 * jnp.sin(RATE * x[0])


def g(s):  # g'' = 10 sin(RATE s), g(0) = g'(0) = 0
    return 10 / RATE * (s - np.sin(RATE * s) / RATE)


GRID = np.linspace(0, 1, 401)[:, None]
c = (1 + (g(1.0) - g(0.5)) / 1000 + g(0.5)) / (0.5 + 0.5 / 1000)
X = GRID[:, 0]
EXACT = np.where(X < 0.5, c * X - g(X), 1 + (c * (X - 1) - g(X) + g(1.0)) / 1000)

terms, draw = pj.subdomains.decomposed([equation(k) for k in COEFFICIENTS], LAYERS, coefficient=COEFFICIENTS, inside=50)
terms["bc"] = lambda u, x: u(x) - x[0]
batch = {**draw(KEY), "bc": jnp.array([[0.0], [1.0]])}
print(*terms, sep="\n")


def two_networks():
    options = {"width": 16, "depth": 2}
    parts = [
        pj.nn.MLP(1, "scalar", inputs=pj.nn.Standardize.box(box.lower, box.upper), rngs=pj.nn.Rngs(i), **options)
        for i, box in enumerate(LAYERS)
    ]
    return pj.nn.Subdomains(parts, LAYERS)


# %%
RULES = {
    "equal weights": None,
    "lr_annealing": pj.term_weights.lr_annealing("pde/0"),
    "ntk": pj.term_weights.ntk(),
}
fields, histories = {}, {}
for name, rule in RULES.items():
    train = pj.train_step(terms, optax.adam(optax.cosine_decay_schedule(3e-3, STEPS)), term_weights=rule)
    state, histories[name] = pj.fit(train, train.init(two_networks(), batch), batch, steps=STEPS, progress=False)
    fields[name] = train.model(state)
errors = {name: float(pj.relative_l2(u, GRID, EXACT)) for name, u in fields.items()}
print({name: f"{error:.1e}" for name, error in errors.items()})

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.plot(GRID[:, 0], EXACT, "k", linewidth=3, alpha=0.3, label="exact")
for name, u in fields.items():
    left.plot(GRID[:, 0], jax.vmap(u)(jnp.asarray(GRID)), label=f"{name}: {errors[name]:.0e}")
left.set(xlabel="x", ylabel="u")
left.legend(frameon=False, fontsize=8)
for key, values in histories["ntk"].items():
    if key.startswith("weight/"):
        right.semilogy(values, label=key.removeprefix("weight/"))
right.set(xlabel="step", ylabel="weight", title="weights of ntk")
right.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# The equation on the right is multiplied by 1000, and its loss by a million: with equal weights it owns the gradient, and
# nothing else is learnt. `ntk` takes its weight down and brings the conditions at the interface and at the ends up, by
# itself. Where two subdomains are cut there are four weights more to choose, and that is where a balancer earns its place.
# (Second order repairs the same scales in another way: 400 steps of `pj.optimizers.ssbroyden()` after Adam bring equal
# weights to 2e-5. `pinnjax reproduce xpinn` has the L-shaped domain and Helmholtz' equation, where cutting does not always help.)

# %%
assert errors["equal weights"] > 0.3
assert errors["ntk"] < errors["equal weights"] / 20

# %% [markdown]
# ## Many small networks on windows
#
# $u' = \cos 15x$ on $[-2\pi, 2\pi]$, $u(0) = 0$: thirty waves. A network learns low frequencies first, and these are high for it.
# `pj.nn.FBPINN` has a small network on each of thirty windows, which sees its own window as $[-1, 1]$, where there is one
# wave. A point evaluates only the two windows that reach it. Both fields have some 9700 parameters, and the condition is built in.

# %%
OMEGA = 15.0
LINE = jnp.linspace(-2 * np.pi, 2 * np.pi, 600)[:, None]
wave = {"pde": lambda u, x: pj.diff(u, 0)(x) - jnp.cos(OMEGA * x[0])}
begin = lambda network: pj.nn.Constrained(network, lambda x: 0.0, lambda x: jnp.tanh(OMEGA * x[0]) / OMEGA)
ends = ([-2 * np.pi], [2 * np.pi])
candidates = {
    "30 windows": pj.nn.FBPINN(*ends, "scalar", windows=[30], width=16, depth=2, rngs=pj.nn.Rngs(0)),
    "one network": pj.nn.MLP(1, "scalar", width=56, depth=4, inputs=pj.nn.Standardize.box(*ends), rngs=pj.nn.Rngs(0)),
}
places = np.linspace(-2 * np.pi, 2 * np.pi, 1001)[:, None]
truth = np.sin(OMEGA * places[:, 0]) / OMEGA
curves, taken = {}, {}
for name, network in candidates.items():
    train = pj.train_step(wave, optax.adam(optax.cosine_decay_schedule(1e-2, STEPS, 0.01)))
    start = time.perf_counter()
    state, history = pj.fit(
        train, train.init(begin(network), {"pde": LINE}), {"pde": LINE}, steps=STEPS, progress=False,
        evaluate=lambda u: {"error": pj.relative_l2(u, places, truth)}, evaluate_every=100,
    )  # fmt: skip
    curves[name], taken[name] = history, time.perf_counter() - start
last = {name: float(history["evaluation/error"][-1]) for name, history in curves.items()}
print({name: f"{last[name]:.1e} after {taken[name]:.0f} s" for name in last})

# %%
figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
for name, history in curves.items():
    ax.semilogy(history["evaluation/step"], history["evaluation/error"], label=name)
ax.set(xlabel="step", ylabel="relative $L_2$ error")
ax.legend(frameon=False)
plt.show()
assert last["30 windows"] < last["one network"] / 10

# %% [markdown]
# What helps is that each part can be learnt by itself. `pinnjax reproduce fbpinn` has four such problems with three seeds each: with
# four times the frequency, cos 60x, windows end at 2e-2 and one network at 1.7, in a quarter of the time; on a Laplacian with 2 to 16
# half waves, with windows on five levels, at 3e-2 and 1.0; on an oscillator whose windows know the start only through each other, at
# 4e-3 and 0.25, where one network with one seed of three comes to nothing.
#
# ## A network that grows
#
# The same field can go on in a wider network: new units begin with outgoing weights of zero, so the field does not change. What
# about the balancer and the optimiser? `keeps` says it for each phase.
# The oscillator $u'' + \omega^2 u = 0$ of the first notebook, from 10 to 20 to 40 units:

# %%
harmonic = pj.problems.harmonic
interval = harmonic.draw(KEY, harmonic.points, jnp.float64)


def net(width):
    box = pj.nn.Standardize.box([0.0], [1.0])
    return lambda seed: pj.nn.MLP(1, "scalar", width=width, depth=3, inputs=box, rngs=pj.nn.Rngs(seed))


rule = pj.term_weights.lr_annealing("pde")
third = STEPS // 3
step = lambda: pj.train_step(harmonic.terms, optax.adam(2e-3), term_weights=rule)
kept = {
    "balancer reset": (),
    "balancer kept": ("term_weights",),
    "balancer and optimiser kept": ("term_weights", "optimizer"),
}
levels = {}
for name, keeps in kept.items():
    phases = [pj.Phase(step(), third)]
    for width in (20, 40):
        larger = lambda trained, key, width=width: pj.nn.grown(trained, net(width)(1))
        phases.append(pj.Phase(step(), third, model=larger, keeps=keeps))
    options = {"evaluate": harmonic.evaluate, "evaluate_every": 50, "progress": False}
    state = phases[0].train.init(net(10)(0), interval, key=KEY)
    _, levels[name] = pj.fit(phases, state, interval, steps_per_call=50, **options)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for name, history in levels.items():
    left.semilogy(history["step"], history["weight/ic"], label=name)
    right.semilogy(history["evaluation/step"], history["evaluation/relative_l2"], label=name)
left.set(xlabel="step", ylabel="weight of the start")
right.set(xlabel="step", ylabel="relative $L_2$ error")
left.legend(frameon=False, fontsize=8)
plt.show()
at = third - 1
jump = {name: float(abs(h["loss/pde"][at + 1] / h["loss/pde"][at] - 1)) for name, h in levels.items()}
print({name: f"{h['evaluation/relative_l2'][-1]:.2e}" for name, h in levels.items()}, jump)
assert max(jump.values()) < 0.5  # one step of Adam, and no jump of the field

# %% [markdown]
# The field goes on without a jump in all three; the error jumps in the steps of Adam that follow.
# A balancer that starts anew begins at a weight of 1 and takes some steps to come
# back; kept, it goes on where it was. With this seed the one that keeps all ends lowest, at 1.5e-3 against 5e-3 and 8e-3. With three
# seeds and three times as many steps (`pinnjax reproduce cascade`) it is 1.7e-3, against 1.0e-3 where both start anew and 7e-4 with the
# balancer kept: nothing says that more memory is better. A parameter that joins an optimiser that is kept takes first steps of about three learning
# rates, since Adam's count corrects no bias then.
#
# ## A coefficient that grows
#
# $u_t + c\,u_x = 0$ with $c = 20$ and $u = \sin x$ at the start: a network trained at once finds that zero satisfies the equation, and
# misses the wave for a long time. Begin with $c = 5$, and let the trained field go on with 10, 15 and 20: a curriculum. A phase
# has a train step of its own, whose terms may be others; the model goes on, and what is to go on with it is said by `keeps`.

# %%
SPEEDS, LESSON = (5.0, 10.0, 15.0, 20.0), 1200
SIDES = ([0.0, 0.0], [1.0, 2 * np.pi])


def convection(c):
    return {
        "pde": lambda u, x: pj.diff(u, 0)(x) + c * pj.diff(u, 1)(x),
        "start": lambda u, x: u(x) - jnp.sin(x[1]),
        "period": lambda u, x: u(x) - u(x.at[1].add(2 * np.pi)),
    }


inside = pj.sampling.Box(*SIDES).inside(KEY, 600)
faces = {"start": inside[:100].at[:, 0].set(0.0), "period": inside[100:200].at[:, 1].set(0.0)}
mesh = np.stack(np.meshgrid(np.linspace(0, 1, 51), np.linspace(0, 2 * np.pi, 51), indexing="ij"), axis=-1).reshape(
    -1, 2
)
waves = np.sin(mesh[:, 1] - SPEEDS[-1] * mesh[:, 0])


def lesson(c, steps):
    optimizer = optax.adam(optax.cosine_decay_schedule(3e-3, steps, 0.05))
    weights = pj.term_weights.fixed({"start": 10.0, "period": 10.0})
    return pj.Phase(pj.train_step(convection(c), optimizer, term_weights=weights), steps)


lessons = {
    "c = 5, 10, 15, 20": [lesson(c, LESSON) for c in SPEEDS],
    "c = 20": [lesson(SPEEDS[-1], len(SPEEDS) * LESSON)],
}
learnt = {}
for name, phases in lessons.items():
    inputs = pj.nn.Standardize.box(*SIDES)
    network = pj.nn.MLP(2, "scalar", width=40, depth=3, inputs=inputs, rngs=pj.nn.Rngs(0))
    points = {"pde": inside, **faces}
    state = phases[0].train.init(network, points, key=KEY)
    options = {"evaluate": lambda u: {"error": pj.relative_l2(u, mesh, waves)}, "evaluate_every": LESSON // 5}
    _, learnt[name] = pj.fit(phases, state, points, progress=False, **options)
print({name: f"{h['evaluation/error'][-1]:.2f}" for name, h in learnt.items()})

# %%
figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
for name, history in learnt.items():
    ax.semilogy(history["evaluation/step"], history["evaluation/error"], label=name)
ax.set(xlabel="step", ylabel="relative $L_2$ error at c = 20")
ax.legend(frameon=False)
plt.show()
first, last = (history["evaluation/error"][-1] for history in learnt.values())
assert first < 0.7 * last

# %% [markdown]
# The curriculum has learnt most of the wave, and the network at once has not. It buys time, not accuracy. With twice as many steps the
# network at once comes to 2e-2 and a curriculum of three speeds to 7e-2; at $c = 30$, with a larger network, it is 1.1 against 0.2
# (9000 steps, one seed each). And where the optimiser's moments go on with the field (`keeps=("optimizer",)`) the end was worse.
# `pj.solve` evolves this equation in time: 1e-8 at $c = 100$.
#
# ## What to change
#
# * `conditions=("value", "residual")` makes XPINN's conditions instead of cPINN's; leave out `"flux"` and see the slope go wrong.
# * `windows=[1, 4, 16]` is a multilevel FBPINN: coarse windows carry what fine ones cannot.
# * `net(width)` of `pj.nn.PirateNet` grows in depth as well.
#
# ## References
#
# * Jagtap, Kharazmi, Karniadakis, *Conservative physics-informed neural networks on discrete domains for conservation laws*, 2020;
#   Jagtap, Karniadakis, *Extended physics-informed neural networks (XPINNs)*, 2020.
# * Moseley, Markham, Nissen-Meyer, *Finite basis physics-informed neural networks*, 2023; Dolean, Heinlein, Mishra, Moseley,
#   *Multilevel domain decomposition-based architectures for physics-informed neural networks*, 2024.
# * Krishnapriyan, Gholami, Zhe, Kirby, Mahoney, *Characterizing possible failure modes in physics-informed neural networks*, 2021
#   (curricula).
# * Chen, Goodfellow, Shlens, *Net2Net: accelerating learning via knowledge transfer*, 2016.
