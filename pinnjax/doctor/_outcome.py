"""What a probe has come to: residuals in units of the field, the error, the length of the steps."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnjax import diagnostics
from pinnjax.doctor.evidence import Snapshot
from pinnjax.metrics import relative_l2
from pinnjax.term_weights import current_weights
from pinnjax.terms import all_points, bridge, evaluation, losses, names
from pinnjax.train.state import TrainState, TrainStep

PyTree = Any
SEEN_POINTS = 256  # of a term
STEPS = 7  # whose lengths are looked at
FACTORS = np.concatenate([[0.0], 2.0 ** np.arange(-14, 15)])  # of a step, along which the loss is looked at


def broken(terms: Mapping[str, Any], state: TrainState, points: Mapping[str, PyTree]) -> dict[str, Any]:
    """The first point of each term at which its residual is not finite."""
    evaluate = jax.jit(evaluation.residuals(terms, state.definition, state.constants))
    found: dict[str, Any] = {}
    for name, r in evaluate(state.params, points).items():
        bad = ~np.isfinite(np.asarray(r).reshape(len(r), -1)).all(axis=1)
        if bad.any():
            owner, first = names.term_of(name, terms), int(np.argmax(bad))
            whole = isinstance(terms[owner], all_points.Batchwise)
            found[name] = None if whole else jax.tree.map(lambda leaf, i=first: np.asarray(leaf)[i], points[owner])
    return found


def exactly(
    terms: Mapping[str, Any], exact: Callable[[Array], Array], points: Mapping[str, PyTree]
) -> dict[str, float]:
    """Root mean square residuals of the exact solution; a module where the terms read coefficients from it."""
    definition, params, constants = bridge.of_field(exact)
    residuals = jax.jit(evaluation.residuals(terms, definition, constants))(params, points)
    return {t: float(jnp.sqrt(losses.loss(r))) for t, r in residuals.items()}


def relative(
    terms: Mapping[str, Any],
    u: Any,
    trained: Any,
    points: Mapping[str, PyTree],
    end: Snapshot,
    unmeasured: dict[str, str],
) -> dict[str, float] | None:
    """Residuals in units of what an error of the size of the field does to them; `u` is the network before training."""
    few = evaluation.some_of_each(terms, points, SEEN_POINTS)
    place = next((x[0] for x in map(names.places, few.values()) if x is not None), None)
    try:
        shape = jax.eval_shape(u, place).shape
        scales = diagnostics.scales(terms, u, few, shape[0] if shape else None)
    except (AttributeError, TypeError) as error:
        unmeasured["residuals relative to the field"] = f"the residuals need more than a field: {error}"
        return None
    # A field that turns out smaller than it was guessed has smaller conditions, too.
    values = jax.vmap(trained)(jnp.concatenate([x for x in map(names.places, few.values()) if x is not None]))
    smaller = float(jnp.minimum(1.0, jnp.sqrt(jnp.mean(values**2)) / np.sqrt(np.mean(scales.field**2))))
    found = {}
    for t, loss in end.losses.items():
        unit = max(scales.zero[t], smaller * scales.residuals[t])
        found[t] = float(np.sqrt(end.fresh.get(t, loss))) / max(unit, float(np.finfo(np.float32).tiny))
    return found


def error(u: Any, exact: Callable[[Array], Array], arrays: Mapping[str, Array]) -> float | None:
    """Relative L2 error at the points of the term that has most."""
    x = max(arrays.values(), key=len, default=None)
    return None if x is None else float(relative_l2(u, x, jax.vmap(exact)(x)))


def line(
    train: TrainStep,
    terms: Mapping[str, Any],
    state: TrainState,
    batch: Mapping[str, PyTree] | None,
    points: Mapping[str, PyTree],
) -> tuple[float | None, float]:
    """Along a few more steps: the factor that would lower the weighted loss most, and their size; medians."""
    evaluate = evaluation.residuals(terms, state.definition, state.constants)
    weights = current_weights(state.term_weights, jax.eval_shape(evaluate, state.params, points))

    @jax.jit
    def along(before: PyTree, after: PyTree) -> tuple[Array, Array]:
        step = jax.tree.map(lambda a, b: b - a, before, after)

        def total(factor: Array) -> Array:
            residuals = evaluate(jax.tree.map(lambda a, d: a + factor.astype(a.dtype) * d, before, step), points)
            return jnp.stack([jnp.abs(weights[t]) * losses.loss(r) for t, r in residuals.items()]).sum()

        flat = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(step)])
        return jax.lax.map(total, jnp.asarray(FACTORS)), jnp.sqrt(jnp.mean(flat**2))

    lengths, sizes = [], []
    for _ in range(STEPS):
        after = train.update(state, batch)[0]
        totals, size = along(state.params, after.params)
        found = np.where(np.isfinite(totals), totals, np.inf)
        if np.isfinite(found).any() and size > 0:
            lengths.append(FACTORS[np.argmin(found)])
            sizes.append(size)
        state = after
    return (float(np.median(lengths)), float(np.median(sizes))) if lengths else (None, float("nan"))
