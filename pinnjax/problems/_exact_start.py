"""A recipe for equations that evolve: the start built in, early residuals weighed up, Muon.

With u = u_0(x) + t N(t, x) there is nothing to balance. An error at t is carried on, or grows, until the end, and all
later residuals are of a solution that started wrong; so residuals count for e^{rate (1/2 - t / T)}. Such a weight
belongs to a time, and points can be drawn anew in every step.

References:
  De Ryck, Mishra, `Error analysis for PINNs approximating Kolmogorov PDEs
  <https://arxiv.org/abs/2106.14473>`_, 2021 (errors grow as Grönwall's inequality says).

  Sukumar, Srivastava, `Exact imposition of boundary conditions with distance functions in physics-informed deep
  neural networks <https://arxiv.org/abs/2104.08426>`_, Computer Methods in Applied Mechanics and Engineering 389, 2022.

  Jordan et al., `Muon: an optimizer for hidden layers <https://kellerjordan.github.io/posts/muon>`_, 2024 (the
  optimiser, from optax).
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from pinnjax import nn
from pinnjax.point_weights import by_position
from pinnjax.problems._problem import Field, Recipe
from pinnjax.problems._schedules import Schedule


def exact_start(
    initial: Field,
    *,
    end: float = 1.0,
    rate: float,
    steps: int,
    factor: Field | None = None,
    **options: Any,
) -> Recipe:
    """The recipe.

    Args:
        initial: u_0, of a point (t, x, ...), of which it does not look at t.
        end: T; time is the first coordinate, from 0.
        rate: dimensionless, >= 0. For Allen-Cahn, where an error obeys e_t = 5 e + r, it is 5.
        steps: default number of steps.
        factor: what the network is multiplied by, a function that vanishes at t = 0; t / T when None.
        options: further fields of the recipe, in place of these.

    Example:
        >>> recipe = exact_start(lambda x: jnp.cos(x[1]), rate=5.0, steps=100)
        >>> u = recipe.model(in_features=2, out_features="scalar", width=4, depth=1, rngs=nn.Rngs(0))
        >>> print(u(jnp.array([0.0, 0.0])))
        1.0
    """

    def early(x: Float[Array, " d"]) -> Float[Array, ""]:
        return jnp.exp(rate * (0.5 - x[0] / end))

    return Recipe(
        **{
            "summary": f"modified MLP, exact at t = 0, weights e^{{{rate:g} (1/2 - t/T)}}, Muon",
            "model": starting_right(initial, end=end, factor=factor),
            "schedule": warm_cosine(1e-2),
            "steps": steps,
            "optimizer": optax.contrib.muon,
            "point_weights": by_position({"pde": early}),
            "resampled": True,
            **options,
        }
    )


def starting_right(initial: Field, *, end: float = 1.0, factor: Field | None = None) -> Callable[..., nn.Constrained]:
    """The model u_0 + factor N alone, a function of the network's arguments; see `exact_start`."""

    def model(**network: Any) -> nn.Constrained:
        return nn.Constrained(nn.ModifiedMLP(**network), lift=initial, factor=factor or (lambda x: x[0] / end))

    return model


def warm_cosine(rate: float) -> Schedule:
    """Up to a rate within 500 steps and down to zero along a cosine."""
    return lambda steps: optax.warmup_cosine_decay_schedule(0.0, rate, min(500, steps // 2), steps)
