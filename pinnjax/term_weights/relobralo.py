"""ReLoBRaLo: relative loss balancing with random lookback.

References:
  Bischof, Kraus, `Multi-objective loss balancing for physics-informed deep learning
  <https://arxiv.org/abs/2110.09813>`_, 2021: Section 3.2 and the authors' code.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, ScalarLike

from pinnjax import checks
from pinnjax.term_weights import _rule


class ReLoBRaLoMemory(NamedTuple):
    """Memory of `relobralo`.

    Attributes:
        initial_losses: L(0), `{term: ()}`; zero before it is known.
        previous_losses: L(k-1), `{term: ()}`.
    """

    initial_losses: dict[str, Float[Array, ""]]
    previous_losses: dict[str, Float[Array, ""]]


def relobralo(
    *, decay: ScalarLike = 0.999, temperature: ScalarLike = 1.0, saudade: ScalarLike = 1.0, seed: int = 0
) -> optax.GradientTransformationExtraArgs:
    """Give more weight to the terms whose losses fell least, since the last step or, at random, the first.

        λ(k) = α (ρ λ(k-1) + (1 - ρ) λ^bal(k, 0)) + (1 - α) λ^bal(k, k-1),   ρ ~ Bernoulli(saudade)
        λ^bal_t(a, b) = T softmax_t( L_t(a) / (τ L_t(b)) )

    The weights sum to T, the number of terms, at all times.

    Args:
        decay: α, share of the old weights, dimensionless, in [0, 1].
        temperature: τ, dimensionless, > 0. The authors' released notebooks use 0.1 as well.
        saudade: E ρ, dimensionless, in [0, 1]; below 1 the weights now and then look back to the first losses.
        seed: of the Bernoulli draws, which depend on it and on the step.

    Returns:
        A term-space transform. It reads the extra arg `losses`, `{term: ()}`; the first that is not 0 is L_t(0).

    Raises:
        ValueError: when a number is out of range, or `losses` are missing.

    Cost: a few scalar operations; no gradient is looked at.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = relobralo(decay=0.0)
        >>> grads = {"pde": jnp.array([1.0]), "bc": jnp.array([1.0])}
        >>> state = balancer.init(grads)
        >>> for pde in (4.0, 1.0):
        ...     losses = {"pde": jnp.float32(pde), "bc": jnp.float32(1.0)}
        ...     balanced, state = balancer.update(grads, state, losses=losses)
        >>> print(f"{state.weights['bc']:.4f}")  # 2 e / (e + e^(1/4))
        1.3584
    """
    checks.number("relobralo: decay", decay, 0.0, 1.0)
    checks.number("relobralo: temperature", temperature, 1e-12)
    checks.number("relobralo: saudade", saudade, 0.0, 1.0)

    def balance(now: Mapping[str, Array], then: Mapping[str, Array]) -> _rule.Weights:
        shares = _rule.softmax({name: _rule.ratio(now[name], temperature * then[name]) for name in now})
        return {name: len(now) * share for name, share in shares.items()}

    def start(term_params: dict[str, Any]) -> ReLoBRaLoMemory:
        zeros = {name: 0 * one for name, one in _rule.ones(term_params).items()}
        return ReLoBRaLoMemory(zeros, zeros)

    def propose(inputs: _rule.RuleInputs, memory: ReLoBRaLoMemory) -> tuple[_rule.Weights, ReLoBRaLoMemory]:
        losses = _rule.needs_losses("relobralo", inputs)
        initial = _rule.first_losses(losses, memory.initial_losses)
        previous = {name: jnp.where(inputs.steps == 0, losses[name], memory.previous_losses[name]) for name in losses}
        chance = jnp.asarray(saudade, jnp.float32)  # the draws are the same in every precision
        keep = jax.random.bernoulli(jax.random.fold_in(jax.random.key(seed), inputs.steps), chance)
        since_first, since_last = balance(losses, initial), balance(losses, previous)
        kept = {name: jnp.where(keep, weight, since_first[name]) for name, weight in inputs.weights.items()}
        targets = {name: jnp.asarray(decay * kept[name] + (1 - decay) * since_last[name]) for name in losses}
        return targets, ReLoBRaLoMemory(initial, losses)

    return _rule.scalar_rule(propose, start=start)
