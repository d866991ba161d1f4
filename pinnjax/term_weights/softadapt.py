"""SoftAdapt: weigh the terms by the softmax of their losses' rates of change.

References:
  Heydari, Thompson, Mehmood, `SoftAdapt: techniques for adaptive loss weighting of neural networks with multi-part loss
  functions <https://arxiv.org/abs/1912.12355>`_, 2019: Section 3.
"""

from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import ScalarLike

from pinnjax import checks
from pinnjax.term_weights import _rule


def softadapt(
    *, beta: ScalarLike = 0.1, normalized: bool = False, loss_weighted: bool = False, every: int = 1
) -> optax.GradientTransformationExtraArgs:
    """Give more weight to the terms whose losses fall slowest, or rise.

    λ_t = softmax_t(β s_t) with s_t = L_t(k) - L_t(k-1): for β > 0 the worst performing terms weigh most.

    Args:
        beta: β, in 1 / units of the loss (dimensionless when `normalized`); negative values favour the best performing.
        normalized: s_t / (Σ_j |s_j| + 1e-8) instead of s_t.
        loss_weighted: λ_t ∝ L_t exp(β s_t).
        every: steps between two moves, and between the two losses of s_t, >= 1.

    Returns:
        A term-space transform whose weights sum to 1. It reads the extra arg `losses`, `{term: ()}`.

    Raises:
        ValueError: when `every` is out of range, or `losses` are missing.

    Cost: a few scalar operations; no gradient is looked at.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = softadapt(beta=1.0)
        >>> grads = {"pde": jnp.array([1.0]), "bc": jnp.array([1.0])}
        >>> state = balancer.init(grads)
        >>> for bc in (2.0, 3.0):
        ...     losses = {"pde": jnp.float32(1.0), "bc": jnp.float32(bc)}
        ...     balanced, state = balancer.update(grads, state, losses=losses)
        >>> print(f"{state.weights['bc']:.4f}")  # e / (e + 1)
        0.7311
    """
    checks.number("softadapt: every", every, 1)

    def propose(inputs: _rule.RuleInputs, previous: _rule.Weights) -> tuple[_rule.Weights, _rule.Weights]:
        losses = _rule.needs_losses("softadapt", inputs)
        slopes = {name: jnp.where(inputs.steps == 0, 0.0, loss - previous[name]) for name, loss in losses.items()}
        if normalized:
            size = optax.tree.norm(slopes, ord=1) + 1e-8
            slopes = {name: slope / size for name, slope in slopes.items()}
        shares = _rule.softmax({name: jnp.asarray(beta * slope) for name, slope in slopes.items()})
        if loss_weighted:
            shares = {name: losses[name] * share for name, share in shares.items()}
            total = optax.tree.sum(shares)
            shares = {name: share / total for name, share in shares.items()}
        return shares, losses

    return _rule.scalar_rule(propose, start=_zeros, every=every)


def _zeros(term_params: dict[str, Any]) -> _rule.Weights:
    return {name: 0 * one for name, one in _rule.ones(term_params).items()}
