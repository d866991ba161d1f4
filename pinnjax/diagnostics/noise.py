"""Signal-to-noise ratio of the gradient over batches, and the phases of learning that it shows.

References:
  Anagnostopoulos, Toscano, Stergiopulos, Karniadakis, `Learning in PINNs: phase transition, total diffusion, and
  generalization <https://arxiv.org/abs/2403.18494>`_, 2024: fitting, diffusion and total diffusion.

  Toscano et al., `A variational framework for residual-based adaptivity <https://arxiv.org/abs/2509.14198>`_, 2025:
  gradients of unit length, in the released code.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

PyTree = Any


def signal_to_noise(batch_grads: PyTree, *, unit: bool = False) -> Float[Array, ""]:
    """‖mean_b g_b‖ / ‖std_b g_b‖ over batches b, dimensionless.

    Args:
        batch_grads: gradients with a leading axis of B batches, e.g. of `jax.lax.map` over batches.
        unit: whether each g_b is first brought to unit length, as the code of vRBA does; the 2024 paper does not.

    Example:
        >>> import jax.numpy as jnp
        >>> print(signal_to_noise(jnp.array([[4.0, 3.0], [2.0, 3.0]])))  # mean (3, 3), deviation (1, 0)
        4.2426405
    """
    rows = jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(batch_grads)], axis=1)
    if unit:
        rows = rows / jnp.linalg.norm(rows, axis=1, keepdims=True)
    return jnp.linalg.norm(jnp.mean(rows, axis=0)) / jnp.linalg.norm(jnp.std(rows, axis=0))


class Phases(NamedTuple):
    """Phases of learning, in the units in which the steps were given.

    Attributes:
        diffusion: first step at which the signal has fallen below `level`; None when it never did.
        total_diffusion: step of the abrupt rise after which it stays up for a while; None when there was none.
        rise: mean SNR after that step over the mean before it; 1 when there was none.
    """

    diffusion: float | None
    total_diffusion: float | None
    rise: float


def phases(
    steps: Real[np.ndarray, " E"],
    snr: Float[np.ndarray, " E"],
    *,
    level: float = 1.0,
    rise: float = 1.5,
    lasting: float = 0.05,
    penalty: float = 3.0,
) -> Phases:
    """Find where fitting ends and where total diffusion begins.

    There is no published threshold. Fitting ends where the running median of the SNR first falls below `level`.
    After that log SNR is cut in two at the place that leaves the smallest squared deviation from the two means, and
    each part of n looks in the same way, as long as a cut explains more than chance does: n log(deviation without
    it / deviation with it) > `penalty` log E, the Bayesian information criterion, where a `penalty` of 3 counts a
    mean, a place and some caution. Where it explains less, the first half is tried, since early phases are short.
    Total diffusion begins at the first cut from which the SNR is O(`level`), above `level` over the root of ten,
    and `rise` times what it was in the part before, in the mean over a share `lasting` of the looks. Later it may
    fall again: as the learning rate decays, signal vanishes before noise does. Means are geometric, since Adam
    bounces from wall to wall of a valley, and single looks differ by factors of a hundred.

    Args:
        steps: `(E,)`, increasing.
        snr: `(E,)`; what is not finite is left out.
        level: SNR at which fitting ends and of whose order total diffusion is, dimensionless; the paper says O(1).
        rise: least factor of the abrupt rise.
        lasting: share of all looks over which it has to stay.
        penalty: strictness against chance.

    Example:
        >>> import numpy as np
        >>> snr = np.concatenate([np.linspace(9, 0.5, 20), np.full(40, 0.3), np.full(40, 2.0), np.full(50, 0.1)])
        >>> found = phases(np.arange(150), snr * np.exp(0.1 * np.sin(np.arange(150))))
        >>> print(found.diffusion, found.total_diffusion)
        18.0 60.0
    """
    keep = np.isfinite(snr) & (snr > 0)
    steps, log = np.asarray(steps)[keep], np.log(np.asarray(snr)[keep])
    window = 3
    smooth = np.array([np.median(log[max(0, i - window // 2) : i + window // 2 + 1]) for i in range(len(log))])
    below = np.flatnonzero(smooth < np.log(level))
    if len(below) == 0:
        return Phases(None, None, 1.0)
    start = int(below[0])
    diffusion = float(steps[start])
    least_gain = penalty * np.log(max(len(log) - start, 2))
    places = [start, *(start + cut for cut in _cuts(log[start:], least_gain)), len(log)]
    while_ = max(3, round(lasting * len(log)))
    for before, place, after in zip(places, places[1:], places[2:], strict=False):
        up = np.mean(log[place : max(after, place + while_)])
        gain = float(np.exp(up - np.mean(log[before:place])))
        if up >= np.log(level / np.sqrt(10)) and gain >= rise:
            return Phases(diffusion, float(steps[place]), gain)
    return Phases(diffusion, None, 1.0)


def _cuts(log: Float[np.ndarray, " n"], least_gain: float) -> list[int]:
    """Where the mean changes by more than chance, in order."""
    n, least = len(log), 3
    if n < 2 * least + 2:
        return []
    places = np.arange(least, n - least + 1)
    total, squares = np.cumsum(log), np.cumsum(log**2)
    left, right = total[places - 1], total[-1] - total[places - 1]
    costs = squares[-1] - left**2 / places - right**2 / (n - places)
    best = int(np.argmin(costs))
    without, cut = n * float(np.var(log)), int(places[best])
    if n * np.log(max(without, 1e-300) / max(float(costs[best]), 1e-12 * without, 1e-300)) <= least_gain:
        return _cuts(log[: n // 2], least_gain)  # what happens early is short
    return [*_cuts(log[:cut], least_gain), cut, *(cut + later for later in _cuts(log[cut:], least_gain))]
