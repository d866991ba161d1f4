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
        total_diffusion: step of the abrupt rise after which it stays; None when there was none.
        rise: mean SNR after that step over the mean before it, back to `diffusion`; 1 when there was none.
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
    penalty: float = 3.0,
) -> Phases:
    """Find where fitting ends and where total diffusion begins.

    There is no published threshold. Fitting ends where the running median of the SNR first falls below `level`. After
    that log SNR is cut in two at the place that leaves the smallest squared deviation from the two means; the cut is
    the onset of total diffusion when the mean rises by the factor `rise` and the cut explains more than chance does:
    E log(deviation without it / deviation with it) > `penalty` log E, the Bayesian information criterion, where a
    `penalty` of 3 counts a mean, a place and some caution.

    Args:
        steps: `(E,)`, increasing.
        snr: `(E,)`; what is not finite is left out.
        level: SNR at which fitting ends, dimensionless; the paper says O(1).
        rise: least factor of the abrupt rise.
        penalty: strictness against chance.

    Example:
        >>> import numpy as np
        >>> snr = np.concatenate([np.linspace(9, 0.5, 20), np.full(40, 0.3), np.full(40, 2.0)])
        >>> found = phases(np.arange(100), snr * np.exp(0.1 * np.sin(np.arange(100))))
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
    tail = log[start:]
    n = len(tail)
    if n < 8:
        return Phases(diffusion, None, 1.0)
    cuts = range(3, n - 2)
    costs = [float(np.var(tail[:c]) * c + np.var(tail[c:]) * (n - c)) for c in cuts]
    best = int(np.argmin(costs))
    cut, cost = cuts[best], costs[best]
    gain = float(np.exp(np.mean(tail[cut:]) - np.mean(tail[:cut])))
    certain = n * np.log(np.var(tail) * n / max(cost, 1e-300)) > penalty * np.log(n)
    if gain < rise or not certain:
        return Phases(diffusion, None, 1.0)
    return Phases(diffusion, float(steps[start + cut]), gain)
