"""What the doctor sees: measurements at two moments of a short training run, and along it."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from pinnjax.train.state import TrainState

SHORT = 500  # steps below which a probe cannot say what does not fall


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Measurements at one moment.

    Attributes:
        losses: mean |r|² of each term at its training points, in the residual's units squared.
        homogeneity: of each term, in (0, 1]; see `pinnjax.diagnostics.homogeneity`.
        waves: of each term with some points, waves of its residual across the box of its points, along each coordinate
            `(d,)`: the root of mean |∂r/∂x_i|² / mean r², times the box's side over 2π. A sine of k waves has k.
        rates: mean |∇_θ r(x_i)|² of each term, times λ: its mean rate of convergence under gradient descent.
        saturation: share of saturated units of each layer, `(layers,)`.
        dead: share of units of each layer that are saturated at all points, `(layers,)`.
        fresh: losses at points that training does not see; empty where none were given.
        time_losses: loss of the term that has time, in each slice of it; None where no time was given.
    """

    losses: dict[str, float]
    homogeneity: dict[str, float]
    waves: dict[str, Float[np.ndarray, " d"]]
    rates: dict[str, float]
    saturation: Float[np.ndarray, " layers"]
    dead: Float[np.ndarray, " layers"]
    fresh: dict[str, float]
    time_losses: Float[np.ndarray, " slices"] | None


@dataclasses.dataclass(frozen=True)
class Evidence:
    """All that the doctor saw.

    Attributes:
        steps: of training done between the snapshots.
        history: of the probe, as `pinnjax.fit` returns it, with the gradients' monitor; a record every 1 % of it.
        start: before.
        end: after; the start where there was no training.
        box: `{term: (lower, upper)}` of the points that are arrays `(n, d)`.
        reference: root mean square residual of each term at the exact solution and at the untrained network; None
            where no exact solution was given.
        broken: `{term: a point}` where a residual is not finite before training.
        in_time: the term whose losses were taken by time; None without time.
        time: index of that coordinate.
        unmeasured: what could not be measured, and why.
        state: the train state at the end.
        owners: `{equation: its term}`; the same where a term is one equation.
        count: `{term: number of its points}`.
        sampled: whether a sampler draws points; else all came with the batch.
        short_lived: terms whose points a sampler draws anew in every step, so that no weight can belong to them.
        relative: of each term, the root mean square residual at the end, at fresh points where there are some, over
            that of an error as large as the field (`pinnjax.diagnostics.scales`); None where that is not known.
        error: relative L2 error of the field at the end, at the points; None without an exact solution.
        length: of the last step, by what factor it would have lowered the loss most; None where that is not known.
        step_size: root mean square of the last step of the parameters; NaN without one.
    """

    steps: int
    history: dict[str, np.ndarray]
    start: Snapshot
    end: Snapshot
    box: dict[str, tuple[np.ndarray, np.ndarray]]
    reference: dict[str, tuple[float, float]] | None
    broken: dict[str, Any]
    in_time: str | None
    time: int | None
    unmeasured: dict[str, str]
    state: TrainState
    owners: dict[str, str]
    count: dict[str, int]
    sampled: bool
    short_lived: frozenset[str]
    relative: dict[str, float] | None = None
    error: float | None = None
    length: float | None = None
    step_size: float = float("nan")

    @property
    def names(self) -> tuple[str, ...]:
        """The terms; an equation of a term on its own where it has several."""
        return tuple(self.start.losses)

    def owner(self, equation: str) -> str:
        """The term that an equation belongs to."""
        return self.owners[equation]

    def falls(self, *terms: str) -> float:
        """What the second half of the probe leaves of these terms' losses, its last quarter over its first; medians."""
        late = self.late(f"loss/{terms[0]}") + sum(self.late(f"loss/{t}") for t in terms[1:])
        quarter = max(1, len(late) // 4)
        first, last = float(np.median(late[:quarter])), float(np.median(late[-quarter:]))
        return last / first if first > 0 else float(last > 0)

    def left(self, term: str) -> float:
        """What is left of a term's loss, as a share of that before training; 0 for a term that had none.

        A network may satisfy a condition by chance, so a thousandth of the largest loss on the way counts as a start.
        """
        largest = max([self.start.losses[term], *map(float, self.history.get(f"loss/{term}", []))])
        before = max(self.start.losses[term], 1e-3 * largest)
        return self.end.losses[term] / before if before > 0 else 0.0

    def late(self, name: str) -> np.ndarray:
        """A metric's second half."""
        values = self.history[name]
        return values[len(values) // 2 :]
