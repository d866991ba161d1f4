"""The other half of the doctor's trial: problems that no threshold was chosen with."""

import jax
import jax.numpy as jnp
import optax

import pinnjax as pj
from tests.doctor_trials import (
    SQUARE,
    SYMMETRIC,
    UNIT,
    Trial,
    box,
    enlarged,
    line,
    net,
    poisson,
    regression,
    standard,
    π,
)

ANY = "whatever is wrong"  # the run fails, and several rules may say why

wave_exact = lambda x: jnp.sin(π * x[1]) * jnp.cos(π * x[0])
bump = lambda x: jnp.sin(π * x[0]) * jnp.sin(π * x[1])
EDGES = pj.sampling.box_faces(jax.random.key(9), (0.0, 0.0), (1.0, 1.0), 25)
AROUND = {"pde": box(300, key=11)["pde"]}


def wave():
    """u_tt = u_xx."""
    terms = {
        "pde": lambda u, x: pj.diff(u, 0, 0)(x) - pj.diff(u, 1, 1)(x),
        "ic": lambda u, x: jnp.stack([u(x) - wave_exact(x), pj.diff(u, 0)(x)]),
        "bc": lambda u, x: u(x),
    }
    return terms, wave_exact, box(400)


def advection(speed=1.0, inflow=1.0):
    """u_t + c u_x = 0 with u = sin(2(x - ct)), and what flows in."""
    exact = lambda x: jnp.sin(2 * (x[1] - speed * x[0]))
    batch = box(400)
    left = batch["bc"].at[:, 1].set(0.0)
    terms = {
        "pde": lambda u, x: pj.diff(u, 0)(x) + speed * pj.diff(u, 1)(x),
        "ic": lambda u, x: u(x) - exact(x),
        "inflow": lambda u, x: u(x) - inflow * exact(x),
    }
    return terms, exact, {"pde": batch["pde"], "ic": batch["ic"], "inflow": left}


def square(*, factor=1.0, n=400, wanted=bump, source=None, bc=True):
    """Δu = f on the unit square; u = 0 around it."""
    laplacian = lambda x: jnp.trace(jax.hessian(wanted)(x))
    terms = {"pde": lambda u, x: factor * (pj.laplacian(u)(x) - (laplacian(x) if source is None else source))}
    batch = {"pde": box(n, key=5)["pde"]}
    if bc:
        terms["bc"], batch["bc"] = lambda u, x: u(x) - wanted(x), EDGES
    return terms, wanted, batch


def torsion():
    """-Δu = 1, whose solution is at most 0.074; by its series."""

    def exact(x):
        n = jnp.arange(1, 40, 2)
        a, b = jnp.meshgrid(n, n)
        waves = jnp.sin(a * π * x[0]) * jnp.sin(b * π * x[1])
        return jnp.sum(16 * waves / (π**4 * a * b * (a**2 + b**2)))

    terms, _, batch = square(source=-1.0)
    return {"pde": terms["pde"], "bc": lambda u, x: u(x)}, exact, batch


def bistable(rate):
    """u' = rate (u - u³), u(0) = 0.02 built in: u = 0 and u = ±1 satisfy the equation."""
    exact = lambda x: 1 / jnp.sqrt(1 + (0.02**-2 - 1) * jnp.exp(-2 * rate * x[0]))
    return {"pde": lambda u, x: pj.diff(u, 0)(x) - rate * (u(x) - u(x) ** 3)}, exact, {"pde": line(0.0, 1.0, 200)}


def small_start(rngs):
    network = pj.nn.MLP(1, "scalar", width=32, depth=2, rngs=rngs)
    return pj.nn.Constrained(network, lift=lambda x: 0.02, factor=lambda x: jnp.tanh(5 * x[0]))


def two_laws(second):
    """Two sets of measurements on the same places."""
    exact = lambda x: 1 + x[0]
    terms = {"first": lambda u, x: u(x) - exact(x), "second": lambda u, x: u(x) - second(x)}
    return terms, exact, {"first": line(-1.0, 1.0, 20), "second": line(-1.0, 1.0, 20)}


def logarithm(shift):
    terms = {"pde": lambda u, x: jnp.log(x[0] - shift) * (pj.diff(u, 0)(x) - 2 * x[0]), "ic": lambda u, x: u(x)}
    return terms, lambda x: x[0] ** 2, {"pde": line(0.05, 1.0, 50), "ic": jnp.zeros((1, 1))}


def far():
    """u_t = u_xx on [0, 1] x [0, 200]."""
    k = 2 * π / 200
    exact = lambda x: jnp.exp(-(k**2) * x[0]) * jnp.sin(k * x[1])
    terms = {
        "pde": lambda u, x: (pj.diff(u, 0)(x) - pj.diff(u, 1, 1)(x)) / k**2,
        "ic": lambda u, x: u(x) - exact(x),
        "bc": lambda u, x: u(x),
    }
    return terms, exact, box(400, x1=200.0)


