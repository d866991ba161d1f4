"""SPRING: natural gradient steps that start from the last one, so that few points a step are enough.

References:
  Goldshlager, Abrahamsen, Lin, `A Kaczmarz-inspired approach to accelerate the optimization of neural network
  wavefunctions <https://arxiv.org/abs/2401.10190>`_, Journal of Computational Physics 516, 2024 (Algorithm 1; β is μ
  there). The authors' code: `vmcnet <https://github.com/jeffminlin/vmcnet>`_, `updates/spring.py`.

  Guzmán-Cordero, Dangel, Goldshlager, Zeinhofer, `Improving energy natural gradient descent through Woodbury, momentum,
  and randomization <https://arxiv.org/abs/2505.12149>`_, 2025 (its use for physics-informed networks).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Int, ScalarLike

from pinnjax import checks
from pinnjax.optimizers._damped import damped_solution
from pinnjax.optimizers._least_squares import least_squares

PyTree = Any


class SpringState(NamedTuple):
    """State of `spring`.

    Attributes:
        direction: φ, like the parameters.
        steps: how many were taken, for a schedule.
    """

    direction: PyTree
    steps: Int[Array, ""]


def spring(
    learning_rate: optax.ScalarOrSchedule = 0.05,
    *,
    damping: ScalarLike = 1e-3,
    decay: ScalarLike = 0.99,
    norm_constraint: ScalarLike | None = 1e-3,
) -> optax.GradientTransformationExtraArgs:
    """Natural gradient steps with momentum: what the last step left of the residuals is solved for.

    With r the residuals, |r|² the loss, and J their Jacobian, the direction is

      φ ← argmin |Jφ - r|² + λ|φ - βφ|² = βφ + Jᵀ(JJᵀ + λI)⁻¹(r - βJφ),

    and the step -min(η, √C / |φ|) φ. Conventions: r and J have the weights and the 1/√n of the loss in them, so λ is in
    the units of the loss; β = 0 is the damped Gauss-Newton step. The paper subtracts the mean of wave functions, which
    residuals do not have; its code solves by eigenvalues and cuts off negative ones, here λ is at least rounding.

    Args:
        learning_rate: η, dimensionless, or a schedule of the step; 1 is the whole Gauss-Newton step.
        damping: λ, in the units of the loss, >= 0.
        decay: β, the share of the last direction, dimensionless, in [0, 1].
        norm_constraint: C, the largest squared length of a step, in the units of the parameters squared; None for any.

    Returns:
        A parameter-space transform whose update is the whole step. It needs `params` and `residual_fn`, and reads
        `jacobian_fn`, as `pinnjax.train_step` gives them; the gradients that come in are not looked at.

    Raises:
        ValueError: when an argument is out of range, or both systems would take more than 2 GiB.

    Cost: one gradient a point, O(NP min(N, P)) for the smaller of the two systems; J is held, N by P.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = spring(1.0, damping=1.0, norm_constraint=None)
        >>> residual_fn = lambda a: 3.0 * a[None] - 4.0
        >>> params = jnp.float32(3.0)
        >>> updates, state = optimizer.update(params, optimizer.init(params), params, residual_fn=residual_fn)
        >>> print(updates)  # -J r / (J² + λ) = -3 · 5 / (9 + 1)
        -1.5
    """
    checks.number("spring: damping", damping, 0.0)
    checks.number("spring: decay", decay, 0.0, 1.0)
    if not callable(learning_rate):
        checks.number("spring: learning_rate", learning_rate, 0.0)
    if norm_constraint is not None:
        checks.number("spring: norm_constraint", norm_constraint, 0.0)

    def init(params: PyTree) -> SpringState:
        return SpringState(jax.tree.map(jnp.zeros_like, params), jnp.zeros((), jnp.int32))

    def update(
        grads: PyTree,
        state: SpringState,
        params: PyTree = None,
        *,
        residual_fn: Callable | None = None,
        jacobian_fn: Callable | None = None,
        **extra: Any,
    ) -> tuple[PyTree, SpringState]:
        del grads, extra
        problem = least_squares("spring", params, residual_fn, jacobian_fn)
        dtype = problem.flat.dtype
        r, jacobian = problem.residual(problem.flat).astype(dtype), problem.jacobian(problem.flat).astype(dtype)
        before = jnp.multiply(decay, ravel_pytree(state.direction)[0])
        direction = before + damped_solution("spring", jacobian, r - jacobian @ before, damping)
        rate = learning_rate(state.steps) if callable(learning_rate) else learning_rate
        length = shortened(rate, direction, norm_constraint)
        sound = jnp.all(jnp.isfinite(direction))
        kept = jax.tree.map(lambda n, o: jnp.where(sound, n, o), problem.unravel(direction), state.direction)
        step = -(length * direction).astype(dtype)
        return problem.unravel(step), SpringState(kept, optax.safe_increment(state.steps))

    return optax.GradientTransformationExtraArgs(init, update)


def shortened(rate: ScalarLike, direction: Array, norm_constraint: ScalarLike | None) -> Array:
    """min(η, √C / |φ|).

    Example:
        >>> print(shortened(1.0, jnp.array([3.0, 4.0]), 4.0))
        0.4
    """
    if norm_constraint is None:
        return jnp.asarray(rate, direction.dtype)
    return jnp.minimum(rate, jnp.sqrt(norm_constraint) / jnp.linalg.norm(direction))
