"""Programs of many steps, and how that of the next phase is compiled while this one trains.

Compilation is most of a short run: seconds for each phase. XLA compiles without Python's lock, so a thread does it.
"""

import concurrent.futures
import functools
import weakref
from collections.abc import Callable
from typing import Any

import jax

from pinnjax.train import _seeds
from pinnjax.train.state import TrainState

PyTree = Any
Metrics = dict[str, Any]

_COMPILED: weakref.WeakKeyDictionary[Callable, dict[Any, concurrent.futures.Future]] = weakref.WeakKeyDictionary()
_THREAD = concurrent.futures.ThreadPoolExecutor(1, "pinnjax compiles ahead")


def call(update: Callable, axes: Any, length: int, state: TrainState, batch: PyTree) -> tuple[TrainState, Metrics]:
    """So many steps, in the program that was compiled ahead where there is one."""
    ahead = _COMPILED.get(update, {}).get((axes, length))
    if ahead is not None:
        compiled = ahead.result()
        try:
            return compiled(state, batch)
        except (TypeError, ValueError):  # of other shapes, or on other devices
            pass
    return _scan(update, axes, length, state, batch)


def compile_ahead(update: Callable, axes: Any, length: int, state: PyTree, batch: PyTree) -> None:
    """Trace the program, and begin to compile it; on CPUs only, since GPUs choose kernels by timing them.

    Args:
        update: of the step.
        axes: of seeds, see `pinnjax.train._seeds`.
        length: steps in a call.
        state: shapes and dtypes.
        batch: the points; nothing is done where they are on several devices.
    """
    devices = [leaf.sharding.device_set for leaf in jax.tree.leaves(batch) if isinstance(leaf, jax.Array)]
    if jax.default_backend() != "cpu" or any(len(some) > 1 for some in devices):
        return
    known = _COMPILED.setdefault(update, {})
    if (axes, length) not in known:
        known[axes, length] = _THREAD.submit(_scan.lower(update, axes, length, state, batch).compile)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _scan(update: Callable, axes: Any, length: int, state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
    step = _seeds.over_seeds(update, axes)
    return jax.lax.scan(lambda s, _: step(s, batch), state, None, length)
