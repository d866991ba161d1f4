"""Fair timing: programs take turns, and each is compared with the baseline of its own turn."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np


class Timing(NamedTuple):
    """What was measured of one program.

    Attributes:
        step: seconds a step, median over the rounds.
        ratio: time over the baseline's in the same round, median over the rounds.
        spread: quartiles of that ratio.
        compile: seconds to compile.
        memory: bytes that the compiled program holds at its peak: temporaries, arguments and results.
    """

    step: float
    ratio: float
    spread: tuple[float, float]
    compile: float
    memory: int

    def cells(self) -> dict[str, str]:
        """As a row of a table."""
        return {
            "ratio": f"{self.ratio:.3f}",
            "quartiles": f"{self.spread[0]:.2f}-{self.spread[1]:.2f}",
            "ms": f"{self.step * 1e3:.3f}",
            "compile s": f"{self.compile:.2f}",
            "MiB": f"{self.memory / 2**20:.1f}",
        }


def compare(
    programs: Mapping[str, tuple[Callable[..., Any], Any]],
    steps: int,
    rounds: int,
    loops: Mapping[str, tuple[Callable[..., Any], Any]] | None = None,
) -> dict[str, Timing]:
    """Time programs against the first of them.

    Args:
        programs: `{name: (function of one pytree doing `steps` steps, its argument)}`, the baseline first.
        steps: train steps in one call.
        rounds: calls of each program, in turns and in alternating order.
        loops: the same for functions that run as they are, in Python; of their memory nothing is known.
    """
    compiled: dict[str, Callable[..., Any]] = {}
    compile_seconds, memory = {}, {}
    for name, (function, argument) in programs.items():
        started = time.perf_counter()
        program = compiled[name] = jax.jit(function).lower(argument).compile()
        compile_seconds[name] = time.perf_counter() - started
        memory[name] = peak_memory(program)
        jax.block_until_ready(compiled[name](argument))
    for name, (function, argument) in (loops or {}).items():
        started = time.perf_counter()
        jax.block_until_ready(function(argument))
        compiled[name], compile_seconds[name], memory[name] = function, time.perf_counter() - started, 0
    programs = {**programs, **(loops or {})}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(rounds):
        for name in list(programs)[:: 1 if turn % 2 == 0 else -1]:
            started = time.perf_counter()
            jax.block_until_ready(compiled[name](programs[name][1]))
            seconds[name].append(time.perf_counter() - started)
    baseline = np.array(seconds[next(iter(programs))])
    result = {}
    for name, taken in seconds.items():
        ratios = np.array(taken) / baseline
        low, high = np.quantile(ratios, [0.25, 0.75])
        step = float(np.median(taken)) / steps
        ratio = float(np.median(ratios))
        result[name] = Timing(step, ratio, (float(low), float(high)), compile_seconds[name], memory[name])
    return result


def peak_memory(compiled: jax.stages.Compiled) -> int:
    """Bytes of a compiled program's temporaries, arguments and results, by XLA's own account."""
    found = compiled.memory_analysis()
    if found is None:
        return 0
    return int(found.temp_size_in_bytes + found.argument_size_in_bytes + found.output_size_in_bytes)
