"""The runs of the race: a front in data, and two equations, each with the same points and four ways to weigh them."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from pinnjax import nn
from pinnjax.cli.watching import watched
from pinnjax.point_weights import inverse_point_gradients, self_adaptive
from pinnjax.problems import Problem, Recipe, allen_cahn, tanh, wave
from pinnjax.term_weights import fixed
from pinnjax.train.monitor import StepInfo

History = dict[str, np.ndarray]

RATE = 1 / 30  # η for each point of a term: the slope of a mean over n points has a factor 1 / n
SIGMOID, SQUARE = "SA-PINN, sigmoid", "SA-PINN, γ²"
MODES: dict[str, Callable[[str, int], optax.GradientTransformation | None]] = {
    "uniform": lambda term, n: None,
    "gradient norm": lambda term, n: inverse_point_gradients(terms=[term]),
    SIGMOID: lambda term, n: self_adaptive(RATE * n, terms=[term]),
    SQUARE: lambda term, n: self_adaptive(optax.adam(5e-3), mask=jnp.square, initial=1.0, terms=[term]),
}
RATES = 10.0 ** np.arange(-1, 2.1, 0.5)  # η for 30 points, over which the sigmoid is tried

LINE = np.linspace(-1, 1, 101)[:, None]
SIDE = 28  # points of a map, a side
HARD = 0.1  # this share of a map, where the |residual| is largest, is the hard part
NETWORK = {"width": 32, "depth": 3}


@dataclasses.dataclass(frozen=True)
class Plane:
    """An equation in (t, x), its name in words, its numbers of points, and the fixed weights of its conditions."""

    problem: Problem
    name: str
    points: dict[str, int]
    weights: dict[str, float]


PLANES = {
    "allen_cahn": Plane(allen_cahn, "Allen–Cahn", {"pde": 512, "ic": 100}, {"ic": 100.0}),
    "wave": Plane(wave, "The wave equation", {"pde": 256, "ic": 100, "bc": 50}, {"ic": 100.0, "bc": 100.0}),
}


@dataclasses.dataclass(frozen=True)
class Size:
    """Seeds, looks after the first, and steps between two looks."""

    seeds: int
    moments: int
    every: int

    @property
    def steps(self) -> list[int]:
        """The moments of the looks."""
        return [self.every * i for i in range(self.moments + 1)]


def front(size: Size) -> dict[str, History]:
    """Every mode on tanh(20x), `{mode: {name: (K, E, ...)}}`: fit, |residual|, weights, errors and ratios."""
    points = tanh.points["data"]

    def measure(info: StepInfo) -> dict[str, Array]:
        u, line = info.field(), jnp.asarray(LINE, jnp.float32)
        away = jax.vmap(lambda x: tanh.terms["data"](u, x))(line)
        found = {"u": jax.vmap(u)(line), "residual": jnp.abs(away), "m": info.point_weights["data"]}
        return found | tanh.evaluate(u)

    return {name: _raced(tanh, _on_front(rule("data", points)), measure, size) for name, rule in MODES.items()}


def over_rates(size: Size) -> Float[np.ndarray, "R K"]:
    """The centre/outer ratio at the end with the sigmoid, over η and the seeds, in one program."""
    whole = Size(size.seeds, 1, size.moments * size.every)

    def one(rate: Array, key: Array) -> Array:
        recipe = _on_front(self_adaptive(rate))
        run = watched(tanh, recipe, lambda info: tanh.evaluate(info.field()), every=whole.every, moments=1)
        return run(key)[0]["front_over_rest"][-1]

    rates = jnp.asarray(RATES, jnp.float32)
    return np.asarray(jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(rates, _keys(size)))


def plane(setup: Plane, size: Size) -> dict[str, History]:
    """Every mode on an equation in (t, x), `{mode: {name: (K, E, ...)}}`.

    Maps are of |error|, |residual| and weight; `hard` is the mean |residual| of the hard part, `ratio` its ratio to
    that of the rest.

    Terms have fixed weights, so that the race is about points; only those of the equation are weighed.
    """
    problem = setup.problem
    smaller = dataclasses.replace(problem, network={**problem.network, **NETWORK})
    places, exact = _map(problem)
    count = round(HARD * SIDE**2)

    def measure(info: StepInfo) -> dict[str, Array]:
        u, at = info.field(), jnp.asarray(places, jnp.float32)
        residual = jnp.abs(jax.vmap(lambda x: problem.terms["pde"](u, x))(at))
        nearest = jnp.argmin(jnp.sum((at[:, None] - info.points["pde"]) ** 2, axis=-1), axis=1)
        maps = [jnp.abs(jax.vmap(u)(at) - exact), residual, info.point_weights["pde"][nearest]]
        ordered = jnp.sort(residual)
        hard, easy = jnp.mean(ordered[-count:]), jnp.mean(ordered[:-count])
        found = {"maps": jnp.stack(maps).reshape(3, SIDE, SIDE), "hard": hard, "ratio": hard / easy}
        return found | problem.evaluate(u)

    found = {}
    for name, rule in MODES.items():
        recipe = Recipe(
            name,
            nn.ModifiedMLP,
            lambda steps: optax.cosine_decay_schedule(2e-3, steps),
            resampled=False,
            point_weights=rule("pde", setup.points["pde"]),
            points=setup.points,
            term_weights=fixed(setup.weights),
        )
        found[name] = _raced(smaller, recipe, measure, size)
    return found


def _on_front(rule: optax.GradientTransformation | None) -> Recipe:
    return dataclasses.replace(tanh.recipes["plain"], resampled=False, point_weights=rule)


def _raced(problem: Problem, recipe: Recipe, measure: Callable[[StepInfo], dict[str, Array]], size: Size) -> History:
    run = watched(problem, recipe, measure, every=size.every, moments=size.moments)
    return jax.device_get(jax.jit(jax.vmap(run))(_keys(size))[0])


def _keys(size: Size) -> Array:
    return jnp.stack([jax.random.key(seed) for seed in range(size.seeds)])


def _map(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Every so many points of the test grid, row by row of x, and the solution there."""
    grid = problem.grid.reshape(*problem.grid_shape, 2)
    exact = np.asarray(problem.reference).reshape(problem.grid_shape)
    rows, columns = (np.linspace(0, n - 1, SIDE).round().astype(int) for n in problem.grid_shape)
    taken = lambda values: np.swapaxes(values[rows][:, columns], 0, 1).reshape(SIDE * SIDE, *values.shape[2:])
    return taken(grid), taken(exact)
