"""The interface of a sampler, and the plainest one: new points in every step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import Array

PyTree = Any


class Sampler(NamedTuple):
    """A pair of pure functions.

    Attributes:
        init: `init(key) -> state`.
        update: `update(state) -> (batch, state)`, with `{term: points}` of the same shapes in every step.
    """

    init: Callable[[Array], PyTree]
    update: Callable[[PyTree], tuple[dict[str, PyTree], PyTree]]


def resample(draw: Callable[[Array], dict[str, PyTree]]) -> Sampler:
    """Draw new points in every step, inside the program.

    Args:
        draw: `draw(key) -> {term: points}`, pure and of fixed shapes.

    Returns:
        A sampler whose state is its random key.

    Example:
        >>> import jax
        >>> from pinnjax.sampling import box
        >>> sampler = resample(lambda key: {"pde": box(key, [0.0, 0.0], [1.0, 2.0], 3)})
        >>> batch, state = sampler.update(sampler.init(jax.random.key(0)))
        >>> print(batch["pde"].shape)
        (3, 2)
    """

    def update(key: Array) -> tuple[dict[str, PyTree], Array]:
        key, now = jax.random.split(key)
        return draw(now), key

    return Sampler(lambda key: key, update)
