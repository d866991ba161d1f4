"""Bad input, named early: each check raises one sentence that says what was given and what was expected.

Shapes and names are checked while tracing, so they cost nothing in the compiled step; values (NaN) are checked only
where they are concrete, which is when a state is made and when `fit` starts.
"""

import operator
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any


def terms(given: Any) -> None:
    """Terms are a non-empty mapping from names to functions."""
    if not isinstance(given, Mapping):
        raise TypeError(f"terms are a {type(given).__name__}; expected a dict {{name: residual function}}")
    if not given:
        raise ValueError("terms are empty; expected at least one {name: residual function}")
    for name, function in given.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"a term is named {name!r}; expected a non-empty string")
        if not callable(function):
            raise TypeError(f"term {name!r} is a {type(function).__name__}; expected a residual function (u, x)")


def batch(expected: Iterable[str], given: Any) -> None:
    """A batch has points for each term and for no other, of equal number within a term and at least one."""
    if not isinstance(given, Mapping):
        raise TypeError(f"the batch is a {type(given).__name__}; expected a dict {{term: points}}")
    same_names("the batch", expected, given)
    for name, points in given.items():
        _points(name, points)


def _points(name: str, points: PyTree) -> None:
    leaves = jax.tree.leaves(points)
    if not leaves:
        raise ValueError(f"term {name!r} has no points; expected an array (n, d) or a pytree of arrays with n rows")
    if numbers := [leaf for leaf in leaves if isinstance(leaf, bool | int | float)]:
        raise TypeError(
            f"term {name!r}: points hold the number {numbers[0]}; expected an array (n, d) or a pytree of arrays with "
            "n rows (a list of numbers is no array: write jnp.array(points))"
        )
    shapes = [np.shape(leaf) for leaf in leaves]
    if leaves[0] is points and len(shapes[0]) != 2:
        raise ValueError(f"term {name!r}: points of shape {shapes[0]}; expected (n, d), one row a point")
    if any(len(shape) == 0 for shape in shapes) or len({shape[0] for shape in shapes}) != 1:
        raise ValueError(f"term {name!r}: points with leaves of shapes {shapes}; expected the same n rows in each")
    if shapes[0][0] == 0:
        raise ValueError(f"term {name!r} has zero points; expected n >= 1 (leave the term out to switch it off)")


def finite_points(given: Mapping[str, PyTree]) -> None:
    """No NaN or infinity in points that are concrete; traced points pass."""
    for name, points in given.items():
        for leaf in jax.tree.leaves(points):
            if isinstance(leaf, jax.core.Tracer) or not jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating):
                continue
            bad = ~np.isfinite(np.asarray(leaf))
            if bad.any():
                row = int(np.argwhere(bad)[0][0])
                raise ValueError(
                    f"term {name!r}: {int(bad.sum())} of its coordinates are not finite, first in point {row}"
                )


def residual(name: str, value: Any) -> jax.Array:
    """A residual at one point is `()` or `(m,)` with m >= 2, and floating."""
    value = jnp.asarray(value)
    if value.ndim > 1 or value.shape in ((0,), (1,)):
        raise ValueError(
            f"term {name!r}: the residual at one point has shape {value.shape}; expected () or (m,) with m >= 2 "
            '(a residual function sees one point; a scalar field comes from a model with out_features="scalar", and '
            "values that go with its points are (n,), not (n, 1))"
        )
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise TypeError(f"term {name!r}: the residual has dtype {value.dtype}; expected a floating dtype")
    return value


def same_names(what: str, expected: Iterable[str], given: Iterable[str]) -> None:
    """The given names are the expected ones, in any order."""
    expected, given = list(expected), list(given)
    missing = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    if missing or unknown:
        said = [f"misses {missing}"] * bool(missing) + [f"has unknown {unknown}"] * bool(unknown)
        raise ValueError(f"{what} {' and '.join(said)}; expected the terms {expected}")


def known_names(what: str, expected: Iterable[str], given: Iterable[str]) -> None:
    """The given names are among the expected ones."""
    expected = list(expected)
    unknown = [name for name in given if name not in expected]
    if unknown:
        raise ValueError(f"{what} names unknown terms {unknown}; expected some of {expected}")


