"""A loss as a sum of squares: its residuals r and their Jacobian J, flat, in the order of `ravel_pytree`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

PyTree = Any


class LeastSquares(NamedTuple):
    """The loss |r(θ)|² around the parameters θ of a step.

    Attributes:
        flat: θ, `(P,)`.
        unravel: from `(P,)` to a pytree like the parameters.
        residual: `residual(flat) -> (N,)`.
        jacobian: `jacobian(flat) -> (N, P)`.
    """

    flat: Float[Array, " P"]
    unravel: Callable[[Array], PyTree]
    residual: Callable[[Array], Array]
    jacobian: Callable[[Array], Array]


def least_squares(
    rule: str, params: PyTree, residual_fn: Callable | None, jacobian_fn: Callable | None = None
) -> LeastSquares:
    """What a rule needs of `residual_fn`, and of `jacobian_fn` where the loop offers it.

    Args:
        rule: who asks, for the error.
        params: θ.
        residual_fn: function of the parameters to `(N,)`, whose squared norm is the loss.
        jacobian_fn: its Jacobian `(N, P)`; `pinnjax.train_step` offers one that costs a gradient a point. None takes
            `jax.jacrev`, which costs a gradient over all points for each residual.

    Raises:
        ValueError: when there are no parameters, or no residuals.

    Example:
        >>> import jax.numpy as jnp
        >>> problem = least_squares("rule", {"a": jnp.float32(2.0)}, lambda p: p["a"] * jnp.array([1.0, 3.0]))
        >>> print(problem.residual(problem.flat), problem.jacobian(problem.flat).ravel())
        [2. 6.] [1. 3.]
    """
    if params is None:
        raise ValueError(f"{rule}: params is None; expected update(grads, state, params, ...)")
    if residual_fn is None:
        raise ValueError(
            f"{rule}: residual_fn is missing; expected the function of the parameters whose squared norm is the loss, "
            "as pinnjax.train_step gives it"
        )
    flat, unravel = ravel_pytree(params)
    residual = lambda x: residual_fn(unravel(x))
    jacobian = jax.jacrev(residual) if jacobian_fn is None else lambda x: jacobian_fn(unravel(x))
    return LeastSquares(flat, unravel, residual, jacobian)
