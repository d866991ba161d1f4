"""ConFIG: the conflict-free direction with the same cosine to every gradient.

References:
  Liu, Chu, Thuerey, `ConFIG: towards conflict-free training of physics informed neural networks
  <https://arxiv.org/abs/2408.11104>`_, ICLR 2025: equation 2.
"""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from pinnjax.term_weights import gram


def config() -> optax.GradientTransformationExtraArgs:
    """G = (Σ_t g_t · d) d with the unit vector d along U⁺ 1, where the rows of U are the unit gradients.

    d has the same positive cosine to every gradient, so no term's loss rises to first order, and its length is the sum
    of the projections of the gradients. In Gram form d = Σ_t x_t g_t / ‖g_t‖ up to its length, with x = C⁺ 1.

    Returns:
        A term-space transform; it reads no extra args. Where no direction is free of conflict with all terms (opposite
        gradients) the update is zero, as in the authors' code.

    Cost: the Gram matrix and its pseudo-inverse.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = config()
        >>> grads = {"pde": jnp.array([3.0, 0.0]), "bc": jnp.array([0.0, 1.0])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> print(balanced["pde"] + balanced["bc"])  # (3 + 1) / √2 along (1, 1) / √2
        [2. 2.]
    """
    return gram.surgery(coefficients)


def coefficients(seen: gram.Gram) -> Float[Array, " T"]:
    """The numbers a_t of G = Σ_t a_t g_t."""
    x = gram.least_squares(seen.cosines, jnp.ones_like(seen.norms))
    square = x @ seen.cosines @ x
    length = seen.norms @ (seen.cosines @ x)  # Σ_t g_t · d, times the length of d
    there = square > jnp.finfo(square.dtype).eps
    return jnp.where(there, gram.divide(x, seen.norms) * length / jnp.where(there, square, 1), 0)
