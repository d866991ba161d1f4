"""Losses, weights, gradients and errors to TensorBoard while a network trains: two lines in a callback.

    u'' = -π² sin(πx) on [0, 1],  u(0) = u(1) = 0,  with the solution u = sin(πx)

The same two lines, with `wandb.log(metrics, step=step)`, `mlflow.log_metrics(metrics, step)` or `run.track(...)` in the
second, write to Weights & Biases, MLflow or Aim.

Run `python examples/logged.py [STEPS [FOLDER]]`, then `tensorboard --logdir FOLDER`; `pip install tensorboardX` first.
Training ends early, when the relative L2 error is at most 1e-3.
"""

import sys
import tempfile

import jax.numpy as jnp
import optax
import tensorboardX

import pinnjax as pj


def pde(u, x):
    return pj.diff(u, 0, 0)(x) + jnp.pi**2 * jnp.sin(jnp.pi * x[0])


def bc(u, x):
    return u(x)


grid = jnp.linspace(0.0, 1.0, 201)[:, None]
exact = jnp.sin(jnp.pi * grid[:, 0])


def main(steps=3000, folder=None):
    train = pj.train_step({"pde": pde, "bc": bc}, optax.adam(3e-3), term_weights=pj.term_weights.lr_annealing("pde"))
    batch = {"pde": jnp.linspace(0.0, 1.0, 64)[:, None], "bc": jnp.array([[0.0], [1.0]])}
    model = pj.nn.MLP(1, "scalar", width=16, depth=2, rngs=pj.nn.Rngs(0))
    folder = tempfile.mkdtemp(prefix="pinnjax-") if folder is None else folder

    with tensorboardX.SummaryWriter(folder) as writer:

        def log(step, metrics, state):
            for name, value in metrics.items():
                writer.add_scalar(name, value, step)

        state, history = pj.fit(
            train,
            train.init(model, batch),
            batch,
            steps=steps,
            evaluate=lambda u: pj.relative_l2(u, grid, exact),
            evaluate_every=100,  # with every call of the program, so that no error is NaN for not being due
            callback=log,
            until=1e-3,
        )
    error = float(history["evaluation/error"][-1])
    print(f"relative L2 error {error:.1e} after {int(state.step)} steps; see tensorboard --logdir {folder}")
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:])
