"""The largest trust region whose model holds, searched for by its damping.

References:
  Conn, Gould, Toint, `Trust-Region Methods <https://doi.org/10.1137/1.9780898719857>`_, SIAM, 2000: Section 6.1 (the
  ratio of actual to predicted decrease).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, ScalarLike

FACTOR, COARSE = 4.0, 100.0  # between two dampings that are tried


class Trial(NamedTuple):
    """A step within one region.

    Attributes:
        ratio: the damping.
        step: δ, `(P,)`.
        value: the loss after it.
        gain: its actual over its predicted decrease.
    """

    ratio: Float[Array, ""]
    step: Float[Array, " P"]
    value: Float[Array, ""]
    gain: Float[Array, ""]


class _Search(NamedTuple):
    best: Trial  # of the largest region that passed
    next: Float[Array, ""]
    passed: Bool[Array, ""]
    done: Bool[Array, ""]
    trials: Int[Array, ""]


def largest(
    trial: Callable[[Array], Trial],
    start: Float[Array, ""],
    accept: ScalarLike,
    trials: int,
    search: Bool[Array, ""],
    like: Float[Array, " P"],
    *,
    least: ScalarLike,
    coarse: float = 0.0,
) -> tuple[Trial, Int[Array, ""]]:
    """The trial of the least damping whose gain is at least `accept`.

    The damping falls as long as trials pass, or rises until one does.

    Args:
        trial: what a damping makes.
        start: the first damping.
        accept: what a gain has to be.
        trials: at most so many.
        search: whether to search at all.
        like: an array like a step.
        least: the least damping that is tried.
        coarse: below it, where little depends on them, dampings are a factor of 100 apart, above it of 4.

    Returns:
        `(trial, number of trials)`; its step is 0 and its value infinite where none passes, its damping then `start`.
    """
    infinite = jnp.full((), jnp.inf, like.dtype)
    none = Trial(start, jnp.zeros_like(like), infinite, -infinite)
    smallest = jnp.asarray(least, like.dtype)

    def going(s: _Search) -> Bool[Array, ""]:
        return ~s.done & (s.trials < trials)

    apart = lambda ratio: jnp.where(ratio < coarse, COARSE, FACTOR).astype(like.dtype)

    def body(s: _Search) -> _Search:
        now = trial(s.next)
        passes = (now.gain >= accept) & jnp.isfinite(now.value) & jnp.all(jnp.isfinite(now.step))
        best = jax.tree.map(lambda a, b: jnp.where(passes, a, b), now, s.best)
        # Once one has passed and one has not, the largest is known to within the factor.
        rising = s.trials > 0
        done = jnp.where(passes, (rising & ~s.passed) | (s.next <= smallest), s.passed)
        following = jnp.where(passes, jnp.maximum(s.next / apart(s.next), smallest), s.next * apart(s.next))
        return _Search(best, following, s.passed | passes, done, s.trials + 1)

    end = jax.lax.while_loop(going, body, _Search(none, start, jnp.array(False), ~search, jnp.zeros((), jnp.int32)))
    return end.best, end.trials
