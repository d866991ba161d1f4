"""Augmented Lagrangian: boundary, initial and data terms are constraints with multipliers, not penalties.

References:
  Basir, Senocak, `Physics and equality constrained artificial neural networks
  <https://arxiv.org/abs/2109.14860>`_, Journal of Computational Physics 463, 2022 (a multiplier a point: see
  `pinnjax.point_weights.pecann`).

  Hu, Basir, Senocak, `Conditionally adaptive augmented Lagrangian method for physics-informed learning of forward and
  inverse problems <https://arxiv.org/abs/2508.15695>`_, 2025: Algorithm 1 and the authors' code.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, ScalarLike

from pinnjax import checks
from pinnjax.term_weights import _rule
from pinnjax.terms import names

PyTree = Any


class AugmentedLagrangianMemory(NamedTuple):
    """Memory of `augmented_lagrangian`.

    Attributes:
        multipliers: λ, `{term: ()}`.
        penalties: μ, `{term: ()}`.
        mean_squares: v, the moving average of C², `{term: ()}`.
        previous: `()`, the augmented Lagrangian in the step before.
    """

    multipliers: dict[str, Float[Array, ""]]
    penalties: dict[str, Float[Array, ""]]
    mean_squares: dict[str, Float[Array, ""]]
    previous: Float[Array, ""]


def augmented_lagrangian(
    objective: str, *, eta: ScalarLike = 1.0, omega: ScalarLike = 0.999, decay: ScalarLike = 0.99
) -> optax.GradientTransformationExtraArgs:
    """Treat the conditions as constraints, with a multiplier for each.

    Minimise L_objective subject to C_t = L_t = 0 for the other terms: a multiplier and a penalty a constraint.

    The Lagrangian is L = L_objective + Σ_t λ_t C_t + ½ μ_t C_t², so a constraint's gradient is (λ_t + μ_t C_t) g_t,
    which is the weight. λ and μ start at 1. In every step v_t ← ζ v_t + (1 - ζ) C_t², and when the Lagrangian has
    stopped falling, L >= ω L_previous,

        λ_t ← λ_t + μ_t C_t,   then   μ_t ← max(μ_t, η / √v_t),

    so λ and μ never fall. The authors update after the optimiser's step; here the same happens at the start of the
    next one, where its losses are known.

    Args:
        objective: the term that is minimised, usually `"pde"`; all others are constraints.
        eta: η, in units of the loss.
        omega: ω, dimensionless, in [0, 1].
        decay: ζ, of the mean of squares, dimensionless, in [0, 1).

    Returns:
        A term-space transform whose weight of the objective is 1. It reads the extra arg `losses`, `{term: ()}`.

    Raises:
        ValueError: when a number is out of range, the objective is unknown or `losses` are missing.

    Cost: a few scalar operations; no gradient is looked at.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = augmented_lagrangian("pde")
        >>> grads = {"pde": jnp.array([1.0]), "bc": jnp.array([1.0])}
        >>> losses = {"pde": jnp.float32(1.0), "bc": jnp.float32(0.5)}
        >>> balanced, state = balancer.update(grads, balancer.init(grads), losses=losses)
        >>> print(state.weights["pde"], state.weights["bc"])  # 1 + 1 · 0.5
        1.0 1.5
    """
    checks.number("augmented_lagrangian: eta", eta, 0.0)
    checks.number("augmented_lagrangian: omega", omega, 0.0, 1.0)
    checks.number("augmented_lagrangian: decay", decay, 0.0, 1.0)

    def start(term_params: dict[str, PyTree]) -> AugmentedLagrangianMemory:
        minimised = names.meant("augmented_lagrangian: objective", [objective], term_params)
        ones = {name: one for name, one in _rule.ones(term_params).items() if name not in minimised}
        zero = 0 * _rule.ones(term_params)[next(iter(minimised))]
        largest = jnp.full_like(zero, jnp.finfo(zero.dtype).max)  # the first step has none before it
        return AugmentedLagrangianMemory(ones, ones, {name: 0 * one for name, one in ones.items()}, largest)

    def propose(
        inputs: _rule.RuleInputs, memory: AugmentedLagrangianMemory
    ) -> tuple[_rule.Weights, AugmentedLagrangianMemory]:
        losses = _rule.needs_losses("augmented_lagrangian", inputs)
        multipliers, penalties = memory.multipliers, memory.penalties
        minimised = names.meant("augmented_lagrangian: objective", [objective], inputs.grads)
        value = optax.tree.sum({name: losses[name] for name in minimised})
        for t, multiplier in multipliers.items():
            value = value + multiplier * losses[t] + 0.5 * penalties[t] * losses[t] ** 2
        stalled = value >= omega * memory.previous
        squares = {t: jnp.asarray(decay * v + (1 - decay) * losses[t] ** 2) for t, v in memory.mean_squares.items()}
        tiny = jnp.finfo(value.dtype).tiny
        raised = {t: jnp.maximum(m, eta / jnp.sqrt(jnp.maximum(squares[t], tiny))) for t, m in penalties.items()}
        multipliers = {t: m + jnp.where(stalled, penalties[t] * losses[t], 0) for t, m in multipliers.items()}
        penalties = {t: jnp.where(stalled, raised[t], m) for t, m in penalties.items()}
        weights = {t: m + penalties[t] * losses[t] for t, m in multipliers.items()}
        weights |= {name: jnp.ones_like(inputs.weights[name]) for name in minimised}
        return weights, AugmentedLagrangianMemory(multipliers, penalties, squares, value)

    return _rule.scalar_rule(propose, start=start)
