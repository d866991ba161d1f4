"""What a solution is worth, from what can be known without the exact one.

A residual is not an error. What lies between them, e = C q with q the size of the residuals at fresh points, is the
stability of the equation, and two measurements give it: along the run, where the field of an earlier step differs from
the last one by its own error; and the correction that Newton's method would make to the last one. Their geometric mean
is taken. An equation that several fields satisfy shows in how far the field can move while its residuals stay as small,
and in a second network, trained for a short while from another start on other points.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

PyTree = Any
Field = Float[np.ndarray, "n *m"]

UNSOLVED = 0.1  # residuals, in units of what an error of 100 % does to them, above which nothing is solved
LOST = 0.5  # believed errors above it are no solution
APART = 0.1  # two fields that differ by more are not the same solution,
SURPRISE = 10.0  # if it is so many times more than their residuals are worth;
UNSTABLE, SMALL = 1e4, 1e-6  # one that is worth so many times its size says so too, where it is worth more than this
STABLE = 300.0  # a residual is worth no more than this, or it is the terms that leave the field open
FREE = 10.0  # times the believed error: a field that could be farther off, with residuals as small, is not determined
NEAR, FAR, ANY = 3.0, 30.0, 1e3  # residuals of the snapshots that tell of the end, in units of the last ones


class Snapshot(NamedTuple):
    """A model along the way.

    Attributes:
        step: when.
        validation: weighted loss at fresh points, dimensionless.
        model: parameters and constants.
    """

    step: int
    validation: float
    model: PyTree


class Accuracy(NamedTuple):
    """What the relative L2 error is believed to be.

    Attributes:
        value: dimensionless; infinite where the run failed.
        residual: q, residuals at fresh points, in units of what an error of 100 % does to them.
        growth: C, error over residual.
        along: C as the run has it; NaN where it has none.
        newton: C as Newton's correction has it; NaN where there is none.
        freedom: how far the field could move, relative, with residuals no larger; NaN where it is not known.
        disagreement: relative L2 difference of the second network; NaN where there was no time for it.
        failure: why there is no solution; empty where there is one.
    """

    value: float
    residual: float
    growth: float
    along: float
    newton: float
    freedom: float
    disagreement: float
    failure: str

    def __str__(self) -> str:
        """The verdict in a sentence."""
        if self.failure:
            return f"Failed: {self.failure}."
        worth = "it is not known how much larger errors are"
        if np.isfinite(self.growth):
            worth = f"errors are {self.growth:.2g} times as large as that"
        return (
            f"Solved to about {self.value:.0e}: the residuals at fresh points are {self.residual:.0e} of those of an "
            f"error of 100 %, and {worth}."
        )


def estimate(
    along: Sequence[tuple[float, Field]],
    other: tuple[float, Field] | None,
    newton: float = float("nan"),
    freedom: float = float("nan"),
    component: int | None = None,
) -> Accuracy:
    """The error of the last of the fields.

    Args:
        along: `(validation, values)` of snapshots, values at the same points; the last one is the solution.
        other: the same of the second network.
        newton: C of the last field, as `pinnjax.solver._newton.known` has it.
        freedom: from there as well,
        component: and that.

    Example:
        >>> x = np.linspace(0, 1, 50)
        >>> along = [(4.0 * e**2, np.sin(x) * (1 + e)) for e in (1e-1, 1e-2, 1e-3, 1e-4)]
        >>> print(f"{estimate(along, None).value:.0e}")
        9e-05
    """
    last, end = along[-1]
    size = max(float(np.linalg.norm(end)), np.finfo(float).tiny)
    q = float(np.sqrt(last))
    apart = lambda values: float(np.linalg.norm(values - end)) / size
    ratios = [
        (float(np.sqrt(v)) / q if q > 0 else np.inf, apart(values) / np.sqrt(v)) for v, values in along[:-1] if v > 0
    ]
    within = lambda most: [growth for ratio, growth in ratios if NEAR < ratio < most]
    before = max(within(FAR) or within(ANY), default=float("nan"))
    known = [c for c in (before, newton) if np.isfinite(c) and c > 0]
    disagreement = float("nan")
    if other is not None:
        disagreement = apart(other[1])
        if not known:
            known = [disagreement / max(float(np.sqrt(other[0])), q)]
    growth = float(np.exp(np.mean(np.log(known)))) if known else float("nan")
    failure = ""
    if not np.isfinite(q) or q > UNSOLVED:
        failure = f"the residuals at fresh points are {q:.1g} of those of an error of 100 %"
    elif (
        other is not None
        and np.sqrt(other[0]) < UNSOLVED / 10
        and disagreement > max(APART, SURPRISE * min(np.nan_to_num(before), STABLE) * np.sqrt(other[0]))
    ):
        failure = (
            f"two networks satisfy the equations to {max(q, float(np.sqrt(other[0]))):.0e} and differ by "
            f"{disagreement:.0%}: the terms do not say which is the solution, a condition is missing or has no effect"
        )
    value = q * growth if np.isfinite(growth) else q
    if not failure and growth > UNSTABLE and value > SMALL:
        failure = (
            f"residuals of {q:.0e} may be an error of {value:.0e}: the terms hardly say which is the solution, a "
            "condition is missing or has no effect"
        )
    if not failure and freedom > max(LOST, FREE * value):
        which = "the field" if component is None else f"component {component} of the field"
        failure = (
            f"{which} could change by {freedom:.0%} and its residuals would be as small: the terms hardly say which "
            "is the solution, a condition is missing or has no effect"
        )
    if not failure and value > LOST:
        failure = f"the residuals that are left, {q:.1g} of those of an error of 100 %, may be an error of {value:.0%}"
    return Accuracy(float("inf") if failure else value, q, growth, before, newton, freedom, disagreement, failure)
