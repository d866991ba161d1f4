"""Damped least squares with a dense Jacobian, by the smaller of its two systems."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, ScalarLike

LARGEST = 2**31  # bytes of the matrix of a system


def damped_solution(
    rule: str, jacobian: Float[Array, "N P"], target: Float[Array, " N"], damping: ScalarLike
) -> Float[Array, " P"]:
    """The φ that minimises |Jφ - ζ|² + λ|φ|².

    It is Jᵀ(JJᵀ + λI)⁻¹ζ, a system of N residuals, and (JᵀJ + λI)⁻¹Jᵀζ, a system of P parameters; the two are equal by
    the push-through identity, and the smaller one is solved.

    Args:
        rule: who asks, for the error.
        jacobian: J.
        target: ζ.
        damping: λ, in units of J². Below rounding, eps tr(JJᵀ), it is raised to that, so that Cholesky's factor exists.

    Raises:
        ValueError: when the system's matrix would take more than 2 GiB.

    Example:
        >>> print(damped_solution("rule", jnp.array([[3.0, 4.0]]), jnp.array([26.0]), 1.0))  # Jᵀ 26 / (25 + 1)
        [3. 4.]
    """
    n, p = jacobian.shape
    size = min(n, p) ** 2 * jacobian.dtype.itemsize
    if size > LARGEST:
        raise ValueError(
            f"{rule}: the system of {n} residuals and {p} parameters takes {size / 2**30:.1f} GiB; expected at most "
            f"{int((LARGEST / jacobian.dtype.itemsize) ** 0.5)} of one of the two: draw fewer points a step with a "
            "sampler, or use nystrom_natural_gradient, which keeps `rank` columns of it"
        )
    return (by_residuals if n <= p else by_parameters)(jacobian, target, damping)


def by_residuals(jacobian: Float[Array, "N P"], target: Float[Array, " N"], damping: ScalarLike) -> Float[Array, " P"]:
    """Jᵀ(JJᵀ + λI)⁻¹ζ."""
    return jacobian.T @ damped_solve(jacobian @ jacobian.T, target, damping)


def by_parameters(jacobian: Float[Array, "N P"], target: Float[Array, " N"], damping: ScalarLike) -> Float[Array, " P"]:
    """(JᵀJ + λI)⁻¹Jᵀζ."""
    return damped_solve(jacobian.T @ jacobian, jacobian.T @ target, damping)


def damped_solve(matrix: Float[Array, "n n"], target: Float[Array, " n"], damping: ScalarLike) -> Float[Array, " n"]:
    """(A + λI)⁻¹b of a positive semidefinite A."""
    shift = jnp.maximum(damping, jnp.finfo(matrix.dtype).eps * jnp.trace(matrix))
    factor = jax.scipy.linalg.cho_factor(matrix + shift * jnp.eye(matrix.shape[0], dtype=matrix.dtype))
    return jax.scipy.linalg.cho_solve(factor, target)
