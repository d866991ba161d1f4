"""BFGS whose inverse Hessian is scaled before each update.

References:
  Al-Baali, `Numerical experience with a class of self-scaling quasi-Newton algorithms
  <https://doi.org/10.1023/A:1022608410710>`_, Journal of Optimization Theory and Applications 96, 1998.

  Urbán, Stefanou, Pons, `Unveiling the optimization process of physics informed neural networks: How accurate and
  competitive can PINNs be? <https://arxiv.org/abs/2405.04230>`_, Journal of Computational Physics 523, 2025.
"""

import jax.numpy as jnp
import optax
from jaxtyping import Array

from pinnjax.optimizers import _quasi_newton


def ssbfgs(*, retake: bool = False, trials: int = 25) -> optax.GradientTransformationExtraArgs:
    """Quasi-Newton steps with the self-scaled BFGS update, φ = 1 and τ = min(1, 1/b), b = sᵀH⁻¹s / yᵀs.

    Args, returns and errors are those of `ssbroyden`.

    Example:
        >>> import pinnjax as pj
        >>> train = pj.train_step({"data": lambda u, x: u(x) - 6.0}, ssbfgs())
        >>> batch = {"data": jnp.array([[2.0]])}
        >>> state = train.init((lambda a, x: a * x[0], jnp.float32(0.0)), batch)
        >>> state, history = pj.fit(train, state, batch, steps=4)
        >>> print(state.params)
        3.0
    """

    def coefficients(pair: _quasi_newton.Pair) -> tuple[Array, Array]:
        return jnp.ones_like(pair.h), jnp.minimum(1, 1 / pair.b)

    return _quasi_newton.quasi_newton("ssbfgs", coefficients, retake=retake, trials=trials)
