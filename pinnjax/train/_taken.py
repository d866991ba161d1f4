"""Whether a step is taken, and what its optimiser remembers of it."""

from typing import Any

import jax
import optax
from jaxtyping import Array, Bool, Float

from pinnjax.train import guard
from pinnjax.train._members import members, space
from pinnjax.train.frozen import Loss

PyTree = Any


def paced(updates: PyTree, pace: Float[Array, ""], loss: Loss) -> PyTree:
    """Updates times the pace, but for an optimiser that searches on the loss and finds their length."""
    if "value_fn" in loss.called:
        return updates
    return jax.tree.map(lambda u: pace.astype(u.dtype) * u, updates)


def judged(
    optimizer: optax.GradientTransformation,
    loss: Loss,
    finite: Bool[Array, ""],
    value: Float[Array, ""],
    params: PyTree,
    new_params: PyTree,
    old: PyTree,
    new: PyTree,
) -> tuple[Bool[Array, ""], PyTree]:
    """Whether the step is taken, and the optimiser's state after it.

    A step that is not finite leaves no trace. One that was searched for on `value_fn` has to lower it: a search that
    does not is at rounding, or was led astray by what it remembers. The methods of `pinnjax.optimizers` say in their
    state at which `value` they ended, and forget by themselves; others are asked for it, and start anew.
    """
    stated = _stated(optimizer, new)
    if stated is not None:
        return finite & (stated < value), guard.where(finite, new, old)
    if "value_fn" not in loss.called:
        return finite, guard.where(finite, new, old)
    raised = finite & ~(loss.value_fn(new_params) <= value)
    return finite & ~raised, guard.where(raised, optimizer.init(params), guard.where(finite, new, old))


def _stated(optimizer: optax.GradientTransformation, state: PyTree) -> Array | None:
    """The loss after the step, where the last member of the chain is one of ours that says so."""
    last = list(members(optimizer))[-1][1]
    if space(last) != "optimizer":
        return None
    named = lambda path, _: isinstance(path[-1], optax.tree_utils.NamedTupleKey)
    found = [v for _, v in optax.tree.get_all_with_path(state, "value", named) if isinstance(v, jax.Array)]
    return found[-1] if found else None
