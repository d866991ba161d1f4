"""The points of Helmholtz' equation spread over all devices: one program, whatever their number.

    Δu + u = q on [-1, 1]²,  u = 0 on the sides

`pj.fit(..., mesh=jax.make_mesh((n,), ("points",)))` puts a part of every term's points on each device; XLA adds up what
each has made of its own, and what a step sends does not depend on the number of points. Parameters and weights are
everywhere. Samplers draw the same points on one device and on many, and a checkpoint of one goes on on the other.

    python examples/many_devices.py [STEPS]

runs on all GPUs of one host. On a machine without, `JAX_NUM_CPU_DEVICES=4` makes four devices of its cores.

On several hosts each has a process, which finds the others by itself under Slurm, Open MPI, Kubernetes and on TPU pods:

    #!/bin/bash
    #SBATCH --nodes=2 --ntasks-per-node=8 --gpus-per-task=1
    #SBATCH --signal=TERM@120          # two minutes before the end: the run saves, and exits with 143
    #SBATCH --requeue
    srun python examples/many_devices.py 100000

All processes are given the same points and keys, and write one checkpoint, into a folder that all of them see.
"""

import os
import sys

import jax
import jax.numpy as jnp
import optax

import pinnjax as pj
from pinnjax.problems import helmholtz

POINTS = 4096


def draw(key):
    return helmholtz.draw(key, {"pde": POINTS, "bc": POINTS // 8}, jnp.float32)


def main(steps=2000, checkpoint=None):
    devices = jax.device_count()
    mesh = jax.make_mesh((devices,), ("points",)) if devices > 1 else None
    train = pj.train_step(
        helmholtz.terms,
        optax.adam(optax.cosine_decay_schedule(5e-3, steps)),
        term_weights=pj.term_weights.lr_annealing("pde"),
        sampler=pj.sampling.resample(draw, every=100),
    )
    network = pj.nn.MLP(**helmholtz.network, rngs=pj.nn.Rngs(0))
    state = train.init(network, key=jax.random.key(1))
    state, history = pj.fit(
        train, state, steps=steps, evaluate=helmholtz.evaluate, evaluate_every=steps, mesh=mesh, checkpoint=checkpoint
    )
    error = float(history["evaluation/relative_l2"][-1])
    if jax.process_index() == 0:
        print(f"{devices} devices, {jax.process_count()} processes: relative L2 error {error:.1e}")
    return error


if __name__ == "__main__":
    if "SLURM_NTASKS" in os.environ and int(os.environ["SLURM_NTASKS"]) > 1:
        jax.distributed.initialize()
    main(*map(int, sys.argv[1:2]), checkpoint=os.environ.get("CHECKPOINT"))
