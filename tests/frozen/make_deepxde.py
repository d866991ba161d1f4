"""What DeepXDE's default comes to on problems of the scoreboard: Adam at 1e-3, then L-BFGS, equal weights.

Run in an environment of its own (`pip install deepxde tensorflow-cpu tf_keras`):

    python tests/frozen/make_deepxde.py SECONDS scores.json

The problems are written anew here, in DeepXDE's own words, with as many points as `pinnjax.problems` has, drawn once,
and a network of the same size. The file is one of `pinnjax scoreboard --json`, to which the runs are added, and which
that takes: `pinnjax scoreboard --json scores.json --seconds SECONDS --out .` has them in its table and picture. Its own
contestant `adam_lbfgs` is a stand-in with our pieces, for the problems that are not written here.
"""

import json
import os
import pathlib
import sys
import time

os.environ["DDE_BACKEND"] = "tensorflow.compat.v1"

import deepxde as dde
import numpy as np
from deepxde.backend import tf
from numpy import pi

ADAM = 15_000  # steps, at most half the time
rng = np.random.default_rng(0)
box = lambda low, high, n: rng.uniform(low, high, (n, len(low)))
line = lambda low, high, n: np.linspace(low, high, n)[:, None]
at = lambda column, axis, value: np.insert(column, axis, value, axis=1)
hessian = lambda y, x, i: dde.grad.hessian(y, x, i=i, j=i)
jacobian = lambda y, x, j: dde.grad.jacobian(y, x, i=0, j=j)
value = lambda x, y, points: y
slope = lambda x, y, points: jacobian(y, x, 0)


def mesh(*axes):
    return np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1)


def harmonic():
    pde = lambda x, y: hessian(y, x, 0) + (2 * pi) ** 2 * y
    start = np.zeros((1, 1))
    grid = line(0, 1, 201)
    return pde, line(0, 1, 50), [(start, 1.0, value), (start, 0.0, slope)], grid, np.cos(2 * pi * grid[:, 0])


def poisson():
    pde = lambda x, y: hessian(y, x, 0) + (4 * pi) ** 2 * tf.sin(4 * pi * x)
    grid = line(0, 1, 1001)
    return pde, line(0, 1, 100), [(np.array([[0.0], [1.0]]), 0.0, value)], grid, np.sin(4 * pi * grid[:, 0])


def helmholtz():
    source = lambda x, sin: (1 - pi**2 - 16 * pi**2) * sin(pi * x[:, :1]) * sin(4 * pi * x[:, 1:])
    pde = lambda x, y: hessian(y, x, 0) + hessian(y, x, 1) + y - source(x, tf.sin)
    sides = [at(box([-1], [1], 128), axis, end) for axis in (0, 1) for end in (-1.0, 1.0)]
    grid = mesh(np.linspace(-1, 1, 100), np.linspace(-1, 1, 100))
    exact = np.sin(pi * grid[:, 0]) * np.sin(4 * pi * grid[:, 1])
    return pde, box([-1, -1], [1, 1], 128), [(side, 0.0, value) for side in sides], grid, exact


def klein_gordon():
    def exact(x, cos):
        t, x = x[:, :1], x[:, 1:]
        return x * cos(5 * pi * t) + (t * x) ** 3

    def pde(x, y):
        time, place = x[:, :1], x[:, 1:]
        u_tt = -25 * pi**2 * place * tf.cos(5 * pi * time) + 6 * time * place**3
        source = u_tt - 6 * time**3 * place + exact(x, tf.cos) ** 3
        return hessian(y, x, 0) - hessian(y, x, 1) + y**3 - source

    start = at(box([0], [1], 128), 0, 0.0)
    ends = [at(box([0], [1], 128), 1, end) for end in (0.0, 1.0)]
    grid = mesh(np.linspace(0, 1, 100), np.linspace(0, 1, 100))
    conditions = [(start, start[:, 1:], value), (start, 0.0, slope)]
    conditions += [(end, exact(end, np.cos), value) for end in ends]
    return pde, box([0, 0], [1, 1], 128), conditions, grid, exact(grid, np.cos)[:, 0]


