"""Nash-MTL: the direction that the terms would agree on in a bargain.

References:
  Navon, Shamsian, Achituve, Maron, Kawaguchi, Chechik, Fetaya, `Multi-task learning as a bargaining game
  <https://arxiv.org/abs/2202.01017>`_, ICML 2022: Claim 3.1, equation 3.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from pinnjax.term_weights import _surgery

NEWTON_STEPS = 200  # some eight, more by the logarithm of how nearly opposite gradients are; the last are quadratic


def nash_mtl() -> optax.GradientTransformationExtraArgs:
    r"""Surgery: the Nash bargain between the terms.

    G = Σ_t α_t g_t with K α = 1 / α, the maximum of Σ_t log(d · g_t) over directions of one length.

    α is the unique positive solution, the minimiser of the convex ½ αᵀ K α - Σ_t log α_t, found by damped Newton steps
    (the authors' code approximates it by a sequence of convex programs). In y_t = α_t ‖g_t‖ the equation is
    C y = 1 / y, so the direction does not depend on the scales of the gradients, and ‖G‖ = √T. For opposite gradients
    there is no bargain: what they would bring in is left out, and two of them alone stop it.

    Returns:
        A term-space transform; it reads no extra args. Its update has length √T however small the gradients are: let
        Adam or a decaying learning rate follow. A zero gradient has no share in the bargain.

    Cost: a QR factorisation of the gradients, and at most 200 systems of T equations, usually ten.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = nash_mtl()
        >>> grads = {"pde": jnp.array([5.0, 0.0]), "bc": jnp.array([0.0, 0.1])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> total = balanced["pde"] + balanced["bc"]
        >>> print(f"{total[0]:.3f} {total[1]:.3f}")  # two unit vectors
        1.000 1.000
    """

    def coefficients(span: _surgery.Span) -> Float[Array, " T"]:
        terms = len(span.norms)
        eps = jnp.finfo(span.norms.dtype).eps
        touch = _surgery.rounding(span.directions)
        # For opposite gradients there is no bargain; a touch of the identity keeps y finite.
        matrix = jnp.concatenate([span.directions, touch * jnp.eye(terms, dtype=span.norms.dtype)])

        def newton(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            y, _, steps = carry
            # The step in units of y, (Y C Y + I) s = Y C y - 1, as a least-squares problem: C is never formed.
            rows = jnp.concatenate([matrix * y[None, :], jnp.eye(terms, dtype=y.dtype)])
            right = jnp.concatenate([matrix @ y, -jnp.ones_like(y)])
            q, r = jnp.linalg.qr(rows)
            projected = right @ q
            step = jax.scipy.linalg.solve_triangular(r, projected)
            decrement = _surgery.length(projected)
            damping = 1 + jnp.where(decrement > 0.25, decrement, 0)  # for self-concordant functions
            return y * (1 - step / damping), decrement, steps + 1

        def going(carry: tuple[Array, Array, Array]) -> Array:
            _, decrement, steps = carry
            return (decrement > 10 * eps) & (steps < NEWTON_STEPS)

        start = jnp.full_like(span.norms, 1 / jnp.sqrt(terms))
        y, _, _ = jax.lax.while_loop(
            going, newton, (start, jnp.full((), jnp.inf, start.dtype), jnp.zeros((), jnp.int32))
        )
        agreed = _surgery.length(span.directions @ y) > 0.5  # 0 when all cancel, and otherwise 1 at least
        return jnp.where(agreed, _surgery.divide(y, span.norms), 0)

    return _surgery.surgery(coefficients)
