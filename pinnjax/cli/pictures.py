"""The plots of `pinnjax solve --out DIR`."""

import dataclasses
import pathlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from pinnjax import plot
from pinnjax.problems import Problem, Solution

HEIGHT = 3.0  # inches of a row of panels
PANEL = 3.5  # inches of a panel's width


def draw(problem: Problem, solutions: Mapping[str, Solution], folder: pathlib.Path) -> None:
    """Write `comparison.png`, and for each method `field_M.png` and `losses_M.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures(problem, solutions).items():
        figure.savefig(folder / f"{name}.png", dpi=110)
        plt.close(figure)


def figures(problem: Problem, solutions: Mapping[str, Solution]) -> dict[str, Figure]:
    """The figure `comparison`, and for each method `field_M` and `losses_M`."""
    values = {name: _values(problem, solution) for name, solution in solutions.items()}
    problem, values = _shown(problem, values)
    drawn = {"comparison": _comparison(problem, solutions, values)}
    for name, solution in solutions.items():
        drawn[f"field_{name}"] = _field(problem, solution, values[name])
        drawn[f"losses_{name}"] = _losses(solution)
    return drawn


def _values(problem: Problem, solution: Solution) -> np.ndarray:
    u = problem.quantity(solution.train.model(solution.state))
    return np.asarray(jax.vmap(u)(jnp.asarray(problem.grid)))


def _shown(problem: Problem, values: Mapping[str, np.ndarray]) -> tuple[Problem, dict[str, np.ndarray]]:
    """What an image can show: the first component, and of three coordinates the other two at the end of the first."""
    whole = problem.grid.shape[1] < 3 or len(problem.grid_shape) == 1
    last = slice(None) if whole else slice(-int(np.prod(problem.grid_shape[1:])), None)

    def first(fields: np.ndarray) -> np.ndarray:
        return (fields[:, 0] if fields.ndim == 2 else fields)[last]

    grid, shape = problem.grid[last, -2:], problem.grid_shape[-2:]
    reference = None if problem.reference is None else first(problem.reference)
    shown = dataclasses.replace(problem, grid=grid, grid_shape=shape, reference=reference)
    return shown, {name: first(found) for name, found in values.items()}


def _row(panels: int) -> tuple[Figure, np.ndarray]:
    figure, axes = plt.subplots(1, panels, figsize=(PANEL * panels, HEIGHT), layout="constrained", squeeze=False)
    return figure, axes[0]


def _labelled(name: str, solution: Solution, of: str = "relative $L_2$ error ") -> str:
    """The method, and its error where there is one."""
    return name if np.isnan(solution.relative_l2) else f"{name}, {of}{solution.relative_l2:.1e}"


def _comparison(problem: Problem, solutions: Mapping[str, Solution], values: Mapping[str, np.ndarray]) -> Figure:
    """The reference, every method's field on one scale, and the errors over the steps."""
    reference, histories = problem.reference, {name: solution.history for name, solution in solutions.items()}
    if problem.grid.shape[1] == 1:
        figure, axes = _row(2)
        shown = {_labelled(name, solution, ""): values[name] for name, solution in solutions.items()}
        plot.profile(problem.grid, shown, reference, ax=axes[0])
        plot.errors(histories, ax=axes[1])
        return figure
    fields = {_labelled(name, solution): values[name] for name, solution in solutions.items()}
    fields = fields if reference is None else {"reference": reference} | fields
    figure, axes = _row(len(fields) + 1)
    limit = float(np.max(np.abs(next(iter(fields.values())))))
    for ax, (title, found) in zip(axes, fields.items(), strict=False):
        plot.field(problem.grid, found, problem.grid_shape, title=title, limit=limit, ax=ax)
    plot.errors(histories, ax=axes[-1])
    return figure


def _field(problem: Problem, solution: Solution, values: np.ndarray) -> Figure:
    reference = problem.reference
    figure, axes = _row(1 if reference is None else 2 if problem.grid.shape[1] == 1 else 3)
    if problem.grid.shape[1] == 1:
        plot.profile(problem.grid, {"u": values}, reference, ax=axes[0])
        if reference is not None:
            plot.profile(problem.grid, {"u - u*": values - reference}, 0 * reference, ax=axes[1])
    elif reference is None:
        plot.field(problem.grid, values, problem.grid_shape, title="u", ax=axes[0])
    else:
        limit = float(np.max(np.abs(reference)))
        plot.field(problem.grid, reference, problem.grid_shape, title="reference", limit=limit, ax=axes[0])
        plot.field(problem.grid, values, problem.grid_shape, title="u", limit=limit, ax=axes[1])
        plot.error_field(problem.grid, values, reference, problem.grid_shape, ax=axes[2])
    return figure


def _losses(solution: Solution) -> Figure:
    figure, axes = _row(3)
    plot.losses(solution.history, ax=axes[0])
    plot.losses(solution.history, weighted=True, ax=axes[1])
    plot.weights(solution.history, ax=axes[2])
    return figure
