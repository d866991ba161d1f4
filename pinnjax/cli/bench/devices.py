"""The same step on one device and on several: `pinnjax bench devices`.

The workload is W2 of `pinnjax bench step`. On a machine without an accelerator each device is a core: a process of one
device has one core, and one of k devices has k, so that a ratio of 1/k would be perfect. Processes take turns, since
the number of devices is fixed when a process begins; the ratio is over the process of one device in the same turn.
"""

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np

from pinnjax.cli.bench import timing

STEPS = 20
CALLS = 3  # timed, of which the fastest counts
PROGRAM = """
import json, os, sys, time
cores, steps, calls, processor = map(int, sys.argv[1:])
if processor and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
import jax
if processor:
    jax.config.update("jax_num_cpu_devices", cores)
import optax
from pinnjax.cli.bench import step, timing
from pinnjax.train._devices import over, points_over, state_over
from pinnjax.train.step import train_step
work = step.WORKLOADS["W2"]
train = train_step(work.problem.terms, optax.adam(1e-3))
with over(jax.make_mesh((cores,), ("points",)) if cores > 1 else None) as mesh:
    state, batch = state_over(mesh, train.init(work.model, work.batch)), points_over(mesh, work.batch, {})
    scan = jax.jit(lambda s, b: jax.lax.scan(lambda s, _: train.update(s, b), s, None, steps)[0])
    began = time.perf_counter()
    compiled = scan.lower(state, batch).compile()
    compile_seconds = time.perf_counter() - began
    jax.block_until_ready(compiled(state, batch))
    seconds = []
    for _ in range(calls):
        began = time.perf_counter()
        jax.block_until_ready(compiled(state, batch))
        seconds.append(time.perf_counter() - began)
print(json.dumps([min(seconds) / steps, compile_seconds, timing.peak_memory(compiled)]))
"""


def run(rounds: int) -> dict[str, dict[str, timing.Timing]]:
    """Time a step on 1, 2, 4, ... devices, as many as there are."""
    numbers = [2**k for k in range(8) if 2**k <= available()]
    found: dict[int, list[Any]] = {n: [] for n in numbers}
    for _ in range(rounds):
        for n in numbers:
            found[n].append(_once(n))
    baseline = np.array([seconds for seconds, *_ in found[1]])
    timings = {}
    for n, runs in found.items():
        seconds, compiling, memory = (np.array(column) for column in zip(*runs, strict=True))
        ratios = seconds / baseline
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75]).tolist()
        timings[f"{n} device{'s' * (n > 1)}"] = timing.Timing(
            float(np.median(seconds)), middle, (low, high), float(np.median(compiling)), int(memory[0])
        )
    return {"W2": timings}


def available() -> int:
    """Accelerators, or cores that this process may use."""
    import jax

    if jax.default_backend() != "cpu":
        return jax.local_device_count()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _once(cores: int) -> list[float]:
    import jax

    numbers = (cores, STEPS, CALLS, int(jax.default_backend() == "cpu"))
    arguments = [sys.executable, "-c", PROGRAM, *map(str, numbers)]
    return json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
