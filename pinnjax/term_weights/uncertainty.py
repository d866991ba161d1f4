"""Uncertainty weighting: each term's weight is the precision of a Gaussian, learnt by maximum likelihood.

References:
  Kendall, Gal, Cipolla, `Multi-task learning using uncertainty to weigh losses for scene geometry and semantics
  <https://arxiv.org/abs/1705.07115>`_, CVPR 2018: equations 7 and 10.

  Xiang, Peng, Liu, Yao, `Self-adaptive loss balanced physics-informed neural networks
  <https://doi.org/10.1016/j.neucom.2022.05.015>`_, Neurocomputing 496, 2022.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, ScalarLike

from pinnjax.term_weights import _rule

PyTree = Any


class UncertaintyMemory(NamedTuple):
    """Memory of `uncertainty`.

    Attributes:
        log_variances: s, `{term: ()}`.
        descent: state of their own optimiser.
    """

    log_variances: dict[str, Float[Array, ""]]
    descent: PyTree


def uncertainty(
    learning_rate: ScalarLike | optax.GradientTransformation = 1e-3, *, initial: ScalarLike = 0.0
) -> optax.GradientTransformationExtraArgs:
    """Learn a precision for each term, as if its residuals were Gaussian noise.

    Descend Σ_t ½ e^{-s_t} L_t + ½ s_t in the log variances s_t too; the weights are λ_t = ½ e^{-s_t}.

    A step weighs with s as it was, then moves s by its own optimiser, as descending θ and s together does. Where L_t
    stands still s_t comes to log L_t, so a term's weighted loss is then ½, however small the loss. Single terms are
    halved: the factor is the paper's, and is common to all terms.

    Args:
        learning_rate: of Adam, the default descent, or any optax optimiser.
        initial: s at the start, dimensionless.

    Returns:
        A term-space transform. It reads the extra arg `losses`, `{term: ()}`.

    Raises:
        ValueError: when `losses` are missing.

    Cost: a few scalar operations; no gradient is looked at.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> balancer = uncertainty(optax.sgd(1.0))
        >>> grads = {"pde": jnp.array([1.0]), "bc": jnp.array([1.0])}
        >>> losses = {"pde": jnp.float32(3.0), "bc": jnp.float32(1.0)}
        >>> balanced, state = balancer.update(grads, balancer.init(grads), losses=losses)
        >>> print(balanced["pde"], state.memory.log_variances["pde"])  # s = 0 + (½ · 3 - ½)
        [0.5] 1.0
    """
    descent = learning_rate if isinstance(learning_rate, optax.GradientTransformation) else optax.adam(learning_rate)

    def start(term_params: dict[str, PyTree]) -> UncertaintyMemory:
        logs = {name: jnp.asarray(initial, one.dtype) for name, one in _rule.ones(term_params).items()}
        return UncertaintyMemory(logs, descent.init(logs))

    def propose(inputs: _rule.RuleInputs, memory: UncertaintyMemory) -> tuple[_rule.Weights, UncertaintyMemory]:
        losses = _rule.needs_losses("uncertainty", inputs)

        def likelihood(logs: dict[str, Array]) -> Array:
            return optax.tree.sum({t: 0.5 * jnp.exp(-s) * losses[t] + 0.5 * s for t, s in logs.items()})

        logs = memory.log_variances
        step, state = descent.update(jax.grad(likelihood)(logs), memory.descent, logs)
        weights = {name: 0.5 * jnp.exp(-s) for name, s in logs.items()}
        return weights, UncertaintyMemory(optax.apply_updates(logs, step), state)

    return _rule.scalar_rule(propose, start=start)
