"""What is to be evolved in time: equations at a place, where the field is a polynomial of few derivatives."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn
from pinnjax.train._orders import orders_of

PyTree = Any
PULL = 10.0  # rate at which what is left of a condition decays, over the whole time


class NotOfWaves(ValueError):
    """The equations are not such as can be evolved in time; it says why."""


class Evolution(NamedTuple):
    """What `pinnjax.evolve` made.

    Attributes:
        u: the field, up to `reached`; None where there is none.
        waves: how many there are at the end, along a coordinate at most.
        steps: in time.
        reached: how far it goes, in units of time: to the end, unless it was given up.
        left: largest root mean square of what the equations leave, times the time to the power of their order, over the
            root mean square of the field.
    """

    u: nn.Evolved | nn.Splined | None
    waves: int
    steps: int
    reached: float
    left: float


def hopeless(spent: float, done: float, allowed: float) -> bool:
    """Whether half of the time is over, and at this speed the whole would take four times as long as is allowed."""
    return spent > 0.5 * allowed and spent > 4 * allowed * done


@dataclasses.dataclass(frozen=True)
class Task:
    """What is to be solved, for any number of waves.

    Attributes:
        terms: `{name: residual function}` of points `(2,)`, or `(1,)`.
        conditions: `{term: places (k,)}` of those that hold at places, at all times; none where the field is periodic.
        initial: terms that hold at the beginning.
        box: least and largest x,
        alone: or whether there is no x: equations are of time alone.
        outputs: components of the field, or "scalar".
        axis: of the time.
        begin: of the time,
        span: and how long it is, in its units.
        stretch: how much longer the interval of the waves is; 1 for a field that is periodic.
        traced: residuals at a place, see `local`.
    """

    terms: Mapping[str, Callable]
    conditions: Mapping[str, Sequence[float]]
    initial: Sequence[str]
    box: tuple[float, float]
    outputs: int | str
    axis: int
    begin: float
    span: float
    stretch: float
    alone: bool = False
    traced: dict[tuple[str, int], Callable] = dataclasses.field(default_factory=dict)

    @property
    def equations(self) -> list[str]:
        """What is neither a condition nor initial."""
        return [t for t in self.terms if t not in self.conditions and t not in self.initial]

    @property
    def m(self) -> int:
        """Components."""
        return 1 if self.outputs == "scalar" else int(self.outputs)

    @functools.cached_property
    def orders(self) -> dict[str, tuple[int, int]]:
        """Of each term, the highest derivative in time and in space that it sees."""
        highest = lambda t, axis: int(np.max(self._orders_of_parts(t, axis)))
        return {t: (highest(t, self.axis), 0 if self.alone else highest(t, 1 - self.axis)) for t in self.terms}

    def parted(self) -> "Task":
        """The same with a term for each order in time that parts of an equation or a condition have."""
        terms, conditions = {}, {}
        for t, term in self.terms.items():
            orders = self._orders_of_parts(t, self.axis)
            alike = t in self.initial or len(set(orders.tolist())) == 1
            for k in [None] if alike else sorted(set(orders.tolist())):
                name = t if k is None else f"{t}, order {k}"
                terms[name] = term if k is None else _parts(term, np.flatnonzero(orders == k))
                if t in self.conditions:
                    conditions[name] = self.conditions[t]
        return dataclasses.replace(self, terms=terms, conditions=conditions, traced={})

    def _orders_of_parts(self, term: str, axis: int) -> np.ndarray:
        times = self.begin + self.span * np.linspace(0.1, 0.9, 50)
        x = np.resize(np.asarray(self.conditions.get(term, np.linspace(*self.box, 50))), 50)
        points = jax.vmap(self.at)(jnp.asarray(times), jnp.asarray(x))
        orders, _ = orders_of(self.terms[term], self.zero, points, axis)
        return np.concatenate([np.ravel(k) for k in jax.tree.leaves(orders)])

    @property
    def order(self) -> int:
        """Of the equations in time."""
        return max((self.orders[t][0] for t in self.equations), default=0)

    def zero(self, x: Float[Array, " d"]) -> Array:
        """The field that is zero."""
        return self.shaped(jnp.zeros(self.m, x.dtype))

    def shaped(self, value: Float[Array, " m"]) -> Array:
        """A value of the field as residuals expect it."""
        return value[0] if self.outputs == "scalar" else value

    def at(self, t: Array, x: Array) -> Float[Array, " d"]:
        """The point."""
        return jnp.stack([t] if self.alone else [t, x] if self.axis == 0 else [x, t])

    def time_and_x(self, point: Float[Array, " d"]) -> tuple[Array, Array]:
        """Its time and its x."""
        return point[self.axis], jnp.zeros_like(point[0]) if self.alone else point[1 - self.axis]

    def local(self, term: str, times: int) -> Callable[[Array, Array, Array], tuple[Array, Array]]:
        """(d/dt + pull)^times of a residual at a place, of a polynomial there; and its Jacobian by that.

        It is traced once, for any number of waves: a function of t, x and the derivatives `(k, s, m)` of the field.
        """
        if (term, times) in self.traced:
            return self.traced[term, times]

        def value(jet: Float[Array, "k s m"], t: Array, x: Array) -> Float[Array, " r"]:
            def field(point: Float[Array, " d"]) -> Array:
                now, here = self.time_and_x(point)
                return self.shaped(taylor([taylor(list(part), here - x) for part in jet], now - t))

            at_time = lambda s: flat(self.terms[term](field, self.at(t + s, x)))
            for _ in range(times):
                at_time = functools.partial(_pulled, at_time, PULL / self.span)
            return at_time(jnp.zeros_like(t))

        self.traced[term, times] = jax.jit(lambda t, x, jet: (value(jet, t, x), jax.jacrev(value)(jet, t, x)))
        return self.traced[term, times]


def _parts(term: Callable, some: np.ndarray) -> Callable:
    return lambda u, x: flat(term(u, x))[some]


def _pulled(function: Callable, pull: float, s: Array) -> Array:
    value, slope = jax.jvp(function, (s,), (jnp.ones_like(s),))
    return slope + pull * value


def taylor(derivatives: list[Array], s: Array) -> Array:
    """A polynomial of its derivatives at zero."""
    return sum((d * (s**k / math.factorial(k)) for k, d in enumerate(derivatives[1:], 1)), derivatives[0])


def flat(tree: PyTree) -> Array:
    """All numbers of a residual."""
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])
