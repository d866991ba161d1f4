"""One process of several that train together, a program: `one_process.py NUMBER PROCESSES PORT FOLDER OUTPUT`."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

import pinnjax as pj


def draw(key, n):
    return jax.random.uniform(key, (n, 1))


def main(number, processes, port, folder, output):
    jax.config.update("jax_enable_x64", True)
    if processes > 1:
        jax.distributed.initialize(f"localhost:{port}", processes, number)
    terms = {"pde": lambda u, x: u(x) - x[0] ** 2, "bc": lambda u, x: u(x)}
    network = {"kernel": jnp.arange(1.0, 7.0)[:, None], "out": jnp.full(6, 0.1)}
    model = (lambda params, x: params["out"] @ jnp.sin(params["kernel"] @ x), network)
    ends = {"bc": np.array([[0.0], [1.0]])}
    points = {"pde": np.linspace(0.0, 1.0, 32)[:, None], **ends}
    rad = pj.sampling.rad("pde", draw, 32, candidates=64, every=5)
    weights = pj.term_weights.lr_annealing("pde")
    runs = {
        "adam": (pj.train_step(terms, optax.adam(1e-2), term_weights=weights), points),
        "ssbroyden": (pj.train_step(terms, pj.optimizers.ssbroyden(), sampler=rad), ends),
    }
    found = {}
    for name, (train, batch) in runs.items():
        state = train.init(model, batch, key=jax.random.key(0))
        for steps in (10, 20):  # the second half goes on from a checkpoint, in which an inverse Hessian is whole
            state_there, history = pj.fit(
                train,
                state,
                batch,
                steps=steps,
                steps_per_call=5,
                evaluate=lambda u: jnp.abs(u(jnp.ones(1))),
                until=(lambda metrics: number == 0) if steps == 10 and name == "adam" else None,
                checkpoint=f"{folder}/{name}",
                mesh=jax.make_mesh((processes,), ("points",)) if processes > 1 else None,
            )
        found |= {f"{name} {metric}": values for metric, values in history.items() if "seconds" not in metric}
        found[f"{name} out"] = np.asarray(state_there.params["out"])
    if number == 0:
        np.savez(output, **found)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), *sys.argv[4:6])
