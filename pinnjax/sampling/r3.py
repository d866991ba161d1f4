"""R3: retain the points whose residual is large, resample and release the others.

References:
  Daw, Bu, Wang, Perdikaris, Karpatne, `Mitigating propagation failures in physics-informed neural networks using
  retain-resample-release (R3) sampling <https://arxiv.org/abs/2207.02338>`_, ICML 2023: Algorithm 1.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from pinnjax.sampling import sampler
from pinnjax.sampling._renewing import AdaptiveState, Generator, Score, renewing
from pinnjax.sampling.sampler import Residuals, Sampler

PyTree = Any


def r3(term: str, generate: Generator, n: int, *, every: int = 1, score: Score = sampler.score) -> Sampler:
    """Keep the points with a large residual, and draw the others anew.

    Retain the points with |r| > mean |r|, resample the others (R3).

    Args:
        term: as in `rad`.
        generate: as in `rad`.
        n: number of points.
        every: steps between two rounds, >= 1; 1 as in the paper.
        score: as in `rad`.

    Returns:
        A sampler of this term. Retained points keep their place, and their weights.

    Raises:
        ValueError: when a number is out of range.

    Cost: when due, the residuals of the points, which the step evaluates as well.

    Example:
        >>> import jax
        >>> from pinnjax.sampling import box
        >>> sampler = r3("pde", lambda key, n: box(key, [0.0], [1.0], n), 100)
        >>> def step(state, _):
        ...     drawn, state = sampler.update(state, residuals=lambda points: {"pde": points["pde"][:, 0]})
        ...     return state, drawn.points["pde"].mean()
        >>> _, means = jax.lax.scan(step, sampler.init(jax.random.key(0)), length=30)
        >>> print(bool(means[-1] > 0.6))  # where the residual is large, points pile up
        True
    """

    def renew(state: AdaptiveState, key: Array, residuals: Residuals) -> tuple[PyTree, Array, Array]:
        found = score(residuals({term: state.points}))
        kept = found > jnp.mean(found)
        fresh = generate(key, n)
        points = jax.tree.map(lambda old, new: _where(kept, old, new), state.points, fresh)
        return points, jnp.where(kept, jnp.arange(n), -1), state.active

    return renewing("r3", term, generate, n, n, every, renew)


def _where(mask: Array, one: Array, other: Array) -> Array:
    return jnp.where(mask.reshape(mask.shape + (1,) * (one.ndim - 1)), one, other)
