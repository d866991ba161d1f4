"""The monitors that pinnjax brings: `pinnjax.diagnostics` measured inside the train step, every so many steps.

    train = pj.train_step(terms, optimizer, monitors=[pj.monitors.gradients(), pj.monitors.signal_to_noise(every=100)])

A measurement of the step's own residuals and gradients costs next to nothing. One that needs gradients of its own takes
some of the points, since its cost grows with them; each says how many gradients it costs. `pinnjax bench monitors`
measures them all.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from pinnjax import checks, diagnostics
from pinnjax.terms import chunks, evaluation, losses, names, point_gradients, term_gradients
from pinnjax.train.monitor import Monitor, StepInfo

PyTree = Any


def gradients(*, every: int = 1) -> Monitor:
    """How large the terms' gradients are, and whether they agree, before the term weights.

    Measures `grad_max/t`, `grad_mean/t` and `grad_std/t`, `imbalance`, `alignment`, and `cosine/s|t` for each pair, s
    before t in the alphabet; the norm is a metric of every step. See `pinnjax.diagnostics.sizes`, `imbalance`,
    `alignment` and `cosines`.

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


def homogeneity(*, every: int = 1) -> Monitor:
    """How evenly the points share each term's loss, `homogeneity/t`; see `pinnjax.diagnostics.homogeneity`.

    Args:
        every: steps between two measurements.

    Cost: two means over the points.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        return {f"homogeneity/{t}": diagnostics.homogeneity(r) for t, r in info.residuals.items()}

    return Monitor(measure, every)


def time_losses(
    term: str,
    interval: tuple[float, float],
    *,
    time: Callable[[PyTree], Array] = lambda points: points[:, 0],
    slices: int = 10,
    every: int = 1,
) -> Monitor:
    """The loss of one term by slices of time, `time_losses/t`, `(slices,)`; see `pinnjax.diagnostics.time_losses`.

    Args:
        term: which; every equation of it.
        interval: first and last time.
        time: from the term's points to their times `(n,)`.
        slices: how many.
        every: steps between two measurements.

    Cost: a sum over the points.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        found = {}
        for residual in names.meant("time_losses: term", [term], info.residuals):
            owner = names.term_of(residual, info.points)
            times = checks.times("time_losses: time", time, info.points[owner])
            found[f"time_losses/{residual}"] = diagnostics.time_losses(
                info.residuals[residual], times, interval=interval, slices=slices
            )
        return found

    return Monitor(measure, every)


def saturation(*, term: str, points: int = 256, every: int = 100) -> Monitor:
    """Shares of saturated and of dead units, layer by layer: `saturation` and `dead`, `(layers,)`.

    See `pinnjax.diagnostics.saturation`.

    Args:
        term: at whose points.
        points: how many of them.
        every: steps between two measurements.

    Cost: the field at those points.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        checks.known_names("saturation: term", info.points, [term])
        u, at = info.field(), chunks.some(info.points[term], points)
        return {"saturation": jnp.array(diagnostics.saturation(u, at)), "dead": jnp.array(diagnostics.dead(u, at))}

    return Monitor(measure, every)


def point_grad_norms(*, points: int = 256, every: int = 100) -> Monitor:
    """‖∇_θ r(x_i)‖ over the points of each term: `point_grad_norm/t`, its least, median and largest, `(3,)`.

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
    """Signal-to-noise ratio of the weighted gradient over parts of the batch, `snr`.

    See `pinnjax.diagnostics.signal_to_noise`, and `phases` for what its history says. The noise is that of batches
    `parts` times smaller than the step's. A term with fewer points than parts gives all of them to each part.

    Args:
        parts: of each term's points; what is left over is not seen.
        unit: whether each part's gradient is first brought to unit length.
        every: steps between two measurements.

    Cost: one gradient of the loss.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        evaluate = losses.value_and_grads(info.terms, info.definition, info.constants)

        def split(values: PyTree) -> PyTree:
            return jax.tree.map(lambda v: _parted(v, parts), values)

        whole = {
            name: isinstance(function, evaluation.Batchwise) or jax.tree.leaves(info.points[name])[0].shape[0] < parts
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


def tangent_kernel(*, points: int = 64, every: int = 100) -> Monitor:
    """Spectrum of each term's neural tangent kernel: `ntk_eigenvalues/t` `(n,)`, `ntk_trace/t` and `ntk_condition/t`.

    See `pinnjax.diagnostics.tangent_kernel`.

    Args:
        points: how many of each term.
        every: steps between two measurements.

    Cost: a gradient a point, and the eigenvalues of a matrix of that size a term.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        blocks = diagnostics.tangent_kernel(info.terms, info.definition, info.constants)
        found: dict[str, Array] = {}
        for t, s in diagnostics.spectra(
            blocks(info.params, evaluation.some_of_each(info.terms, info.points, points))
        ).items():
            found |= {
                f"ntk_eigenvalues/{t}": s.eigenvalues,
                f"ntk_trace/{t}": s.trace,
                f"ntk_condition/{t}": s.condition,
            }
        return found

    return Monitor(measure, every)


