"""Leave out a step in which a term's gradient explodes."""

from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import ScalarLike

from pinnjax import checks
from pinnjax.terms import term_gradients

PyTree = Any


def skip_exploding(largest: ScalarLike) -> optax.GradientTransformation:
    """Leave out a step in which a term's gradient is too long.

    Where the norm of a term's gradient exceeds `largest`, that gradient becomes NaN.

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
        factors = {
            name: jnp.where(norm > largest, jnp.nan, 1.0) for name, norm in term_gradients.norms(term_grads).items()
        }
        return {name: optax.tree.scale(factors[name], grads) for name, grads in sorted(term_grads.items())}

    return optax.stateless(update)
