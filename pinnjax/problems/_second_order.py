"""The recipe that every problem has: Adam for a start, then self-scaled Broyden in double precision on moving points.

A problem says only in what it differs, in its field `second_order`.

References:
  Urbán, Stefanou, Pons, `Unveiling the optimization process of physics informed neural networks: How accurate and
  competitive can PINNs be? <https://arxiv.org/abs/2405.04230>`_, Journal of Computational Physics 523, 2025 (the
  optimiser, small networks, points drawn anew).

  Wu, Zhu, Tan, Kartha, Lu, `A comprehensive study of non-adaptive and residual-based adaptive sampling for
  physics-informed neural networks <https://arxiv.org/abs/2207.10289>`_, 2023 (where they are drawn: RAD).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pinnjax import nn, sampling
from pinnjax.optimizers import ssbroyden
from pinnjax.problems._points import Draw, Given, OfKey
from pinnjax.problems._recipe import Recipe
from pinnjax.term_weights import fixed

PyTree = Any
WIDTH, DEPTH = 20, 3  # some 1000 parameters, whose inverse Hessian is 8 MB
WARM_UP = 1000  # steps of Adam: from a random start second-order methods go to a poor minimum
STEPS = 4000
EVERY = 250  # steps between two draws: points that stay are learnt by heart, and of new ones no pair is known
INSIDE, CONDITIONS = 2000, 200  # least numbers of points
CANDIDATES = 25  # for each point that is chosen: a front of a thousandth of the domain is to have some


def second_order(
    draw: Draw,
    terms: Mapping[str, Any],
    against: str,
    *,
    model: Callable[..., Any] = nn.ModifiedMLP,
    weight: float = 100.0,
    point_weights: optax.GradientTransformation | None = None,
    every: int = EVERY,
    steps: int = STEPS,
) -> Recipe:
    """The recipe; its options are what a problem's `second_order` may say.

    Args:
        draw: `draw(key, points, dtype)`, the problem's.
        terms: the problem's.
        against: the equation's term; the others are conditions or data.
        model: network class, or a function that makes a model of its arguments.
        weight: of the conditions, the equation's being 1; dimensionless.
        point_weights: point-space transform.
        every: steps between two draws of points.
        steps: of the second phase.

    Example:
        >>> from pinnjax.problems import harmonic
        >>> print([phase.summary for phase in harmonic.recipes["second_order"].phases])
        ['Adam', 'SSBroyden in float64 after 1000 steps of Adam, λ = 100, 20x3']
    """
    conditions = {term: weight for term in terms if term != against}
    rules: dict[str, Any] = {"term_weights": fixed(conditions) if conditions else None, "point_weights": point_weights}

    def small(**network: Any) -> Any:
        return model(**{**network, "width": WIDTH, "depth": DEPTH})

    def in_every_step(numbers: Mapping[str, int], dtype: Any) -> sampling.Sampler | None:
        more = _more(draw, numbers, against)
        return None if more is None else sampling.resample(lambda key: draw(key, more, dtype))

    def now_and_then(numbers: Mapping[str, int], dtype: Any) -> sampling.Sampler | None:
        more = _more(draw, numbers, against)
        if more is None:
            return None
        anew = sampling.resample(lambda key: draw(key, more, dtype), every=every)
        if isinstance(draw, OfKey):  # whose numbers are its own: there are no candidates to choose from
            return anew
        others = lambda key: {term: points for term, points in draw(key, more, dtype).items() if term != against}
        generate = lambda key, n: draw(key, {**more, against: n}, dtype)[against]
        n = more[against]
        if _rows(jax.eval_shape(lambda key: generate(key, n + 1), jax.random.key(0))) != n + 1:
            return anew
        inside = sampling.rad(against, generate, n, candidates=CANDIDATES * n, every=every)
        return sampling.combine(inside, sampling.resample(others, every=every)) if conditions else inside

    adam = Recipe(
        "Adam",
        small,
        lambda n: optax.cosine_decay_schedule(5e-3, n, 0.1),
        WARM_UP,
        sampler=in_every_step,
        resampled=False,
        **rules,
    )
    weighed = f", λ = {weight:g}" if conditions else ""
    return Recipe(
        f"SSBroyden in float64 after {WARM_UP} steps of Adam{weighed}, {WIDTH}x{DEPTH}",
        steps=steps,
        optimizer=lambda rate: ssbroyden(),
        sampler=now_and_then,
        resampled=False,
        before=adam,
        dtype="float64",
        **rules,
    )


def _more(draw: Draw, numbers: Mapping[str, int], against: str) -> Mapping[str, int] | None:
    """How many points are drawn; None where the problem's are always the same, which are then kept."""
    if isinstance(draw, Given):
        return None
    first, second = (draw(jax.random.key(seed), numbers, jnp.float32)[against] for seed in (0, 1))
    if all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)):
        return None
    if isinstance(draw, OfKey):
        return numbers
    return {term: max(n, INSIDE if term == against else CONDITIONS) for term, n in numbers.items()}


def _rows(points: PyTree) -> int:
    return jax.tree.leaves(points)[0].shape[0]
