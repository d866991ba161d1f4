"""Random loss weighting: a baseline that every balancer has to beat.

References:
  Lin, Ye, Zhang, Tsang, `Reasonable effectiveness of random weighting: a litmus test for multi-task learning
  <https://arxiv.org/abs/2111.10603>`_, TMLR 2022: Section 3.
"""

from typing import Any

import jax
import optax

from pinnjax.term_weights import _rule

PyTree = Any


def random(*, seed: int = 0) -> optax.GradientTransformationExtraArgs:
    """Random weights in every step: a baseline.

    λ = softmax(z) with z ~ N(0, I), drawn anew in every step. The weights sum to 1, and their mean is 1 / T.

    Args:
        seed: of the draws, which depend on it and on the step.

    Returns:
        A term-space transform; it reads no extra args.

    Cost: T normal numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = random()
        >>> grads = {"pde": jnp.array([1.0]), "bc": jnp.array([1.0])}
        >>> balanced, state = balancer.update(grads, balancer.init(grads))
        >>> print(f"{state.weights['pde'] + state.weights['bc']:.3f}")
        1.000
    """

    def propose(inputs: _rule.RuleInputs, memory: PyTree) -> tuple[_rule.Weights, PyTree]:
        key = jax.random.fold_in(jax.random.key(seed), inputs.steps)
        return _rule.softmax(dict(zip(inputs.grads, jax.random.normal(key, (len(inputs.grads),)), strict=True))), memory

    return _rule.scalar_rule(propose)
