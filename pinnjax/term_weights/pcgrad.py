"""PCGrad: each gradient is projected off those that it conflicts with.

References:
  Yu, Kumar, Gupta, Levine, Hausman, Finn, `Gradient surgery for multi-task learning
  <https://arxiv.org/abs/2001.06782>`_, NeurIPS 2020: Algorithm 1.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from pinnjax.term_weights import _surgery


def pcgrad(*, seed: int = 0) -> optax.GradientTransformationExtraArgs:
    """Surgery: project each gradient off those that it conflicts with.

    Sum the gradients after each lost its components against the others: g_i ← g_i - (g_i · g_j / ‖g_j‖²) g_j.

    For each i, the j ≠ i come in random order, and a projection happens where the product is negative at that point.

    Args:
        seed: of the orders, which depend on it and on the step.

    Returns:
        A term-space transform; it reads no extra args.

    Cost: a QR factorisation of the gradients, and T² operations on T numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = pcgrad()
        >>> grads = {"pde": jnp.array([1.0, 0.0]), "bc": jnp.array([-1.0, 1.0])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> print(balanced["pde"] + balanced["bc"])  # (1/2, 1/2) and (0, 1)
        [0.5 1.5]
    """

    def coefficients(span: _surgery.Span) -> Float[Array, " T"]:
        terms = len(span.norms)
        key = jax.random.fold_in(jax.random.key(seed), span.steps)
        orders = jax.vmap(lambda k: jax.random.permutation(k, terms))(jax.random.split(key, terms))
        units = span.alive.T

        def project(i: Array, order: Array) -> Array:
            own, vector = jnp.zeros(terms, units.dtype).at[i].set(1), units[i]  # in units of ‖g_i‖
            for k in range(terms):
                j = order[k]
                against = jnp.where(j == i, 0, jnp.minimum(units[j] @ vector, 0))
                own, vector = own.at[j].add(-against), vector - against * units[j]
            return jnp.where(jnp.arange(terms) == i, own, _surgery.divide(span.norms[i] * own, span.norms))

        return jax.vmap(project)(jnp.arange(terms), orders).sum(axis=0)

    return _surgery.surgery(coefficients)
