"""Minimax weights: the weights of the terms ascend the loss that the network descends.

References:
  Liu, Wang, `A dual-dimer method for training physics-constrained neural networks with minimax architecture
  <https://arxiv.org/abs/2005.00615>`_, Neural Networks 136, 2021: Section 2.
"""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import ScalarLike

from pinnjax import checks
from pinnjax.term_weights import _rule
from pinnjax.terms import names

PyTree = Any


def minimax(
    learning_rate: ScalarLike | optax.GradientTransformation = 1e-3, *, reference: str | None = None
) -> optax.GradientTransformationExtraArgs:
    """Weights that ascend the loss while the network descends it.

    min_θ max_λ Σ_t λ_t L_t by gradient descent in θ and ascent in λ: λ ← λ + η ∂L/∂λ_t with ∂L/∂λ_t = L_t.

    A step weighs with λ as it was, then moves it. The weights start at 1 and grow as long as losses are positive, the
    fastest where the loss stays large. The paper searches the saddle point with its dual-dimer method; plain descent
    and ascent, its baseline, is what runs inside a train step.

    Args:
        learning_rate: η, in 1 / units of the loss and >= 0, for plain gradient ascent; or any optax optimiser, which
            is run uphill.
        reference: a term whose weight stays 1, usually `"pde"`; None lets every weight grow.

    Returns:
        A term-space transform. It reads the extra arg `losses`, `{term: ()}`.

    Raises:
        ValueError: when η is negative, the reference is unknown or `losses` are missing.

    Cost: a few scalar operations; no gradient is looked at.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = minimax(0.5, reference="pde")
        >>> grads = {"pde": jnp.array([1.0]), "bc": jnp.array([1.0])}
        >>> losses = {"pde": jnp.float32(3.0), "bc": jnp.float32(1.0)}
        >>> state = balancer.init(grads)
        >>> for _ in range(3):
        ...     balanced, state = balancer.update(grads, state, losses=losses)
        >>> print(state.weights["pde"], state.weights["bc"])  # 1 + 2 · 0.5 · 1 in the third step
        1.0 2.0
    """
    if not isinstance(learning_rate, optax.GradientTransformation):
        checks.number("minimax: learning_rate", learning_rate, 0.0)
        learning_rate = optax.sgd(learning_rate)
    ascent = learning_rate

    def fixed(residuals: Iterable[str]) -> dict[str, str]:
        return names.meant("minimax: reference", [] if reference is None else [reference], residuals)

    def start(term_params: dict[str, PyTree]) -> tuple[_rule.Weights, PyTree]:
        fixed(term_params)
        weights = _rule.ones(term_params)
        return weights, ascent.init(weights)

    def propose(inputs: _rule.RuleInputs, memory: tuple[_rule.Weights, PyTree]) -> tuple[_rule.Weights, PyTree]:
        losses = _rule.needs_losses("minimax", inputs)
        weights, state = memory
        at_one = fixed(weights)
        downhill = {name: -jnp.where(name in at_one, 0.0, losses[name]) for name in weights}
        downhill = jax.tree.map(lambda d, w: d.astype(w.dtype), downhill, weights)
        step, state = ascent.update(downhill, state, weights)
        return weights, (optax.apply_updates(weights, step), state)

    return _rule.scalar_rule(propose, start=start)
