"""UPGrad: the mean of the gradients after each is projected onto the cone where no loss rises.

References:
  Quinton, Rey, `Jacobian descent for multi-objective optimization <https://arxiv.org/abs/2406.16232>`_, 2024:
  Section 3.2 and Proposition 1.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from pinnjax.term_weights import _surgery


def upgrad() -> optax.GradientTransformationExtraArgs:
    """Surgery: the mean of the gradients, each projected so that it opposes no other.

    G = mean_i π(g_i), with π the projection onto the dual cone {d : d · g_t >= 0 for all t}.

    By Proposition 1, π(g_i) = Σ_t v_t g_t with v = argmin vᵀ K v subject to v >= e_i. The minimum is exact: each subset
    of the terms has its own closed form, and the one that is a minimum is taken.

    Returns:
        A term-space transform; it reads no extra args.

    Raises:
        ValueError: when there are more than ten terms.

    Cost: a QR factorisation of the gradients, and T 2^T systems of T equations.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = upgrad()
        >>> grads = {"pde": jnp.array([1.0, 0.0]), "bc": jnp.array([-1.0, 1.0])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> total = balanced["pde"] + balanced["bc"]
        >>> print(f"{total[0]:.3f} {total[1]:.3f}")  # the mean of (1/2, 1/2) and (0, 1)
        0.250 0.750
    """

    def coefficients(span: _surgery.Span) -> Float[Array, " T"]:
        def projected(i: Array) -> Array:
            # In units of lengths v_t ‖g_t‖ = ‖g_i‖ (e_i + z)_t, with z >= 0.
            z = _surgery.nonnegative(span.directions, -span.directions[:, i])
            return _surgery.divide(span.norms[i] * z, span.norms).at[i].add(1)

        return jax.vmap(projected)(jnp.arange(len(span.norms))).mean(axis=0)

    return _surgery.surgery(coefficients)
