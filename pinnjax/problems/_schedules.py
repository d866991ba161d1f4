"""Learning rates of the recipes: functions of the number of steps, since some span the run."""

from collections.abc import Callable

import optax

Schedule = Callable[[int], optax.Schedule]


def cosine(rate: float) -> Schedule:
    """From a rate down to zero along a cosine that spans the run.

    Example:
        >>> schedule = cosine(2e-3)(100)
        >>> print(f"{schedule(0):.4f} {schedule(50):.4f} {schedule(100):.4f}")
        0.0020 0.0010 0.0000
    """
    return lambda steps: optax.cosine_decay_schedule(rate, steps)


def decaying(every: int) -> Schedule:
    """1e-3, decayed by 0.9 in so many steps, however long the run.

    Example:
        >>> print(f"{decaying(1000)(40_000)(1000):.4f}")
        0.0009
    """
    return lambda steps: optax.exponential_decay(1e-3, every, 0.9)
