"""Causal weights: a time is learnt when all earlier times are.

References:
  Wang, Sankaran, Perdikaris, `Respecting causality for training physics-informed neural networks
  <https://arxiv.org/abs/2203.07404>`_, Computer Methods in Applied Mechanics and Engineering 421, 2024: equation 2.4
  and Algorithm 1, and the authors' code.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, ScalarLike

from pinnjax import checks
from pinnjax.point_weights import _rule
from pinnjax.terms import losses, names

PyTree = Any
Residuals = dict[str, Array]


class CausalState(NamedTuple):
    """State of `causal`.

    Attributes:
        stage: `()`, which ε of the schedule is in force.
        least: `()`, the smallest weight of the last step: near 1 when all times are learnt.
    """

    stage: Int[Array, ""]
    least: Float[Array, ""]


def causal(
    terms: Sequence[str],
    *,
    interval: tuple[float, float],
    slices: int | None = 32,
    epsilon: ScalarLike | Sequence[float] = 1.0,
    time: Callable[[PyTree], Array] = lambda points: points[:, 0],
    advance: ScalarLike = 0.99,
) -> optax.GradientTransformationExtraArgs:
    r"""Learn a time only when all earlier times are learnt.

    w_k = exp(-ε Σ_{j<k} L_j), with L_j the mean of |r|² over the points in the j-th slice of time.

    The sum is over *earlier* slices only, so the first weight is 1, and every weight is held fixed in the gradient.

    * With `slices` the interval is cut into so many of equal length (the authors sort the points and cut them into
      slices of equal number, which for uniform points is the same up to chance). An empty slice has L = 0.
    * With `slices=None` every point is a slice of its own: Σ over all points that are earlier, by a sort. Points at one
      time have one weight. The sum is divided by n / 32, so that ε means the same as with 32 slices.

    With several ε the next is taken when the smallest weight has passed `advance` (the authors anneal 1e-2 ... 1e2).

    Args:
        terms: names of the terms that are weighed, usually `["pde"]`; the others keep the weights that came in.
        interval: first and last time.
        slices: number of slices, >= 2, or None.
        epsilon: ε >= 0, in 1 / units of the loss, or an increasing sequence of them.
        time: times `(n,)` of all points of a term; their first coordinate by default.
        advance: smallest weight at which the next ε is taken, dimensionless, in (0, 1].

    Returns:
        A point-space transform. It reads the extra args `residuals`, `points` and `sampling_weights`, `{term: (n,)}`,
        how the points count in the mean of a slice; ones when missing.

    Raises:
        ValueError: when a number is out of range or a name is not a term.

    Cost: a sum over slices, or a sort; no memory a point.

    Example:
        >>> import jax.numpy as jnp
        >>> point_weights = causal(["pde"], interval=(0.0, 3.0), slices=3)
        >>> points = {"pde": jnp.array([[2.5], [0.5], [1.5], [0.1]])}
        >>> residuals = {"pde": jnp.array([9.0, 1.0, 2.0, 0.0])}
        >>> ones, state = {"pde": jnp.ones(4)}, point_weights.init(residuals)
        >>> weights, state = point_weights.update(ones, state, residuals=residuals, points=points)
        >>> print([f"{-jnp.log(w):.1f}" for w in weights["pde"]])  # slices with L = 1/2, 4 and 81
        ['4.5', '-0.0', '0.5', '-0.0']
    """
    first, last = interval
    if not first < last:
        raise ValueError(f"causal: interval is {interval}; expected two times, the first smaller")
    if slices is not None:
        checks.number("causal: slices", slices, 2)
    checks.number("causal: advance", advance, 0.0, 1.0)
    schedule = tuple(epsilon) if isinstance(epsilon, Sequence) else (epsilon,)
    for value in schedule:
        checks.number("causal: epsilon", value, 0.0)

    def before_each(values: Array) -> Array:
        return jnp.concatenate([jnp.zeros(1, values.dtype), jnp.cumsum(values)[:-1]])

    def earlier(t: Array, squares: Array, counts: Array) -> Array:
        """Σ L over the slices before each point's; a large or broken one does not touch the sums before it."""
        if slices is None:
            order = jnp.argsort(t)
            before = before_each((counts * squares)[order])
            return before[jnp.searchsorted(t[order], t, side="left")] * (32 / jnp.sum(counts))
        own = jnp.clip(((t - first) / (last - first) * slices).astype(jnp.int32), 0, slices - 1)
        sums = jax.ops.segment_sum(counts * squares, own, slices)
        totals = jax.ops.segment_sum(counts, own, slices)
        return before_each(sums / jnp.where(totals > 0, totals, 1))[own]

    def init(residuals: Residuals) -> CausalState:
        _rule.chosen("causal", residuals, terms)
        return CausalState(jnp.zeros((), jnp.int32), jnp.zeros((), next(iter(residuals.values())).dtype))

    def update(
        weights: dict[str, Array],
        state: CausalState,
        params: Any = None,
        *,
        residuals: Residuals,
        points: dict[str, PyTree],
        sampling_weights: dict[str, Array] | None = None,
        **extra: Any,
    ) -> tuple[dict[str, Array], CausalState]:
        del params, extra
        rate = jnp.stack([jnp.asarray(value, state.least.dtype) for value in schedule])[state.stage]
        found = {}
        for name in _rule.chosen("causal", residuals, terms):
            squares = losses.squared(residuals[name])
            times = checks.times("causal: time", time, points[names.term_of(name, points)])
            counts = losses.sampling_weights(sampling_weights, name, squares)
            found[name] = jnp.exp(-rate * earlier(times, squares, counts))
        least = jnp.min(jnp.stack([jnp.min(w) for w in found.values()]))
        stage = jnp.minimum(state.stage + (least > advance), len(schedule) - 1)
        weighted = {name: weights[name] * w.astype(weights[name].dtype) for name, w in found.items()}
        return weights | weighted, CausalState(stage.astype(jnp.int32), least.astype(state.least.dtype))

    return optax.GradientTransformationExtraArgs(init, update)