def burgers():
    pde = lambda x, y: jacobian(y, x, 0) + y * jacobian(y, x, 1) - 0.01 / pi * hessian(y, x, 1)
    start = at(line(-1, 1, 100), 0, 0.0)
    ends = np.concatenate([at(line(0, 1, 50), 1, end) for end in (-1.0, 1.0)])
    # Cole and Hopf's transform, with the heat kernel by Gauss and Hermite's rule.
    grid = mesh(np.linspace(0.01, 1, 100), np.linspace(-1, 1, 201))
    nodes, weights = np.polynomial.hermite.hermgauss(200)
    shifted = grid[:, 1:] - np.sqrt(4 * 0.01 / pi * grid[:, :1]) * nodes
    kernel = np.exp(-np.cos(pi * shifted) / (2 * 0.01)) * weights
    return (
        pde,
        box([0, -1], [1, 1], 500),
        [(start, -np.sin(pi * start[:, 1:]), value), (ends, 0.0, value)],
        grid,
        -np.sum(np.sin(pi * shifted) * kernel, axis=1) / np.sum(kernel, axis=1),
    )


def wave():
    exact = lambda t, x: np.sin(pi * x) * np.cos(2 * pi * t) + 0.5 * np.sin(4 * pi * x) * np.cos(8 * pi * t)
    pde = lambda x, y: hessian(y, x, 0) - 4 * hessian(y, x, 1)
    start = at(box([0], [1], 300), 0, 0.0)
    left = box([0], [1], 150)
    ends = np.concatenate([at(left, 1, end) for end in (0.0, 1.0)])
    grid = mesh(np.linspace(0, 1, 101), np.linspace(0, 1, 101))
    conditions = [(start, exact(0.0, start[:, 1:]), value), (start, 0.0, slope), (ends, 0.0, value)]
    return pde, box([0, 0], [1, 1], 300), conditions, grid, exact(grid[:, 0], grid[:, 1])


PROBLEMS = {f.__name__: f for f in (harmonic, poisson, helmholtz, klein_gordon, burgers, wave)}


def score(name, seconds):
    """The record of a run, as the scoreboard writes it."""
    began = time.perf_counter()
    dde.config.set_default_float("float64")
    dde.config.set_random_seed(0)
    pde, inside, conditions, grid, exact = PROBLEMS[name]()
    low, high = grid.min(axis=0), grid.max(axis=0)
    low = np.minimum(low, inside.min(axis=0))
    geometry = dde.geometry.Interval(low[0], high[0]) if len(low) == 1 else dde.geometry.Rectangle(low, high)
    given = [dde.icbc.PointSetOperatorBC(x, target * np.ones((len(x), 1)), of) for x, target, of in conditions]
    data = dde.data.PDE(geometry, pde, given, num_domain=0, num_boundary=0, anchors=inside)
    network = dde.nn.FNN([len(low), 20, 20, 20, 1], "tanh", "Glorot uniform")
    model = dde.Model(data, network)
    left = lambda: (seconds - (time.perf_counter() - began)) / 60
    model.compile("adam", lr=1e-3)
    timer = lambda minutes: dde.callbacks.Timer(max(minutes, 1e-3))
    model.train(iterations=ADAM, display_every=1000, callbacks=[timer(seconds / 120)], verbose=0)
    model.compile("L-BFGS")
    if left() > 0:
        model.train(display_every=1000, callbacks=[timer(left())], verbose=0)
    found = model.predict(grid)[:, 0]
    return {
        "problem": name,
        "kind": "library",
        "contestant": "deepxde",
        "seed": 0,
        "error": float(np.linalg.norm(found - exact) / np.linalg.norm(exact)),
        "seconds": round(time.perf_counter() - began, 1),
        "seconds_to": {},
        "accuracy": None,
        "known_from": None,
        "also": {},
    }


if __name__ == "__main__":
    seconds, place = float(sys.argv[1]), pathlib.Path(sys.argv[2])
    runs = json.loads(place.read_text())["runs"] if place.exists() else []
    for name in PROBLEMS:
        runs.append(score(name, seconds))
        print(name, runs[-1]["error"], runs[-1]["seconds"], flush=True)
        versions = {"deepxde": dde.__version__, "tensorflow": tf.__version__}
        place.write_text(json.dumps({"seconds": seconds, "versions": versions, "runs": runs}, indent=1))
