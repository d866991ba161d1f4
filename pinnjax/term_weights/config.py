"""ConFIG: the conflict-free direction with the same cosine to every gradient.

References:
  Liu, Chu, Thuerey, `ConFIG: towards conflict-free training of physics informed neural networks
  <https://arxiv.org/abs/2408.11104>`_, ICLR 2025: equation 2.
"""

import optax
from jaxtyping import Array, Float

from pinnjax.term_weights import _surgery


def config() -> optax.GradientTransformationExtraArgs:
    """Surgery: a direction with equal positive cosines to every gradient.

    G = (Σ_t g_t · d) d with the unit vector d along U⁺ 1, where the rows of U are the unit gradients.

    d has the same positive cosine to every gradient, so no term's loss rises to first order, and its length is the sum
    of the projections of the gradients. d = Σ_t x_t g_t / ‖g_t‖ up to its length, with x = C⁺ 1 and C the cosines.

    Returns:
        A term-space transform; it reads no extra args. Where no direction is free of conflict with all terms (opposite
        gradients) the update is zero, as in the authors' code.

    Cost: a QR factorisation of the gradients, and a singular value decomposition of T x T numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = config()
        >>> grads = {"pde": jnp.array([3.0, 0.0]), "bc": jnp.array([0.0, 1.0])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> print((balanced["pde"] + balanced["bc"]).round(5))  # (3 + 1) / √2 along (1, 1) / √2
        [2. 2.]
    """
    return _surgery.surgery(coefficients)


def coefficients(span: _surgery.Span) -> Float[Array, " T"]:
    """The numbers a_t of G = Σ_t a_t g_t."""
    x, q = _surgery.equal_projections(span)  # d = q / ‖q‖, a_t = (Σ_s g_s · d) x_t / (‖g_t‖ ‖q‖)
    d = _surgery.divide(q, _surgery.length(q))
    projections = span.norms @ (span.alive.T @ d)
    return _surgery.divide(_surgery.divide(x, _surgery.length(q)) * projections, span.norms)
