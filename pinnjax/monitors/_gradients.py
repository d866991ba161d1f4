"""Monitors of the gradients: how large they are, whether they agree, and how much of them is noise."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from pinnjax import diagnostics
from pinnjax.terms import all_points, evaluation, losses, names, point_gradients, term_gradients
from pinnjax.train.monitor import Monitor, StepInfo

PyTree = Any


def gradients(*, every: int = 1) -> Monitor:
    """How large the terms' gradients are, and whether they agree.

    Before the term weights: `grad_max/t`, `grad_mean/t` and `grad_std/t`, `imbalance`, `alignment`, and `cosine/s|t`
    for each pair, s before t in the alphabet; the norm is a metric of every step. See `pinnjax.diagnostics.sizes`,
    `imbalance`, `alignment` and `cosines`.

    Args:
        every: steps between two measurements.

    Cost: a few passes over the gradients, and their QR factorisation.

    Example:
        >>> import jax.numpy as jnp, optax, pinnjax as pj
        >>> terms = {"a": lambda u, x: u(x) - 1.0, "b": lambda u, x: u(x) + 1.0}
        >>> batch = {"a": jnp.ones((1, 1)), "b": jnp.ones((1, 1))}
        >>> train = pj.train_step(terms, optax.sgd(0.1), monitors=[pj.monitors.gradients()])
        >>> _, metrics = train.update(train.init((lambda a, x: a * x[0], jnp.float32(0.0)), batch), batch)
        >>> print(metrics["cosine/a|b"], metrics["imbalance"])
        -1.0 1.0
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for term, size in diagnostics.sizes(info.term_grads).items():
            found |= {
                f"grad_max/{term}": size.largest,
                f"grad_mean/{term}": size.mean,
                f"grad_std/{term}": size.deviation,
            }
        cosines = diagnostics.cosines(info.term_grads)
        for (i, s), (j, t) in itertools.combinations(enumerate(info.term_grads), 2):
            first, second = sorted((s, t))
            found[f"cosine/{first}|{second}"] = cosines[i, j]
        return found | {
            "imbalance": diagnostics.imbalance(info.term_grads),
            "alignment": diagnostics.alignment(info.term_grads),
        }

    return Monitor(measure, every)


def point_grad_norms(*, points: int = 256, every: int = 100) -> Monitor:
    """Least, median and largest gradient over the points of each term.

    Measures `point_grad_norm/t`, `(3,)`: these of ‖∇_θ r(x_i)‖.

    Args:
        points: how many of each term.
        every: steps between two measurements.

    Cost: a gradient a point.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        norms = point_gradients.point_grad_norms(info.terms, info.definition, info.constants)
        found = norms(info.params, evaluation.some_of_each(info.terms, info.points, points))
        return {f"point_grad_norm/{t}": jnp.stack([jnp.min(n), jnp.median(n), jnp.max(n)]) for t, n in found.items()}

    return Monitor(measure, every)


def signal_to_noise(*, parts: int = 8, unit: bool = False, every: int = 100) -> Monitor:
    """How far parts of the batch agree on the gradient.

    Measures `snr`, the signal-to-noise ratio of the weighted gradient over parts of the batch. See
    `pinnjax.diagnostics.signal_to_noise`, and `phases` for what its history says. The noise is that of batches `parts`
    times smaller than the step's. A term with fewer points than parts gives all of them to each part.

    Args:
        parts: of each term's points; what is left over is not used.
        unit: whether each part's gradient is first brought to unit length.
        every: steps between two measurements.

    Cost: one gradient of the loss.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        evaluate = losses.value_and_grads(info.terms, info.definition, info.constants)

        def split(values: PyTree) -> PyTree:
            return jax.tree.map(lambda v: _parted(v, parts), values)

        whole = {
            name: isinstance(function, all_points.Batchwise) or jax.tree.leaves(info.points[name])[0].shape[0] < parts
            for name, function in info.terms.items()
        }
        owner = lambda name: name if name in info.terms else names.term_of(name, info.terms)
        points = {t: p if whole[t] else split(p) for t, p in info.points.items()}
        weights = {t: w if whole[owner(t)] else split(w) for t, w in info.point_weights.items()}

        def part(i: Array) -> PyTree:
            take = lambda name, values: values if whole[owner(name)] else jax.tree.map(lambda v: v[i], values)
            _, grads = evaluate(
                info.params,
                {t: take(t, p) for t, p in points.items()},
                {t: take(t, w) for t, w in weights.items()},
            )
            return term_gradients.total(
                {t: jax.tree.map(lambda g, t=t: info.term_weights[t] * g, g) for t, g in grads.items()}
            )

        return {"snr": diagnostics.signal_to_noise(jax.lax.map(part, jnp.arange(parts)), unit=unit)}

    return Monitor(measure, every)


def _parted(values: Array, parts: int) -> Array:
    """`(n, ...)` as `(parts, n // parts, ...)`, neighbours in different parts."""
    size = values.shape[0] // parts
    return jnp.swapaxes(values[: size * parts].reshape(size, parts, *values.shape[1:]), 0, 1)
