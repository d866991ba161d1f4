"""What a train step is: one pytree of state, and a pair of pure functions as in optax."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Int

from pinnjax.terms import bridge

PyTree = Any
Metrics = dict[str, Array]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that the next step needs, in one pytree: scan it, vmap it over seeds, shard it, save it.

    Attributes:
        definition: static; with `params` and `constants` it is the model (see `pinnjax.terms.bridge`).
        params: trainable parameters.
        constants: a module's other variables.
        point_weights: state of the point-space chain.
        term_weights: state of the term-space chain.
        optimizer: state of the optimiser.
        sampler: state of the sampler, with its random key.
        step: `()`, updates tried so far.
        skipped: `()`, updates that were not taken: a loss, a gradient or the update was not finite, or a line search
            ended at a larger loss than it began with.
        nonfinite: `{term: ()}`, how often a term's loss or gradient was not finite.
    """

    definition: Any = dataclasses.field(metadata={"static": True})
    params: PyTree
    constants: PyTree
    point_weights: PyTree
    term_weights: PyTree
    optimizer: PyTree
    sampler: PyTree
    step: Int[Array, ""]
    skipped: Int[Array, ""]
    nonfinite: dict[str, Int[Array, ""]]


class TrainStep(NamedTuple):
    """The pair `(init, update)` that `train_step` returns."""

    init: Callable[..., TrainState]
    update: Callable[..., tuple[TrainState, Metrics]]

    def model(self, state: TrainState) -> Callable[[Array], Array]:
        """The trained field `u(x)` of a state; the `nnx.Module` itself where the model was one."""
        return bridge.field(state.definition, state.params, state.constants)
