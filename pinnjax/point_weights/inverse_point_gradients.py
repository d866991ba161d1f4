"""Per-point gradient norms: every point of a term pulls equally hard at the parameters."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, ScalarLike

from pinnjax import checks
from pinnjax.point_weights import _rule

Residuals = dict[str, Array]


class InversePointGradientsState(NamedTuple):
    """State of `inverse_point_gradients`.

    Attributes:
        at_points: w, `{term: (n,)}`, dimensionless.
        moves: `()`, updates so far.
    """

    at_points: dict[str, Float[Array, " n"]]
    moves: Int[Array, ""]


def inverse_point_gradients(
    *,
    every: int = 10,
    eps: ScalarLike = 1e-8,
    cap: ScalarLike = 100.0,
    terms: Sequence[str] | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Bring every point's gradient to one length, up to a cap.

    w_i = min(max_j g_j / (g_i + ε max_j g_j), cap) with g_i = ‖∇_θ r(x_i)‖, renewed every `every` steps.

    It over-corrects: a point whose gradient is tiny gets an enormous weight, be its residual large or not. The cap
    bounds that; without it (`cap=jnp.inf`) one flat spot can own the loss. g_i is the gradient of the residual; that of
    the squared residual is 2 |r_i| g_i.

    Args:
        every: steps between two evaluations of the gradients, >= 1.
        eps: ε, dimensionless, relative to the largest norm.
        cap: largest weight, dimensionless, >= 1.
        terms: names of the terms that are weighed; all when None. The others keep the weights that came in.

    Returns:
        A point-space transform. It reads the extra arg `point_grad_norms`, a function of no arguments that returns
        `{term: (n,)}`, and calls it under `lax.cond` when a move is due; `pinnjax.train_step` offers it.

    Raises:
        ValueError: when a number is out of range, a name is not a term, or `point_grad_norms` is missing.

    Cost: when due, 0.7 to 0.8 of a plain step (see `pinnjax.point_grad_norms`); memory: one number a point.

    Example:
        >>> import jax.numpy as jnp
        >>> point_weights = inverse_point_gradients(cap=8.0)
        >>> state = point_weights.init({"pde": jnp.ones(3)})
        >>> norms = lambda: {"pde": jnp.array([4.0, 1.0, 0.1])}
        >>> ones = {"pde": jnp.ones(3)}
        >>> weights, state = point_weights.update(ones, state, residuals=ones, point_grad_norms=norms)
        >>> print(weights["pde"])
        [1. 4. 8.]
    """
    checks.number("inverse_point_gradients: every", every, 1)
    checks.number("inverse_point_gradients: eps", eps, 0.0)
    checks.number("inverse_point_gradients: cap", cap, 1.0)

    def init(residuals: Residuals) -> InversePointGradientsState:
        names = _rule.chosen("inverse_point_gradients", residuals, terms)
        return InversePointGradientsState(_rule.full(residuals, names, 1.0), jnp.zeros((), jnp.int32))

    def update(
        weights: dict[str, Array],
        state: InversePointGradientsState,
        params: Any = None,
        *,
        residuals: Residuals,
        point_grad_norms: Any = None,
        **extra: Any,
    ) -> tuple[dict[str, Array], InversePointGradientsState]:
        del params, residuals, extra
        if point_grad_norms is None:
            raise ValueError(
                "inverse_point_gradients: update got no point_grad_norms; expected the extra arg point_grad_norms="
                "function () -> {term: (n,)}, as pinnjax.train_step and pinnjax.point_grad_norms give it"
            )

        def move() -> dict[str, Array]:
            norms = point_grad_norms()
            found = {}
            for name, old in state.at_points.items():
                inverse = 1 / (_rule.relative(norms[name]) + eps)
                alive = jnp.max(norms[name]) > 0
                found[name] = jnp.where(alive, jnp.minimum(inverse, cap), old).astype(old.dtype)
            return found

        at_points = jax.lax.cond(state.moves % every == 0, move, lambda: state.at_points)
        weighted = {name: weights[name] * value for name, value in at_points.items()}
        return weights | weighted, InversePointGradientsState(at_points, optax.safe_increment(state.moves))

    return optax.GradientTransformationExtraArgs(init, update)
