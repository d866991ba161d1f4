"""Residuals over the points: how even they are, in which order times are learnt, whether points are overfitted.

References:
  Anagnostopoulos, Toscano, Stergiopulos, Karniadakis, `Learning in PINNs: phase transition, total diffusion, and
  generalization <https://arxiv.org/abs/2403.18494>`_, 2024: residual homogeneity.

  Wang, Sankaran, Perdikaris, `Respecting causality for training physics-informed neural networks
  <https://arxiv.org/abs/2203.07404>`_, 2022: residuals at late times that fall before those of early times.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax.terms import losses


def homogeneity(residuals: Float[Array, "n *m"]) -> Float[Array, ""]:
    """(mean |r|)² / mean r², in (0, 1]: 1 when all residuals are of one size, 1/n when one point owns them.

    Normal residuals give 2/π. It is the share of the points that carry the loss.

    Example:
        >>> import jax.numpy as jnp
        >>> print(homogeneity(jnp.array([2.0, -2.0, 2.0])), homogeneity(jnp.array([5.0, 0.0, 0.0, 0.0])))
        1.0 0.25
    """
    size = losses.magnitude(residuals)
    square = jnp.mean(size**2)
    return jnp.where(square > 0, jnp.mean(size) ** 2 / jnp.where(square > 0, square, 1), 1.0)


def time_losses(
    residuals: Float[Array, "n *m"], times: Float[Array, " n"], *, interval: tuple[float, float], slices: int = 10
) -> Float[Array, " slices"]:
    """Mean squared residual in each of so many equal slices of time; NaN where a slice has no point.

    Example:
        >>> import jax.numpy as jnp
        >>> print(time_losses(jnp.array([1.0, 3.0, 2.0]), jnp.array([0.1, 0.2, 0.9]), interval=(0.0, 1.0), slices=2))
        [5. 4.]
    """
    first, last = interval
    place = jnp.clip(((times - first) / (last - first) * slices).astype(jnp.int32), 0, slices - 1)
    count = jax.ops.segment_sum(jnp.ones_like(times), place, slices)
    return jax.ops.segment_sum(losses.squared(residuals), place, slices) / count


def causality_violation(before: Float[Array, " slices"], now: Float[Array, " slices"]) -> Float[Array, ""]:
    """Share of the pairs of slices whose later one has been learnt first, in [0, 1]; a run without order has 1/2.

    A slice's progress is the factor by which its loss fell. Slices that are NaN count for nothing.

    Args:
        before: losses of slices of time at the start, from `time_losses`.
        now: the same later.

    Example:
        >>> import jax.numpy as jnp
        >>> start = jnp.ones(3)
        >>> print(causality_violation(start, jnp.array([0.01, 0.1, 1.0])), causality_violation(start, start[::-1]))
        0.0 0.5
    """
    progress = jnp.log(before) - jnp.log(now)
    late, early = progress[None, :], progress[:, None]
    pairs = jnp.triu(jnp.isfinite(early) & jnp.isfinite(late), 1)
    wrong = (late > early) + 0.5 * (late == early)
    return jnp.sum(jnp.where(pairs, wrong, 0.0)) / jnp.sum(pairs)


def test_train_ratio(
    train: Mapping[str, Float[Array, "n *m"]], test: Mapping[str, Float[Array, "k *m"]]
) -> dict[str, Float[Array, ""]]:
    """Mean squared residual on fresh points over that on the training points, a term; far above 1 they are overfitted.

    Example:
        >>> import jax.numpy as jnp
        >>> print(test_train_ratio({"pde": jnp.array([1.0, 1.0])}, {"pde": jnp.array([2.0, 2.0, 2.0])})["pde"])
        4.0
    """
    return {name: losses.loss(test[name]) / losses.loss(r) for name, r in train.items()}


test_train_ratio.__test__ = False  # type: ignore[attr-defined]  # for pytest it is no test