def weak_start():
    """The wave with its start given a thousandth of the equation's weight."""
    terms, exact, batch = wave()
    return terms | {"ic": lambda u, x: 0.03 * terms["ic"](u, x)}, exact, batch


def stiff_spring():
    """u'' + 400 u = 0, u(0) = 1, u'(0) = 0 on [0, 2]."""
    exact = lambda x: jnp.cos(20 * x[0])
    terms = {
        "pde": lambda u, x: pj.diff(u, 0, 0)(x) + 400 * u(x),
        "ic": lambda u, x: jnp.stack([u(x) - 1, pj.diff(u, 0)(x)]),
    }
    return terms, exact, {"pde": line(0.0, 2.0, 100), "ic": jnp.zeros((1, 1))}


plate = standard(*SQUARE)
FRESH = {"pde": line(0.005, 0.995, 100)}
needle = lambda x: jnp.exp(-1000 * x[0] ** 2)
peak = lambda x: 16 * x[0] * (1 - x[0]) * x[1] * (1 - x[1])

HELD_OUT = {
    "healthy wave": Trial(None, wave(), SQUARE, net(2), {"time": 0, "fresh": AROUND}, 2000),
    "healthy advection": Trial(None, advection(), SQUARE, net(2), {"time": 0, "fresh": AROUND}),
    "healthy square": Trial(None, square(), SQUARE, net(2, inputs=plate), {"fresh": AROUND, "exact": bump}, 2000),
    "healthy polynomial": Trial(None, square(wanted=peak), SQUARE, net(2, inputs=plate), {"fresh": AROUND}, 2000),
    "healthy two laws": Trial(None, two_laws(lambda x: 1 + x[0]), SYMMETRIC, net()),
    "healthy bell": Trial(None, regression(lambda x: jnp.exp(-4 * x[0] ** 2), 40), SYMMETRIC, net()),
    "boundary of the square starved": Trial("loss-balance crisis", square(factor=30.0), SQUARE, net(2, inputs=plate)),
    "start of the wave starved": Trial("loss-balance crisis", weak_start(), SQUARE, net(2), {"time": 0}, 2000),
    "two laws": Trial("conflicting terms", two_laws(lambda x: 1 - x[0]), SYMMETRIC, net()),
    "needle": Trial("drowned points", regression(needle, 81), SYMMETRIC, net()),
    "fast wave": Trial("spectral bias", regression(lambda x: jnp.cos(15 * π * x[0]), 200), SYMMETRIC, net()),
    "bistable": Trial("causality violation", bistable(12.0), UNIT, small_start, {"time": 0, "fresh": FRESH}, 3000),
    "large kernels": Trial("saturated network", poisson(2), UNIT, enlarged(20.0)),
    "far coordinates": Trial("saturated network", far(), ((0.0, 0.0), (1.0, 200.0)), net(2), {"time": 0}),
    "wrong value around": Trial(
        "wrong condition",
        (square()[0] | {"bc": lambda u, x: u(x) - 1.0}, bump, square()[2]),
        SQUARE,
        net(2, inputs=plate),
        {"exact": bump},
    ),
    "inflow of the wrong sign": Trial(
        "wrong condition", advection(inflow=-1.0), SQUARE, net(2), {"time": 0, "exact": advection()[1]}
    ),
    "nine points": Trial("too few points", square(n=9), SQUARE, net(2, inputs=plate), {"fresh": AROUND}, 3000),
    "piecewise linear plate": Trial("no gradient", square(), SQUARE, net(2, inputs=plate, activation=jax.nn.relu)),
    "logarithm of a negative number": Trial("not finite", logarithm(0.2), UNIT, net()),
    "wave that runs away": Trial("not finite", wave(), SQUARE, net(2), optimizer=optax.sgd(10.0)),
    "Adam at 1": Trial("learning rate too large", square(), SQUARE, net(2, inputs=plate), optimizer=optax.adam(1.0)),
    "Adam at 1e-6": Trial("learning rate too small", wave(), SQUARE, net(2), optimizer=optax.adam(1e-6)),
    "torsion": Trial(ANY, torsion(), SQUARE, net(2, inputs=plate), {"fresh": AROUND}),
    "no boundary": Trial(ANY, square(bc=False), SQUARE, net(2, inputs=plate), {"exact": bump}),
    "stiff spring": Trial(ANY, stiff_spring(), ((0.0,), (2.0,)), net(inputs=standard((0.0,), (2.0,))), {"time": 0}),
}
