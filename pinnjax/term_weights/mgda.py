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

from pinnjax.term_weights import _surgery


def mgda() -> optax.GradientTransformationExtraArgs:
    """Surgery: the shortest weighted mean of the gradients, which lowers every loss.

    Descend along the minimum of ‖Σ_t a_t g_t‖ over a_t >= 0, Σ_t a_t = 1, which decreases every loss.

    The minimum is exact: each subset of the terms has its own closed form, and the best admissible one is taken. (The
    usual Frank-Wolfe iteration only comes near it.) A short gradient draws the vector to itself, so MGDA does not
    balance terms of different scales, and one zero gradient stops it, as its definition says.

    Returns:
        A term-space transform; it reads no extra args.

    Raises:
        ValueError: when there are more than ten terms.

    Cost: a QR factorisation of the gradients, and 2^T systems of T equations.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = mgda()
        >>> grads = {"pde": jnp.array([2.0, 0.0]), "bc": jnp.array([0.0, 1.0])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> print(f"{state.weights['pde']:.3f} {state.weights['bc']:.3f}")  # 1/4 and 1 over their sum
        0.200 0.800
    """

    def coefficients(span: _surgery.Span) -> Float[Array, " T"]:
        # With one more number b_t ∝ 1 / ‖g_t‖ below each unit gradient this is a problem without the sum: the point of
        # their cone next to (0, 1) is along the shortest vector. Where the hull holds zero, that point is (0, 1).
        dead = span.norms == 0
        shortest = jnp.min(jnp.where(dead, jnp.inf, span.norms))
        b = jnp.where(dead, 0, shortest / jnp.where(dead, 1, span.norms))
        lifted = jnp.concatenate([span.directions, b[None]])
        z = b * _surgery.nonnegative(lifted, jnp.zeros_like(lifted[:, 0]).at[-1].set(1))
        stopped = jnp.any(dead)
        a = jnp.where(stopped, dead, z)
        return a / jnp.sum(a)

    return _surgery.surgery(coefficients)
