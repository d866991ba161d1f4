"""The bridge between models and pure functions; besides `pinnjax.nn`, the only place that knows flax.

A model is an `nnx.Module` or a pair `(apply, params)` with `apply(params, x)`. Inside pinnjax it is a *definition*
(static: the graph of the module, or `apply`), trainable *params* and *constants* that no gradient reaches.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import flax.errors
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pinnjax import checks

PyTree = Any


def split(model: Any) -> tuple[Any, PyTree, PyTree]:
    """Take a model apart.

    Args:
        model: an `nnx.Module`, whose `nnx.Param` variables are trained and whose other variables are constants, or
            a pair `(apply, params)`.

    Returns:
        `(definition, params, constants)`; definition is hashable and the same for equal architectures. Params and
        constants of a module are nested dicts of arrays, as it names them; those of a pair are what it gave.

    Raises:
        TypeError: when the model is neither, or a parameter is not a floating number.

    Example:
        >>> definition, params, constants = split((lambda a, x: a * x[0], 3.0))
        >>> print(params, constants)
        3.0 None
    """
    if isinstance(model, nnx.Module):
        definition, *states = nnx.split(model, nnx.Param, ...)
        # Plain dicts: a call of a compiled step takes a state of them apart ten times faster than one of variables.
        params, constants = map(nnx.to_pure_dict, states)
    elif isinstance(model, tuple) and len(model) == 2 and callable(model[0]):
        (definition, params), constants = model, None
    else:
        raise TypeError(f"a model of type {type(model).__name__}; expected an nnx.Module or a pair (apply, params)")
    _check_floating(params)
    return definition, params, constants


def of_field(u: Callable[[jax.Array], jax.Array]) -> tuple[Any, PyTree, PyTree]:
    """Take a field apart as `split` does a model: a module, or a function, in which nothing is trained.

    Args:
        u: as `field` gave it, or any function of one point.

    Example:
        >>> definition, params, constants = of_field(lambda x: 2 * x[0])
        >>> print(definition(params, jnp.array([3.0])), params)
        6.0 ()
    """
    return split(u if isinstance(u, nnx.Module) else (Derived(lambda _, x: u(x), u), ()))


class Derived:
    """A function that has the attributes of another one: a field made of a field still has its coefficients.

    Args:
        function: what is called.
        original: what has the attributes.

    Example:
        >>> from pinnjax import nn
        >>> u = nn.WithCoefficients(lambda x: x[0], {"nu": 0.5})
        >>> twice = Derived(lambda x: 2 * u(x), u)
        >>> print(twice(jnp.ones(1)), twice.nu)
        2.0 0.5
    """

    def __init__(self, function: Callable[..., Any], original: Any):
        self.function, self.original = function, original

    def __call__(self, *arguments: Any) -> Any:
        """The function's value."""
        return self.function(*arguments)

    def __getattr__(self, name: str) -> Any:
        """What the original has."""
        if name.startswith("__") or name in ("function", "original"):  # copied or pickled before it is filled
            raise AttributeError(name)
        return getattr(self.original, name)


def field(definition: Any, params: PyTree, constants: PyTree = None) -> Callable[[jax.Array], jax.Array]:
    """Put a model together again as a field `u(x)`; the module itself, so `u.nu` reads an unknown coefficient.

    Args:
        definition: an `nnx.GraphDef`, or a function `apply(params, x)`.
        params: the trainable part, as `split` or `nnx.split` gave it.
        constants: the rest of a module's variables; None when it has none.

    Returns:
        The field: one point `(d,)` to `()` or `(m,)`.

    Raises:
        TypeError: when `params` holds variables that are not `nnx.Param` (they would be trained), or that are not
            floating.
    """
    if isinstance(definition, nnx.GraphDef) and isinstance(params, nnx.State):
        _check_trainable(params)
    _check_floating(params)
    if isinstance(definition, nnx.GraphDef):
        return nnx.merge(definition, *(nnx.State(part) for part in (params, constants) if part is not None))
    if not callable(definition):
        raise TypeError(
            f"a definition of type {type(definition).__name__}; expected an nnx.GraphDef or apply(params, x)"
        )
    return Derived(lambda x: definition(params, x), definition)


def is_module(model: Any) -> bool:
    """Whether a model is an `nnx.Module`, not a pair `(apply, params)` or a function."""
    return isinstance(model, nnx.Module)


@contextlib.contextmanager
def only_read(u: Any) -> Iterator[None]:
    """Inside, a field is called and does not change: noise or statistics would start the same in every step.

    Args:
        u: the field, as `field` gave it.

    Raises:
        ValueError: when a call writes one of the model's variables, as drawing a random number does.

    Example:
        >>> u = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
        >>> with only_read(u):
        ...     value = u(jnp.ones(2))
        Traceback (most recent call last):
        ...
        ValueError: a call of the model changes its variable 'rngs/count', which would be the same again in every ...
    """
    before = jax.tree.leaves_with_path(nnx.state(u)) if isinstance(u, nnx.Module) else []
    try:
        yield
    except flax.errors.TraceContextError as error:  # the write was inside a derivative
        raise ValueError(f"a call of the model changes one of its variables, {_CHANGED}") from error
    now = jax.tree.leaves(nnx.state(u)) if before else []
    for (path, old), new in zip(before, now, strict=True):
        if old is not new:
            name = jax.tree_util.keystr(path, simple=True, separator="/").removesuffix("/value")
            raise ValueError(f"a call of the model changes its variable {name!r}, {_CHANGED}")


_CHANGED = (
    "which would be the same again in every step; expected a model that only reads: no noise, and Dropout or BatchNorm "
    "only after model.eval()"
)


def _check_floating(params: PyTree) -> None:
    for path, leaf in jax.tree.leaves_with_path(params):
        dtype = getattr(leaf, "dtype", None) or np.asarray(leaf).dtype
        if not jnp.issubdtype(dtype, jnp.floating):
            name = f"params/{jax.tree_util.keystr(path, simple=True, separator='/')}".rstrip("/")
            raise TypeError(
                f"{name} is {checks.described(leaf)}; expected a floating dtype, since all parameters are trained "
                "(what is not belongs into `apply`, or into an nnx.Variable)"
            )


def _check_trainable(params: nnx.State) -> None:
    for path, variable in nnx.to_flat_state(params):
        if isinstance(variable, nnx.Variable) and not isinstance(variable, nnx.Param):
            name = "/".join(map(str, path))
            raise TypeError(
                f"params hold {name!r}, a {type(variable).__name__}; expected nnx.Param only: use "
                "`graphdef, params, constants = nnx.split(model, nnx.Param, ...)` and pass the constants too"
            )
