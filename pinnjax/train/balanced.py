"""A term-space chain and an optimiser as one ordinary optax transform, for users who keep their own loop."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import optax

from pinnjax import checks
from pinnjax.terms import term_gradients
from pinnjax.train import spaces

PyTree = Any
FOR_RULES = ("losses", "residuals", "points", "point_weights", "sampling_weights", "point_grad_norms", "step")


class BalancedState(NamedTuple):
    """State of `balanced`.

    Attributes:
        term_weights: state of the term-space chain.
        optimizer: state of the optimiser.
    """

    term_weights: PyTree
    optimizer: PyTree


def balanced(
    optimizer: optax.GradientTransformation,
    *,
    term_weights: optax.GradientTransformation,
    terms: Iterable[str],
) -> optax.GradientTransformationExtraArgs:
    """Balance the gradients of the terms, sum them, and hand the sum to an optimiser.

    The result is an ordinary optax transform, but for its updates: `{term: gradient}` goes in and one update like the
    parameters comes out. It works in a hand-written loop, as the first part of `optax.chain` and in `nnx.Optimizer`.

    Args:
        optimizer: any optax optimiser; it sees the sum of the balanced gradients.
        term_weights: a term-space transform, such as `pinnjax.term_weights.lr_annealing("pde")`.
        terms: the terms, or their names; coupled equations are named `"term/equation"`.

    Returns:
        A transform with `init(params)` and `update(term_grads, state, params, *, losses, ...)`. The extra args that
        `pinnjax.train_step` offers its rules (`losses`, `residuals`, `points`, `point_grad_norms`, ...) go to the term
        space only, the others to both spaces: the line searches of optax take none but their own.

    Raises:
        ValueError: when the gradients' names are not those of the terms.
        TypeError: when a transform stands in the wrong space.

    Example:
        >>> import jax.numpy as jnp, optax, pinnjax as pj
        >>> tx = pj.balanced(optax.sgd(0.1), term_weights=pj.term_weights.fixed({"bc": 10.0}), terms=["pde", "bc"])
        >>> params = jnp.array([1.0, 1.0])
        >>> grads = {"pde": jnp.array([1.0, 0.0]), "bc": jnp.array([0.0, 2.0])}
        >>> updates, state = tx.update(grads, tx.init(params), params)
        >>> print(updates)
        [-0.1 -2. ]
    """
    spaces.check("optimizer", optimizer)
    spaces.check("term_weights", term_weights)
    names = list(terms)
    term_tx = optax.with_extra_args_support(term_weights)
    param_tx = optax.with_extra_args_support(optimizer)

    def init(params: PyTree) -> BalancedState:
        return BalancedState(term_tx.init(dict.fromkeys(names, params)), param_tx.init(params))

    def update(
        updates: Mapping[str, PyTree], state: BalancedState, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, BalancedState]:
        checks.same_names("balanced: the gradients", names, updates)
        term_grads = {name: updates[name] for name in names}
        term_params = None if params is None else dict.fromkeys(names, params)
        term_grads, term_state = term_tx.update(term_grads, state.term_weights, term_params, **extra)
        for_optimizer = {key: value for key, value in extra.items() if key not in FOR_RULES}
        step, optimizer_state = param_tx.update(
            term_gradients.total(term_grads), state.optimizer, params, **for_optimizer
        )
        return step, BalancedState(term_state, optimizer_state)

    return optax.GradientTransformationExtraArgs(init, update)
