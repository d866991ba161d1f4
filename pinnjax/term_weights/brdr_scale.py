"""The scale factor of balanced residual decay rates: all terms by one number, as large as the learning rate lets it be.

References:
  Chen, Howard, Stinis, `Self-adaptive weights based on balanced residual decay rate for physics-informed neural
  networks and deep operator networks <https://arxiv.org/abs/2407.01613>`_, Journal of Computational Physics 542, 2025,
  and the authors' code.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import ScalarLike

from pinnjax import checks
from pinnjax.term_weights import _rule

PyTree = Any


def brdr_scale(learning_rate: ScalarLike = 1e-3) -> optax.GradientTransformationExtraArgs:
    """Scale the whole loss; goes with the point rule `brdr`.

    Weigh every term with one s ← (1 - η) s + η ŝ, where ŝ = 2 L / (η ‖∇L‖²) for the loss L = Σ_t L_t.

    With ŝ a step of plain gradient descent takes off, to first order, twice the loss: about as much as it can bear. It
    is the second half of the authors' method, `point_weights=brdr(), term_weights=brdr_scale(eta)`. Adam does not see a
    constant factor, and hardly this one, which moves with the rate η.

    Args:
        learning_rate: η of the optimiser, dimensionless, in (0, 1].

    Returns:
        A term-space transform whose weights are equal. It reads the extra arg `losses`, `{term: ()}`, those that the
        gradients are the gradients of. Where the gradient of L is zero the scale is kept, and the event counted.

    Raises:
        ValueError: when η is out of range, or `losses` are missing.

    Cost: a sum of the gradients and its norm.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = brdr_scale(0.5)
        >>> grads = {"pde": jnp.array([2.0, 0.0]), "bc": jnp.array([0.0, 1.0])}
        >>> losses = {"pde": jnp.float32(4.0), "bc": jnp.float32(1.0)}
        >>> balanced, state = balancer.update(grads, balancer.init(grads), losses=losses)
        >>> print(state.weights["pde"], state.weights["bc"])  # ½ + ½ · 2 · 5 / (½ · 5)
        2.5 2.5
    """
    checks.number("brdr_scale: learning_rate", learning_rate, 1e-12, 1.0)

    def propose(inputs: _rule.RuleInputs, memory: PyTree) -> tuple[_rule.Weights, PyTree]:
        loss = optax.tree.sum(_rule.needs_losses("brdr_scale", inputs))
        total = jax.tree.map(lambda *grads: sum(grads), *inputs.grads.values())
        scale = jnp.asarray(2 * loss / (learning_rate * optax.tree.norm(total, squared=True)))
        return {t: _rule.between(s, scale, learning_rate) for t, s in inputs.weights.items()}, memory

    return _rule.scalar_rule(propose)
