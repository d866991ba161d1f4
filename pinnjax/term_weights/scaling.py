"""What scalar rules share: weights of one to start with, gradients times weights, weights found in a state."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

PyTree = Any
Weights = dict[str, jax.Array]


def ones(term_params: Mapping[str, PyTree]) -> Weights:
    """Weights of one, strongly typed in the dtype of the parameters."""
    return {name: jnp.ones((), optax.tree.dtype(params, "highest")) for name, params in term_params.items()}


def scale(weights: Weights, term_grads: Mapping[str, PyTree]) -> dict[str, PyTree]:
    """λ_t g_t for each term, in the dtype of g_t."""
    return {name: optax.tree.scale(weights[name], grads) for name, grads in term_grads.items()}


def found(state: PyTree, field: str, names: Iterable[str]) -> list[dict[str, jax.Array]]:
    """Every field of that name in a chain's state that holds a number a term."""
    expected = set(names)
    values = [value for _, value in optax.tree.get_all_with_path(state, field)]
    return [
        v for v in values if isinstance(v, dict) and set(v) == expected and all(jnp.ndim(x) == 0 for x in v.values())
    ]


def current(state: PyTree, residuals: Mapping[str, jax.Array]) -> Weights:
    """The weights that a chain of rules applies: the product over its rules, ones where there is none."""
    product = {name: jnp.ones((), r.dtype) for name, r in residuals.items()}
    for weights in found(state, "weights", residuals):
        product = {name: value * weights[name].astype(value.dtype) for name, value in product.items()}
    return product
