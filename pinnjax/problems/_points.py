"""The points of a problem: whatever way they are given, they are drawn as `draw(key, points, dtype)`."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import checks

PyTree = Any
Draw = Callable[[Array, Mapping[str, int], Any], dict[str, PyTree]]
FRESH = 2**31 - 1  # seed of points that are no run's


def grid(*sides: Float[np.ndarray, " _"]) -> Float[np.ndarray, "n d"]:
    """The tensor product of sides in double precision, the first coordinate varying slowest.

    `pinnjax.sampling.grid` makes equidistant points for training, in JAX's precision.

    Example:
        >>> grid(np.array([0.0, 1.0]), np.array([5.0, 6.0])).tolist()
        [[0.0, 5.0], [0.0, 6.0], [1.0, 5.0], [1.0, 6.0]]
    """
    return np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, len(sides))


@dataclasses.dataclass(frozen=True, eq=False)
class Given:
    """Points that are always the same.

    Attributes:
        batch: `{term: points}`.
        held_out: `{term: points}` that training does not see; empty where there are none.
    """

    batch: Mapping[str, PyTree]
    held_out: Mapping[str, PyTree] = dataclasses.field(default_factory=dict)

    def __call__(self, key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, PyTree]:
        """The same points for every key."""
        del key
        return _as_asked(self.batch, points, dtype)


@dataclasses.dataclass(frozen=True, eq=False)
class OfKey:
    """Points of a random key, in numbers of their own.

    Attributes:
        sample: `sample(key) -> {term: points}`.
    """

    sample: Callable[[Array], dict[str, PyTree]]

    def __call__(self, key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, PyTree]:
        """The points of a key."""
        return _as_asked(self.sample(key), points, dtype)


def drawing(draw: Any) -> Draw:
    """What a user gave as `draw`, as a function of key, numbers of points and dtype.

    Raises:
        TypeError: when it is none of the forms of `pinnjax.problems.Problem`.
    """
    expected = "expected {term: points}, draw(key) or draw(key, points, dtype)"
    if isinstance(draw, Mapping):
        return Given(draw)
    if not callable(draw):
        raise TypeError(f"Problem: draw is {checks.described(draw)}; {expected}")
    takes = inspect.signature(draw)
    if _binds(takes, 3):
        return draw
    if not _binds(takes, 1):
        raise TypeError(f"Problem: draw takes {takes}; {expected}")
    return OfKey(draw)


def numbers(draw: Draw, terms: Mapping[str, Any], points: Mapping[str, int] | None) -> Mapping[str, int]:
    """How many points a drawing draws; those given, where it leaves that open.

    Raises:
        ValueError, TypeError: when numbers are missing or contradict the points, or the points do not suit the terms.
    """
    if isinstance(draw, Given):
        drawn = draw.batch
        checks.batch(terms, drawn)
        checks.finite_points(drawn)
        checks.batch(terms, dict(drawn) | dict(draw.held_out))
    elif isinstance(draw, OfKey):
        drawn = _tried("draw(key)", lambda: jax.eval_shape(draw.sample, jax.random.key(0)))
        checks.batch(terms, drawn)
    elif points is None:
        raise ValueError(
            "Problem: points are missing; expected {term: number}, which draw(key, points, dtype) asks for"
        )
    else:
        return points
    found = _rows(drawn)
    if points is not None and dict(points) != found:
        raise ValueError(f"Problem: points are {dict(points)}, but draw gives {found}; {_OTHER}")
    return found


def has_fresh(draw: Draw) -> bool:
    """Whether there are points that training does not see."""
    return not isinstance(draw, Given) or bool(draw.held_out)


def fresh(draw: Draw, points: Mapping[str, int], dtype: Any) -> dict[str, PyTree]:
    """Points that training does not see; where there are no others, those that it sees."""
    if isinstance(draw, Given):
        together = dict(draw.batch) | dict(draw.held_out)
        return _as_asked(together, _rows(together), dtype)
    return draw(jax.random.key(FRESH), points, dtype)


def sample(draw: Draw, terms: Mapping[str, Any], points: Mapping[str, int]) -> dict[str, PyTree]:
    """Some points of every term, to find out what they are like; no run's."""
    drawn = _tried("draw", lambda: fresh(draw, points, jnp.result_type(float)))
    checks.batch(terms, drawn)
    return drawn


_OTHER = "expected draw(key, points, dtype) where other numbers are wanted"


def _as_asked(drawn: Mapping[str, PyTree], points: Mapping[str, int], dtype: Any) -> dict[str, PyTree]:
    """In the dtype, and in numbers that were not to be others."""
    if dict(points) != _rows(drawn):
        raise ValueError(f"{dict(points)} points are asked for, but draw gives {_rows(drawn)}; {_OTHER}")
    dtype = jnp.result_type(float) if dtype is None else dtype
    floating = lambda leaf: jnp.issubdtype(leaf.dtype, jnp.floating)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if floating(leaf) else jnp.asarray(leaf), dict(drawn))


def _rows(drawn: Mapping[str, PyTree]) -> dict[str, int]:
    return {term: np.shape(jax.tree.leaves(points)[0])[0] for term, points in drawn.items()}


def _binds(signature: inspect.Signature, n: int) -> bool:
    try:
        signature.bind(*[None] * n)
    except TypeError:
        return False
    return True


def _tried(what: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise ValueError(f"Problem: {what} raises {type(error).__name__}: {error}") from error
