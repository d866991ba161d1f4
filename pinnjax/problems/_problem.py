"""What a problem is: terms, points, a network, a reference, and recipes with the figures they were published with."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from pinnjax.metrics import relative_l2
from pinnjax.sampling import Sampler

PyTree = Any
Field = Callable[[Array], Array]


def grid(*sides: Float[np.ndarray, " _"]) -> Float[np.ndarray, "n d"]:
    """The tensor product of sides in double precision, the first coordinate varying slowest.

    `pinnjax.sampling.grid` makes equidistant points for training, in JAX's precision.

    Example:
        >>> grid(np.array([0.0, 1.0]), np.array([5.0, 6.0])).tolist()
        [[0.0, 5.0], [0.0, 6.0], [1.0, 5.0], [1.0, 6.0]]
    """
    return np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, len(sides))


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
        sampler: function of the numbers of points and the dtype; the sampler of all terms.
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
    published: float | None = None


@dataclasses.dataclass(frozen=True)
class Problem:
    """A partial differential equation with all that a run on it needs.

    Attributes:
        name: as on the command line.
        title: one line for people.
        source: where the set-up and the published figures come from.
        terms: `{name: residual function}`.
        balance_against: the term that balancers with a reference are given.
        draw: `draw(key, points, dtype) -> {term: points}`, with `points` the numbers of points.
        points: default numbers of points, as `draw` understands them.
        network: arguments of the network classes.
        grid: test points, `(n, d)`.
        reference: the solution there, `(n,)` or `(n, m)`.
        grid_shape: shape of the grid as an image.
        recipes: `{method: recipe}`.
        default_methods: what is run when nobody asks for a method.
        time: index of the coordinate that is time, where there is one.
        quantity: from the model to the field that the reference is of, where they differ: the speed of a flow.
        measure: what else is measured on a model, `{name: scalar}`.
        module: from a network class to what the terms need, where that is more than a field: unknown coefficients.
    """

    name: str
    title: str
    source: str
    terms: Mapping[str, Any]
    balance_against: str
    draw: Callable[[Array, Mapping[str, int], Any], dict[str, PyTree]]
    points: Mapping[str, int]
    network: Mapping[str, Any]
    grid: Float[np.ndarray, "n d"]
    reference: Float[np.ndarray, "n *m"]
    grid_shape: tuple[int, ...]
    recipes: Mapping[str, Recipe]
    default_methods: tuple[str, ...]
    time: int | None = None
    quantity: Callable[[Field], Field] = lambda u: u
    measure: Callable[[Field], dict[str, Array]] = lambda u: {}
    module: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda network: network

    def evaluate(self, u: Field) -> dict[str, Array]:
        """Relative L2 error of a model on the test grid, and what the problem measures besides."""
        dtype = jnp.result_type(float)
        grid, reference = jnp.asarray(self.grid, dtype), jnp.asarray(self.reference, dtype)
        error = relative_l2(self.quantity(u), grid, reference)
        return {"relative_l2": error, **self.measure(u)}
