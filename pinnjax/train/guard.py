"""What happens to a step that should not be taken: who is to blame, and what stays as it was."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from pinnjax.point_weights.per_point_memory import remembered_points
from pinnjax.terms import names, term_gradients

PyTree = Any


def check_sizes(
    state: PyTree,
    residuals: Mapping[str, Array | jax.ShapeDtypeStruct],
    terms: Mapping[str, Any],
    index: Mapping[str, Array],
) -> None:
    """Points that weights were made for are still as many."""
    for name, n in remembered_points(state, residuals).items():
        term, rows = names.term_of(name, terms), residuals[name].shape[0]
        if term not in index and rows != n:
            raise ValueError(
                f"term {term!r} has {rows} points, but the point weights were made for {n}; expected batches of one "
                "size, since a weight belongs to its point (see pinnjax.sampling.minibatches)"
            )


def check_lifetimes(
    point_state: PyTree, residuals: Mapping[str, PyTree], terms: Mapping[str, Any], short_lived: set[str]
) -> None:
    """No rule remembers points that live for a step only."""
    for residual in remembered_points(point_state, residuals):
        if names.term_of(residual, terms) in short_lived:
            raise ValueError(
                f"point_weights keep a value for each point of {residual!r}, but the sampler replaces its points in "
                "every step; expected a sampler whose points stay, points in the batch, or a rule without memory or "
                "with terms=[...] that leaves it out"
            )


def nonfinite(
    term_losses: Mapping[str, Array], grad_norms: Mapping[str, Array], balanced: Mapping[str, PyTree]
) -> dict[str, Array]:
    """The terms to blame: those that are not finite, or, where all are, those that the balancers broke."""
    before = {name: ~jnp.isfinite(loss + grad_norms[name]) for name, loss in term_losses.items()}
    after = {name: ~jnp.isfinite(term_gradients.norm(balanced[name])) for name in term_losses}
    any_before = any_of(before)
    return {name: jnp.where(any_before, before[name], after[name]) for name in term_losses}


def any_of(flags: Mapping[str, Array]) -> Array:
    """Whether one of the terms is flagged."""
    return functools.reduce(jnp.logical_or, flags.values())


def where(condition: Array, new: PyTree, old: PyTree) -> PyTree:
    """One tree or the other."""
    return jax.tree.map(lambda n, o: jnp.where(condition, n, o), new, old)


def finite(tree: PyTree) -> Array:
    """Whether every number of a tree is finite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))
