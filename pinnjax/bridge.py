"""The bridge between models and pure functions; besides `pinnjax.nn`, the only place that knows flax.

A model is an `nnx.Module` or a pair `(apply, params)` with `apply(params, x)`. Inside pinnjax it is a *definition*
(static: the graph of the module, or `apply`), trainable *params* and *constants* that no gradient reaches.
"""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

PyTree = Any


def split(model: Any) -> tuple[Any, PyTree, PyTree]:
    """Take a model apart.

    Args:
        model: an `nnx.Module`, whose `nnx.Param` variables are trained and whose other variables are constants, or
            a pair `(apply, params)`.

    Returns:
        `(definition, params, constants)`; definition is hashable and the same for equal architectures.

    Raises:
        TypeError: when the model is neither.

    Example:
        >>> definition, params, constants = split((lambda a, x: a * x[0], 3.0))
        >>> print(params, constants)
        3.0 None
    """
    if isinstance(model, nnx.Module):
        definition, params, *rest = nnx.split(model, nnx.Param, ...)
        return definition, params, rest[0]
    if isinstance(model, tuple) and len(model) == 2 and callable(model[0]):
        return model[0], model[1], None
    raise TypeError(f"a model of type {type(model).__name__}; expected an nnx.Module or a pair (apply, params)")


def field(definition: Any, params: PyTree, constants: PyTree = None) -> Callable[[jax.Array], jax.Array]:
    """Put a model together again as a field `u(x)`; the module itself, so `u.nu` reads an unknown coefficient.

    Args:
        definition: an `nnx.GraphDef`, or a function `apply(params, x)`.
        params: the trainable part, as `split` gave it.
        constants: the rest of a module's variables; None when it has none.

    Returns:
        The field: one point `(d,)` to `()` or `(m,)`.

    Raises:
        TypeError: when `params` holds variables that are not `nnx.Param` (they would be trained).
    """
    if isinstance(definition, nnx.GraphDef):
        if isinstance(params, nnx.State):
            _check_trainable(params)
        return nnx.merge(definition, params) if constants is None else nnx.merge(definition, params, constants)
    if not callable(definition):
        raise TypeError(
            f"a definition of type {type(definition).__name__}; expected an nnx.GraphDef or apply(params, x)"
        )
    return lambda x: definition(params, x)


def _check_trainable(params: nnx.State) -> None:
    for path, variable in nnx.to_flat_state(params):
        if isinstance(variable, nnx.Variable) and not isinstance(variable, nnx.Param):
            name = "/".join(map(str, path))
            raise TypeError(
                f"params hold {name!r}, a {type(variable).__name__}; expected nnx.Param only: use "
                "`graphdef, params, constants = nnx.split(model, nnx.Param, ...)` and pass the constants too"
            )
