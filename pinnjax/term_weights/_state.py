"""What the state of a chain of term-space rules says: the weights it applies, and counted events."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

PyTree = Any
EVENTS = ("held", "floored", "capped", "dead", "exploded")  # counts `{term: ()}` in states that the metrics show


class ScalarWeightsState(NamedTuple):
    """State of a scalar rule.

    Attributes:
        weights: λ, `{term: ()}`, as applied in the last step.
        held: `{term: ()}`, how often a weight was kept since its proposal was not finite or negative.
        steps: `()`, updates so far, those of broken steps not among them.
        memory: what the rule itself remembers.
    """

    weights: dict[str, Float[Array, ""]]
    held: dict[str, Int[Array, ""]]
    steps: Int[Array, ""]
    memory: PyTree


def numbers_by_term(state: PyTree, field: str, names: Iterable[str]) -> list[dict[str, Array]]:
    """Every field of that name in a chain's state that holds a number a term."""
    expected = set(names)
    values = [value for _, value in optax.tree.get_all_with_path(state, field)]
    return [
        v for v in values if isinstance(v, dict) and set(v) == expected and all(jnp.ndim(x) == 0 for x in v.values())
    ]


def current_weights(state: PyTree, residuals: Mapping[str, Array | jax.ShapeDtypeStruct]) -> dict[str, Array]:
    """The weights that a chain of rules applies: the product over its rules, ones where there is none."""
    product = {name: jnp.ones((), r.dtype) for name, r in residuals.items()}
    for weights in numbers_by_term(state, "weights", residuals):
        product = {name: value * weights[name].astype(value.dtype) for name, value in product.items()}
    return product
