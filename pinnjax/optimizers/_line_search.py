"""A line search for the strong Wolfe conditions, in one loop, so that the loss is traced once.

References:
  Nocedal, Wright, `Numerical Optimization <https://doi.org/10.1007/978-0-387-40065-5>`_, 2nd edition, Springer, 2006:
  Algorithms 3.5 and 3.6, equation 3.59 (the cubic).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

DECREASE = 1e-4  # c1
CURVATURE = 0.9  # c2
TRIALS = 25
LARGEST = 10.0  # growth of a trial that is still too short


class Trial(NamedTuple):
    """A point on the line.

    Attributes:
        length: α.
        value: φ(α).
        slope: φ'(α).
    """

    length: Float[Array, ""]
    value: Float[Array, ""]
    slope: Float[Array, ""]


class _Search(NamedTuple):
    low: Trial  # the least φ so far, with sufficient decrease
    high: Trial  # the other end, once there is one
    bracketed: Bool[Array, ""]
    done: Bool[Array, ""]
    length: Float[Array, ""]  # the next trial
    trials: Int[Array, ""]


def strong_wolfe(
    line: Callable[[Float[Array, ""]], tuple[Array, Array]],
    value: Float[Array, ""],
    slope: Float[Array, ""],
    search: Bool[Array, ""] | bool = True,
    trials: int = TRIALS,
) -> tuple[Trial, Int[Array, ""]]:
    """A step length α with φ(α) <= φ(0) + c1 α φ'(0) and |φ'(α)| <= c2 |φ'(0)|, tried first at 1.

    Args:
        line: α to (φ(α), φ'(α)).
        value: φ(0).
        slope: φ'(0), negative.
        search: whether to search at all.
        trials: at most so many; then the best point that lowers φ is taken, whatever its slope.

    Returns:
        `(trial, number of trials)`; its length is 0 where nothing lowers φ: the step would be lost in rounding.

    Example:
        >>> parabola = lambda a: ((a - 3.0) ** 2, 2 * (a - 3.0))
        >>> found, trials = strong_wolfe(parabola, jnp.float32(9.0), jnp.float32(-6.0))
        >>> print(found.length, found.value, trials)
        1.0 4.0 1
    """
    zero = jnp.zeros_like(value)
    start = Trial(zero, value, slope)

    def going(s: _Search) -> Bool[Array, ""]:
        return ~s.done & (s.trials < trials)

    def trial(s: _Search) -> _Search:
        now = Trial(s.length, *line(s.length))
        finite = jnp.isfinite(now.value) & jnp.isfinite(now.slope)
        enough = finite & (now.value <= value + DECREASE * now.length * slope) & (now.value < s.low.value)
        flat = enough & (jnp.abs(now.slope) <= CURVATURE * jnp.abs(slope))
        # Beyond the minimum when φ has risen, or rises here, seen from the low end.
        ahead = jnp.where(s.bracketed, s.high.length - s.low.length, 1.0)
        turned = enough & (now.slope * ahead >= 0)
        low = _chosen(enough, now, s.low)
        high = _chosen(enough, _chosen(turned, s.low, s.high), now)
        bracketed = s.bracketed | ~enough | turned
        inside = _between(low, high)
        wider = jnp.clip(_cubic(s.low, now), 2 * now.length, LARGEST * now.length)
        return _Search(low, high, bracketed, flat, jnp.where(bracketed, inside, wider), s.trials + 1)

    begin = _Search(
        start, start, jnp.array(False), ~jnp.asarray(search), jnp.ones_like(value), jnp.zeros((), jnp.int32)
    )
    end = jax.lax.while_loop(going, trial, begin)
    return end.low, end.trials


def _chosen(condition: Bool[Array, ""], one: Trial, other: Trial) -> Trial:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), one, other)


def _between(low: Trial, high: Trial) -> Float[Array, ""]:
    """The cubic's minimum, kept away from the ends; nearer to the low one where the other is not finite."""
    width = high.length - low.length
    finite = jnp.isfinite(high.value) & jnp.isfinite(high.slope)
    share = jnp.where(finite, (_cubic(low, high) - low.length) / jnp.where(width == 0, 1, width), 0.1)
    share = jnp.where(jnp.isfinite(share), jnp.clip(share, 0.1, 0.9), 0.5)
    return low.length + share * width


def _cubic(a: Trial, b: Trial) -> Any:
    """Where the cubic through two values and slopes is least; NaN where it has no minimum."""
    width = b.length - a.length
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.length - b.length)
    d2 = jnp.sign(width) * jnp.sqrt(d1**2 - a.slope * b.slope)
    found = b.length - width * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2)
    return jnp.where(jnp.isfinite(found), found, jnp.nan)
