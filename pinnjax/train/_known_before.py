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


def used_always(update: Callable[[PyTree], PyTree], given: PyTree) -> bool:
    """Whether something is used whatever happens, and not only by a branch, as under `lax.cond`.

    Example:
        >>> import jax.numpy as jnp
        >>> number = jax.ShapeDtypeStruct((), jnp.float32)
        >>> seldom = lambda x: jax.lax.cond(jnp.array(False), lambda: x, lambda: 0.0)
        >>> used_always(lambda x: 2 * x, number), used_always(seldom, number)
        (True, False)
    """
    jaxpr = jax.make_jaxpr(update)(given).jaxpr
    needed = {v for v in jaxpr.outvars if isinstance(v, core.Var)}
    used = set(needed)
    for equation in reversed(jaxpr.eqns):  # what nothing needs is not computed
        if needed.intersection(equation.outvars):
            variables = {v for v in equation.invars if isinstance(v, core.Var)}
            needed |= variables
            used |= set() if equation.primitive.name == "cond" else variables
    return bool(used.intersection(jaxpr.invars))
