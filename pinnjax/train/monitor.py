"""Monitors: measurements inside the train step, every so many steps, in the same XLA program.

A monitor is a pure function of what a step has at hand. Those that pinnjax brings are in `pinnjax.monitors`; write your
own as `Monitor(lambda info: {"mean_u": jnp.mean(...)}, every=100)`.
"""

import collections
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from pinnjax import checks
from pinnjax.terms import bridge

PyTree = Any


class StepInfo(NamedTuple):
    """What a monitor sees of a step, before the parameters move.

    Attributes:
        terms: `{term: residual function}`.
        definition: of the model; with `params` and `constants` it is the field (see `pinnjax.terms.bridge`).
        params: trainable parameters.
        constants: a module's other variables.
        points: `{term: points}`.
        residuals: `{term: (n,) or (n, m)}`.
        term_grads: `{term: like params}`, before the term weights.
        term_weights: λ, `{term: ()}`.
        point_weights: w, `{term: (n,)}`.
        step: `()`, updates tried before this one.
    """

    terms: Mapping[str, Any]
    definition: Any
    params: PyTree
    constants: PyTree
    points: Mapping[str, PyTree]
    residuals: Mapping[str, Array]
    term_grads: Mapping[str, PyTree]
    term_weights: Mapping[str, Array]
    point_weights: Mapping[str, Array]
    step: Int[Array, ""]

    def field(self) -> Callable[[Array], Array]:
        """The field `u(x)`."""
        return bridge.field(self.definition, self.params, self.constants)


class Monitor(NamedTuple):
    """A measurement inside the step.

    Attributes:
        measure: `measure(info) -> {name: array of numbers}`; the names become names of metrics.
        every: steps between two measurements; in the others the metrics are NaN. The last of each `every` steps
            measures, so `pinnjax.fit(..., record_every=every)` records just the measurements. Under `jax.vmap` JAX runs
            both branches of a condition: a step mapped over seeds then pays for every step.
    """

    measure: Callable[[StepInfo], dict[str, Array]]
    every: int = 1


def check(monitors: Sequence[Monitor]) -> None:
    """Monitors are what they should be."""
    for monitor in monitors:
        if not isinstance(monitor, Monitor):
            raise TypeError(f"monitors has a {type(monitor).__name__}; expected a list of pinnjax.Monitor")
        checks.number("Monitor: every", monitor.every, 1)


def measured(monitors: Sequence[Monitor], info: StepInfo) -> dict[str, Array]:
    """All measurements of a step; NaN for those that are not due. One condition for all that share their `every`."""
    together: dict[int, list[Monitor]] = collections.defaultdict(list)
    for monitor in monitors:
        together[int(monitor.every)].append(monitor)
    found: dict[str, Array] = {}
    for every, group in together.items():
        measure = lambda group=group: joined([monitor.measure(info) for monitor in group])
        if every == 1:
            values = measure()
        else:
            shapes = jax.eval_shape(measure)
            missing = lambda shapes=shapes: {name: jnp.full(s.shape, jnp.nan, s.dtype) for name, s in shapes.items()}
            values = jax.lax.cond((info.step + 1) % every == 0, measure, missing)
        found = joined([found, values])
    return found


def joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """One dict of all metrics; two of one name are an error."""
    found: dict[str, Array] = {}
    for part in parts:
        twice = sorted(set(found) & set(part))
        if twice:
            raise ValueError(f"two metrics are named {twice}; expected a monitor to choose other names")
        found |= {name: _number(name, value) for name, value in part.items()}
    return found


def _number(name: str, value: Any) -> Array:
    value = jnp.asarray(value)
    return value if jnp.issubdtype(value.dtype, jnp.inexact) else value.astype(jnp.result_type(float))
