"""Evolving a field on a periodic box of several coordinates: steps, and more waves from where they are wanted."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from pinnjax import nn
from pinnjax.nn.mlp import OutFeatures
from pinnjax.train import _exponential
from pinnjax.train._evolution import Evolution, NotOfWaves, hopeless
from pinnjax.train._local import Local
from pinnjax.train._on_torus import Programs
from pinnjax.train._torus import Torus
from pinnjax.train._wavy import wavy

GROWS = (2.0, 1.4)  # times as many waves there are next along a coordinate, if so many are few enough
LEFT = 0.1  # what waves leave of the highest derivative with which it is no use to go on
BEGIN = 0.01  # of what they may leave: the share of the field at the beginning that waves may leave,
LESS = 0.7  # if twice as many leave no more than this share of it
FIRST_STEP, SHORTEST = 1e-3, 1e-9  # of the time
SAFE, LONGEST, FAILED = 0.8, 4.0, 0.2  # of the step that the error allows; times a step, at most, and at least
LONGER_BY = 1.25  # at least a step becomes, since its matrices are taken anew then,
RENEWED = 8  # as after so many steps
STORED = 2.5  # places for each wave that the field is made of
ROOM = 2e9  # bytes of it, at most
SHARE = 0.3  # of the most that is left along a coordinate: more waves there, too


class Moment(NamedTuple):
    """What is known at one time: waves of the field and of its first two derivatives, and how many waves there are."""

    time: float
    numbers: tuple[int, ...]
    parts: Complex[np.ndarray, "3 w m"]


class Run:
    """Steps in time from the beginning.

    Args:
        local: the equations.
        number: of waves along each coordinate at first.
        tolerance: relative error of a step; dimensionless.
        enough: what waves may leave of the highest derivative, times the time to that order, over the field.
        most: waves, at most, times components and times the order.
        limit: when to give up, by `time.perf_counter`.
    """

    programs: Programs
    y: Any  # the state,
    slope: Any  # and its derivatives
    bend: Any
    left: Float[np.ndarray, " d"]  # what waves leave, see `Programs`, over the field
    factors: Any  # matrices of a step,
    made_for: float  # of its length,
    since: int  # and how often they were used

    def __init__(self, local: Local, number: int, tolerance: float, enough: float, most: int, limit: float):
        self.local, self.tolerance, self.enough, self.allowed, self.limit = local, tolerance, enough, most, limit
        local.check()
        self.torus = Torus(local, (number,) * len(local.lower))
        y, begun = self.torus.start()
        while begun > BEGIN * enough and (numbers := self._more(True)):
            finer = Torus(local, numbers)
            y_finer, begun_finer = finer.start()
            if not begun_finer < LESS * begun:
                break
            self.torus, y, begun = finer, y_finer, begun_finer
        self.t, self.h, self.most = local.begin, FIRST_STEP * local.span, 0.0
        self.sizes: Float[np.ndarray, " k"] = np.zeros(local.order)
        self._set(self.torus, y)
        while self._refined(self.left):
            pass
        self.moments = [self._moment()]

    @property
    def goes_on(self) -> bool:
        """Whether there is another step to do."""
        local = self.local
        ended = self.t >= local.begin + local.span * (1 - 1e-12)
        follows = np.max(self.left) < LEFT and self.h > SHORTEST * local.span
        stored = len(self.moments) * 3 * local.m * 8 * np.prod(STORED * np.array(self.torus.numbers))
        return bool(not ended and follows and stored < ROOM and time.perf_counter() < self.limit)

    def step(self) -> None:
        """One step, which is done again in half of it where its error is too large, or with more waves."""
        h, power = min(self.h, self.local.begin + self.local.span - self.t), -1 / _exponential.ORDER
        if h != self.made_for or self.since >= RENEWED:
            self.factors, self.made_for, self.since = self.programs.factors(self.t, self.y, h), h, 0
        found = self.programs.step(self.t, self.y, self.slope, self.bend, h, self.factors)
        y, slope, bend = found[:3]
        errors, left = map(np.asarray, found[3:])
        sizes = np.maximum(self.sizes, errors[2])
        error = float(np.max(errors[:2] / sizes)) / self.tolerance
        if not error <= 1.0:  # or it is not a number
            self.h = h * (max(FAILED, SAFE * error**power) if np.isfinite(error) else FAILED)
            return
        left = left / sizes[0]
        if np.max(left) > self.enough and self._refined(left):
            self.moments[-1] = self._moment()
            return
        self.t, self.y, self.slope, self.bend, self.sizes, self.left = self.t + h, y, slope, bend, sizes, left
        self.most, self.since = max(self.most, float(np.max(left))), self.since + 1
        longer = min(LONGEST, SAFE * max(error, 1e-12) ** power)
        if longer > LONGER_BY and h == self.h:
            self.h = h * longer
        self.moments.append(self._moment())

    def _more(self, wanted: Any) -> tuple[int, ...] | None:
        """More waves along some coordinates, where so many are allowed."""
        before, local = np.array(self.torus.numbers), self.local
        for times in GROWS:
            numbers = np.where(wanted, np.ceil(times * before), before).astype(int)
            if np.prod(2 * numbers + 1) * local.m * local.order <= self.allowed:
                return tuple(numbers.tolist())
        return None

    def _refined(self, left: Float[np.ndarray, " d"]) -> bool:
        """More waves from here, along the coordinates where so much is left."""
        wanted = left > max(self.enough, SHARE * np.max(left))
        if not wanted.any() or (numbers := self._more(wanted)) is None:
            return False
        finer, at_begin = Torus(self.local, numbers), self.t <= self.local.begin
        self._set(finer, finer.start()[0] if at_begin else finer.taken_over(self.y, self.torus))
        return True

    def _set(self, torus: Torus, y: Any) -> None:
        """So many waves from here."""
        self.torus, self.y, self.programs = torus, jnp.asarray(y), Programs(torus, np.asarray(y))
        self.slope, self.bend, left = self.programs.ends(self.t, self.y)
        self.sizes = np.maximum(self.sizes, self.programs.sizes(self.y))
        self.left = np.asarray(left) / self.sizes[0]
        self.made_for, self.since, self.factors = 0.0, 0, jnp.zeros(0)

    def _moment(self) -> Moment:
        m, state = self.local.m, [self.y, self.slope, self.bend]
        return Moment(self.t, self.torus.numbers, np.stack([np.asarray(part[:, :m]) for part in state]))


def evolved(
    terms: Mapping[str, Callable],
    conditions: Mapping[str, Sequence[Any]],
    initial: Collection[str],
    box: tuple[Any, Any],
    time_box: tuple[float, float],
    *,
    outputs: OutFeatures,
    axis: int,
    tolerance: float,
    enough: float,
    first: int,
    most: int,
    seconds: float | None,
) -> Evolution:
    """See `pinnjax.evolve`, of which this is the part for several coordinates."""
    (low, high), (begin, end) = (tuple(float(x) for x in np.ravel(ends)) for ends in box), time_box
    if len(low) != len(high) or not all(a < b for a, b in zip(low, high, strict=True)) or not begin < end:
        raise ValueError(f"evolve: time is [{begin}, {end}], x in [{low}, {high}]; expected intervals")
    if not 0 <= axis <= len(low):
        raise ValueError(f"evolve: axis is {axis} of {len(low) + 1} coordinates; expected one of them")
    began, allowed = time.perf_counter(), np.inf if seconds is None else seconds
    with jax.enable_x64(True):
        kept = {t: f for t, f in terms.items() if t not in conditions}
        local = Local(kept, tuple(initial), low, high, outputs, axis, float(begin), float(end) - float(begin))
        for term, one in wavy(terms, conditions, outputs, axis).items():
            if not one.vanishes(low, high):
                raise NotOfWaves(f"of several coordinates, not every periodic field satisfies {term!r}")
        run = Run(local, first, tolerance, enough, most, began + allowed)
        while run.goes_on and not hopeless(time.perf_counter() - began, (run.t - local.begin) / local.span, allowed):
            run.step()
        number, steps = max(run.torus.numbers), len(run.moments) - 1
        return Evolution(_field(run.moments, local) if steps else None, number, steps, run.t, run.most)


def _field(moments: Sequence[Moment], local: Local) -> nn.Splined:
    """All of them on one grid."""
    numbers = np.max([one.numbers for one in moments], axis=0).tolist()
    torus = Torus(local, numbers, STORED)
    before = {shape: Torus(local, shape) for shape in {one.numbers for one in moments}}
    on_grid = jax.jit(lambda parts, shape: torus.values(torus.taken_over(parts, before[shape])), static_argnums=1)
    parts = np.stack([np.asarray(on_grid(one.parts, one.numbers)) for one in moments], axis=1)
    values = parts.reshape(*parts.shape[:2], *torus.grid, local.m)
    times = np.array([one.time for one in moments])
    return nn.Splined(local.lower, local.upper, local.outputs, local.axis, times, *values)
