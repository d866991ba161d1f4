"""How a step grows with points, width, depth and terms: `pinnjax bench scaling`.

Helmholtz' equation, float32, plain Adam, `chunk="auto"`; one number moves, the others stay at 1024 points inside, four
layers of 50, and two terms. Each size is timed beside the step written by hand (`jax.value_and_grad` of the summed
loss), as long as that fits into `MEMORY`. The share of the machine is the step's FLOPs, by XLA's count of the gradient
at all points, over what the same processor does in a product of two square matrices.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from pinnjax import problems
from pinnjax.cli.bench import timing
from pinnjax.cli.bench.step import Workload, hand_written
from pinnjax.derivatives import laplacian
from pinnjax.terms import bridge, value_and_grads
from pinnjax.train.step import train_step

SIZES: dict[str, tuple[int, ...]] = {
    "points": (100, 1_000, 10_000, 100_000, 1_000_000),
    "width": (32, 64, 128, 256, 512),
    "depth": (2, 4, 6, 8, 10),
    "terms": (1, 2, 4, 8, 16),
}
POINTS, WIDTH, DEPTH = 1024, 50, 4
MEMORY = 2**32  # bytes that the step by hand may take
CALL = 20_000  # points in one call with the usual network, so that small steps are timed together
SIDE = 1024  # of the matrices


class Scaling(NamedTuple):
    """What was measured at one size.

    Attributes:
        step: seconds a step, median over the rounds.
        point: seconds a point.
        by_hand: time of the step written by hand over it, in the same round, median; NaN where it takes too much.
        share: of the machine's rate in a matrix product, dimensionless.
        memory: bytes at the peak of the compiled step.
        memory_by_hand: the same of the step by hand.
    """

    step: float
    point: float
    by_hand: float
    share: float
    memory: int
    memory_by_hand: int

    def cells(self) -> dict[str, str]:
        """As a row of a table."""
        return {
            "by hand / ours": f"{self.by_hand:.2f}" if np.isfinite(self.by_hand) else "not run",
            "of the machine": f"{self.share:.0%}",
            "ms": f"{self.step * 1e3:.3f}",
            "us a point": f"{self.point * 1e6:.3f}",
            "MiB": f"{self.memory / 2**20:.0f}",
            "MiB by hand": f"{self.memory_by_hand / 2**20:.0f}",
        }


def run(rounds: int, sizes: Mapping[str, Sequence[int]] | None = None) -> dict[str, dict[str, Scaling]]:
    """Measure every size, and the machine; `SIZES` when None."""
    rate, sizes = matrix_product_rate(), SIZES if sizes is None else sizes
    return {kind: {f"{kind} {n}": _measured(kind, n, rounds, rate) for n in some} for kind, some in sizes.items()}


def matrix_product_rate(rounds: int = 10) -> float:
    """FLOPs a second of a product of two square matrices in float32, the best of a few."""
    a = jax.random.normal(jax.random.key(0), (SIDE, SIDE))
    product = jax.jit(jnp.dot)
    jax.block_until_ready(product(a, a))
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        jax.block_until_ready(product(a, a))
        taken.append(time.perf_counter() - began)
    return 2 * SIDE**3 / min(taken)


def workload(kind: str, size: int) -> Workload:
    """What is measured where one number moves: `points`, `width`, `depth` or `terms`."""
    points, width, depth, parts = POINTS, WIDTH, DEPTH, 1
    if kind == "points":
        points = size
    elif kind == "width":
        width = size
    elif kind == "depth":
        depth = size
    else:
        points, parts = POINTS // size, size  # the same points, shared by more terms
    base = problems.helmholtz
    terms = {f"pde{k}": _pde for k in range(parts)}
    if kind != "terms":
        terms["bc"] = base.terms["bc"]

    def draw(key: Any, points: Mapping[str, int], dtype: Any = None) -> dict[str, Any]:
        keys = jax.random.split(key, len(points))
        return {
            name: base.draw(k, {"pde": n, "bc": n}, dtype)["bc" if name == "bc" else "pde"]
            for k, (name, n) in zip(keys, points.items(), strict=True)
        }

    numbers = {name: max(1, points // 16) if name == "bc" else points for name in terms}
    steps = max(1, int(CALL / (points * parts * (width / WIDTH) ** 2 * depth / DEPTH)))
    problem = dataclasses.replace(base, terms=terms, draw=draw, points=numbers, balance_against=next(iter(terms)))
    return Workload(problem, width, numbers, steps, depth)


def _pde(u: Callable, x: Any) -> Any:
    return laplacian(u)(x) + u(x)


def _measured(kind: str, size: int, rounds: int, rate: float) -> Scaling:
    work = workload(kind, size)
    batch, terms = work.batch, work.problem.terms
    train = train_step(terms, optax.adam(1e-3))
    ours = (
        lambda argument: jax.lax.scan(lambda s, _: train.update(s, argument[1]), argument[0], None, work.steps),
        (train.init(work.model, batch), batch),
    )
    by_hand = hand_written(work)
    memory = timing.peak_memory(jax.jit(by_hand[0]).lower(by_hand[1]).compile())
    programs = {"ours": ours} | ({"by hand": by_hand} if memory < MEMORY else {})
    found = timing.compare(programs, work.steps, rounds)
    points = sum(leaf.shape[0] for leaf in jax.tree.leaves(batch))
    ratio = found["by hand"].ratio if "by hand" in found else np.nan
    step = found["ours"].step
    return Scaling(step, step / points, ratio, _flops(work) / step / rate, found["ours"].memory, memory)


def _flops(work: Workload) -> float:
    """Of the gradient at all points, by XLA's count."""
    definition, params, constants = bridge.split(work.model)
    evaluate = value_and_grads(work.problem.terms, definition, constants)
    cost = jax.jit(evaluate).lower(params, work.batch).compile().cost_analysis()
    return np.nan if cost is None else float(cost["flops"])


def draw(found: Mapping[str, Mapping[str, Scaling]]) -> Figure:
    """Time of a step, by hand and ours, over each of the sizes."""
    figure, axes = plt.subplots(1, len(found), figsize=(3 * len(found), 2.8), layout="constrained", squeeze=False)
    for ax, (kind, rows) in zip(axes[0], found.items(), strict=True):
        sizes = [int(name.split()[-1]) for name in rows]
        ours = 1e3 * np.array([row.step for row in rows.values()])
        by_hand = ours * [row.by_hand for row in rows.values()]
        ax.loglog(sizes, ours, "o-", label="pinnjax")
        ax.loglog(sizes, by_hand, "s--", label="by hand")
        ax.set(xlabel=kind, ylabel="ms a step" if ax is axes[0, 0] else "")
        ax.set_xticks(sizes, [f"{n:.0e}".replace("e+0", "e") if n > 999 else f"{n}" for n in sizes])
        both = np.log10([*ours, *by_hand[np.isfinite(by_hand)]])
        ax.set_ylim(10 ** np.floor(both.min()), 10 ** np.ceil(both.max()))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_minor_formatter(NullFormatter())
        ax.grid(alpha=0.3)
    axes[0, 0].legend(frameon=False)
    return figure
