"""Training problems with a planted pathology, and healthy ones: what `tests/test_doctor.py` shows to the doctor."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

import pinnjax as pj
from pinnjax import point_weights, term_weights

π = jnp.pi


@dataclasses.dataclass(frozen=True)
class Trial:
    """A problem with an exact solution.

    Attributes:
        planted: the pathology; None for a healthy one.
        problem: terms, exact solution and batch.
        corners: of the domain.
        network: from `rngs` to the model.
        told: what the doctor is told besides.
        steps: of the probe, and of the cured run.
        cure: the suggested change, applied: options of `pj.train_step`, and `network`, `problem` or `optimizer`.
        advice: what the suggestion has to say.
        optimizer: where it is not Adam.
    """

    planted: str | None
    problem: tuple[Mapping[str, Callable], Callable, Mapping[str, Any]]
    corners: tuple[tuple[float, ...], tuple[float, ...]]
    network: Callable
    told: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    steps: int = 1000
    cure: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    advice: str = ""
    optimizer: optax.GradientTransformation = dataclasses.field(default_factory=lambda: optax.adam(1e-3))


def net(d=1, width=32, depth=2, **options):
    return lambda rngs: pj.nn.MLP(d, "scalar", width=width, depth=depth, rngs=rngs, **options)


def standard(lower, upper):
    return pj.nn.Standardize.box(lower, upper)


def fourier(scale):
    def network(rngs):
        inputs = pj.nn.FourierFeatures(1, 64, scale=scale, rngs=rngs)
        return pj.nn.MLP(inputs.features, "scalar", width=32, depth=2, inputs=inputs, rngs=rngs)

    return network


def line(lower, upper, n):
    return jnp.linspace(lower, upper, n)[:, None]


def poisson(a, *, n=100, factor=1.0):
    """u'' = -(aπ)² sin(aπx) on [0, 1]; `factor` in front of the equation."""
    exact = lambda x: jnp.sin(a * π * x[0])
    terms = {
        "pde": lambda u, x: factor * (pj.diff(u, 0, 0)(x) + (a * π) ** 2 * exact(x)),
        "bc": lambda u, x: u(x) - exact(x),
    }
    return terms, exact, {"pde": line(0.0, 1.0, n), "bc": jnp.array([[0.0], [1.0]])}


def box(n, *, key=7, t1=1.0, x0=0.0, x1=1.0):
    """(t, x) inside, at t = 0 and on both sides."""
    inside, first, sides = jax.random.split(jax.random.key(key), 3)
    pde = pj.sampling.box(inside, (0.0, x0), (t1, x1), n)
    ic = pj.sampling.box(first, (0.0, x0), (t1, x1), n // 4).at[:, 0].set(0.0)
    bc = pj.sampling.box(sides, (0.0, x0), (t1, x1), n // 4)
    bc = bc.at[:, 1].set(jnp.where(jnp.arange(len(bc)) % 2 == 0, x0, x1))
    return {"pde": pde, "ic": ic, "bc": bc}


def heat(sign=1.0):
    """u_t = 0.1 u_xx, u = e^{-0.1π²t} sin πx + x; with the sign -1 the right end is held at -1."""
    exact = lambda x: jnp.exp(-0.1 * π**2 * x[0]) * jnp.sin(π * x[1]) + x[1]
    terms = {
        "pde": lambda u, x: pj.diff(u, 0)(x) - 0.1 * pj.diff(u, 1, 1)(x),
        "ic": lambda u, x: u(x) - exact(x),
        "bc": lambda u, x: u(x) - sign * exact(x),
    }
    return terms, exact, box(400)


def decay(rate):
    """u' = -rate u, u(0) = 1 on [0, 1]."""
    exact = lambda x: jnp.exp(-rate * x[0])
    terms = {"pde": lambda u, x: pj.diff(u, 0)(x) + rate * u(x), "ic": lambda u, x: u(x) - 1.0}
    return terms, exact, {"pde": line(0.0, 1.0, 100), "ic": jnp.zeros((1, 1))}


def logistic(rate):
    """u' = rate u (1 - u), u(0) = 0.01 built in: u = 0 and u = 1 satisfy the equation at all later times."""
    exact = lambda x: 1 / (1 + 99 * jnp.exp(-rate * x[0]))
    terms = {"pde": lambda u, x: pj.diff(u, 0)(x) - rate * u(x) * (1 - u(x))}
    return terms, exact, {"pde": line(0.0, 1.0, 200)}


