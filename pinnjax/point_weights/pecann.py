"""PECANN: an augmented Lagrangian with a multiplier at every constraint point.

References:
  Basir, Senocak, `Physics and equality constrained artificial neural networks: application to forward and inverse
  problems with multi-fidelity data fusion <https://arxiv.org/abs/2109.14860>`_, Journal of Computational Physics 463,
  2022: Algorithm 1 and the authors' code.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, ScalarLike

from pinnjax import checks
from pinnjax.point_weights import _rule
from pinnjax.terms import losses, names

Residuals = dict[str, Array]


class PECANNState(NamedTuple):
    """State of `pecann`.

    Attributes:
        multipliers: λ, `{term: (n,)}`.
        penalty: μ, `()`.
        violation: η, `()`, the norm of all constraints at the last move.
        moves: `()`, updates so far.
    """

    multipliers: dict[str, Float[Array, " n"]]
    penalty: Float[Array, ""]
    violation: Float[Array, ""]
    moves: Int[Array, ""]


def pecann(
    constraints: Sequence[str],
    *,
    every: int = 1,
    max_penalty: ScalarLike = 1e4,
    growth: ScalarLike = 2.0,
    progress: ScalarLike = 0.25,
    tolerance: ScalarLike = 1e-8,
) -> optax.GradientTransformationExtraArgs:
    """Treat conditions as constraints, with a multiplier for each point.

    Make terms into constraints c_ti = |r_ti|² = 0 with the loss L + mean_i λ_ti c_ti + ½ μ c_ti², each a mean.

    The gradient of that is the weight w_ti = λ_ti + μ c_ti. After an inner solve, here `every` steps, with the norm
    ‖c‖ over all constraints and η the one before:

        if ‖c‖ >= ¼ η and ‖c‖ > tolerance:  μ ← min(2 μ, μ_max),  λ ← λ + μ c;   then  η ← ‖c‖.

    λ starts at 0 and μ at 1. The authors solve with L-BFGS, one call a move; they add sums where means stand here, so
    their λ and μ are ours times the number of points inside over the number of constraint points.

    Args:
        constraints: names of the terms that are constraints, usually all but `"pde"`.
        every: steps of an inner solve, >= 1.
        max_penalty: μ_max, dimensionless.
        growth: factor of μ in a move, >= 1.
        progress: the fraction of η that counts as progress, dimensionless.
        tolerance: ‖c‖ below which nothing moves, in units of the residual squared.

    Returns:
        A point-space transform. It reads the extra arg `residuals`, `{term: (n,) or (n, m)}`. The weights of the other
        terms are left as they came.

    Raises:
        ValueError: when a number is out of range or a name is not a term.

    Cost: three operations a constraint point; memory: λ.

    Example:
        >>> import jax.numpy as jnp
        >>> point_weights = pecann(["bc"])
        >>> residuals = {"pde": jnp.array([5.0]), "bc": jnp.array([1.0, 2.0])}
        >>> ones = {"pde": jnp.ones(1), "bc": jnp.ones(2)}
        >>> weights, state = point_weights.update(ones, point_weights.init(residuals), residuals=residuals)
        >>> print(weights["pde"], weights["bc"])  # μ = 2, λ = (2, 8), and w = λ + μ (1, 4)
        [1.] [ 4. 16.]
    """
    checks.number("pecann: every", every, 1)
    checks.number("pecann: growth", growth, 1.0)
    checks.number("pecann: max_penalty", max_penalty, 0.0)

    def init(residuals: Residuals) -> PECANNState:
        multipliers = _rule.full(residuals, names.meant("pecann: constraints", constraints, residuals), 0.0)
        one = jnp.ones((), next(iter(residuals.values())).dtype)
        return PECANNState(multipliers, one, 0 * one, jnp.zeros((), jnp.int32))

    def update(
        weights: dict[str, Array],
        state: PECANNState,
        params: Any = None,
        *,
        residuals: Residuals,
        sampling_weights: dict[str, Array] | None = None,
        **extra: Any,
    ) -> tuple[dict[str, Array], PECANNState]:
        del params, extra
        c = {name: losses.squared(residuals[name]) for name in state.multipliers}
        norm = jnp.sqrt(
            optax.tree.sum(
                {t: losses.sum_over_points(v**2, losses.sampling_weights(sampling_weights, t, v)) for t, v in c.items()}
            )
        )
        due = state.moves % every == 0
        move = due & (norm >= progress * state.violation) & (norm > tolerance)
        penalty = jnp.where(move, jnp.minimum(growth * state.penalty, max_penalty), state.penalty)
        penalty = penalty.astype(state.penalty.dtype)
        multipliers = {t: m + jnp.where(move, penalty, 0) * c[t] for t, m in state.multipliers.items()}
        weighted = {t: weights[t] * (m + penalty * c[t]) for t, m in multipliers.items()}
        violation = jnp.where(due, norm, state.violation).astype(state.violation.dtype)
        return weights | weighted, PECANNState(multipliers, penalty, violation, state.moves + 1)

    return optax.GradientTransformationExtraArgs(init, update)
