"""Nash-MTL: the direction that the terms would agree on in a bargain.

References:
  Navon, Shamsian, Achituve, Maron, Kawaguchi, Chechik, Fetaya, `Multi-task learning as a bargaining game
  <https://arxiv.org/abs/2202.01017>`_, ICML 2022: Claim 3.1, equation 3.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from pinnjax.term_weights import gram

NEWTON_STEPS = 30  # the last ones converge quadratically; tests see 1e-10 relative after 20


def nash_mtl() -> optax.GradientTransformationExtraArgs:
    r"""G = Σ_t α_t g_t with K α = 1 / α, the maximum of Σ_t log(d · g_t) over directions of one length.

    α is the unique positive solution, the minimiser of the convex ½ αᵀ K α - Σ_t log α_t, found by damped Newton steps
    (the authors' code approximates it by a sequence of convex programs). In y_t = α_t ‖g_t‖ the equation is
    C y = 1 / y, so the direction does not depend on the scales of the gradients, and ‖G‖ = √T.

    Returns:
        A term-space transform; it reads no extra args. Its update has length √T however small the gradients are: let
        Adam or a decaying learning rate follow. A zero gradient has no share in the bargain.

    Cost: the Gram matrix, and 30 systems of T equations.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = nash_mtl()
        >>> grads = {"pde": jnp.array([5.0, 0.0]), "bc": jnp.array([0.0, 0.1])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> total = balanced["pde"] + balanced["bc"]
        >>> print(f"{total[0]:.3f} {total[1]:.3f}")  # two unit vectors
        1.000 1.000
    """

    def coefficients(seen: gram.Gram) -> Float[Array, " T"]:
        terms = len(seen.norms)
        alive = seen.norms > 0
        identity = jnp.eye(terms, dtype=seen.cosines.dtype)
        # For opposite gradients there is no bargain; a touch of the identity keeps y finite, and G is then near zero.
        cosines = jnp.where(alive[:, None] & alive[None, :], seen.cosines, identity)
        cosines = cosines + 10 * jnp.finfo(cosines.dtype).eps * identity

        def newton(_: int, y: Array) -> Array:
            slope = cosines @ y - 1 / y
            step = jnp.linalg.solve(cosines + jnp.diag(1 / y**2), slope)
            decrement = jnp.sqrt(jnp.maximum(slope @ step, 0))
            return y - step / (1 + jnp.where(decrement > 0.25, decrement, 0))  # damped for self-concordant functions

        y = jax.lax.fori_loop(0, NEWTON_STEPS, newton, jnp.full_like(seen.norms, 1 / jnp.sqrt(terms)))
        return jnp.where(alive, gram.divide(y, seen.norms), 0)

    return gram.surgery(coefficients)