def from_start(rngs):
    network = pj.nn.MLP(1, "scalar", width=32, depth=2, rngs=rngs)
    return pj.nn.Constrained(network, lift=lambda x: 0.01, factor=lambda x: jnp.tanh(5 * x[0]))


def laplace():
    """Δu = 0 with u = xy on the boundary."""
    exact = lambda x: x[0] * x[1]
    points = box(400)
    terms = {"pde": lambda u, x: pj.laplacian(u)(x), "bc": lambda u, x: u(x) - exact(x)}
    edges = pj.sampling.box_faces(jax.random.key(9), (0.0, 0.0), (1.0, 1.0), 25)
    return terms, exact, {"pde": points["pde"], "bc": edges}


def harmonic(frequency, end=1.0):
    """u'' + ω²u = 0, u(0) = 1, u'(0) = 0 on [0, end]."""
    exact = lambda x: jnp.cos(frequency * x[0])
    terms = {
        "pde": lambda u, x: pj.diff(u, 0, 0)(x) + frequency**2 * u(x),
        "ic": lambda u, x: jnp.stack([u(x) - 1, pj.diff(u, 0)(x)]),
    }
    return terms, exact, {"pde": line(0.0, end, 50), "ic": jnp.zeros((1, 1))}


def long_wave():
    """(25/π)² u'' = -sin(πx/25) on [0, 100], coordinates as they come."""
    exact = lambda x: jnp.sin(π * x[0] / 25)
    terms = {
        "pde": lambda u, x: (25 / π) ** 2 * pj.diff(u, 0, 0)(x) + exact(x),
        "bc": lambda u, x: u(x) - exact(x),
    }
    return terms, exact, {"pde": line(0.0, 100.0, 100), "bc": jnp.array([[0.0], [100.0]])}


def regression(exact, n):
    """Data without an equation on [-1, 1]."""
    return {"data": lambda u, x: u(x) - exact(x)}, exact, {"data": line(-1.0, 1.0, n)}


def enlarged(factor):
    """Kernels of the hidden layers that many times Glorot's."""

    def network(rngs):
        model = pj.nn.MLP(1, "scalar", width=32, depth=3, rngs=rngs)
        for layer in model.hidden:
            layer.kernel[...] = factor * layer.kernel[...]
            layer.bias[...] = factor * jax.random.normal(jax.random.key(1), layer.bias.shape)
        return model

    return network


def loud_boundary():
    terms, exact, batch = poisson(1)
    return terms | {"bc": lambda u, x: 1e3 * terms["bc"](u, x)}, exact, batch


def measured(sign):
    """Decay with data at late times; with the sign -1 they were written down with the wrong one."""
    terms, exact, batch = decay(2.0)
    terms = terms | {"data": lambda u, x: u(x) - sign * exact(x)}
    return terms, exact, batch | {"data": line(0.5, 1.0, 20)}


def root(shift):
    """√(x - shift) u' = √(x - shift)."""
    terms = {"pde": lambda u, x: jnp.sqrt(x[0] - shift) * (pj.diff(u, 0)(x) - 1), "ic": lambda u, x: u(x)}
    return terms, lambda x: x[0], {"pde": line(0.01, 1.0, 50), "ic": jnp.zeros((1, 1))}


UNIT, SYMMETRIC, SQUARE = ((0.0,), (1.0,)), ((-1.0,), (1.0,)), ((0.0, 0.0), (1.0, 1.0))
unit = standard(*UNIT)
FRESH = {"pde": line(0.005, 0.995, 100)}
INSIDE = {"pde": box(300, key=8)["pde"]}

