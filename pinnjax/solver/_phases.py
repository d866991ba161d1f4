"""The phases of a plan: Adam and self-scaled Broyden for a network, Gauss-Newton steps for random features."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax
from jaxtyping import Array

from pinnjax import sampling
from pinnjax.optimizers import gauss_newton, ssbroyden
from pinnjax.solver import _lost, _points
from pinnjax.solver._plan import Plan
from pinnjax.term_weights import fixed
from pinnjax.train.phases import Phase
from pinnjax.train.step import train_step

PyTree = Any
Until = Callable[[Mapping[str, Any]], bool]

WARM_UP = 1000  # steps of Adam
FEWER = 4  # times fewer points of a term in these, which are new in every step and go only part of the way
EVERY = 250  # steps between two draws of the others
CANDIDATES = 25  # for each point of an equation
EVALUATE_EVERY, STEPS_PER_CALL = 100, 50  # of a network
MOST = 10**6  # steps, where the clock ends the run
FIT = 15  # steps of Gauss-Newton, at most
GROWS = 1e-4  # where early times are learnt first: the loss at which later ones join, residuals of an error of 1 %,
FACTOR = 1.3  # and how many times more time there is then
SETTLED = 0.5  # a loss of which more than this share is left after two steps falls no more,
FAR = 1e-4  # once it is so small a share of the first one;
SLOW = 0.9  # before, where steps may be short, one of which more than this is left does not,
ROUNDING = 1e-25  # and one of which no more than this is left is that of rounding


def phases(plan: Plan, steps: int | None = None, first: float | None = None) -> list[Phase]:
    """The phases of a plan.

    Args:
        plan: of a network, or of random features.
        steps: those of a network's last phase; None for as many as the clock allows.
        first: seconds of its first one, at most, beside its compilation; None where the clock does not count.
    """
    weights = fixed(dict(plan.weights))
    if plan.features:
        train = train_step(plan.terms, gauss_newton(solver="qr"), term_weights=weights, sampler=in_every_step(plan))
        return [Phase(train, FIT, until=settled(), summary="Gauss-Newton")]
    adam = optax.adam(optax.cosine_decay_schedule(5e-3, WARM_UP, 0.1))
    watched = plan.time is not None and not plan.growing
    ends = train_step(plan.terms, ssbroyden(), term_weights=weights, sampler=now_and_then(plan))
    last = Phase(ends, MOST if steps is None else steps, until=_lost.watch() if watched else None, summary="SSBroyden")
    begins = train_step(plan.terms, adam, term_weights=weights, sampler=in_every_step(plan))
    return [Phase(begins, WARM_UP, until=None if first is None else within(first), summary="Adam"), last]


def rhythm(plan: Plan) -> tuple[int, int]:
    """Steps from one evaluation to the next, and in a call: those of Gauss-Newton are few, and each takes long."""
    return (1, 1) if plan.features else (EVALUATE_EVERY, STEPS_PER_CALL)


def in_every_step(plan: Plan) -> sampling.Sampler | None:
    """Uniform points, new in every step."""
    fewer = 1 if plan.features else FEWER
    moving = {t: (generate, max(1, n // fewer)) for t, (generate, n) in plan.moving.items()}
    return _grown(plan, sampling.resample(draw_of(moving))) if moving else None


def now_and_then(plan: Plan) -> sampling.Sampler | None:
    """New points every so many steps, more of them where an equation's residual is large."""
    moving = plan.moving
    if not moving:
        return None
    adaptive = {t: moving[t] for t in plan.equations if t in moving and plan.sources[t].counts}
    rest = {t: draw for t, draw in moving.items() if t not in adaptive}
    samplers = [
        sampling.rad(t, generate, n, candidates=CANDIDATES * n, every=EVERY) for t, (generate, n) in adaptive.items()
    ]
    samplers += [sampling.resample(draw_of(rest), every=EVERY)] if rest else []
    return _grown(plan, sampling.combine(*samplers) if len(samplers) > 1 else samplers[0])


def settled() -> Until:
    """For `pinnjax.Phase(until=...)`: whether least squares have no more to say.

    Example:
        >>> until = settled()
        >>> seen = lambda loss: until({"loss": loss, "evaluation/validation": loss})
        >>> print([seen(loss) for loss in (1.0, 1e-6, 2e-8, 1.9e-8, 1.8e-8)])
        [False, False, False, False, True]
        >>> until = settled()
        >>> print([seen(loss) for loss in (1.0, 2e-27)])
        [False, True]
    """
    losses: list[float] = []
    fresh: list[float] = []

    def until(metrics: Mapping[str, Any]) -> bool:
        losses.append(float(metrics["loss"]))
        fresh.append(float(np.nan_to_num(metrics["evaluation/validation"], nan=np.inf)))
        return (_settled(losses) and _settled(fresh)) or max(losses[-1], fresh[-1]) < ROUNDING * losses[0]

    return until


def within(seconds: float) -> Until:
    """For `pinnjax.Phase(until=...)`: whether so many seconds have passed since the first call, which compiled."""
    calls: list[float] = []

    def until(metrics: Mapping[str, Any]) -> bool:
        del metrics
        calls.append(time.perf_counter())
        return calls[-1] - calls[0] > seconds

    return until


def _settled(losses: Sequence[float]) -> bool:
    share = SETTLED if losses[-1] < FAR * losses[0] else SLOW
    return len(losses) > 2 and min(losses[-2:]) > share * min(losses[:-2])


def _grown(plan: Plan, sampler: sampling.Sampler) -> sampling.Sampler:
    """Early times first, where that is the plan."""
    if not plan.growing or plan.time is None:
        return sampler
    axis, begin = plan.time
    return sampling.growing(sampler, GROWS, plan.weights, axis=axis, start=begin, factor=FACTOR, every=EVERY)


def draw_of(moving: Mapping[str, tuple[_points.Generate, int]]) -> Callable[[Array], dict[str, PyTree]]:
    def draw(key: Array) -> dict[str, PyTree]:
        keys = jax.random.split(key, len(moving))
        return {t: generate(k, n) for k, (t, (generate, n)) in zip(keys, moving.items(), strict=True)}

    return draw
