"""Residuals that are not pointwise: an integral, a mean, a spectrum of all points of a term."""

from collections.abc import Callable
from typing import Any, NamedTuple

PyTree = Any


class Batchwise(NamedTuple):
    """A residual function of all the points of its term at once; see `batchwise`.

    Attributes:
        residual: the function.
        a_point: whether its residuals are one a point, in the points' order, so that weights of points are theirs.
    """

    residual: Callable[[Any, PyTree], Any]
    a_point: bool = False

    def __call__(self, u: Any, points: PyTree) -> Any:
        """The residual of all points."""
        return self.residual(u, points)


def batchwise(residual: Callable[[Any, PyTree], Any]) -> Batchwise:
    """Mark a residual function that is not pointwise: an integral constraint, a mean, a spectrum.

    Args:
        residual: function of the field and *all* points of the term, `(n, d)`, returning one residual `()`, several
            `(k,)`, or a dict of those. It is never chunked.

    Returns:
        The marked function, to be used as a term.

    Example:
        >>> import jax, jax.numpy as jnp, pinnjax as pj
        >>> @batchwise
        ... def unit_mass(u, x):  # ∫ u = 1 on [0, 1], by the mean over the points
        ...     return jnp.mean(jax.vmap(u)(x)) - 1.0
        >>> u = (lambda a, x: a * x[0], 3.0)
        >>> values = pj.residuals({"mass": unit_mass}, u[0])(u[1], {"mass": jnp.array([[0.0], [1.0]])})
        >>> print(values["mass"])
        [0.5]
    """
    return Batchwise(residual)


def without_points(function: Any) -> bool:
    """Whether the residuals of a term belong to no point of their own."""
    return isinstance(function, Batchwise) and not function.a_point
