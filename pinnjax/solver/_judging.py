"""What a field is judged by: residuals at points that training does not see, and, to be told, a reference."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnjax.metrics import relative_l2
from pinnjax.solver._accuracy import Snapshot
from pinnjax.solver._plan import WEIGHT, Plan
from pinnjax.terms import bridge, evaluation, losses, names

PyTree = Any
MANY, MANY_FOR_FEATURES = 25, 4  # times as many points for the last look; features of a slope hide no narrow jump
CHUNK = 2000  # of them at once


def judge(
    plan: Plan, fresh: Mapping[str, PyTree], also: Callable[[Any], Any] | None = None
) -> Callable[[Any], dict[str, Array]]:
    """The weighted loss at points that training does not see; and what the user wants to see of the field."""

    def evaluate(u: Any) -> dict[str, Array]:
        definition, params, constants = bridge.of_field(u)
        loss = _loss(plan, definition, (params, constants), fresh)
        more = {} if also is None else also(u)
        return {"validation": loss, **(more if isinstance(more, Mapping) else {"error": more})}

    return evaluate


def check_finite(plan: Plan, key: Array, fresh: Mapping[str, PyTree]) -> None:
    """Before anything is trained: residuals are finite, or the first point where one is not is named."""
    definition, params, constants = bridge.split(plan.made.network(key))
    for name, r in jax.jit(evaluation.residuals(plan.terms, definition, constants))(params, fresh).items():
        bad = ~np.isfinite(np.asarray(r).reshape(len(r), -1)).all(axis=1)
        if bad.any():
            places = names.places(fresh[names.term_of(name, plan.terms)])
            at = "" if places is None or len(places) != len(bad) else f", first {np.asarray(places)[bad][0].tolist()}"
            raise ValueError(
                f"solve: before training the residual {name!r} is not finite at {bad.sum()} of {len(bad)} points{at}; "
                "expected a number: is there a division by zero, a root or a logarithm of something negative?"
            )


def looked_at_closely(plan: Plan, definition: Any, snapshots: Sequence[Snapshot], key: Array) -> Snapshot:
    """The snapshot of the least loss, or the last one where that is less at many more points.

    A jump between two solutions may be so narrow that no point of a few thousand is in it.
    """
    least = min(snapshots, key=lambda one: one.validation)
    many = plan.fresh(jax.random.fold_in(key, 1), MANY_FOR_FEATURES if plan.features else MANY)
    loss = jax.jit(lambda model: _loss(plan, definition, model, many, CHUNK))
    # The larger of both losses; NaN where one is.
    close = lambda one: one._replace(validation=float(np.maximum(one.validation, loss(one.model))))
    return min(close(least), close(snapshots[-1]), key=rank)


def share_of(plan: Plan, terms: Collection[str], definition: Any, model: PyTree, key: Array) -> float:
    """What some conditions leave, at other points again, in units of what an error of 100 % does to them."""
    params, constants = jax.tree.map(jnp.asarray, model)
    some = {t: plan.terms[t] for t in terms}
    points = {t: x for t, x in plan.fresh(key).items() if t in some}
    found = jax.jit(evaluation.residuals(some, definition, constants))(params, points)
    parts = [plan.weights[name] / WEIGHT * losses.loss(r) for name, r in found.items()]
    return float(jnp.sqrt(jnp.max(jnp.stack([*parts, jnp.zeros(())]))))


def rank(one: Snapshot) -> float:
    """By which snapshots are compared: the loss, and infinity where it is not a number."""
    return float(np.nan_to_num(one.validation, nan=np.inf))


def _loss(plan: Plan, definition: Any, model: PyTree, points: Mapping[str, PyTree], chunk: int | None = None) -> Array:
    """The loss of a model, its parameters and constants, with the weights of the run."""
    params, constants = model
    residuals = evaluation.residuals(plan.terms, definition, constants, chunk=chunk)(params, points)
    return jnp.stack([plan.weights[name] * losses.loss(r) for name, r in residuals.items()]).sum()


def values(plan: Plan, definition: Any, fresh: Mapping[str, PyTree]) -> Callable[[Snapshot], np.ndarray]:
    """The field of a snapshot at fresh points of the equations."""
    x = places(plan, fresh)
    found = jax.jit(lambda params, constants: jax.vmap(bridge.field(definition, params, constants))(x))
    return lambda one: np.asarray(found(*one.model))


def places(plan: Plan, fresh: Mapping[str, PyTree]) -> Array:
    """Where fields are compared: the points of the equations."""
    found = [names.places(fresh[t]) for t in plan.equations or fresh]
    return jnp.concatenate([x for x in found if x is not None])


def error(u: Any, reference: Any, fresh: Mapping[str, PyTree], plan: Plan) -> Array:
    """Relative L2 error against `u(x)`, or `(grid, values)`."""
    if callable(reference):
        x = places(plan, fresh)
        return relative_l2(u, x, jax.vmap(reference)(x))
    grid, values = reference
    return relative_l2(u, grid, values)