TRIALS = {
    "healthy decay": Trial(None, decay(2.0), UNIT, net(), {"time": 0, "fresh": FRESH, "exact": decay(2.0)[1]}),
    "healthy Poisson": Trial(None, poisson(1), UNIT, net(inputs=unit), {"fresh": FRESH}),
    "healthy heat": Trial(None, heat(), SQUARE, net(2), {"time": 0, "fresh": INSIDE, "exact": heat()[1]}),
    "healthy regression": Trial(None, regression(lambda x: jnp.sin(2 * x[0]), 50), SYMMETRIC, net()),
    "boundary starved": Trial(
        "loss-balance crisis",
        poisson(4, factor=5.0),
        UNIT,
        net(inputs=unit),
        {"fresh": FRESH},
        cure={"term_weights": term_weights.lr_annealing("pde")},
        advice='term_weights=pj.term_weights.lr_annealing("pde")',
    ),
    "equation starved": Trial(
        "loss-balance crisis",
        loud_boundary(),
        UNIT,
        net(inputs=unit),
        cure={"term_weights": term_weights.ntk()},
        advice="term_weights=pj.term_weights.ntk()",
    ),
    "initial condition starved": Trial(
        "loss-balance crisis",
        harmonic(2 * float(π)),
        UNIT,
        net(),
        {"time": 0},
        2000,
        {"term_weights": term_weights.ntk(every=10)},
        "term_weights=pj.term_weights.ntk()",
    ),
    # Their gradients oppose each other (cosine -0.85), and both losses fall by a factor of 20 in the second half.
    "healthy equation against boundary": Trial(None, poisson(2), UNIT, net(inputs=unit), {"fresh": FRESH}),
    "healthy oscillator": Trial(None, harmonic(1.0, 2.0), ((0.0,), (2.0,)), net(), {"time": 0}, 2500),
    "healthy Laplace": Trial(None, laplace(), SQUARE, net(2)),
    "healthy softplus": Trial(None, decay(2.0), UNIT, net(activation=jax.nn.softplus), {"time": 0, "fresh": FRESH}),
    "data of the wrong sign": Trial(
        "conflicting terms", measured(-1.0), UNIT, net(), cure={"problem": measured(1.0)}, advice="look at their signs"
    ),
    "drowned front": Trial(
        "drowned points",
        regression(lambda x: jnp.tanh(50 * x[0]), 31),
        SYMMETRIC,
        net(),
        cure={"point_weights": point_weights.residual_attention()},
        advice="point_weights=pj.point_weights.residual_attention()",
    ),
    "high frequency": Trial(
        "spectral bias",
        regression(lambda x: jnp.sin(12 * π * x[0]), 200),
        SYMMETRIC,
        net(),
        cure={"network": fourier(6.0)},
        advice="pj.nn.FourierFeatures(1, 64, scale=6",
    ),
    "late times first": Trial(
        "causality violation",
        logistic(20.0),
        UNIT,
        from_start,
        {"time": 0, "fresh": FRESH},
        3000,
        {"point_weights": point_weights.causal(["pde"], interval=(0.0, 1.0), epsilon=100.0)},
        'point_weights=pj.point_weights.causal(["pde"]',
    ),
    "saturated by large kernels": Trial(
        "saturated network",
        poisson(1),
        UNIT,
        enlarged(15.0),
        cure={"network": net(depth=3)},
        advice="smaller initial kernels",
    ),
    "saturated by large coordinates": Trial(
        "saturated network",
        long_wave(),
        ((0.0,), (100.0,)),
        net(),
        steps=2000,
        cure={"network": net(inputs=standard((0.0,), (100.0,)))},
        advice="inputs=pj.nn.Standardize.box((0,), (100,))",
    ),
    "boundary of the wrong sign": Trial(
        "wrong condition",
        heat(-1.0),
        SQUARE,
        net(2),
        {"time": 0, "fresh": INSIDE, "exact": heat()[1]},
        cure={"problem": heat()},
        advice="look at `bc` again",
    ),
    "five points": Trial(
        "too few points",
        poisson(3, n=5),
        UNIT,
        net(inputs=unit),
        {"fresh": FRESH},
        2000,
        {"problem": poisson(3)},
        'sampler=pj.sampling.resample(lambda key: {"pde": pj.sampling.box(key, (0,), (1,), 5)})',
    ),
    "piecewise linear network": Trial(
        "no gradient",
        poisson(1),
        UNIT,
        net(inputs=unit, activation=jax.nn.relu),
        cure={"network": net(inputs=unit)},
        advice="activation=jnp.tanh",
    ),
    "root of a negative number": Trial(
        "not finite", root(0.1), UNIT, net(), cure={"problem": root(0.0)}, advice="a division by zero, a root"
    ),
    "steps that run away": Trial(
        "not finite",
        poisson(2),
        UNIT,
        net(inputs=unit),
        cure={"optimizer": optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-4))},
        advice="optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-4))",
        optimizer=optax.sgd(1.0),
    ),
}
