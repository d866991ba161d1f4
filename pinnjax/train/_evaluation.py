"""Errors of a field: what the user's `evaluate` returns, checked before a run begins, and when they suffice."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pinnjax.train.state import TrainState, TrainStep


def numbers(found: Any) -> dict[str, jax.Array]:
    """What `evaluate` returned, as `{name: ()}` of a floating dtype."""
    named = dict(found) if isinstance(found, Mapping) else {"error": found}
    for name, value in named.items():
        if not isinstance(name, str) or name in ("step", "seconds"):
            raise ValueError(f"evaluate returns a number named {name!r}; expected a string but 'step' and 'seconds'")
        if not isinstance(value, bool | int | float | np.ndarray | np.generic | jax.Array):
            raise TypeError(
                f"evaluate returns a {type(value).__name__} for {name!r}; expected a number, or {{name: number}}"
            )
        if np.shape(value) != () or jnp.issubdtype(jnp.result_type(value), jnp.complexfloating):
            said = f"{jnp.result_type(value)}{list(np.shape(value))}"
            raise ValueError(f"evaluate returns {said} for {name!r}; expected a real number of shape ()")
        named[name] = jnp.asarray(value, jnp.promote_types(jnp.result_type(value), jnp.float32))
    if not named:
        raise ValueError("evaluate returns an empty dict; expected a number, or {name: number}")
    return named


def names(evaluate: Callable | None, train: TrainStep, state: TrainState) -> list[str]:
    """The names that `evaluate` returns, in its order, which compilation would sort."""
    if evaluate is None:
        return []
    seen: list[str] = []
    one = lambda s: seen.extend(numbers(evaluate(train.model(s))))
    jax.eval_shape(one if np.ndim(state.step) == 0 else jax.vmap(one), state)
    return seen


def measured(evaluate: Callable | None, train: TrainStep, names: Sequence[str], state: TrainState) -> dict[str, Any]:
    """`{evaluation/NAME: error}` of a state, or of each seed."""
    if evaluate is None:
        return {}
    found = jax.device_get(_errors(evaluate, train, state))
    return {f"evaluation/{name}": number(found[name]) for name in names}


def number(value: Any) -> Any:
    """A Python number where it is one, for loggers; an array otherwise."""
    return np.asarray(value).item() if np.ndim(value) == 0 else np.asarray(value)


def check_until(what: str, until: Any, evaluate: Callable | None) -> None:
    """What ends a run, or a phase, early is an error to reach, which needs one to be measured, or a function."""
    if until is None or callable(until):
        return
    if not isinstance(until, int | float | np.number):
        raise TypeError(f"{what}: until is {until!r}; expected an error to reach, or a function of the metrics")
    if evaluate is None:
        raise ValueError(
            f"{what}: until is {until!r}, an error to reach, but evaluate is None; expected a function of u"
        )


def check_seconds(what: str, seconds: Any) -> None:
    """A time to train is a positive number, or None."""
    if seconds is not None and not (isinstance(seconds, int | float | np.number) and seconds > 0):
        raise ValueError(f"{what}: seconds is {seconds!r}; expected a number > 0, or None")


def reached(until: Any, metrics: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether a run may end: the first error, of every seed, has come down to `until`, or `until(metrics)` says so."""
    if until is None:
        return False
    return bool(until(metrics)) if callable(until) else bool(np.all(metrics[f"evaluation/{names[0]}"] <= until))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _errors(evaluate: Callable, train: TrainStep, state: TrainState) -> dict[str, jax.Array]:
    one = lambda s: numbers(evaluate(train.model(s)))
    return (one if jnp.ndim(state.step) == 0 else jax.vmap(one))(state)
