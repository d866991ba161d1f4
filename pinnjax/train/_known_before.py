"""Whether what a rule makes of residuals needs them: point weights that do not are known before the residuals are."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.extend import core
from jaxtyping import Array

PyTree = Any


def without_residuals(
    update: Callable[[Mapping[str, Array]], tuple[PyTree, PyTree]], residuals: Mapping[str, jax.ShapeDtypeStruct]
) -> tuple[bool, bool]:
    """Whether weights, and a rule's next state, are the same for any residuals, seen from the rule's program.

    Args:
        update: `update(residuals) -> (weights, state)`.
        residuals: their shapes.

    Example:
        >>> import jax.numpy as jnp
        >>> one = {"pde": jax.ShapeDtypeStruct((3,), jnp.float32)}
        >>> without_residuals(lambda r: (jnp.ones(3), r["pde"] ** 2), one)
        (True, False)
    """
    program, shapes = jax.make_jaxpr(update, return_shape=True)(dict(residuals))
    jaxpr = program.jaxpr
    needing = set(jaxpr.invars)
    for equation in jaxpr.eqns:
        if any(isinstance(v, core.Var) and v in needing for v in equation.invars):
            needing.update(equation.outvars)
    free = [isinstance(v, core.Literal) or v not in needing for v in jaxpr.outvars]
    weights = len(jax.tree.leaves(shapes[0]))
    return all(free[:weights]), all(free[weights:])
