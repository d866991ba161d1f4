"""Fixed term weights, or weights that follow a schedule."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from pinnjax import checks
from pinnjax.term_weights import _rule
from pinnjax.terms import names

PyTree = Any


class FixedState(NamedTuple):
    """State of `fixed`.

    Attributes:
        weights: λ, `{term: ()}`, as applied in the last step.
        steps: number of updates so far.
    """

    weights: dict[str, Float[Array, ""]]
    steps: Int[Array, ""]


def fixed(weights: Mapping[str, optax.ScalarOrSchedule]) -> optax.GradientTransformationExtraArgs:
    """Multiply the gradient of each term by a given weight: λ_t g_t.

    Args:
        weights: `{term: number or optax schedule}`, dimensionless and >= 0; a term left out has weight 1, one with
            several equations stands for all of them.

    Returns:
        A term-space transform; it reads no extra args.

    Raises:
        ValueError: when a weight is negative or its name is not a term.

    Cost: none beyond the multiplication.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = fixed({"bc": 100.0})
        >>> grads = {"pde": jnp.array([1.0, 2.0]), "bc": jnp.array([0.1, 0.0])}
        >>> balanced, state = balancer.update(grads, balancer.init(grads))
        >>> print(balanced["pde"], balanced["bc"])
        [1. 2.] [10.  0.]
    """
    for name, value in weights.items():
        checks.number(f"fixed: the weight of {name!r}", value, 0.0)

    def at(steps: Array, ones: _rule.Weights) -> _rule.Weights:
        given = {name: value(steps) if callable(value) else value for name, value in weights.items()}
        by = names.meant("fixed: weights", weights, ones)
        return {name: jnp.asarray(given[by[name]] if name in by else 1.0, one.dtype) for name, one in ones.items()}

    def init(term_params: dict[str, PyTree]) -> FixedState:
        start = jnp.zeros((), jnp.int32)
        return FixedState(at(start, _rule.ones(term_params)), start)

    def update(
        term_grads: dict[str, PyTree], state: FixedState, params: PyTree = None, **extra: Any
    ) -> tuple[dict[str, PyTree], FixedState]:
        del params, extra
        applied = at(state.steps, state.weights)
        return _rule.scale(applied, term_grads), FixedState(applied, optax.safe_increment(state.steps))

    return optax.GradientTransformationExtraArgs(init, update)
