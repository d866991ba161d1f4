"""Whether conditions are those of a period: they hold for every field that has it, and not for others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnjax.nn.mlp import OutFeatures
from pinnjax.train._evolution import flat

SOME, STEEPEST = 5, 3  # random waves of the field that conditions are asked of, and so many in a period at most
NO_PERIOD = 1.3  # times a period


class Wavy:
    """A condition that is asked of a field of random waves.

    Args:
        term: residual function of points `(d + 1,)`.
        places: `(k, d)`, or `(k,)`, where it holds.
        outputs: components of the field, or "scalar".
        axis: of the time.

    Example:
        >>> with jax.enable_x64(True):
        ...     one = Wavy(lambda u, x: u(x.at[1].add(2.0)) - u(x), [-1.0], "scalar", 0)
        ...     one.vanishes([-1.0], [1.0]), one.vanishes([-1.0], [1.1])
        (True, False)
    """

    def __init__(self, term: Callable, places: Sequence[Any], outputs: OutFeatures, axis: int):
        at = np.asarray(places, float)
        at = at.reshape(len(at), -1)
        rng, m = np.random.default_rng(0), 1 if outputs == "scalar" else outputs
        waves = rng.integers(-STEEPEST, STEEPEST + 1, size=(m, SOME, at.shape[1]))
        phases = rng.uniform(0, 2 * np.pi, size=(m, SOME))
        points = jnp.asarray(np.insert(at, axis, 0.3, axis=1))

        def left(low: Array, length: Array) -> Array:
            def field(point: Array) -> Array:
                place = jnp.concatenate([point[:axis], point[axis + 1 :]])
                angles = 2 * jnp.pi * waves @ ((place - low) / length) + phases
                value = jnp.sum(jnp.cos(angles), axis=1) * jnp.cos(point[axis])
                return value[0] if outputs == "scalar" else value

            return jnp.max(jnp.abs(jax.vmap(lambda x: flat(term(field, x)))(points)))

        self._left = jax.jit(left)

    def vanishes(self, low: Sequence[float], high: Sequence[float], others: Sequence[int] = ()) -> bool:
        """With this period, whatever those of other coordinates are; and not with another period."""
        lower, length = np.asarray(low, float), np.subtract(high, low)
        strange = np.array([NO_PERIOD if i in others else 1.0 for i in range(len(lower))])
        return bool(self._left(lower, strange * length) < 1e-8 * self._left(lower, NO_PERIOD * length))


def wavy(
    terms: Mapping[str, Callable], conditions: Mapping[str, Sequence[Any]], outputs: OutFeatures, axis: int
) -> dict[str, Wavy]:
    """All conditions, `{term: places}`, to be asked."""
    return {t: Wavy(terms[t], places, outputs, axis) for t, places in conditions.items()}
