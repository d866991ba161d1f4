"""CAGrad: the direction near the mean gradient that helps the worst term most.

References:
  Liu, Liu, Jin, Stone, Liu, `Conflict-averse gradient descent for multi-task learning
  <https://arxiv.org/abs/2110.14048>`_, NeurIPS 2021: equations 3 and 4, Algorithm 1.
"""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, ScalarLike

from pinnjax import checks
from pinnjax.term_weights import _surgery


def cagrad(radius: ScalarLike = 0.5) -> optax.GradientTransformationExtraArgs:
    r"""Surgery: near the mean gradient, the direction that helps the worst term most.

    max_d min_t d · g_t subject to ‖d - g_0‖ <= c ‖g_0‖, with g_0 the mean of the gradients.

    Its solution is d = g_0 + c ‖g_0‖ g_w / ‖g_w‖ with g_w = Σ_t w_t g_t and w on the simplex, the minimiser of
    g_w · g_0 + c ‖g_0‖ ‖g_w‖. The minimum is exact: each subset of the terms that may bind has its own closed form, and
    the one that meets the conditions of a minimum is taken. Where g_w vanishes (opposite gradients) the second form
    says nothing and the first leaves a choice; then d is the g_0 less its components along the terms in conflict. The
    update is zero only when the mean is.

    Args:
        radius: c, dimensionless, in [0, 1): 0 gives the mean of the gradients; near 1 it approaches MGDA.

    Returns:
        A term-space transform; it reads no extra args. Its update is of the size of the mean of the gradients, not of
        their sum.

    Raises:
        ValueError: when c is out of range, or there are more than ten terms.

    Cost: a QR factorisation of the gradients, and 2^T systems of T equations.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = cagrad(0.5)
        >>> grads = {"pde": jnp.array([2.0, 0.0]), "bc": jnp.array([0.0, 2.0])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> total = balanced["pde"] + balanced["bc"]
        >>> print(f"{total[0]:.3f} {total[1]:.3f}")  # the mean (1, 1), and half its length along (1, 1)
        1.500 1.500
    """
    checks.number("cagrad: radius", radius, 0.0, 1.0)

    def coefficients(span: _surgery.Span) -> Float[Array, " T"]:
        terms = len(span.norms)
        masks = _surgery.subsets(terms)
        n = jnp.maximum(span.sizes, 1e-30)
        mean = span.alive @ span.sizes / terms  # g_0, in units of the largest gradient
        mean_length = jnp.maximum(_surgery.length(mean), jnp.finfo(n.dtype).tiny)
        far = radius * mean_length
        q, r, sound = _surgery.factors(masks, span.directions)

        # Where the terms of a subset bind, d · g_t = ν for them. So d is g_0 without its part along differences of
        # those gradients, and as far as the ball allows along p, the direction in their span with one p · g_t.
        shortest = jnp.min(jnp.where(masks, n[None], jnp.inf), axis=1)
        p = _surgery.solve(r, jnp.where(masks, shortest[:, None] / n[None], 0), transposed=True)
        size = _surgery.length(p)
        p = _surgery.divide(p, size[:, None])
        part = mean @ q  # of g_0 in the span
        along = jnp.sum(part * p, axis=1)
        across = part - along[:, None] * p
        reach = _surgery.length(across)
        left = jnp.sqrt(jnp.maximum((far - reach) * (far + reach), 0))
        step = left[:, None] * p - across
        y = jnp.where(masks, _surgery.solve(r, step), 0)
        d = mean[None] + jnp.einsum("sij,sj->si", q, step)
        rates = d @ span.directions  # d · g_t / ‖g_t‖
        common = _surgery.divide((along + left) * shortest, size)[:, None] / n[None]
        wrong = [jnp.max(-y, axis=1), jnp.max(common - rates, axis=1), reach - far]
        binding = _surgery.best(jnp.max(jnp.stack(wrong), axis=0), sound & jnp.any(masks, axis=1))

        # With opposite gradients no loss can fall at the common rate. Then none shall rise: d · g_t = 0 for a subset.
        rest = mean[None] - jnp.einsum("sij,sj->si", q, part)
        rising = jnp.maximum(jnp.max(-(rest @ span.directions), axis=1), _surgery.length(part) - far)
        still = _surgery.best(rising, sound)
        tolerance = _surgery.rounding(n) * mean_length
        falls_back = (jnp.min(rates[binding]) < -tolerance) & (rising[still] <= tolerance)
        y = jnp.where(falls_back, -jnp.where(masks, _surgery.solve(r, part), 0)[still], y[binding])
        return 1 / terms + _surgery.divide(y, span.sizes)

    return _surgery.surgery(coefficients)
