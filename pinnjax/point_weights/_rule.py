"""What rules of point space share: which terms they weigh, arrays with a number a point."""

from collections.abc import Iterable, Mapping, Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, ScalarLike

from pinnjax.terms import names

Residuals = Mapping[str, Array]


def relative(values: Float[Array, " n"]) -> Float[Array, " n"]:
    """Values over the largest of them; zeros when all are zero."""
    largest = jnp.max(values)
    return jnp.where(largest > 0, values / jnp.where(largest > 0, largest, 1), 0)


def chosen(rule: str, residuals: Residuals, terms: Sequence[str] | None) -> list[str]:
    """The residuals that a rule weighs; a term stands for all its equations."""
    if isinstance(terms, str):
        raise TypeError(f"{rule}: terms is the string {terms!r}; expected a sequence of names, such as [{terms!r}]")
    return list(residuals) if terms is None else list(names.meant(f"{rule}: terms", terms, residuals))


def full(residuals: Residuals, chosen: Iterable[str], value: ScalarLike) -> dict[str, Array]:
    """One number at every point of each of these terms."""
    return {
        name: jnp.broadcast_to(jnp.asarray(value, residuals[name].dtype), residuals[name].shape[:1]) for name in chosen
    }
