"""A transform of parameter space, applied to the gradient of each term apart from the others."""

from typing import Any

import optax

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
