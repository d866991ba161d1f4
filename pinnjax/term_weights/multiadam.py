"""MultiAdam: Adam for each term apart, and the mean of their steps.

References:
  Yao, Su, Hao, Liu, Su, Zhu, `MultiAdam: parameter-wise scale-invariant optimizer for multiscale training of
  physics-informed neural networks <https://arxiv.org/abs/2306.02816>`_, ICML 2023: Algorithm 1.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, ScalarLike

from pinnjax import checks
from pinnjax.term_weights._rule import counted, mean_square_root

PyTree = Any


class MultiAdamState(NamedTuple):
    """State of `multiadam`.

    Attributes:
        momenta: m_t, `{term: like params}`, without bias correction.
        roots: √v_t, likewise: the squares themselves leave single precision at 1e19.
        held: `{term: ()}`, how often nothing new since this term's gradient was not finite.
        steps: `()`, updates so far in which all were.
    """

    momenta: dict[str, PyTree]
    roots: dict[str, PyTree]
    held: dict[str, Int[Array, ""]]
    steps: Int[Array, ""]


def multiadam(
    *, b1: ScalarLike = 0.99, b2: ScalarLike = 0.99, eps: ScalarLike = 1e-8
) -> optax.GradientTransformationExtraArgs:
    """An Adam for each term, and the mean of their steps; in place of Adam.

    (1 / T) m̂_t / (√v̂_t + ε) for each term: every parameter's step is of one size in every term.

    Args:
        b1: β₁, dimensionless, in [0, 1). The authors use 0.99 for both.
        b2: β₂, dimensionless, in [0, 1).
        eps: ε, in units of the gradient.

    Returns:
        A term-space transform; it reads no extra args. It is an adaptive optimiser already: let `optax.sgd` follow, or
        `optax.scale_by_learning_rate`, not Adam. It has no term weights. While a gradient is not finite, its state is
        kept and the event counted in `held`.

    Raises:
        ValueError: when a number is out of range.

    Cost: Adam's, a term; two trees like the parameters a term in memory.

    Example:
        >>> import jax.numpy as jnp
        >>> surgery = multiadam()
        >>> grads = {"pde": jnp.array([300.0, -2.0]), "bc": jnp.array([0.1, 5.0])}
        >>> balanced, state = surgery.update(grads, surgery.init(grads))
        >>> print(balanced["pde"].round(3), balanced["bc"].round(3))
        [ 0.5 -0.5] [0.5 0.5]
    """
    checks.number("multiadam: b1", b1, 0.0, 1.0)
    checks.number("multiadam: b2", b2, 0.0, 1.0)

    def init(term_params: Mapping[str, PyTree]) -> MultiAdamState:
        zeros = {name: optax.tree.zeros_like(params) for name, params in sorted(term_params.items())}
        zero = jnp.zeros((), jnp.int32)
        return MultiAdamState(zeros, zeros, dict.fromkeys(zeros, zero), zero)

    def update(
        term_grads: dict[str, PyTree], state: MultiAdamState, params: PyTree = None, **extra: Any
    ) -> tuple[dict[str, PyTree], MultiAdamState]:
        del params, extra
        sound, held = counted(term_grads, state.held)
        grads = {name: term_grads[name] for name in held}
        steps = state.steps + 1
        momenta = optax.tree.update_moment(grads, state.momenta, b1, 1)
        roots = mean_square_root(grads, state.roots, b2)

        def step(momentum: Array, root: Array) -> Array:
            return momentum / (1 - b1**steps) / (root / jnp.sqrt(1 - b2**steps) + eps) / len(held)

        updates = jax.tree.map(lambda m, r: step(m, r).astype(m.dtype), momenta, roots)
        new, kept = MultiAdamState(momenta, roots, held, steps), state._replace(held=held)
        return updates, jax.tree.map(lambda new, old: jnp.where(sound, new, old).astype(old.dtype), new, kept)

    return optax.GradientTransformationExtraArgs(init, update)
