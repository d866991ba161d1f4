"""Monitors of the errors: over points, over time, at fresh points and by frequency."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from pinnjax import checks, diagnostics
from pinnjax.terms import evaluation, names
from pinnjax.train.monitor import Monitor, StepInfo

PyTree = Any


def homogeneity(*, every: int = 1) -> Monitor:
    """How evenly the points share each term's loss.

    Measures `homogeneity/t`; see `pinnjax.diagnostics.homogeneity`.

    Args:
        every: steps between two measurements.

    Cost: two means over the points.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        return {f"homogeneity/{t}": diagnostics.homogeneity(r) for t, r in info.residuals.items()}

    return Monitor(measure, every)


def time_losses(
    term: str,
    interval: tuple[float, float],
    *,
    time: Callable[[PyTree], Array] = lambda points: points[:, 0],
    slices: int = 10,
    every: int = 1,
) -> Monitor:
    """The loss of one term by slices of time.

    Measures `time_losses/t`, `(slices,)`; see `pinnjax.diagnostics.time_losses`.

    Args:
        term: which; every equation of it.
        interval: first and last time.
        time: from the term's points to their times `(n,)`.
        slices: how many.
        every: steps between two measurements.

    Cost: a sum over the points.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        found = {}
        for residual in names.meant("time_losses: term", [term], info.residuals):
            owner = names.term_of(residual, info.points)
            times = checks.times("time_losses: time", time, info.points[owner])
            found[f"time_losses/{residual}"] = diagnostics.time_losses(
                info.residuals[residual], times, interval=interval, slices=slices
            )
        return found

    return Monitor(measure, every)


def test_train_ratio(fresh: Mapping[str, PyTree], *, every: int = 100) -> Monitor:
    """The loss at points that training does not see, over that at its own.

    Measures `test_train_ratio/t`; see `pinnjax.diagnostics.test_train_ratio`.

    Args:
        fresh: `{term: points}`, of any terms.
        every: steps between two measurements.

    Cost: the residuals at those points.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        terms = {t: info.terms[t] for t in fresh}
        found = evaluation.residuals(terms, info.definition, info.constants)(info.params, fresh)
        return {
            f"test_train_ratio/{t}": g
            for t, g in diagnostics.test_train_ratio({t: info.residuals[t] for t in found}, found).items()
        }

    return Monitor(measure, every)


test_train_ratio.__test__ = False  # type: ignore[attr-defined]  # for pytest it is no test


def error_by_mode(grid: Array, reference: Array, shape: Sequence[int], *, axis: int = -1, every: int = 100) -> Monitor:
    """The error by frequency along one axis of a grid.

    Measures `error_by_mode`, `(k,)`; see `pinnjax.diagnostics.error_by_mode`.

    Args:
        grid: equidistant points `(n, d)`.
        reference: the solution there, `(n,)`.
        shape: of the grid, of product n.
        axis: along which frequencies are counted.
        every: steps between two measurements.

    Cost: the field on the grid.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        values = jax.vmap(info.field())(jnp.asarray(grid))
        error, _ = diagnostics.error_by_mode(values.reshape(shape), jnp.asarray(reference).reshape(shape), axis=axis)
        return {"error_by_mode": error}

    return Monitor(measure, every)
