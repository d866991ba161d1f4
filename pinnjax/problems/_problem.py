"""What a problem is: terms, points and a reference, and what follows from them where it is not said."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax.metrics import relative_l2
from pinnjax.problems import _defaults, _points
from pinnjax.problems._points import grid as grid
from pinnjax.problems._recipe import Recipe as Recipe
from pinnjax.terms import bridge, evaluation, losses

PyTree = Any
Field = Callable[[Array], Array]

FOUND_OUT: Any = None  # what follows from the terms, the points and the reference
COMPARED = {
    "relative_l2": "relative L2 error",
    "fresh_loss": "sum of the losses at fresh points, without a reference",
    "train_loss": "sum of the losses at the given points, without a reference",
}


@dataclasses.dataclass(frozen=True)
class Problem:
    """A partial differential equation with all that a run on it needs. Your own needs the first three fields.

    The rest follows from them, unless it is said: a plain network for such points and such a field, trained with Adam,
    once with equal weights and once balanced.

    Attributes:
        terms: `{name: residual function}`.
        draw: the points, as `{term: points}`; or `draw(key) -> {term: points}`, pure and of fixed shapes, for points
            drawn anew; or `draw(key, points, dtype) -> {term: points}`, with `points` the numbers of points.
        reference: the exact solution as a function `u(x)` of one point, or its values on `grid`, `(n,)` or `(n, m)`,
            as which it is kept; None where there is none, and losses are compared in place of errors.
        name: as on the command line.
        title: one line for people.
        source: where the set-up and the published figures come from.
        balance_against: the term that balancers with a reference are given; the first one.
        points: default numbers of points, as `draw` understands them.
        network: arguments of the network classes; what is left out of `in_features`, `out_features` and `inputs` is
            found from the points, and from the reference or, without one, by trying the residuals.
        grid: test points, `(n, d)`; 201 on the interval in one dimension, else points of `balance_against`, which
            are in the domain whatever its shape.
        grid_shape: shape of the grid as an image; `(n,)` where it is none.
        recipes: `{method: recipe}`; "second_order" is added where it is not among them.
        second_order: in what that recipe differs from those of other problems: options of
            `pinnjax.problems.second_order`; None adds no such recipe.
        default_methods: what is run when nobody asks for a method.
        time: index of the coordinate that is time, where there is one.
        quantity: from the model to the field that the reference is of, where they differ: the speed of a flow.
        measure: what else is measured on a model, `{name: scalar}`.
        coefficients: `{name: first guess}` of unknown coefficients, which residuals read as `u.name`.
        module: from a network class to what the terms need, where that is more than a field; from `coefficients`.

    Raises:
        ValueError, TypeError: when one of these is not as above, or does not follow from the others.

    Example:
        >>> import jax.numpy as jnp, pinnjax as pj
        >>> t = jnp.linspace(0, 3, 40)[:, None]
        >>> mine = Problem(
        ...     terms={"ode": lambda u, t: pj.diff(u, 0)(t) + u(t), "ic": lambda u, t: u(t) - 1.0},
        ...     draw={"ode": t, "ic": t[:1]},
        ...     reference=lambda t: jnp.exp(-t[0]),
        ... )
        >>> print(mine.network["in_features"], mine.network["out_features"], mine.balance_against, *mine.recipes)
        1 scalar ode plain balanced second_order
        >>> print(f"{mine.evaluate(lambda t: 1.5 * jnp.exp(-t[0]))['relative_l2']:.3f}")
        0.500
    """

    terms: Mapping[str, Any]
    draw: Any
    reference: Any = None
    name: str = "problem"
    title: str = FOUND_OUT
    source: str = "-"
    balance_against: str = FOUND_OUT
    points: Mapping[str, int] = FOUND_OUT
    network: Mapping[str, Any] = FOUND_OUT
    grid: Float[np.ndarray, "n d"] = FOUND_OUT
    grid_shape: tuple[int, ...] = FOUND_OUT
    recipes: Mapping[str, Recipe] = FOUND_OUT
    second_order: Mapping[str, Any] | None = dataclasses.field(default_factory=dict)
    default_methods: tuple[str, ...] = FOUND_OUT
    time: int | None = None
    quantity: Callable[[Field], Field] = _defaults.itself
    measure: Callable[[Field], dict[str, Array]] = lambda u: {}
    coefficients: Mapping[str, float] = dataclasses.field(default_factory=dict)
    module: Callable[[Callable[..., Any]], Callable[..., Any]] = FOUND_OUT

    def __post_init__(self) -> None:
        """Check what is given, and find out what is not."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name, value in _defaults.found_out(given).items():
            object.__setattr__(self, name, value)

    @property
    def compared(self) -> str:
        """By what runs are compared, the first that `evaluate` finds; a key of `COMPARED`, which says it in words."""
        if self.reference is not None:
            return "relative_l2"
        return "fresh_loss" if _points.has_fresh(self.draw) else "train_loss"

    def evaluate(self, u: Field) -> dict[str, Array]:
        """Relative L2 error on the test grid, or without a reference a sum of losses, and what else is measured."""
        dtype = jnp.result_type(float)
        if self.reference is None:
            definition, params, constants = bridge.of_field(u)
            batch = _points.fresh(self.draw, self.points, dtype)
            residuals = evaluation.residuals(self.terms, definition, constants)(params, batch)
            found = jnp.stack([losses.loss(r) for r in residuals.values()]).sum()
        else:
            grid, reference = jnp.asarray(self.grid, dtype), jnp.asarray(self.reference, dtype)
            found = relative_l2(self.quantity(u), grid, reference)
        return {self.compared: found, **self.measure(u)}
