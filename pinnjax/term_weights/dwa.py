"""Dynamic weight average: terms whose loss falls slowly weigh more.

References:
  Liu, Johns, Davison, `End-to-end multi-task learning with attention <https://arxiv.org/abs/1803.10704>`_, CVPR 2019:
  equation 7.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, ScalarLike

from pinnjax import checks
from pinnjax.term_weights import _rule

PyTree = Any


class DWAMemory(NamedTuple):
    """Memory of `dwa`.

    Attributes:
        sums: of the losses since the last move, `{term: ()}`.
        previous: mean loss of the epoch before, `{term: ()}`.
        before: mean loss of the epoch before that, `{term: ()}`.
    """

    sums: dict[str, Float[Array, ""]]
    previous: dict[str, Float[Array, ""]]
    before: dict[str, Float[Array, ""]]


def dwa(*, temperature: ScalarLike = 2.0, every: int = 1) -> optax.GradientTransformationExtraArgs:
    """Give more weight to the terms whose losses fall slowest from epoch to epoch.

    λ_t(k) = T softmax_t(w_t / τ) with w_t = L_t(k-1) / L_t(k-2), the losses averaged over an epoch of `every` steps.

    The weights sum to T, the number of terms, and are 1 in the first two epochs.

    Args:
        temperature: τ, dimensionless, > 0; large values make the weights equal.
        every: steps in an epoch, >= 1.

    Returns:
        A term-space transform. It reads the extra arg `losses`, `{term: ()}`.

    Raises:
        ValueError: when a number is out of range, or `losses` are missing.

    Cost: a few scalar operations; no gradient is looked at.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = dwa(temperature=1.0)
        >>> grads = {"pde": jnp.array([1.0]), "bc": jnp.array([1.0])}
        >>> state = balancer.init(grads)
        >>> for pde in (4.0, 2.0, 2.0):
        ...     losses = {"pde": jnp.float32(pde), "bc": jnp.float32(1.0)}
        ...     balanced, state = balancer.update(grads, state, losses=losses)
        >>> print(f"{state.weights['bc']:.4f}")  # 2 e / (e + e^(1/2))
        1.2449
    """
    checks.number("dwa: temperature", temperature, 1e-12)
    checks.number("dwa: every", every, 1)

    def start(term_params: dict[str, PyTree]) -> DWAMemory:
        zeros = {name: 0 * one for name, one in _rule.ones(term_params).items()}
        return DWAMemory(zeros, zeros, zeros)

    def propose(inputs: _rule.RuleInputs, memory: DWAMemory) -> tuple[_rule.Weights, DWAMemory]:
        losses = _rule.needs_losses("dwa", inputs)
        # At the start of epoch k the sums are those of epoch k-1.
        new = inputs.due & (inputs.steps > 0)
        means = {t: jnp.where(new, s / every, memory.previous[t]) for t, s in memory.sums.items()}
        before = {t: jnp.where(new, memory.previous[t], b) for t, b in memory.before.items()}
        sums = {t: jnp.where(inputs.due, 0, s) + losses[t] for t, s in memory.sums.items()}
        early = inputs.steps < 2 * every
        rates = {t: jnp.where(early, 1.0, _rule.ratio(means[t], before[t])) / temperature for t in losses}
        weights = {t: len(losses) * share for t, share in _rule.softmax(rates).items()}
        return weights, DWAMemory(sums, means, before)

    return _rule.scalar_rule(propose, start=start, every=every, remember=True)
