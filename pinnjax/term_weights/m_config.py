"""M-ConFIG: the conflict-free direction of the terms' momenta.

References:
  Liu, Chu, Thuerey, `ConFIG: towards conflict-free training of physics informed neural networks
  <https://arxiv.org/abs/2408.11104>`_, ICLR 2025: Algorithm 1.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, ScalarLike

from pinnjax import checks
from pinnjax.term_weights import _surgery
from pinnjax.term_weights._rule import counted, mean_square_root
from pinnjax.term_weights.config import coefficients

PyTree = Any


class MConFIGState(NamedTuple):
    """State of `m_config`.

    Attributes:
        momenta: m_t, `{term: like params}`, without bias correction.
        direction: the last conflict-free direction, times its bias correction; like params.
        root: √s, like params: the squares themselves leave single precision at 1e19.
        held: `{term: ()}`, how often nothing new since this term's gradient was not finite.
        steps: `()`, updates so far.
    """

    momenta: dict[str, PyTree]
    direction: PyTree
    root: PyTree
    held: dict[str, Int[Array, ""]]
    steps: Int[Array, ""]


def m_config(
    *, b1: ScalarLike = 0.9, b2: ScalarLike = 0.999, eps: ScalarLike = 1e-8
) -> optax.GradientTransformationExtraArgs:
    """`config` of the terms' momenta, in place of Adam.

    ConFIG of the bias-corrected momenta m̂_t, divided by the root of a second moment ŝ of what came out.

    With d(k) = ConFIG(m̂) and d̃(k) = d(k) (1 - β₁^k), the second moment averages the squares of the pseudo-gradient
    (d̃(k) - β₁ d̃(k-1)) / (1 - β₁), whose momentum d would be. The update is d / (√ŝ + ε).

    The authors evaluate one term's gradient a step and renew its momentum only, which saves the other gradients; here
    all momenta are renewed in every step.

    Args:
        b1: β₁, dimensionless, in [0, 1).
        b2: β₂, dimensionless, in [0, 1).
        eps: ε, in units of the gradient.

    Returns:
        A term-space transform; it reads no extra args. It is an adaptive optimiser already: let `optax.sgd` follow, or
        `optax.scale_by_learning_rate`, not Adam. It has no term weights. While a gradient is not finite, its state is
        kept and the event counted in `held`.

    Raises:
        ValueError: when a number is out of range.

    Cost: ConFIG's; a momentum a term and two more trees like the parameters in memory.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = m_config()
        >>> grads = {"pde": jnp.array([3.0, 0.0]), "bc": jnp.array([0.0, 1.0])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> total = balanced["pde"] + balanced["bc"]
        >>> print(f"{total[0]:.3f} {total[1]:.3f}")  # (2, 2) over its size, as Adam's first step
        1.000 1.000
    """
    checks.number("m_config: b1", b1, 0.0, 1.0)
    checks.number("m_config: b2", b2, 0.0, 1.0)

    def init(term_params: Mapping[str, PyTree]) -> MConFIGState:
        zeros = {name: optax.tree.zeros_like(params) for name, params in sorted(term_params.items())}
        like = zeros[next(iter(zeros))]
        zero = jnp.zeros((), jnp.int32)
        return MConFIGState(zeros, like, like, dict.fromkeys(zeros, zero), zero)

    def update(
        term_grads: dict[str, PyTree], state: MConFIGState, params: PyTree = None, **extra: Any
    ) -> tuple[dict[str, PyTree], MConFIGState]:
        del params, extra
        sound, held = counted(term_grads, state.held)
        steps = state.steps + 1
        momenta = optax.tree.update_moment({name: term_grads[name] for name in held}, state.momenta, b1, 1)
        corrected = optax.tree.bias_correction(momenta, b1, steps)
        numbers, _ = _surgery.combine(coefficients, corrected, steps)
        parts = {name: optax.tree.scale(numbers[i], m) for i, (name, m) in enumerate(corrected.items())}
        total = jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *parts.values())
        direction = optax.tree.scale(1 - b1**steps, total)
        pseudo = jax.tree.map(lambda new, old: (new - b1 * old) / (1 - b1), direction, state.direction)
        root = mean_square_root(pseudo, state.root, b2)
        scale = jax.tree.map(lambda s: 1 / (s / jnp.sqrt(1 - b2**steps) + eps), root)
        scaled = {name: optax.tree.mul(part, scale) for name, part in parts.items()}
        updates = jax.tree.map(lambda u, m: u.astype(m.dtype), scaled, momenta)
        new = MConFIGState(momenta, direction, root, held, steps)
        kept = state._replace(held=held)
        return updates, jax.tree.map(lambda new, old: jnp.where(sound, new, old).astype(old.dtype), new, kept)

    return optax.GradientTransformationExtraArgs(init, update)
