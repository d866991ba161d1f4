"""Self-adaptive point weights (SA-PINN): the weights ascend the loss that the network descends.

References:
  McClenny, Braga-Neto, `Self-adaptive physics-informed neural networks
  <https://arxiv.org/abs/2009.04544>`_, Journal of Computational Physics 474, 2023.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import optax
from jaxtyping import Array, Float, ScalarLike

from pinnjax import checks
from pinnjax.point_weights import _rule
from pinnjax.terms import losses, names

Residuals = dict[str, Array]


class SelfAdaptiveState(NamedTuple):
    """State of `self_adaptive`.

    Attributes:
        self_adaptation: γ, `{term: (n,)}`, the quantity that ascends; dimensionless.
        ascent: state of the inner optimiser.
    """

    self_adaptation: dict[str, Float[Array, " n"]]
    ascent: Any


def self_adaptive(
    learning_rate: ScalarLike | optax.GradientTransformation,
    *,
    mask: Callable[[Array], Array] = jax.nn.sigmoid,
    initial: ScalarLike | dict[str, ScalarLike | Array] = 0.0,
    terms: Sequence[str] | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Weights that ascend the loss while the network descends it (SA-PINN).

    The weight of a point is a mask m(γ_i) whose γ_i grows where the residual stays large.

    The loss L(θ, γ) = Σ_t mean_i m(γ_ti) |r_ti|² has a saddle point (paper, Section 3): θ descends it while

        γ ← γ + η ∇_γ L,   ∂L/∂γ_ti = m'(γ_ti) |r_ti|² / n_t,

    simultaneously: a step weighs the points with m(γ) as it was, then moves γ. The authors' code puts an identity mask
    inside the square, (γ_i r_i)², and ascends with Adam: `self_adaptive(optax.adam(5e-3), mask=jnp.square, ...)`.

    Args:
        learning_rate: η, dimensionless and >= 0, for plain gradient ascent; or any optax optimiser, which is run
            uphill.
        mask: m, an increasing non-negative function of γ: `jax.nn.sigmoid`, `jax.nn.softplus`, `jnp.square` (for
            γ >= 0) or a polynomial. Under `optax.inject_hyperparams` name it in `static_args`.
        initial: γ at the start, one number, or `{term: number or (n,)}`; terms left out of the dict start at 0.
            The default with the default mask gives weights of 0.5.
        terms: names of the terms that are weighed; all when None. The others keep the weights that came in.

    Returns:
        A point-space transform. It reads the extra args `residuals`, `{term: (n,) or (n, m)}`, and `copies`,
        `{term: (n,)}`, how often a batch holds each point, ones when missing (see `per_point_memory`).

    Raises:
        ValueError: when η is negative or a name in `terms` or `initial` is not a term.

    Cost: three operations a point; memory: γ and the inner optimiser's state.

    Example:
        >>> import jax.numpy as jnp
        >>> point_weights = self_adaptive(8.0)
        >>> residuals = {"pde": jnp.array([1.0, 3.0])}
        >>> state = point_weights.init(residuals)
        >>> weights, state = point_weights.update({"pde": jnp.ones(2)}, state, residuals=residuals)
        >>> print(weights["pde"], state.self_adaptation["pde"])  # γ = 8 · m'(0) r² / 2, with m'(0) = 1/4
        [0.5 0.5] [1. 9.]
    """
    if not isinstance(learning_rate, optax.GradientTransformation):
        checks.number("self_adaptive: learning_rate", learning_rate, 0.0)
        learning_rate = optax.sgd(learning_rate)
    ascent = learning_rate

    def init(residuals: Residuals) -> SelfAdaptiveState:
        chosen = _rule.chosen("self_adaptive", residuals, terms)
        given = initial if isinstance(initial, dict) else dict.fromkeys(chosen, initial)
        start = {name: given[by] for name, by in names.meant("self_adaptive: initial", given, chosen).items()}
        gamma = _rule.full(residuals, chosen, 0.0)
        gamma |= {name: _rule.full(residuals, [name], value)[name] for name, value in start.items()}
        return SelfAdaptiveState(gamma, ascent.init(gamma))

    def update(
        weights: dict[str, Array],
        state: SelfAdaptiveState,
        params: Any = None,
        *,
        residuals: Residuals,
        copies: dict[str, Array] | None = None,
        **extra: Any,
    ) -> tuple[dict[str, Array], SelfAdaptiveState]:
        del params, extra
        gamma = state.self_adaptation

        def weighted_loss(g: dict[str, Array]) -> Array:
            return optax.tree.sum({name: losses.loss(residuals[name], weights[name] * mask(g[name])) for name in g})

        # A point that a batch holds twice is in the loss twice.
        slopes = jax.grad(weighted_loss)(gamma)
        times = {} if copies is None else copies
        downhill = {t: -slope * times[t].astype(slope.dtype) if t in times else -slope for t, slope in slopes.items()}
        step, moved = ascent.update(downhill, state.ascent, gamma)
        masked = {name: weights[name] * mask(gamma[name]) if name in gamma else weights[name] for name in weights}
        return masked, SelfAdaptiveState(optax.apply_updates(gamma, step), moved)

    return optax.GradientTransformationExtraArgs(init, update)
