"""A problem in windows of time: steps of an evolution where it is periodic, else least squares of random features."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn
from pinnjax.problems import _points
from pinnjax.problems._problem import Problem
from pinnjax.terms import evaluation
from pinnjax.train.evolve import Evolution, evolve
from pinnjax.train.march import Marched, march

PyTree = Any
PARAMETERS = 1500  # of all components
OVER = 3.0  # points of the equation for each of a component
CONDITIONS = 400  # points of the others, at least
IN_TIME, ACROSS = 1.5, 4.0  # largest slopes of features within a window; the latter of the first level,
LEVELS = 6  # and twice as large in each of the next ones
TOLERANCE, ENOUGH = 1e-7, 1e-4  # of an evolution
TIGHT, LOOSE = 1e-5, 1e-2  # of residuals, over the size of the field at the beginning


def in_windows(
    problem: Problem, *, until: float | None = None, seconds: float | None = None, key: Array
) -> Marched | Evolution:
    """Go through the time of a problem; in double precision, which has to be switched on.

    A problem whose network is periodic along all coordinates is evolved, see `pinnjax.evolve`; another one goes from
    window to window, see `pinnjax.march`.

    Args:
        problem: with a time, and points drawn anew by `draw(key, points, dtype)`.
        until: time at which to end; None for the problem's last one.
        seconds: after which one gives up.
        key: random key.

    Returns:
        The field, how far it goes, and the windows, or the numbers of waves and of steps.

    Raises:
        ValueError: when the problem has no time, unknown coefficients, or points that stay; or `until` is no time of
            it.
    """
    axis = problem.time
    if axis is None or problem.coefficients or isinstance(problem.draw, _points.Given | _points.OfKey):
        raise ValueError(
            f"windows: {problem.name} has {'no time' if axis is None else 'unknown coefficients or points that stay'}; "
            "expected a problem in time whose points are drawn anew"
        )
    begin, last = float(problem.grid[:, axis].min()), float(problem.grid[:, axis].max())
    end = last if until is None else float(until)
    if not begin < end <= last:
        raise ValueError(f"windows: until is {until}; expected a time in ({begin:g}, {last:g}]")
    inputs, others = problem.network.get("inputs"), [i for i in range(problem.grid.shape[1]) if i != axis]
    if isinstance(inputs, nn.Periodic) and all(inputs.periods[i] is not None for i in others):
        lower = [float(problem.grid[:, i].min()) for i in others]
        upper = [low + float(inputs.periods[i] or 0.0) for i, low in zip(others, lower, strict=True)]
        initial = [term for term in problem.terms if term != problem.balance_against]
        options: dict[str, Any] = {"lower": lower, "upper": upper, "begin": begin, "end": end, "axis": axis}
        options |= {"outputs": problem.network["out_features"], "tolerance": TOLERANCE, "enough": ENOUGH}
        return evolve(problem.terms, {}, initial, seconds=seconds, **options)
    m = 1 if problem.network["out_features"] == "scalar" else problem.network["out_features"]
    equation = problem.balance_against
    numbers = {term: max(n, CONDITIONS) for term, n in problem.points.items()}
    numbers[equation] = int(OVER * PARAMETERS / m)

    def draw(key: Array) -> dict[str, PyTree]:
        points = problem.draw(key, numbers, jnp.float64)
        shorter = lambda x: x.at[:, axis].set(begin + (x[:, axis] - begin) * (end - begin) / (last - begin))
        return {term: shorter(x) for term, x in points.items()}

    drawn = draw(key)
    initial = [term for term, x in drawn.items() if np.all(np.asarray(x)[:, axis] == begin)]
    size = _size({term: problem.terms[term] for term in initial}, problem, drawn)
    return march(
        problem.terms,
        draw,
        _network(problem, PARAMETERS // m),
        axis=axis,
        begin=begin,
        end=end,
        initial=initial,
        tight=TIGHT * size,
        loose=LOOSE * size,
        levels=LEVELS,
        seconds=seconds,
        key=key,
    )


def _size(terms: Mapping[str, Any], problem: Problem, drawn: Mapping[str, PyTree]) -> float:
    """Root mean square of the field at the beginning: of what conditions there leave of the field zero."""
    shape = () if problem.network["out_features"] == "scalar" else (problem.network["out_features"],)
    zero = (lambda params, x: params + jnp.zeros(shape, x.dtype), jnp.zeros(()))
    residuals = evaluation.residuals(terms, zero[0])(zero[1], {term: drawn[term] for term in terms})
    squares = [float(jnp.mean(r**2)) for r in jax.tree.leaves(residuals)]
    return float(np.sqrt(max(squares, default=0.0))) or 1.0


def _network(problem: Problem, width: int) -> Any:
    """Features of what the problem's inputs make of a point, where they are periodic, else of the point itself."""
    axis, given = problem.time, problem.network.get("inputs")
    inputs = given if isinstance(given, nn.Periodic) else None
    seen = jax.vmap((lambda x: x) if inputs is None else inputs)
    at = lambda t: np.asarray(seen(jnp.asarray(problem.grid).at[:, axis].set(t)))  # a window is [0, 1]
    begin, end = at(0.0), at(1.0)
    low, high = (f(np.concatenate([begin, end]), axis=0) for f in (np.min, np.max))
    of_time = np.any(begin != end, axis=0)

    def network(key: Array, level: int) -> nn.RandomFeatures:
        slopes: Float[np.ndarray, " d"] = np.where(of_time, IN_TIME, ACROSS * 2.0**level)
        return nn.RandomFeatures(
            low,
            high,
            problem.network["out_features"],
            width=width,
            scale=slopes.tolist(),
            activation=jnp.sin,
            inputs=inputs,
            rngs=nn.Rngs(key),
        )

    return network
