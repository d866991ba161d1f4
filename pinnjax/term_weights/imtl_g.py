"""IMTL-G: the combination of the gradients that projects equally on each of them.

References:
  Liu, Li, Kuang, Xue, Chen, Yang, Liao, Zhang, `Towards impartial multi-task learning
  <https://openreview.net/forum?id=IMPnRXEWpvr>`_, ICLR 2021: Section 3.1.
"""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from pinnjax.term_weights import _surgery


def imtl_g() -> optax.GradientTransformationExtraArgs:
    """Surgery: a direction with equal projections on every gradient.

    G = Σ_t a_t g_t with Σ_t a_t = 1 and the same g · g_t / ‖g_t‖ for all t.

    In closed form a ∝ D⁻¹ C⁺ 1, with C the cosines and D the norms. Coefficients may be negative. Where the gradients
    are linearly dependent the pseudo-inverse of C is taken, so that the result does not depend on scales; where only
    zero projects equally (opposite gradients) the update is zero. A zero gradient does not count.

    Returns:
        A term-space transform; it reads no extra args. Where the coefficients of the solution sum to zero there is no
        such combination, and the last coefficients are kept and counted.

    Cost: a QR factorisation of the gradients, and a singular value decomposition of T x T numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = imtl_g()
        >>> grads = {"pde": jnp.array([4.0, 0.0]), "bc": jnp.array([0.0, 1.0])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> total = balanced["pde"] + balanced["bc"]
        >>> print(f"{total[0]:.3f} {total[1]:.3f}")  # 4/5 on both
        0.800 0.800
    """

    def coefficients(span: _surgery.Span) -> Float[Array, " T"]:
        x, _ = _surgery.equal_projections(span)
        along = _surgery.divide(_surgery.divide(x, jnp.max(jnp.abs(x))), span.sizes)
        return jnp.where(jnp.any(x != 0), along / jnp.sum(along), 0)

    return _surgery.surgery(coefficients)
