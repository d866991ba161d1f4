"""What the rules of a phase remember from the phase before."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Int

from pinnjax.point_weights.per_point_memory import PerPointMemoryState, moved, remembered_points
from pinnjax.terms import all_points, names
from pinnjax.train._members import members
from pinnjax.train.state import Parts, TrainState

PyTree = Any
HELD = "held"  # takes the memory of any rule, and runs none


def term_weights(old: Parts, new: Parts, state: PyTree, fresh: PyTree) -> PyTree:
    """The state of a term-space chain, with the memory of the chain before where that is of the same rules.

    Raises:
        ValueError: when weights are held that the chain before does not have.
    """
    before, now = _rules(old.term_weights), _rules(new.term_weights)
    same = HELD in before + now or before == now
    found = _refilled(fresh, state) if same else None
    if found is None and HELD in now:
        raise ValueError(
            f"term_weights hold weights that the phase before does not have (its rules are {before or 'none'}); "
            "expected held(rule) of the rule of the phase before"
        )
    return fresh if found is None else found


def holds(term_weights: optax.GradientTransformation | None) -> bool:
    """Whether weights are held, which a phase that forgets them cannot have."""
    return HELD in _rules(term_weights)


def point_weights(
    old: Parts,
    new: Parts,
    state: PyTree,
    fresh: TrainState,
    earlier: Mapping[str, PyTree],
    later: Mapping[str, PyTree],
) -> PyTree:
    """The state of a point-space chain: the same rules remember the points that are the same.

    Args:
        old: the step before.
        new: the step now.
        state: of the chain before.
        fresh: the state of the step now, before anything is carried.
        earlier: `{term: points}`, all points that the chain before may remember.
        later: the same of the chain now.
    """
    initial = _of_rule(fresh.point_weights)
    found = _refilled(initial, _of_rule(state)) if _rules(old.point_weights) == _rules(new.point_weights) else None
    if found is None:
        return fresh.point_weights
    if old.sampler is not None or new.sampler is not None:  # points of the batch are the same in all phases
        previous_index = {
            residual: _places(names.term_of(residual, new.terms), n, new.terms, earlier, later)
            for residual, n in remembered_points(found, fresh.nonfinite).items()
        }
        found = moved(found, initial, previous_index)
    if isinstance(fresh.point_weights, PerPointMemoryState):
        return dataclasses.replace(fresh.point_weights, rule=found)
    return found


def _rules(transform: optax.GradientTransformation | None) -> list[str]:
    return [] if transform is None else [name for name, _ in members(transform)]


def _of_rule(state: PyTree) -> PyTree:
    """A point rule's own state, whether a sampler stands beside it or not."""
    return state.rule if isinstance(state, PerPointMemoryState) else state


def _refilled(fresh: PyTree, old: PyTree) -> PyTree | None:
    """A fresh state with the numbers of an old one, in its dtypes; None where their names or shapes differ."""
    before = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(old)}
    now = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(fresh)}
    if {name: jnp.shape(leaf) for name, leaf in before.items()} != {
        name: jnp.shape(leaf) for name, leaf in now.items()
    }:
        return None

    def one(name: str, leaf: Array) -> Array:
        kept = before[name]
        return leaf if ".hyperparams[" in name else kept if kept.dtype == leaf.dtype else kept.astype(leaf.dtype)

    return jax.tree.unflatten(jax.tree.structure(fresh), [one(name, leaf) for name, leaf in now.items()])


def _places(
    term: str, n: int, terms: Mapping[str, Any], earlier: Mapping[str, PyTree], later: Mapping[str, PyTree]
) -> Int[Array, " n"]:
    """For each of n places itself where the point there is the same as before, and -1 where it is not."""
    old, new = jax.tree.leaves(earlier.get(term)), jax.tree.leaves(later[term])
    if list(map(jnp.shape, old)) != list(map(jnp.shape, new)):
        return jnp.full(n, -1)
    same = [_same(a, b) for a, b in zip(old, new, strict=True)]
    if all_points.without_points(terms[term]):
        kept = jnp.full(n, jnp.all(jnp.stack([jnp.all(rows) for rows in same])))
    else:
        kept = jnp.all(jnp.stack(same), axis=0)
    return jnp.where(kept, jnp.arange(n), -1)


def _same(a: Array, b: Array) -> Bool[Array, " n"]:
    """Which rows are equal, in the coarser of two dtypes."""
    dtype = min(jnp.result_type(a), jnp.result_type(b), key=lambda d: d.itemsize)
    return jnp.all((jnp.asarray(a, dtype) == jnp.asarray(b, dtype)).reshape(len(a), -1), axis=1)
