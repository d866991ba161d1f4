"""A rule's weights as they are: for an optimiser that wants one loss, after a phase in which the rule moved them."""

from typing import Any

import optax

from pinnjax.term_weights import _rule, _wrappers

PyTree = Any


def held(rule: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """Apply a rule's weights as they are, and never run it.

    The state is the rule's own. So a phase of `pinnjax.fit` whose rule is held goes on with the weights at which the
    phase before, whose rule was at work, ended: a quasi-Newton method remembers gradients of one loss, which a
    balancer would change under it. Without a phase before, the weights are those of the rule's initial state.

    Args:
        rule: a term-space rule with scalar weights, as in the phase before.

    Returns:
        A term-space transform; it reads no extra args.

    Raises:
        ValueError: when the rule has no scalar weights.

    Cost: none beyond the multiplication.

    Example:
        >>> import jax.numpy as jnp, pinnjax as pj
        >>> rule = pj.term_weights.lr_annealing("pde", variant="norm", decay=0.0)
        >>> grads = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([1.0, 0.0])}
        >>> balanced, state = rule.update(grads, rule.init(grads))
        >>> later = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([0.5, 0.0])}
        >>> print(rule.update(later, state)[0]["bc"], held(rule).update(later, state)[0]["bc"])  # λ = 10, and still 5
        [5. 0.] [2.5 0. ]
    """
    inner = optax.with_extra_args_support(rule)

    def init(term_params: dict[str, PyTree]) -> PyTree:
        state = inner.init(term_params)
        _wrappers.weights_in("held", state)
        return state

    def update(
        term_grads: dict[str, PyTree], state: PyTree, params: PyTree = None, **extra: Any
    ) -> tuple[dict[str, PyTree], PyTree]:
        del params, extra
        return _rule.scale(_wrappers.weights_in("held", state), term_grads), state

    return optax.GradientTransformationExtraArgs(init, update)
