"""A run of two phases with a checkpoint, a program that tests kill: `long_run.py FOLDER OUTPUT EVERY STEPS LARGEST`."""

import resource
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import pinnjax as pj


def phases(steps):
    terms = {"pde": lambda u, x: u(x) - x[0] ** 2, "bc": lambda u, x: u(x)}
    draw = pj.sampling.resample(
        lambda key: {"pde": jax.random.uniform(key, (16, 1)), "bc": jnp.array([[0.0], [1.0]])}, every=7
    )
    first = pj.train_step(terms, optax.adam(1e-2), term_weights=pj.term_weights.gradnorm(), sampler=draw)
    second = pj.train_step(terms, pj.optimizers.ssbroyden(), sampler=draw)
    return first, [pj.Phase(first, steps), pj.Phase(second, steps)]


def model():
    return lambda params, x: params["out"] @ jnp.sin(params["kernel"] @ x), {
        "kernel": jnp.array([[1.0], [2.0], [3.0]]),
        "out": jnp.array([0.3, -0.2, 0.1]),
    }


def main(folder, output, every, steps, largest):
    jax.config.update("jax_enable_x64", True)
    first, plan = phases(steps)
    if largest:  # bytes of a file: a disk that is full
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    pause = 0.0 if folder == "-" else 0.01  # so that there is something to kill
    state, history = pj.fit(
        plan,
        first.init(model(), key=jax.random.key(0)),
        steps_per_call=5,
        checkpoint=None if folder == "-" else folder,
        checkpoint_every=every,
        callback=lambda *_: (print("call", flush=True), time.sleep(pause)),
        progress=False,
    )
    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    np.savez(output, loss=history["loss"], step=history["step"], **state.params)


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:6]))
