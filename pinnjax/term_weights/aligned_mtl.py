"""Aligned-MTL: the principal components of the gradients are brought to one length.

References:
  Senushkin, Patakin, Kuznetsov, Konushin, `Independent component alignment for multi-task learning
  <https://arxiv.org/abs/2305.19000>`_, CVPR 2023: Algorithm 1.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from pinnjax.term_weights import _surgery

SWEEPS = 12  # convergence is quadratic; ten terms in double precision take eight


def aligned_mtl() -> optax.GradientTransformationExtraArgs:
    """Surgery: bring the principal components of the gradients to one length.

    G = Σ_t a_t g_t with a = √λ_min V Λ^(-1/2) Vᵀ w, where K = V Λ Vᵀ is the Gram matrix and w = 1 / T.

    The aligned gradients are orthogonal, and as long as the shortest principal component. Components that only rounding
    makes (of linearly dependent or zero gradients) are left out: as many are counted as the gradients, each brought to
    length one, have singular values above 10 T eps. A term whose gradient is short in itself is counted, and then
    shrinks the update to its size, as the definition says.

    Returns:
        A term-space transform; it reads no extra args.

    Cost: a QR factorisation of the gradients, and the singular values of T x T numbers by Jacobi's rotations.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = aligned_mtl()
        >>> grads = {"pde": jnp.array([4.0, 0.0]), "bc": jnp.array([0.0, 1.0])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> print(balanced["pde"] + balanced["bc"])  # both as long as the shorter, half of each
        [0.5 0.5]
    """

    def coefficients(span: _surgery.Span) -> Float[Array, " T"]:
        unit = jnp.linalg.svd(span.alive, compute_uv=False)
        rank = jnp.sum(unit > _surgery.rounding(unit) * jnp.max(unit))
        values, vectors = _components(span.alive * span.sizes[None, :])
        counted = jnp.argsort(jnp.argsort(-values)) < rank
        smallest = jnp.min(jnp.where(counted, values, jnp.inf))
        shrunk = jnp.where(counted, smallest / jnp.where(counted, values, 1), 0)
        return vectors @ (shrunk * jnp.mean(vectors, axis=0))

    return _surgery.surgery(coefficients)


def _components(columns: Float[Array, "T T"]) -> tuple[Float[Array, " T"], Float[Array, "T T"]]:
    """Singular values and right singular vectors, each value to its own precision however different the columns are.

    One-sided Jacobi (Demmel, Veselić, SIAM Journal on Matrix Analysis and Applications 13, 1992): pairs of columns are
    turned until all are at right angles. `jnp.linalg.svd` finds values to the precision of the largest only.
    """
    terms = columns.shape[0]
    first, second = np.triu_indices(terms, 1)
    pairs = jnp.stack([jnp.asarray(first, jnp.int32), jnp.asarray(second, jnp.int32)], axis=1)

    def turn(k: Array, both: Float[Array, "m T"]) -> Float[Array, "m T"]:
        i, j = pairs[k % len(pairs)]
        x, y = both[:, i], both[:, j]
        long_x, long_y = _surgery.length(x[:terms]), _surgery.length(y[:terms])
        cosine = _surgery.divide(x[:terms], long_x) @ _surgery.divide(y[:terms], long_y)
        turned = jnp.abs(cosine) > jnp.finfo(both.dtype).eps
        zeta = (_surgery.divide(long_y, long_x) - _surgery.divide(long_x, long_y)) / (2 * jnp.where(turned, cosine, 1))
        tangent = jnp.where(turned, jnp.where(zeta < 0, -1, 1) / (jnp.abs(zeta) + jnp.hypot(1.0, zeta)), 0)
        cos = 1 / jnp.sqrt(1 + tangent**2)
        sin = cos * tangent
        return both.at[:, i].set(cos * x - sin * y).at[:, j].set(sin * x + cos * y)

    both = jnp.concatenate([columns, jnp.eye(terms, dtype=columns.dtype)])
    if terms > 1:
        both = jax.lax.fori_loop(0, SWEEPS * len(first), turn, both)
    return _surgery.length(both[:terms].T), both[terms:]
