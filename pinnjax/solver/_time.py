"""Which coordinate is time, from where the conditions are."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax.terms import bridge

ROUNDING = 1e-4  # difference of residuals that is none, where 1 is added to a field of order 1


def time_axis(places: Mapping[str, Float[np.ndarray, "_ d"]], equations: Sequence[str]) -> tuple[int, float] | None:
    """The coordinate at whose beginning some condition holds, and at whose end none does; and where it begins.

    Args:
        places: `{term: places}` of all terms.
        equations: those that are no conditions.

    Example:
        >>> x = np.linspace(0, 1, 9)
        >>> places = {"pde": np.stack([x, x**2], 1), "ic": np.stack([0 * x, x], 1), "bc": np.stack([x, np.round(x)], 1)}
        >>> print(time_axis(places, ["pde"]))
        (0, 0.0)
    """
    together = np.concatenate(list(places.values()))
    low, high = together.min(axis=0), together.max(axis=0)
    conditions = [x for t, x in places.items() if t not in equations]
    for axis in range(len(low)):
        near = 1e-9 * (high[axis] - low[axis])
        at = lambda end, x, axis=axis, near=near: bool(np.all(np.abs(x[:, axis] - end[axis]) <= near))
        if any(at(low, x) for x in conditions) and not any(at(high, x) for x in conditions):
            return axis, float(low[axis])
    return None


def sees_elsewhere(term: Callable, u: Any, points: Float[Array, "n d"]) -> bool:
    """Whether a residual sees the field at other places than its own, as a periodic condition does.

    Such a condition has its points at one end, and is no beginning. Outside the point itself 1 is added to the field.

    Example:
        >>> periodic, fixed = (lambda u, x: u(x + 1) - u(x)), (lambda u, x: u(x) - 1)
        >>> [sees_elsewhere(term, jnp.sum, jnp.ones((3, 2))) for term in (periodic, fixed)]
        [True, False]
    """

    def both(x: Float[Array, " d"]) -> tuple[Any, Any]:
        plain = lambda y: u(y)
        lifted = lambda y: u(y) + jnp.where(jnp.any(y != x), 1.0, 0.0).astype(x.dtype)
        return term(bridge.Derived(plain, u), x), term(bridge.Derived(lifted, u), x)

    one, other = jax.jit(jax.vmap(both))(points)
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return any(not np.allclose(a, b, rtol=ROUNDING, atol=ROUNDING, equal_nan=True) for a, b in pairs)
