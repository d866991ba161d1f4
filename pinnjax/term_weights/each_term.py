"""Transforms of each term's gradient apart from the others."""

from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import ScalarLike

from pinnjax import checks
from pinnjax.term_weights import _rule

PyTree = Any


def per_term(transform: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """Apply a transform of parameter space to the gradient of each term apart.

    In term space `optax.clip_by_global_norm(c)` clips the norm of all terms together; `per_term` of it clips each.

    Args:
        transform: any optax transform of parameter space.

    Returns:
        A term-space transform that hands all extra args on.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> clip = per_term(optax.clip_by_global_norm(1.0))
        >>> grads = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([0.5, 0.0])}
        >>> clipped, state = clip.update(grads, clip.init(grads))
        >>> print(clipped["pde"], clipped["bc"])
        [0.6 0.8] [0.5 0. ]
    """
    inner = optax.with_extra_args_support(transform)

    def init(term_params: dict[str, PyTree]) -> dict[str, PyTree]:
        return {name: inner.init(params) for name, params in term_params.items()}

    def update(
        term_grads: dict[str, PyTree], state: dict[str, PyTree], params: PyTree = None, **extra: Any
    ) -> tuple[dict[str, PyTree], dict[str, PyTree]]:
        results = {
            name: inner.update(grads, state[name], None if params is None else params[name], **extra)
            for name, grads in term_grads.items()
        }
        return {name: r[0] for name, r in results.items()}, {name: r[1] for name, r in results.items()}

    return optax.GradientTransformationExtraArgs(init, update)


def skip_exploding(largest: ScalarLike) -> optax.GradientTransformation:
    """Leave out a step in which the norm of a term's gradient exceeds `largest`: that gradient becomes NaN.

    The train step does not take such a step and counts it, in `nonfinite/t` and `skipped`; in a loop of your own
    `optax.apply_if_finite` around the optimiser does.

    Args:
        largest: in units of the gradient, > 0.

    Returns:
        A term-space transform.

    Raises:
        ValueError: when `largest` is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> guard = skip_exploding(10.0)
        >>> grads = {"pde": jnp.array([30.0]), "bc": jnp.array([1.0])}
        >>> print(guard.update(grads, guard.init(grads))[0])
        {'bc': Array([1.], dtype=float32), 'pde': Array([nan], dtype=float32)}
    """
    checks.number("skip_exploding: largest", largest, 1e-300)

    def update(term_grads: dict[str, PyTree], params: PyTree = None) -> dict[str, PyTree]:
        del params
        factors = {name: jnp.where(norm > largest, jnp.nan, 1.0) for name, norm in _rule.norms(term_grads).items()}
        return {name: optax.tree.scale(factors[name], grads) for name, grads in sorted(term_grads.items())}

    return optax.stateless(update)
