"""Balanced residual decay rate (BRDR): points whose residual decays slowly weigh more.

References:
  Chen, Howard, Stinis, `Self-adaptive weights based on balanced residual decay rate for physics-informed neural
  networks and deep operator networks <https://arxiv.org/abs/2407.01613>`_, Journal of Computational Physics 542, 2025:
  Section 3.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, ScalarLike

from pinnjax import checks
from pinnjax.point_weights import _rule
from pinnjax.terms import losses

Residuals = dict[str, Array]


class BRDRState(NamedTuple):
    """State of `brdr`.

    Attributes:
        fourth: moving average of |r_i|⁴, `{term: (n,)}`; it starts at 0.
        mass: the same average of 1, `{term: (n,)}`: 1 - β_c^k after a point's k-th step.
        smoothed: w, `{term: (n,)}`; their mean over all points of all terms is 1.
    """

    fourth: dict[str, Float[Array, " n"]]
    mass: dict[str, Float[Array, " n"]]
    smoothed: dict[str, Float[Array, " n"]]


def brdr(
    *,
    decay: ScalarLike = 0.999,
    weights_decay: ScalarLike = 0.999,
    eps: ScalarLike = 1e-14,
    terms: Sequence[str] | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Give more weight to the points whose residual decays slowly.

    Weigh by the inverse decay rate c_i = |r_i|² / √(EMA |r_i|⁴ / (1 - β_c^k) + ε), over its mean.

        EMA ← β_c EMA + (1 - β_c) |r_i|⁴,   w_i ← β_w w_i + (1 - β_w) c_i / mean_j c_j.

    A residual that has not decayed lately has a large c. The mean is over all points of all terms that are weighed, so
    the rule balances terms as well as points, and the mean weight stays 1. w starts at 1.

    As in Adam, 1 - β_c^k corrects the average's start at 0. k counts the steps of each point (the authors count those
    of the run), so a point that a sampler has just drawn has c = 1, and not up to 1 / √(1 - β_c) = 31. A point that is
    not in a minibatch rests; the authors then let its averages decay by all steps since it was seen.

    The authors scale the loss, too: that is a rule of term space, `pinnjax.term_weights.brdr_scale`.

    Args:
        decay: β_c, dimensionless, in [0, 1).
        weights_decay: β_w, of the average of weights, dimensionless, in [0, 1).
        eps: ε, in units of the residual to the fourth power.
        terms: names of the terms that are weighed; all when None. The others keep the weights that came in.

    Returns:
        A point-space transform. It reads the extra args `residuals`, `{term: (n,) or (n, m)}`, and `sampling_weights`,
        `{term: (n,)}`, how the points count in the mean; ones when missing.

    Raises:
        ValueError: when a number is out of range or a name is not a term.

    Cost: some ten operations a point and a mean; memory: three numbers a point.

    Example:
        >>> import jax.numpy as jnp
        >>> point_weights = brdr(decay=0.5, weights_decay=0.0)
        >>> state = point_weights.init({"pde": jnp.ones(2)})
        >>> for residuals in ([1.0, 1.0], [1.0, 0.5]):
        ...     found = {"pde": jnp.array(residuals)}
        ...     weights, state = point_weights.update({"pde": jnp.ones(2)}, state, residuals=found)
        >>> print([f"{w:.3f}" for w in weights["pde"]])  # c = 1 and (1/4) / √(9/32 / (3/4)), over their mean
        ['1.420', '0.580']
    """
    checks.number("brdr: decay", decay, 0.0, 1.0)
    checks.number("brdr: weights_decay", weights_decay, 0.0, 1.0)
    checks.number("brdr: eps", eps, 0.0)

    def init(residuals: Residuals) -> BRDRState:
        names = _rule.chosen("brdr", residuals, terms)
        zeros = _rule.full(residuals, names, 0.0)
        return BRDRState(zeros, zeros, _rule.full(residuals, names, 1.0))

    def update(
        weights: dict[str, Array],
        state: BRDRState,
        params: Any = None,
        *,
        residuals: Residuals,
        sampling_weights: dict[str, Array] | None = None,
        **extra: Any,
    ) -> tuple[dict[str, Array], BRDRState]:
        del params, extra
        squares = {name: losses.squared(residuals[name]) for name in state.fourth}
        fourth = {t: decay * old + (1 - decay) * squares[t] ** 2 for t, old in state.fourth.items()}
        mass = {t: decay * old + (1 - decay) for t, old in state.mass.items()}
        rates = {t: squares[t] / jnp.sqrt(value / mass[t] + eps) for t, value in fourth.items()}
        counts = {t: losses.sampling_weights(sampling_weights, t, rate) for t, rate in rates.items()}
        totals = {t: losses.sum_over_points(rate, counts[t]) for t, rate in rates.items()}
        mean = optax.tree.sum(totals) / sum(jnp.sum(count > 0) for count in counts.values())
        # All residuals zero: nothing decays, and all points are alike.
        relative = {t: jnp.where(mean > 0, rate / jnp.where(mean > 0, mean, 1), 1) for t, rate in rates.items()}
        smoothed = {t: weights_decay * old + (1 - weights_decay) * relative[t] for t, old in state.smoothed.items()}
        new = BRDRState(
            {t: jnp.asarray(value, state.fourth[t].dtype) for t, value in fourth.items()},
            {t: jnp.asarray(value, state.mass[t].dtype) for t, value in mass.items()},
            {t: jnp.asarray(value, state.smoothed[t].dtype) for t, value in smoothed.items()},
        )
        return weights | {t: weights[t] * w for t, w in new.smoothed.items()}, new

    return optax.GradientTransformationExtraArgs(init, update)
