"""A rule that runs in some of the steps only."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from pinnjax import checks
from pinnjax.term_weights import _rule, _wrappers

PyTree = Any


class ScheduledState(NamedTuple):
    """State of `scheduled`.

    Attributes:
        rule: the rule's state.
        waited: `()`, updates so far.
    """

    rule: PyTree
    waited: Int[Array, ""]


def scheduled(
    rule: optax.GradientTransformation, *, every: int = 1, start: int = 0
) -> optax.GradientTransformationExtraArgs:
    """Run a rule every so many steps, from a given one on.

    It runs in every `every`-th step from step `start` on; in between its weights are applied as they are. The rule sees
    only the steps in which it runs: its own `every` and its memory count those. Before `start` the weights are those of
    its initial state. It is evaluated under `lax.cond`, so it costs nothing in between.

    Args:
        rule: a term-space rule with scalar weights.
        every: steps between two runs, >= 1.
        start: first step in which it runs, >= 0.

    Returns:
        A term-space transform that reads what the rule reads.

    Raises:
        ValueError: when a number is out of range, or the rule has no scalar weights.

    Example:
        >>> import jax.numpy as jnp, pinnjax as pj
        >>> balancer = scheduled(pj.term_weights.lr_annealing("pde", variant="norm", decay=0.0), start=1)
        >>> grads = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([1.0, 0.0])}
        >>> balanced, state = balancer.update(grads, balancer.init(grads))
        >>> print(balanced["bc"])
        [1. 0.]
        >>> balanced, state = balancer.update(grads, state)
        >>> print(balanced["bc"])
        [5. 0.]
    """
    checks.number("scheduled: every", every, 1)
    checks.number("scheduled: start", start, 0)
    inner = optax.with_extra_args_support(rule)

    def init(term_params: dict[str, PyTree]) -> ScheduledState:
        state = inner.init(term_params)
        _wrappers.weights_in("scheduled", state)
        return ScheduledState(state, jnp.zeros((), jnp.int32))

    def update(
        term_grads: dict[str, PyTree], state: ScheduledState, params: PyTree = None, **extra: Any
    ) -> tuple[dict[str, PyTree], ScheduledState]:
        due = (state.waited >= start) & ((state.waited - start) % every == 0)
        run = lambda: inner.update(term_grads, state.rule, params, **extra)[1]
        proposed = jax.lax.cond(due, run, lambda: state.rule)
        weights = _wrappers.weights_in("scheduled", proposed)
        return _rule.scale(weights, term_grads), ScheduledState(proposed, optax.safe_increment(state.waited))

    return optax.GradientTransformationExtraArgs(init, update)
