"""Aligned-MTL: the principal components of the gradients are brought to one length.

References:
  Senushkin, Patakin, Kuznetsov, Konushin, `Independent component alignment for multi-task learning
  <https://arxiv.org/abs/2305.19000>`_, CVPR 2023: Algorithm 1.
"""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from pinnjax.term_weights import gram


def aligned_mtl() -> optax.GradientTransformationExtraArgs:
    """G = Σ_t a_t g_t with a = √λ_min V Λ^(-1/2) Vᵀ w, where K = V Λ Vᵀ is the Gram matrix and w = 1 / T.

    The aligned gradients are orthogonal, and as long as the shortest principal component. Components whose eigenvalue
    is below rounding, 10 T eps λ_max, are left out; in single precision these are terms whose gradient is some thousand
    times smaller, so for badly scaled terms put a balancer in front, or train in double precision.

    Returns:
        A term-space transform; it reads no extra args.

    Cost: the Gram matrix and its eigenvalues.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = aligned_mtl()
        >>> grads = {"pde": jnp.array([4.0, 0.0]), "bc": jnp.array([0.0, 1.0])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> print(balanced["pde"] + balanced["bc"])  # both as long as the shorter, half of each
        [0.5 0.5]
    """

    def coefficients(seen: gram.Gram) -> Float[Array, " T"]:
        terms = len(seen.norms)
        values, vectors = jnp.linalg.eigh(seen.products)
        counted = values > 10 * terms * jnp.finfo(values.dtype).eps * jnp.max(values)
        smallest = jnp.min(jnp.where(counted, values, jnp.inf))
        scales = jnp.where(counted, jnp.sqrt(smallest / jnp.where(counted, values, 1)), 0)
        return vectors @ (scales * (vectors.T @ jnp.full(terms, 1 / terms, values.dtype)))

    return gram.surgery(coefficients)
