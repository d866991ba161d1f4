"""Inverse-Dirichlet weighting: every term's gradient to the same variance.

References:
  Maddu, Sturm, Müller, Sbalzarini, `Inverse Dirichlet weighting enables reliable training of physics informed neural
  networks <https://arxiv.org/abs/2107.00940>`_, Machine Learning: Science and Technology 3, 2022.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ScalarLike

from pinnjax import checks
from pinnjax.term_weights import _rule
from pinnjax.terms import term_gradients


def inverse_dirichlet(*, decay: ScalarLike = 0.5, every: int = 5) -> optax.GradientTransformationExtraArgs:
    """Give every term's gradient the same standard deviation.

    Weigh each term by the largest standard deviation of a gradient over its own: λ̂_t = max_j std(g_j) / std(g_t).

    The deviation is taken over all parameters. Every `every` steps λ_t ← decay λ_t + (1 - decay) λ̂_t, λ = 1 at the
    start.

    Args:
        decay: share of the old weight, dimensionless, in [0, 1].
        every: steps between two moves, >= 1.

    Returns:
        A term-space transform; it reads no extra args. The weight of a term whose gradient does not vary is kept.

    Raises:
        ValueError: when a number is out of range.

    Cost: a mean and a mean square over the parameters a term.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = inverse_dirichlet(decay=0.0)
        >>> grads = {"pde": jnp.array([3.0, -3.0]), "bc": jnp.array([1.5, 0.5])}
        >>> balanced, state = balancer.update(grads, balancer.init(grads))
        >>> print(state.weights["pde"], state.weights["bc"])  # deviations 3 and 0.5
        1.0 6.0
    """
    checks.number("inverse_dirichlet: decay", decay, 0.0, 1.0)
    checks.number("inverse_dirichlet: every", every, 1)

    def propose(inputs: _rule.RuleInputs, memory: Any) -> tuple[_rule.Weights, Any]:
        deviations = {name: _deviation(grads) for name, grads in inputs.grads.items()}
        largest = jnp.max(jnp.stack(list(deviations.values())))
        return {name: largest / deviation for name, deviation in deviations.items()}, memory

    return _rule.scalar_rule(propose, decay=decay, every=every)


def _deviation(grads: Any) -> Array:
    size = optax.tree.size(grads)
    mean = optax.tree.sum(grads) / size
    return term_gradients.norm(jax.tree.map(lambda g: g - mean, grads)) / jnp.sqrt(size)
