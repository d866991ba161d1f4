"""The method of Broyden, Fletcher, Goldfarb and Shanno, with its inverse Hessian dense.

References:
  Nocedal, Wright, `Numerical Optimization <https://doi.org/10.1007/978-0-387-40065-5>`_, 2nd edition, Springer, 2006:
  Algorithm 6.1, equations 6.17 and 6.20.
"""

import jax.numpy as jnp
import optax
from jaxtyping import Array

from pinnjax.optimizers import _quasi_newton


def bfgs(*, retake: bool = False, trials: int = 25) -> optax.GradientTransformationExtraArgs:
    """Quasi-Newton steps with the BFGS update, φ = 1 and τ = 1.

    Args, returns and errors are those of `ssbroyden`.

    Example:
        >>> import jax
        >>> optimizer, loss = bfgs(), lambda p: (p[0] - 1) ** 2 + 10 * p[1] ** 2
        >>> params = jnp.array([0.0, 1.0])
        >>> state = optimizer.init(params)
        >>> for _ in range(10):
        ...     value, grads = jax.value_and_grad(loss)(params)
        ...     updates, state = optimizer.update(grads, state, params, value=value, value_fn=loss)
        ...     params = optax.apply_updates(params, updates)
        >>> print(f"{loss(params):.0e}" < "1e-08")
        True
    """

    def coefficients(pair: _quasi_newton.Pair) -> tuple[Array, Array]:
        return jnp.ones_like(pair.h), jnp.ones_like(pair.h)

    return _quasi_newton.quasi_newton("bfgs", coefficients, retake=retake, trials=trials)
