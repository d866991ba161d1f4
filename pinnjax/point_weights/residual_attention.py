"""Residual-based attention (RBA): weights that remember where the residual has been large.

References:
  Anagnostopoulos, Toscano, Stergiopulos, Karniadakis, `Residual-based attention in physics-informed neural networks
  <https://arxiv.org/abs/2307.00379>`_, Computer Methods in Applied Mechanics and Engineering 421, 2024:
  equations 10 and 11.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, ScalarLike

from pinnjax import checks
from pinnjax.point_weights import _rule
from pinnjax.terms import losses

Residuals = dict[str, Array]


class ResidualAttentionState(NamedTuple):
    """State of `residual_attention`.

    Attributes:
        attention: λ, `{term: (n,)}`, at most η / (1 - γ).
    """

    attention: dict[str, Float[Array, " n"]]


def residual_attention(
    *,
    decay: ScalarLike = 0.999,
    eta: ScalarLike = 0.01,
    initial: ScalarLike = 0.0,
    terms: Sequence[str] | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Remember where the residual has been large, and give more weight there (RBA).

    λ_i ← γ λ_i + η |r_i| / max_j |r_j|, and the loss mean (λ_i r_i)² with the new λ: the weight is λ².

    λ starts at 0 and never exceeds η / (1 - γ), 10 by default. It has no gradient and no optimiser, so it cannot run
    away. The maximum is over the points of a term.

    Args:
        decay: γ, share of the old weight, dimensionless, in [0, 1).
        eta: η, learning rate, dimensionless, >= 0.
        initial: λ at the start, dimensionless.
        terms: names of the terms that are weighed; all when None. The others keep the weights that came in.

    Returns:
        A point-space transform. It reads the extra arg `residuals`, `{term: (n,) or (n, m)}`.

    Raises:
        ValueError: when a number is out of range or a name is not a term.

    Cost: three operations a point and a maximum; memory: λ.

    Example:
        >>> import jax.numpy as jnp
        >>> point_weights = residual_attention(eta=0.5)
        >>> residuals = {"pde": jnp.array([1.0, -4.0])}
        >>> state = point_weights.init(residuals)
        >>> weights, state = point_weights.update({"pde": jnp.ones(2)}, state, residuals=residuals)
        >>> print(weights["pde"])  # λ = 0.5 (1/4, 1), squared
        [0.015625 0.25    ]
    """
    checks.number("residual_attention: decay", decay, 0.0, 1.0)
    checks.number("residual_attention: eta", eta, 0.0)

    def init(residuals: Residuals) -> ResidualAttentionState:
        chosen = _rule.chosen("residual_attention", residuals, terms)
        return ResidualAttentionState(_rule.full(residuals, chosen, initial))

    def update(
        weights: dict[str, Array],
        state: ResidualAttentionState,
        params: Any = None,
        *,
        residuals: Residuals,
        **extra: Any,
    ) -> tuple[dict[str, Array], ResidualAttentionState]:
        del params, extra
        attention = {}
        for name, old in state.attention.items():
            relative = _rule.relative(losses.magnitude(residuals[name]))
            attention[name] = jnp.asarray(decay * old + eta * relative, old.dtype)
        weighted = {name: weights[name] * jnp.square(value) for name, value in attention.items()}
        return weights | weighted, ResidualAttentionState(attention)

    return optax.GradientTransformationExtraArgs(init, update)