def times(what: str, time: Any, points: PyTree) -> jax.Array:
    """The times `(n,)` of all points of a term, of a function that finds them there.

    JAX reads the nearest coordinate where there is none of that index; NumPy refuses, so it is asked first.
    """
    if not callable(time):
        raise TypeError(
            f"{what} is {time!r}; expected a function of points to times, such as lambda points: points[:, 0]"
        )
    like = jax.tree.map(lambda leaf: np.zeros(np.shape(leaf), leaf.dtype), points)
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(points)]
    try:
        time(like)
    except IndexError as error:
        raise ValueError(
            f"{what} asks for a coordinate that points of shape {shapes[0]} do not have: {error}"
        ) from None
    found = time(points)
    if np.shape(found) != shapes[0][:1]:
        raise ValueError(
            f"{what} returns shape {np.shape(found)} for points of shape {shapes[0]}; expected ({shapes[0][0]},)"
        )
    return found


def chunk(value: Any) -> None:
    """A chunk is a positive number of points, "auto" or None."""
    if value not in (None, "auto") and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ValueError(f'chunk is {value!r}; expected a number of points >= 1, "auto", or None for all points')


def number(what: str, value: Any, low: float = -np.inf, high: float = np.inf) -> None:
    """A Python number lies in [low, high]; arrays and tracers pass, so rules work under `optax.inject_hyperparams`."""
    if isinstance(value, int | float) and not low <= value <= high:
        raise ValueError(f"{what} is {value}; expected a number in [{low:g}, {high:g}]")


def point(what: str, x: Any, d: int | None = None) -> jax.Array:
    """One point is an array `(d,)` of floating numbers; a grid would be taken for one point without a word."""
    expected = "(d,)" if d is None else f"({d},)"
    if not isinstance(x, jax.Array | np.ndarray):
        raise TypeError(f"{what}: a point is {described(x)}; expected an array {expected}, such as jnp.array([0.5])")
    if x.ndim != 1 or x.size == 0 or d not in (None, x.size):
        raise ValueError(
            f"{what}: a point has shape {x.shape}; expected one point {expected}, and jax.vmap(u)(grid) for many"
        )
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{what}: a point has dtype {x.dtype}; expected a floating dtype")
    return jnp.asarray(x)


def corners(lower: Any, upper: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Two opposite corners `(d,)` of a box, as tuples."""
    low, high = (np.asarray(end, float) for end in (lower, upper))
    if low.ndim != 1 or low.shape != high.shape or not np.all(low < high) or not np.isfinite([low, high]).all():
        raise ValueError(f"lower is {lower}, upper {upper}; expected two corners (d,), lower < upper")
    return tuple(low.tolist()), tuple(high.tolist())


def key(what: str, given: Any) -> jax.Array:
    """One random key, `jax.random.key(0)` or an old `jax.random.PRNGKey(0)`; a seed is none."""
    example = "expected a random key such as jax.random.key(0)"
    if not isinstance(given, jax.Array | np.ndarray):
        raise TypeError(f"{what} is {described(given)}; {example}")
    new = jnp.issubdtype(given.dtype, jax.dtypes.prng_key)
    if not new and not (given.dtype == jnp.uint32 and given.ndim > 0):
        raise TypeError(f"{what} is {described(given)}; {example}")
    if given.ndim != (0 if new else 1):
        raise ValueError(f"{what} is {described(given)}, several keys; {example} (jax.vmap over several)")
    return jnp.asarray(given)


def count(what: str, value: Any, otherwise: str = "") -> None:
    """A number of things is an integer >= 1."""
    try:
        positive = operator.index(value) >= 1 and not isinstance(value, bool)
    except TypeError:
        positive = False
    if not positive:
        raise ValueError(
            f"{what} is {described(value)}; expected an integer >= 1" + f" or {otherwise}" * bool(otherwise)
        )


def floating(what: str, dtype: Any) -> np.dtype:
    """A dtype is floating; None is JAX's default, float64 where `jax_enable_x64` is on."""
    try:
        found = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
    except TypeError:
        found = None
    if found is None or not jnp.issubdtype(found, jnp.floating):
        raise TypeError(f"{what} is {described(dtype)}; expected a floating dtype such as jnp.float32")
    return found


def described(value: Any) -> str:
    """A value in a sentence: shape and dtype of an array, the class of a container, else what it prints as."""
    if isinstance(value, jax.Array | np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if value is None or isinstance(value, bool | int | float | complex | str):
        return repr(value)
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
