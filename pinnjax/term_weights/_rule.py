"""What scalar rules share: the machinery of a rule, and gradients times weights."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, ScalarLike

from pinnjax.term_weights._state import ScalarWeightsState
from pinnjax.terms import term_gradients

PyTree = Any
Weights = dict[str, Array]


def ones(term_params: Mapping[str, PyTree]) -> Weights:
    """Weights of one, strongly typed in the dtype of the parameters."""
    return {name: jnp.ones((), optax.tree.dtype(params, "highest")) for name, params in term_params.items()}


def scale(weights: Weights, term_grads: Mapping[str, PyTree]) -> dict[str, PyTree]:
    """λ_t g_t for each term, in the dtype of g_t."""
    return {name: optax.tree.scale(weights[name], grads) for name, grads in term_grads.items()}


class RuleInputs(NamedTuple):
    """What a rule may look at.

    Attributes:
        grads: `{term: like params}`, unweighted.
        losses: `{term: ()}`, those that `grads` are the gradients of.
        weights: `{term: ()}`, the weights so far.
        steps: `()`, updates so far.
        due: `()`, whether the weights may move in this step; an expensive rule works under `lax.cond` of it.
        params: `{term: params}`, or None.
        extra: the other extra args of the update.
    """

    grads: dict[str, PyTree]
    losses: dict[str, Array]
    weights: Weights
    steps: Array
    due: Array
    params: PyTree
    extra: dict[str, Any]


Propose = Callable[[RuleInputs, PyTree], tuple[Weights, PyTree]]


def scalar_rule(
    propose: Propose,
    *,
    start: Callable[[dict[str, PyTree]], PyTree] = lambda term_params: (),
    decay: ScalarLike = 0.0,
    every: int = 1,
    signed: bool = False,
    remember: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """The machinery that scalar rules share: λ ← decay λ + (1 - decay) λ̂ every `every` steps, and events counted.

    Terms reach the rule in the order of their names, so the order in which a user writes them changes nothing, not even
    a rounding. A proposal that is not finite, or negative, is not taken: the weight is kept and the event counted. A
    step with a loss or a gradient that is not finite, or after which the memory would not be, is no step: weights,
    memory and count stay as they are, so one NaN neither poisons a memory nor becomes the first loss L(0).

    Args:
        propose: `propose(inputs, memory) -> ({term: λ̂}, memory)`.
        start: the memory at the start, a function of `{term: params}`.
        decay: share of λ that stays in a move, in [0, 1].
        every: steps between two moves.
        signed: whether weights may be negative.
        remember: whether the memory moves in every step, not only when the weights do.
    """

    def init(term_params: dict[str, PyTree]) -> ScalarWeightsState:
        term_params = dict(sorted(term_params.items()))
        zero = jnp.zeros((), jnp.int32)
        return ScalarWeightsState(ones(term_params), dict.fromkeys(term_params, zero), zero, start(term_params))

    def update(
        term_grads: dict[str, PyTree],
        state: ScalarWeightsState,
        params: PyTree = None,
        *,
        losses: Mapping[str, Array] | None = None,
        **extra: Any,
    ) -> tuple[dict[str, PyTree], ScalarWeightsState]:
        names = sorted(term_grads)
        due = state.steps % every == 0
        inputs = RuleInputs(
            grads={name: term_grads[name] for name in names},
            losses={name: (losses or {})[name] for name in names if name in (losses or {})},
            weights={name: state.weights[name] for name in names},
            steps=state.steps,
            due=due,
            params=params,
            extra=extra,
        )
        targets, memory = propose(inputs, state.memory)
        sound = finite((inputs.grads, inputs.losses, memory))
        weights, held = {}, {}
        for name in names:
            old = state.weights[name]
            usable = sound & jnp.isfinite(targets[name]) & (signed | (targets[name] >= 0))
            new = between(old, targets[name], 1 - decay).astype(old.dtype)
            weights[name] = jnp.where(due & usable, new, old)
            held[name] = state.held[name] + (due & ~usable)
        kept = sound & (due | remember)
        memory = jax.tree.map(lambda new, old: jnp.where(kept, new, old).astype(old.dtype), memory, state.memory)
        steps = jnp.where(sound, optax.safe_increment(state.steps), state.steps)
        next_state = ScalarWeightsState(weights, held, steps, memory)
        return scale(weights, term_grads), next_state

    update.__module__ = propose.__module__  # the rule's, so that errors can name it
    return optax.GradientTransformationExtraArgs(init, update)


def finite(tree: PyTree) -> Array:
    """Whether all its floating-point numbers are."""
    floats = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(jnp.result_type(x), jnp.floating)]
    return functools.reduce(jnp.logical_and, [jnp.all(jnp.isfinite(x)) for x in floats], jnp.array(True))


def between(old: Array, new: Array, rate: ScalarLike) -> Array:
    """(1 - rate) old + rate new: exactly `old` at rate 0, `new` at rate 1, and both where they are equal.

    The shorter old + rate (new - old) loses a `new` that is small against `old`.
    """
    return jnp.clip((1 - rate) * old + rate * new, jnp.minimum(old, new), jnp.maximum(old, new))


def needs_losses(rule: str, inputs: RuleInputs) -> dict[str, Array]:
    """The losses, or an error that says who needs them."""
    if set(inputs.losses) != set(inputs.grads):
        raise ValueError(
            f"{rule}: update got losses of {list(inputs.losses)}; expected the extra arg losses={{term: loss}}"
        )
    return inputs.losses


def ratio(loss: ArrayLike, earlier: ArrayLike) -> Array:
    """A loss over an earlier one; 0 / 0 is 0, so that a term that was never violated does not stop the others."""
    below = jnp.asarray(earlier)
    # XLA makes a / (b c) of a / b / c, where b c must not underflow.
    above, floor = jnp.asarray(loss), 1e6 * jnp.finfo(below.dtype).tiny
    return jnp.where(above == 0, 0, above / jnp.maximum(below, floor))


def first_losses(losses: Mapping[str, Array], known: Mapping[str, Array]) -> dict[str, Array]:
    """L_t(0): the first loss of each term that is not zero, which is no measure; `known` is zero before."""
    return {name: jnp.where(known[name] > 0, known[name], loss) for name, loss in losses.items()}


def mean_square_root(new: PyTree, old: PyTree, decay: ScalarLike) -> PyTree:
    """√(decay old² + (1 - decay) new²), without the squares: the root of Adam's second moment, at any scale."""
    return jax.tree.map(lambda n, o: jnp.hypot(jnp.sqrt(decay) * o, jnp.sqrt(1 - decay) * n).astype(o.dtype), new, old)


def mean(values: Mapping[str, Array]) -> Array:
    """Mean over the terms."""
    return jnp.mean(jnp.stack(list(values.values())))


def softmax(values: Mapping[str, Array]) -> Weights:
    """Softmax over the terms."""
    return dict(zip(values, jax.nn.softmax(jnp.stack(list(values.values()))), strict=True))


def counted(term_grads: Mapping[str, PyTree], held: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
    """Whether all gradients are finite, and the count of those that were not, for rules without scalar weights."""
    broken = {name: ~jnp.isfinite(term_gradients.norm(term_grads[name])) for name in held}
    sound = ~functools.reduce(jnp.logical_or, broken.values())
    return sound, {name: count + broken[name] for name, count in held.items()}
