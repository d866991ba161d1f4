"""Sound in a layered ground: the velocity of a layer that no receiver is in, from five receivers above it.

    u_tt = c(z)² u_zz + s(t, z),  z from 0 (the surface, u_z = 0) to 1 (where waves leave: u_t + c u_z = 0)

A source near the surface sends a pulse down. At z = 0.6 the velocity rises from 1 to an unknown one, and a part of the
pulse comes back. Five receivers above the layer record it with 1 % of noise. The reference is by finite differences.

Run `python examples/acoustic.py [STEPS]`. With 2000 steps the velocity is 1.5016, in truth 1.5, and the field has an
error of 1.3e-3 (one seed, 52 s beside other jobs).
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.interpolate

import pinnjax as pj

jax.config.update("jax_enable_x64", True)

UPPER, BELOW, DEPTH, SMOOTH = 1.0, 1.5, 0.6, 0.05  # velocities, where they change, and over what length
AT, WIDE, WHEN, LONG = 0.25, 0.12, 0.3, 0.15  # the source
END, FIRST_GUESS, NOISE = 1.6, 1.2, 0.01
ADAM = 1500


def speed(z, below):
    return UPPER + (below - UPPER) * jax.nn.sigmoid((z - DEPTH) / SMOOTH)


def source(t, z):
    """Ricker's wavelet in time, a Gaussian in depth."""
    s = ((t - WHEN) / LONG) ** 2
    return 20 * (1 - 2 * s) * jnp.exp(-s) * jnp.exp(-(((z - AT) / WIDE) ** 2))


# Physics, x = (t, z); a point of the data is a pair of a place and a value.


def pde(u, x):
    return pj.diff(u, 0, 0)(x) - speed(x[1], u.below) ** 2 * pj.diff(u, 1, 1)(x) - source(*x)


def start(u, x):
    return jnp.stack([u(x), pj.diff(u, 0)(x)])


def surface(u, x):
    return pj.diff(u, 1)(x)


def bottom(u, x):
    return pj.diff(u, 0)(x) + u.below * pj.diff(u, 1)(x)


def data(u, xy):
    x, y = xy
    return u(x) - y


def reference(n=800):
    """Leapfrog in n cells; the wave leaves at the bottom by Mur's condition. An interpolant of t and z."""
    dz = 1 / n
    z, dt = (np.arange(n) + 0.5) * dz, 0.5 * dz / BELOW
    t = np.arange(int(np.ceil(END / dt))) * dt
    c, pushed = np.asarray(speed(z, BELOW)), np.asarray(source(t[:, None], z[None]))
    leaving = (dt * c[-1] / dz - 1) / (dt * c[-1] / dz + 1)
    u, old, found = np.zeros(n), np.zeros(n), []
    for force in pushed:
        found.append(u)
        around = np.concatenate([u[:1], u, u[-1:]])
        new = 2 * u - old + dt**2 * (c**2 * np.diff(around, 2) / dz**2 + force)
        new[-1] = u[-2] + leaving * (new[-2] - u[-1])
        u, old = new, u
    return scipy.interpolate.RectBivariateSpline(t, z, np.array(found))


def pairs(t, z):
    return np.stack(np.meshgrid(t, z, indexing="ij"), axis=-1).reshape(-1, 2)


exact = reference()
receivers = pairs(np.linspace(0, END - 0.01, 120), [0.02, 0.1, 0.2, 0.3, 0.4])
grid = pairs(np.linspace(0, END - 0.01, 81), np.linspace(0.01, 0.99, 61))
on_grid = exact.ev(*grid.T)
noise = NOISE * np.std(on_grid) * np.random.default_rng(0).standard_normal(len(receivers))
terms = {"pde": pde, "start": start, "surface": surface, "bottom": bottom, "data": data}
batch = {"data": (jnp.asarray(receivers), jnp.asarray(exact.ev(*receivers.T) + noise))}


def draw(key):
    keys = jax.random.split(key, 4)
    faces = [([0.0, 0.0], [0.0, 1.0]), ([0.0, 0.0], [END, 0.0]), ([0.0, 1.0], [END, 1.0])]
    inside = {"pde": pj.sampling.box(keys[0], [0.0, 0.0], [END, 1.0], 1500)}
    on = [pj.sampling.box(k, *corners, 150) for k, corners in zip(keys[1:], faces, strict=True)]
    return inside | dict(zip(("start", "surface", "bottom"), on, strict=True))


def solve(steps):
    """The field, which has the velocity as `u.below`: Adam, then as many steps of self-scaled Broyden."""
    inputs = pj.nn.Standardize.box([0.0, 0.0], [END, 1.0])
    network = pj.nn.ModifiedMLP(2, "scalar", width=20, depth=3, inputs=inputs, rngs=pj.nn.Rngs(0))
    scaled = pj.nn.Constrained(network, lift=lambda x: 0.0, factor=lambda x: 0.2)
    model = pj.nn.WithCoefficients(scaled, {"below": FIRST_GUESS})
    weights = pj.term_weights.fixed({"start": 100.0, "surface": 100.0, "bottom": 20.0, "data": 100.0})
    new, now_and_then = pj.sampling.resample(draw), pj.sampling.resample(draw, every=250)
    adam = optax.adam(optax.cosine_decay_schedule(5e-3, ADAM, 0.1))
    first = pj.train_step(terms, adam, term_weights=weights, sampler=new)
    then = pj.train_step(terms, pj.optimizers.ssbroyden(), term_weights=weights, sampler=now_and_then)
    state = first.init(model, batch, key=jax.random.key(1))
    state, _ = pj.fit([pj.Phase(first, ADAM), pj.Phase(then, steps)], state, batch, steps_per_call=50)
    return then.model(state)


def main(steps=2000):
    u = solve(steps)
    error = abs(float(u.below) / BELOW - 1)
    print(f"velocity below {float(u.below):.4f}, in truth {BELOW}: relative error {error:.1e}")
    print(f"relative L2 error of the field {float(pj.relative_l2(u, grid, on_grid)):.1e}")
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
