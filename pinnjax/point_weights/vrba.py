"""Variational residual-based attention: weights that are the derivative of a convex potential of the residual.

References:
  Toscano, Chen, Oommen, Karniadakis, `A variational framework for residual-based adaptivity in neural PDE solvers and
  operator learning <https://arxiv.org/abs/2509.14198>`_, 2025, and the authors' code.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, ScalarLike

from pinnjax import checks
from pinnjax.point_weights import _rule
from pinnjax.terms import losses

Residuals = dict[str, Array]


class VRBAState(NamedTuple):
    """State of `vrba`.

    Attributes:
        attention: λ, `{term: (n,)}`, at most η / (1 - γ).
        moves: `()`, updates so far.
    """

    attention: dict[str, Float[Array, " n"]]
    moves: Int[Array, ""]


def _quadratic(size: Array, temperature: Array) -> Array:
    """Φ = s²/2, for the mean-square error."""
    del temperature
    return _rule.relative(size)


def _exponential(size: Array, temperature: Array) -> Array:
    """Φ = e^{βs}, for the largest error; the factor β cancels in the quotient by the largest weight."""
    largest = jnp.max(size)
    exponent = (size - largest) / jnp.where(largest > 0, temperature * largest, 1)
    return jnp.exp(exponent)


POTENTIALS: dict[str, Callable[[Array, Array], Array]] = {"exponential": _exponential, "quadratic": _quadratic}


def vrba(
    potential: str = "exponential",
    *,
    decay: ScalarLike = 0.999,
    eta: ScalarLike = 0.01,
    phi: ScalarLike = 1.0,
    temperature: ScalarLike = 1.0,
    terms: Sequence[str] | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""`residual_attention` with a convex potential of the residual.

    λ_i ← γ λ_i + η (φ q_i + 1 - φ), with q = Φ'(|r|) over its largest value; the weight is λ², as in RBA.

    * ``"exponential"``: Φ' = β e^{β|r|} with 1/β = c max|r| / ln(k + 2) in step k: it narrows, slowly, to the maximum.
    * ``"quadratic"``: Φ' = |r|, which is residual-based attention.

    φ < 1 mixes in uniform weights. λ starts at 0 and never exceeds η / (1 - γ). In the authors' second-order phase λ
    only samples points, p ∝ λ: see `pinnjax.sampling.importance`.

    Args:
        potential: a name above.
        decay: γ, share of the old weight, dimensionless, in [0, 1).
        eta: η, learning rate, dimensionless, >= 0.
        phi: φ, dimensionless, in [0, 1].
        temperature: c, dimensionless, > 0.
        terms: names of the terms that are weighed; all when None. The others keep the weights that came in.

    Returns:
        A point-space transform. It reads the extra arg `residuals`, `{term: (n,) or (n, m)}`.

    Raises:
        ValueError: when the potential is unknown, a number is out of range or a name is not a term.

    Cost: an exponential a point and a maximum; memory: λ.

    Example:
        >>> import jax.numpy as jnp
        >>> point_weights = vrba("quadratic", eta=0.5, phi=0.5)
        >>> residuals = {"pde": jnp.array([0.0, -4.0])}
        >>> state = point_weights.init(residuals)
        >>> weights, state = point_weights.update({"pde": jnp.ones(2)}, state, residuals=residuals)
        >>> print(weights["pde"])  # λ = 0.5 (1/2, 1), squared
        [0.0625 0.25  ]
    """
    if potential not in POTENTIALS:
        raise ValueError(f"vrba: potential is {potential!r}; expected one of {list(POTENTIALS)}")
    checks.number("vrba: decay", decay, 0.0, 1.0)
    checks.number("vrba: eta", eta, 0.0)
    checks.number("vrba: phi", phi, 0.0, 1.0)
    checks.number("vrba: temperature", temperature, 1e-12)

    def init(residuals: Residuals) -> VRBAState:
        names = _rule.chosen("vrba", residuals, terms)
        return VRBAState(_rule.full(residuals, names, 0.0), jnp.zeros((), jnp.int32))

    def update(
        weights: dict[str, Array], state: VRBAState, params: Any = None, *, residuals: Residuals, **extra: Any
    ) -> tuple[dict[str, Array], VRBAState]:
        del params, extra
        attention = {}
        for name, old in state.attention.items():
            inverse_beta = jnp.asarray(temperature / jnp.log(state.moves.astype(old.dtype) + 2))  # in units of max|r|
            q = POTENTIALS[potential](losses.magnitude(residuals[name]), inverse_beta)
            attention[name] = jnp.asarray(decay * old + eta * (phi * q + 1 - phi), old.dtype)
        weighted = {name: weights[name] * jnp.square(value) for name, value in attention.items()}
        return weights | weighted, VRBAState(attention, optax.safe_increment(state.moves))

    return optax.GradientTransformationExtraArgs(init, update)
