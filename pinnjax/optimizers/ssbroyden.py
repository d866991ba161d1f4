"""Self-scaled Broyden: the quasi-Newton method that brings physics-informed networks the most digits.

References:
  Al-Baali, Spedicato, Maggioni, `Broyden's quasi-Newton methods for a nonlinear system of equations and unconstrained
  optimization: a review and open problems <https://doi.org/10.1080/10556788.2013.856909>`_, Optimization Methods and
  Software 29, 2014.

  Urbán, Stefanou, Pons, `Unveiling the optimization process of physics informed neural networks: How accurate and
  competitive can PINNs be? <https://arxiv.org/abs/2405.04230>`_, Journal of Computational Physics 523, 2025 (its use
  here, equations 17 to 25).
"""

import jax.numpy as jnp
import optax
from jaxtyping import Array

from pinnjax.optimizers import _quasi_newton


def ssbroyden(*, retake: bool = False, trials: int = 25) -> optax.GradientTransformationExtraArgs:
    """Quasi-Newton steps with the self-scaled Broyden update, a search for the strong Wolfe conditions in each.

    A step is one of the loss with the weights and points of that step. The method knows by the loss's value when it is
    another one than it remembers, as after new points or other weights: that pair says nothing of the curvature, and
    is left out, or the old gradient is taken anew (`retake`). What it has learnt stays. A step that would not lower the
    loss is not taken; then the steepest descent is tried, and where that does not lower it either, the method has
    converged to rounding and waits for another loss.

    Args:
        retake: take the gradient before the step anew when the loss is another one, at the price of one gradient;
            for weights that move in every step.
        trials: most evaluations of a search.

    Returns:
        A parameter-space transform whose update is the whole step, without a learning rate. It needs `params`, `value`
        and `value_fn`, as `pinnjax.train_step` gives them. Use double precision.

    Raises:
        ValueError: when the inverse Hessian would take more than 2 GiB.

    Cost: a search evaluates loss and slope together, by forward differentiation, mostly once or twice; H is read twice
        and written once, O(P²).

    Example:
        >>> import pinnjax as pj
        >>> train = pj.train_step({"data": lambda u, x: u(x) - 6.0}, ssbroyden())
        >>> batch = {"data": jnp.array([[2.0]])}
        >>> state = train.init((lambda a, x: a * x[0], jnp.float32(0.0)), batch)
        >>> state, history = pj.fit(train, state, batch, steps=4)
        >>> print(state.params)
        3.0
    """
    return _quasi_newton.quasi_newton("ssbroyden", _coefficients, retake=retake, trials=trials)


def _coefficients(pair: _quasi_newton.Pair) -> tuple[Array, Array]:
    h, b = pair.h, pair.b
    a = jnp.maximum(b * h - 1, 0)  # by Cauchy and Schwarz; 0 to rounding where H is exact along s
    positive = jnp.where(a > 0, a, 1)
    rho = jnp.minimum(1, h * (1 - jnp.sqrt(a / (1 + a))))
    least = jnp.where(a > 0, (rho - 1) / positive, -jnp.inf)
    theta = jnp.maximum(least, jnp.minimum(1 / rho, (1 - b) / b))
    sigma = 1 + theta * a
    root = jnp.abs(sigma) ** (1 / (1 - pair.size)) if pair.size > 1 else jnp.ones_like(sigma)
    r = jnp.minimum(1, 1 / b)
    positive_theta = jnp.where(theta > 0, theta, 1)
    tau = jnp.where(theta <= 0, jnp.minimum(r * root, sigma), r * jnp.minimum(root, 1 / positive_theta))
    return (1 - theta) / sigma, tau
