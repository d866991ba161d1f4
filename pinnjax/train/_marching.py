"""The windows of a march: how long each is to be, and what is tried where too much of the residuals is left."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from pinnjax import nn
from pinnjax.terms import bridge
from pinnjax.train.state import TrainState, TrainStep

Network = Callable[[Array, int], nn.Module]

STEPS, HOLD = 8, 2  # of the optimiser, at most: for the equations, and for where they start
SHORTEST = 2.0**-12  # window, of the whole
BETTER = 3.0  # times smaller residuals make a change of a window worth it
LONGER = 1.5  # how much longer the next window is after an easy one,
EASY = 0.1  # one of so little of the residuals that are allowed
SETTLED = 0.5  # a loss of which more than this share is left after two steps falls no more


class Piece(NamedTuple):
    """What a window came to.

    Attributes:
        begin: where it begins, in units of the coordinate.
        length: its length.
        level: of its network, see `march`.
        residual: root of its weighted loss at points on which it was not trained.
    """

    begin: float
    length: float
    level: int
    residual: float


Attempt = tuple[Piece, nn.Window]


@dataclasses.dataclass
class March:
    """Train steps of the first window and of those after it, those of where each starts; and what `march` was told."""

    first: TrainStep
    after: TrainStep
    still: TrainStep
    hold: TrainStep
    network: Network
    axis: int
    begin: float
    end: float
    tight: float
    loose: float
    levels: int
    limit: float
    key: Array
    states: dict[int, TrainState] = dataclasses.field(default_factory=dict)
    number: int = 0

    @property
    def rounding(self) -> float:
        """What is left of the interval when nothing is."""
        return 1e-9 * (self.end - self.begin)

    def windows(self, length: float) -> list[Attempt]:
        """From the beginning as far as it goes."""
        found: list[Attempt] = []
        at, level, enough = self.begin, 0, self.tight
        while at < self.end - self.rounding:
            left = max(1, np.ceil((self.end - at) / length - 1e-9))  # windows of this length
            length = (self.end - at) / left if left <= 2 else length  # the last two are of one length
            best = self.improved(at, length, level, found[-1][1] if found else None, enough)
            found.append(best)
            piece = best[0]
            if not piece.residual <= self.loose or time.perf_counter() > self.limit:
                break
            # What could not be made better will not be so in the next window.
            enough = self.tight if piece.residual <= self.tight else BETTER * piece.residual
            at, length, level = at + piece.length, piece.length, piece.level
            if piece.residual < EASY * self.tight:
                length *= LONGER
        return found

    def improved(self, at: float, length: float, level: int, before: nn.Window | None, enough: float) -> Attempt:
        """A window, shorter or of a higher level as long as that helps."""
        best = self.attempt(at, length, level, before)
        while not best[0].residual <= enough and time.perf_counter() < self.limit:
            tried = [self.attempt(at, *other, before) for other in self.others(best[0])]
            new = min(tried, key=lambda one: _rank(one[0]), default=best)
            if best[0].residual <= self.loose and not BETTER * _rank(new[0]) < _rank(best[0]):
                break
            if not _rank(new[0]) < _rank(best[0]):  # Newton's method finds nothing in any of them: in a shorter one?
                new = min(tried, key=lambda one: one[0].length, default=best)
                if not new[0].length < best[0].length:
                    break
            best = new
        return best

    def others(self, piece: Piece) -> Iterator[tuple[float, int]]:
        """Lengths and levels that may be better."""
        if piece.length / 2 >= SHORTEST * (self.end - self.begin):
            yield piece.length / 2, piece.level
        if piece.level + 1 < self.levels:
            yield piece.length, piece.level + 1

    def attempt(self, at: float, length: float, level: int, before: nn.Window | None) -> Attempt:
        """One window: first the field stays what it was, then it satisfies the equations."""
        self.number += 1
        for_network, for_points = jax.random.split(self.key)
        key = jax.random.fold_in(for_points, self.number)
        window = nn.Window(self.network(for_network, level), self.axis, at, length, before)
        window, _ = self.trained(self.still if before is None else self.hold, window, key, HOLD)
        window, loss = self.trained(self.first if before is None else self.after, window, key, STEPS)
        return Piece(at, length, level, float(np.sqrt(loss))), window

    def trained(self, train: TrainStep, window: nn.Window, key: Array, steps: int) -> tuple[nn.Window, float]:
        """The window after so many steps, fewer where no more are needed; and its loss at points of the next one."""
        if id(train) not in self.states:
            self.states[id(train)] = train.init(window, key=key)
        _, params, constants = bridge.split(window)
        drawn = train.parts.sampler.init(key)  # type: ignore[union-attr]
        state = dataclasses.replace(self.states[id(train)], params=params, constants=constants, sampler=drawn)
        losses: list[float] = []
        best: Any = window
        for _ in range(steps + 1):
            following, metrics = train.update(state)
            losses.append(float(metrics["loss"]))
            if losses[-1] <= np.nanmin(losses):
                best = train.model(state)
            if losses[-1] <= self.tight**2 or _settled(losses):
                break
            state = following
        return best, float(np.nanmin(losses)) if np.isfinite(losses).any() else np.inf


def _settled(losses: list[float]) -> bool:
    return len(losses) > 3 and not min(losses[-2:]) < SETTLED * min(losses[:-2])


def _rank(piece: Piece) -> float:
    return piece.residual if np.isfinite(piece.residual) else np.inf