def curvature(*, points: int = 128, steps: int = 20, every: int = 100) -> Monitor:
    """Ritz values of the weighted loss: `hessian` and `gauss_newton`, `(steps,)` each, and `stiffness` of the latter.

    See `pinnjax.diagnostics.lanczos`; point weights count as ones.

    Args:
        points: how many of each term.
        steps: products of each matrix with a vector.
        every: steps between two measurements.

    Cost: `steps` times some five gradients at those points.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        hessian, gauss_newton, size = diagnostics.products(
            info.terms,
            info.definition,
            info.params,
            evaluation.some_of_each(info.terms, info.points, points),
            info.constants,
            weights=info.term_weights,
        )
        key, dtype = jax.random.key(0), jax.tree.leaves(info.params)[0].dtype
        ritz = lambda product: diagnostics.lanczos(product, size, key=key, steps=min(steps, size), dtype=dtype)
        outer = ritz(gauss_newton)
        return {"hessian": ritz(hessian), "gauss_newton": outer, "stiffness": diagnostics.stiffness(outer)}

    return Monitor(measure, every)


def test_train_ratio(fresh: Mapping[str, PyTree], *, every: int = 100) -> Monitor:
    """`test_train_ratio/t`, the loss on points that training does not see over that on its own.

    Args:
        fresh: `{term: points}`, of any terms.
        every: steps between two measurements.

    Cost: the residuals at those points.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        terms = {t: info.terms[t] for t in fresh}
        found = evaluation.residuals(terms, info.definition, info.constants)(info.params, fresh)
        return {
            f"test_train_ratio/{t}": g
            for t, g in diagnostics.test_train_ratio({t: info.residuals[t] for t in found}, found).items()
        }

    return Monitor(measure, every)


def error_by_mode(grid: Array, reference: Array, shape: Sequence[int], *, axis: int = -1, every: int = 100) -> Monitor:
    """The error by frequency along one axis of a grid, `error_by_mode` `(k,)`; see `pinnjax.diagnostics.error_by_mode`.

    Args:
        grid: equidistant points `(n, d)`.
        reference: the solution there, `(n,)`.
        shape: of the grid, of product n.
        axis: along which frequencies are counted.
        every: steps between two measurements.

    Cost: the field on the grid.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        values = jax.vmap(info.field())(jnp.asarray(grid))
        error, _ = diagnostics.error_by_mode(values.reshape(shape), jnp.asarray(reference).reshape(shape), axis=axis)
        return {"error_by_mode": error}

    return Monitor(measure, every)


def _parted(values: Array, parts: int) -> Array:
    """`(n, ...)` as `(parts, n // parts, ...)`, neighbours in different parts."""
    size = values.shape[0] // parts
    return jnp.swapaxes(values[: size * parts].reshape(size, parts, *values.shape[1:]), 0, 1)
