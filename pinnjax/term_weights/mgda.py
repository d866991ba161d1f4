"""MGDA: the shortest vector in the convex hull of the gradients.

References:
  Désidéri, `Multiple-gradient descent algorithm (MGDA) for multiobjective optimization
  <https://doi.org/10.1016/j.crma.2012.03.014>`_, Comptes Rendus Mathématique 350, 2012.

  Sener, Koltun, `Multi-task learning as multi-objective optimization
  <https://arxiv.org/abs/1810.04650>`_, NeurIPS 2018.
"""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from pinnjax.term_weights import gram


def mgda() -> optax.GradientTransformationExtraArgs:
    """Descend along the minimum of ‖Σ_t a_t g_t‖ over a_t >= 0, Σ_t a_t = 1, which decreases every loss.

    The minimum is exact: each subset of the terms has its own closed form, and the best admissible one is taken. (The
    usual Frank-Wolfe iteration only comes near it.) A short gradient draws the vector to itself, so MGDA does not
    balance terms of different scales, and one zero gradient stops it, as its definition says.

    Returns:
        A term-space transform; it reads no extra args.

    Raises:
        ValueError: when there are more than ten terms.

    Cost: the Gram matrix, and 2^T - 1 systems of T equations.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = mgda()
        >>> grads = {"pde": jnp.array([2.0, 0.0]), "bc": jnp.array([0.0, 1.0])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> print(f"{state.weights['pde']:.3f} {state.weights['bc']:.3f}")  # 1/4 and 1 over their sum
        0.200 0.800
    """

    def coefficients(seen: gram.Gram) -> Float[Array, " T"]:
        terms = len(seen.norms)
        masks = gram.subsets(terms, empty=False)
        # In y_t = a_t ‖g_t‖ the problem is min yᵀ C y with Σ y_t b_t = 1 and b = 1 / ‖g_t‖, up to a common factor.
        b = 1 / jnp.maximum(seen.norms / jnp.max(seen.norms), 1e-12)
        cosines = seen.cosines + jnp.diag(1 - jnp.diagonal(seen.cosines))  # a zero gradient as one at right angles
        y = gram.solve_on(masks, cosines, b)
        size = y @ b
        admissible = jnp.all(y >= 0, axis=1) & (size > 0)
        best = jnp.argmin(jnp.where(admissible, 1 / size, jnp.inf))  # min yᵀ C y = 1 / bᵀ C_SS⁻¹ b
        return (y[best] * b) / size[best]

    return gram.surgery(coefficients)
