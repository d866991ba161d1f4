"""What a train step is: one pytree of state, and a pair of pure functions as in optax."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import optax
from jaxtyping import Array, Float, Int

from pinnjax.sampling.sampler import Sampler
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
        pace: `()`, what updates are multiplied by: 1, and less after a rollback (see `pinnjax.train.faults`).
        key: random key from which later phases draw theirs (see `pinnjax.Phase`); None where `init` got none.
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
    pace: Float[Array, ""]
    key: Array | None = None


class Parts(NamedTuple):
    """What a train step is made of, for who goes on with another one: the arguments of `train_step`.

    Attributes:
        terms: `{name: residual function}`.
        point_weights: the point-space chain.
        term_weights: the term-space chain.
        sampler: who draws the points of some terms, or all.
        optimizer: parameter space.
    """

    terms: Mapping[str, Any]
    point_weights: optax.GradientTransformation | None
    term_weights: optax.GradientTransformation | None
    sampler: Sampler | None
    optimizer: optax.GradientTransformation


class _Pair(NamedTuple):
    init: Callable[..., TrainState]
    update: Callable[..., tuple[TrainState, Metrics]]


class TrainStep(_Pair):
    """The pair `(init, update)` that `train_step` returns.

    Attributes:
        parts: what it is made of; None for a pair of one's own.
    """

    parts: Parts | None

    def __new__(
        cls,
        init: Callable[..., TrainState],
        update: Callable[..., tuple[TrainState, Metrics]],
        parts: Parts | None = None,
    ) -> "TrainStep":
        """The pair, and beside it what it is made of."""
        pair = super().__new__(cls, init, update)
        pair.parts = parts
        return pair

    def model(self, state: TrainState) -> Callable[[Array], Array]:
        """The trained field `u(x)` of a state; the `nnx.Module` itself where the model was one."""
        return bridge.field(state.definition, state.params, state.constants)
