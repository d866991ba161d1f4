"""Weights by position: a function of the point, such as the distance from a singular corner.

References:
  Hennigh et al., `NVIDIA SimNet: an AI-accelerated multi-physics simulation framework
  <https://arxiv.org/abs/2012.07938>`_, 2021: spatial weighting of losses, by the signed distance from the boundary.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, ScalarLike

from pinnjax.terms import names

PyTree = Any


class ByPositionState(NamedTuple):
    """State of `by_position`: none."""


def by_position(weights: Mapping[str, Callable[[PyTree], ScalarLike]]) -> optax.GradientTransformationExtraArgs:
    """Weigh by a function of the place.

    w_i = w(x_i): a weight belongs to a place, and nothing is remembered, so the points may change at every step.

    Args:
        weights: `{term: function of one point}`, dimensionless and >= 0; a term left out keeps what came in.

    Returns:
        A point-space transform. It reads the extra arg `points`, `{term: (n, d) or any pytree}`.

    Raises:
        ValueError: when a name is not a term, or a weight at one point is not a scalar.
        TypeError: when a weight is not a function.

    Cost: one call of the function a point.

    Example:
        >>> import jax.numpy as jnp
        >>> point_weights = by_position({"pde": lambda x: x[0] ** 2})
        >>> ones = {"pde": jnp.ones(3)}
        >>> state = point_weights.init(ones)
        >>> points = {"pde": jnp.array([[0.0], [1.0], [3.0]])}
        >>> weights, state = point_weights.update(ones, state, residuals=ones, points=points)
        >>> print(weights["pde"])
        [0. 1. 9.]
    """
    for name, weight in weights.items():
        if not callable(weight):
            raise TypeError(f"by_position: the weight of {name!r} is {weight!r}; expected a function of one point")

    def init(residuals: dict[str, Array]) -> ByPositionState:
        names.meant("by_position: weights", weights, residuals)
        return ByPositionState()

    def update(
        updates: dict[str, Array],
        state: ByPositionState,
        params: Any = None,
        *,
        points: Mapping[str, PyTree],
        **extra: Any,
    ) -> tuple[dict[str, Array], ByPositionState]:
        del params, extra
        weighted = {
            residual: updates[residual] * at(name, points[names.term_of(residual, points)], updates[residual].dtype)
            for residual, name in names.meant("by_position: weights", weights, updates).items()
        }
        return updates | weighted, state

    def at(name: str, points: PyTree, dtype: Any) -> Float[Array, " n"]:
        values = jnp.asarray(jax.vmap(weights[name])(points), dtype)
        if values.ndim != 1:
            raise ValueError(
                f"by_position: the weight of {name!r} at one point has shape {values.shape[1:]}; expected a scalar ()"
            )
        return values

    return optax.GradientTransformationExtraArgs(init, update)
