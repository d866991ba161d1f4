"""CAGrad: the direction near the mean gradient that helps the worst term most.

References:
  Liu, Liu, Jin, Stone, Liu, `Conflict-averse gradient descent for multi-task learning
  <https://arxiv.org/abs/2110.14048>`_, NeurIPS 2021: equations 3 and 4, Algorithm 1.
"""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, ScalarLike

from pinnjax import checks
from pinnjax.term_weights import gram


def cagrad(radius: ScalarLike = 0.5) -> optax.GradientTransformationExtraArgs:
    r"""max_d min_t d · g_t subject to ‖d - g_0‖ <= c ‖g_0‖, with g_0 the mean of the gradients.

    Its solution is d = g_0 + c ‖g_0‖ g_w / ‖g_w‖ with g_w = Σ_t w_t g_t and w on the simplex, the minimiser of
    g_w · g_0 + c ‖g_0‖ ‖g_w‖. The minimum is exact: on each subset of the terms stationarity is one quadratic equation,
    and the best admissible solution is taken. Where g_w vanishes no direction helps all terms, and the update is zero.

    Args:
        radius: c, dimensionless, in [0, 1): 0 gives the mean of the gradients; near 1 it approaches MGDA.

    Returns:
        A term-space transform; it reads no extra args. Its update is of the size of the mean of the gradients, not of
        their sum.

    Raises:
        ValueError: when c is out of range, or there are more than ten terms.

    Cost: the Gram matrix, and 2^T - 1 systems of T equations.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = cagrad(0.5)
        >>> grads = {"pde": jnp.array([2.0, 0.0]), "bc": jnp.array([0.0, 2.0])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> total = balanced["pde"] + balanced["bc"]
        >>> print(f"{total[0]:.3f} {total[1]:.3f}")  # the mean (1, 1), and half its length along (1, 1)
        1.500 1.500
    """
    checks.number("cagrad: radius", radius, 0.0, 1.0)

    def coefficients(seen: gram.Gram) -> Float[Array, " T"]:
        terms = len(seen.norms)
        masks = gram.subsets(terms, empty=False)
        largest = jnp.maximum(jnp.max(seen.norms), jnp.finfo(seen.norms.dtype).tiny)
        n = jnp.maximum(seen.norms / largest, 1e-12)  # in units of the largest gradient
        cosines = seen.cosines + jnp.diag(1 - jnp.diagonal(seen.cosines))
        b = (cosines @ n) * n / terms  # g_t · g_0
        mean = jnp.sqrt(jnp.maximum(n @ cosines @ n, 0)) / terms  # ‖g_0‖
        radius_ = radius * mean
        # On a subset S stationarity reads K w = (q / s)(ν 1 - b), q = ‖g_w‖, s = c ‖g_0‖. With a = K⁻¹ 1 and h = K⁻¹ b
        # ‖g_w‖ = q says A ν² - 2 B ν + D = s², and Σ w = 1 gives q; the larger root has q > 0.
        a = gram.solve_on(masks, cosines, 1 / n) / n[None]
        h = gram.solve_on(masks, cosines, b / n) / n[None]
        ones = masks.astype(n.dtype)
        a_sum, b_sum, d_sum = jnp.sum(ones * a, axis=1), jnp.sum(ones * h, axis=1), jnp.sum(ones * h * b[None], axis=1)
        root = b_sum**2 - a_sum * (d_sum - radius_**2)
        nu = (b_sum + jnp.sqrt(jnp.maximum(root, 0))) / a_sum
        along = nu[:, None] * a - h
        w = along / jnp.sum(along, axis=1, keepdims=True)
        length = jnp.sqrt(jnp.maximum(jnp.einsum("si,ij,sj->s", w * n[None], cosines, w * n[None]), 0))
        tolerance = 10 * jnp.finfo(n.dtype).eps
        # Σ along = 0 at a doubled root, where only g_w = 0 is stationary; that is judged by its length below.
        admissible = jnp.all(w >= -tolerance, axis=1) & jnp.all(jnp.isfinite(w), axis=1) & (root >= 0)
        cost = jnp.where(admissible, w @ b + radius_ * length, jnp.inf)
        best = jnp.argmin(cost)
        helps = jnp.isfinite(cost[best]) & (length[best] > jnp.sqrt(tolerance) * mean)
        step = 1 / terms + radius_ / jnp.where(helps, length[best], 1) * w[best]
        return jnp.where(helps, step, 0)

    return gram.surgery(coefficients)
