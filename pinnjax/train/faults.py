"""What a run does about numbers that blow up: one policy, whose outcomes are counted and said."""

import dataclasses
import functools
import warnings
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from pinnjax import checks
from pinnjax.train import _stuck
from pinnjax.train.state import TrainState

ROLLED = "rolled_back"  # the metric


@dataclasses.dataclass(frozen=True)
class Faults:
    """What `pinnjax.fit` does when steps in a row are not taken, or the loss explodes.

    A step whose loss, gradient or update is not finite is never taken, and rules hold their weights in it: the counters
    `skipped`, `nonfinite/t` and `held/t` say how often. This is about what follows.

    Args:
        then: "stop" ends training with a warning that names the terms, and returns the last finite state. "raise" saves
            and raises `FloatingPointError`. "roll_back" goes back to the state before the last call of the program in
            which every step was taken, makes updates `shrink` times as long from then on, and draws other points; it
            stops when it has done so `times` times. An optimiser that searches on the loss finds its own length.
        patience: steps in a row that are not taken, >= 1.
        explodes: how many times its least value so far the loss is at the end of a call to be rolled back.
        shrink: between 0 and 1.
        times: rollbacks, >= 1.

    Raises:
        ValueError: when a number is out of range, or `then` is none of these.

    Example:
        >>> import warnings, jax.numpy as jnp, optax, pinnjax as pj
        >>> from pinnjax.train.faults import Faults
        >>> train = pj.train_step({"data": lambda u, x: jnp.sqrt(u(x)) - 1}, optax.sgd(12.0))  # not finite below zero
        >>> batch = {"data": jnp.array([[1.0]])}
        >>> state = train.init((lambda a, x: a * x[0], jnp.float32(4.0)), batch)
        >>> policy = Faults("roll_back", patience=5)
        >>> with warnings.catch_warnings(action="ignore"):  # it says what it does
        ...     state, history = pj.fit(train, state, batch, steps=100, steps_per_call=5, faults=policy)
        >>> print(state.params, state.pace, history["rolled_back"][-1], history["nonfinite/data"][-1])
        1.0 0.5 1.0 9.0
    """

    then: Literal["stop", "raise", "roll_back"] = "stop"
    patience: int = _stuck.STUCK
    explodes: float = 1e4
    shrink: float = 0.5
    times: int = 5

    def __post_init__(self) -> None:
        if self.then not in ("stop", "raise", "roll_back"):
            raise ValueError(f'Faults: then is {self.then!r}; expected "stop", "raise" or "roll_back"')
        checks.count("Faults: patience", self.patience)
        checks.count("Faults: times", self.times)
        checks.number("Faults: explodes", self.explodes, 1.0)
        checks.number("Faults: shrink", self.shrink, 0.0, 1.0)


class Watch:
    """The policy at work in one phase of a run: the state to go back to, and how often that was done."""

    def __init__(self, faults: Faults, state: TrainState, title: str):
        self.faults, self.title = faults, title
        self.good, self.least = state, np.full(np.shape(state.step), np.inf)
        self.rolled = np.zeros(np.shape(state.step), int)
        self.in_a_row = np.zeros(np.shape(state.step), int)

    def after(self, old: TrainState, state: TrainState, metrics: dict[str, Any]) -> TrainState:
        """The state from which the next call begins.

        Args:
            old: before the call.
            state: after it.
            metrics: of its steps; the number of rollbacks joins them.
        """
        self.in_a_row = _stuck.not_taken(self.in_a_row, np.asarray(old.skipped), metrics["skipped"])
        if self.faults.then != "roll_back":
            return state
        loss = np.asarray(metrics["loss"][-1], float)
        broken = np.zeros(np.shape(old.step), bool)
        for name in state.nonfinite:
            broken |= np.asarray(state.nonfinite[name]) > np.asarray(old.nonfinite[name])
        lost, exploded = self.in_a_row >= self.faults.patience, ~(loss <= self.faults.explodes * self.least)
        bad = np.where(broken, lost, exploded) & (self.rolled < self.faults.times)
        self.rolled = self.rolled + bad
        if bad.any():
            warnings.warn(
                f"{self.title}: step {np.max(np.asarray(state.step))}: {self._why(old, state)}; rolled back to the "
                f"state of step {np.min(np.asarray(self.good.step))}, updates are {self.faults.shrink:g} times as long",
                stacklevel=4,
            )
            state = _rolled(jnp.asarray(bad), self.good, state, self.faults.shrink)
            self.in_a_row = np.where(bad, 0, self.in_a_row)
        well = ~bad & (np.asarray(state.skipped) == np.asarray(old.skipped))
        self.least = np.where(well, np.fmin(self.least, loss), self.least)
        if well.any():
            self.good = _where(jnp.asarray(well), old, self.good)
        metrics[ROLLED] = np.broadcast_to(self.rolled, np.shape(metrics["loss"]))
        return state

    def _why(self, old: TrainState, state: TrainState) -> str:
        broken = _stuck.broken(old.nonfinite, state.nonfinite)
        return f"loss or gradient were not finite (terms {broken})" if broken else "the loss exploded"

    @property
    def stuck(self) -> bool:
        """Whether there is nothing more to do about it."""
        return bool(self.in_a_row.min() >= self.faults.patience)


def _chosen(condition: jax.Array, new: Any, old: Any) -> Any:
    return jnp.where(condition.reshape(condition.shape + (1,) * (jnp.ndim(new) - condition.ndim)), new, old)


@jax.jit
def _where(condition: jax.Array, new: TrainState, old: TrainState) -> TrainState:
    return jax.tree.map(functools.partial(_chosen, condition), new, old)


@jax.jit
def _rolled(bad: jax.Array, good: TrainState, state: TrainState, shrink: Any) -> TrainState:
    """What is trained and remembered goes back; counters, and the sampler's random numbers, do not."""
    back = dataclasses.replace(
        good,
        sampler=state.sampler,
        step=state.step,
        skipped=state.skipped,
        nonfinite=state.nonfinite,
        pace=state.pace * shrink,
    )
    return jax.tree.map(functools.partial(_chosen, bad), back, state)
