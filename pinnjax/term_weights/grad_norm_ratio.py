"""Gradient-norm ratios: every term's gradient to the same length.

References:
  Wang, Sankaran, Wang, Perdikaris, `An expert's guide to training physics-informed neural networks
  <https://arxiv.org/abs/2308.08468>`_, 2023: Algorithm 1, step (b), and the authors' code.
"""

from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import ScalarLike

from pinnjax import checks
from pinnjax.term_weights import _rule
from pinnjax.terms import term_gradients


def grad_norm_ratio(
    *, decay: ScalarLike = 0.9, every: int = 1000, total: bool = False
) -> optax.GradientTransformationExtraArgs:
    """Give every term a gradient of the mean length.

    Weigh each term by the mean of the gradient norms over its own: λ̂_t = mean_j ‖g_j‖ / ‖g_t‖.

    Every `every` steps λ_t ← decay λ_t + (1 - decay) λ̂_t, with λ = 1 at the start. As in the authors' code the
    denominator is ‖g_t‖ + 1e-5 mean_j ‖g_j‖, so that a term without gradient gets a weight of at most 1e5.

    Args:
        decay: share of the old weight, dimensionless, in [0, 1].
        every: steps between two moves, >= 1.
        total: the paper's Σ_j ‖g_j‖ above instead of the code's mean, without the guard below.

    Returns:
        A term-space transform; it reads no extra args.

    Raises:
        ValueError: when a number is out of range.

    Cost: a norm a term.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = grad_norm_ratio(decay=0.0, every=1)
        >>> grads = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([0.6, 0.8])}
        >>> balanced, state = balancer.update(grads, balancer.init(grads))
        >>> print(f"{state.weights['pde']:.3f} {state.weights['bc']:.3f}")  # 3 / 5 and 3 / 1
        0.600 3.000
    """
    checks.number("grad_norm_ratio: decay", decay, 0.0, 1.0)
    checks.number("grad_norm_ratio: every", every, 1)

    def propose(inputs: _rule.RuleInputs, memory: Any) -> tuple[_rule.Weights, Any]:
        norms = term_gradients.norms(inputs.grads)
        mean = _rule.mean(norms)
        above = mean * len(norms) if total else mean
        guard = jnp.zeros_like(mean) if total else 1e-5 * mean
        return {name: above / (norm + guard) for name, norm in norms.items()}, memory

    return _rule.scalar_rule(propose, decay=decay, every=every)
