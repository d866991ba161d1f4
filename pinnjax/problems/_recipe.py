"""What a recipe is: one way to train on a problem."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import optax

from pinnjax.sampling import Sampler


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One way to train on a problem.

    Attributes:
        summary: what it is, in a few words.
        model: network class, called with the problem's `network`, `param_dtype` and `rngs`.
        schedule: learning rates, a function of the number of steps, since some schedules span the run.
        steps: default number of steps.
        optimizer: what makes an optimiser of the schedule.
        term_weights: term-space transform.
        point_weights: point-space transform.
        points: number of points, where not the problem's own.
        resampled: whether points are drawn anew in every step, where no `sampler` is given; None does so unless
            `point_weights` are, which often belong to points.
        sampler: function of the numbers of points and the dtype; terms that it does not draw keep their points.
        chunk: points in memory at once; None for all.
        published: relative L2 error in the source; None where there is none.
    """

    summary: str
    model: Callable[..., Any]
    schedule: Callable[[int], optax.ScalarOrSchedule]
    steps: int
    optimizer: Callable[[optax.ScalarOrSchedule], optax.GradientTransformation] = optax.adam
    term_weights: optax.GradientTransformation | None = None
    point_weights: optax.GradientTransformation | None = None
    points: Mapping[str, int] | None = None
    resampled: bool | None = None
    sampler: Callable[[Mapping[str, int], Any], Sampler] | None = None
    chunk: int | None = None
    published: float | None = None
