"""What is linear in a traced program: which variables are sums of others, and which are images of one map."""

import functools
import math
import operator
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.extend import core

Atom = core.Var | core.Literal
Coefficient = tuple[tuple[tuple[int, ...], float], ...]  # Σ number × product of scalar variables, each by its place
Combination = tuple[tuple[int, Coefficient], ...]  # Σ coefficient × variable
UNIT = -1  # the place of the number one, of which literals are multiples
ONE: Coefficient = (((), 1.0),)
CONTRACTION = "dot_general"
# Linear in their only operand; and in each of two, or in the first.
SHAPING = {"broadcast_in_dim", "reduce_sum", "reshape", "rev", "slice", "squeeze", "transpose"}
POSITIONS = {CONTRACTION: (0, 1), "mul": (0, 1), "div": (0,), **dict.fromkeys(SHAPING, (0,))}


class Image(NamedTuple):
    """What a linear map makes of a variable.

    Attributes:
        map: the same for images under the same map.
        equation: one with that map.
        position: of the operand that is mapped.
        operand: what is mapped.
    """

    map: Hashable
    equation: core.JaxprEqn
    position: int
    operand: int

    @property
    def contracts(self) -> bool:
        """Whether it is a matrix product."""
        return self.equation.primitive.name == CONTRACTION


class Graph:
    """A program's variables by their places.

    Attributes:
        jaxpr: the program.
        variables: all of them; constants and arguments first.
        place: `{variable: its place}`.
        defined: `{place: the equation that defines it}`.
    """

    def __init__(self, jaxpr: core.Jaxpr) -> None:
        """Number the variables."""
        self.jaxpr = jaxpr
        self.variables: list[core.Var] = [*jaxpr.constvars, *jaxpr.invars]
        self.defined: dict[int, core.JaxprEqn] = {}
        self.place = {v: i for i, v in enumerate(self.variables)}
        self._level = [0] * len(self.variables)  # how many equations deep below the arguments
        for equation in jaxpr.eqns:
            level = 1 + max((self._level[i] for i in self.operands(equation)), default=0)
            for v in (v for v in equation.outvars if not isinstance(v, core.DropVar)):
                self.place[v] = len(self.variables)
                self.defined[self.place[v]] = equation
                self.variables.append(v)
                self._level.append(level)

    @property
    def outputs(self) -> list[int]:
        """Places of the outputs."""
        return [self.place[v] for v in self.jaxpr.outvars if isinstance(v, core.Var)]

    def operands(self, equation: core.JaxprEqn) -> list[int]:
        """The variables that an equation needs."""
        return [self.place[v] for v in equation.invars if isinstance(v, core.Var)]

    def summands(self, place: int) -> Combination | None:
        """The variables that one is a combination of; None for what is none."""
        equation = self.defined.get(place)
        if equation is None or not all(map(real, (*equation.invars, *equation.outvars))):
            return None
        name, operands = equation.primitive.name, equation.invars
        if name in ("add", "add_any", "sub"):
            signs = (1.0, -1.0 if name == "sub" else 1.0)
            return tuple(self._scaled(v, (((), sign),)) for v, sign in zip(operands, signs, strict=True))
        if name == "neg":
            return (self._scaled(operands[0], (((), -1.0),)),)
        if name == "mul":
            numbers = [self._number(v) for v in operands]
            # Of two numbers the deeper one is the derivative, u_x in u u_x, and the other one stands before it.
            before = [i for i in range(2) if numbers[i] is not None]
            before.sort(key=lambda i: self._depth(operands[i]))
            if before:
                return (self._scaled(operands[1 - before[0]], numbers[before[0]] or ONE),)
        return None

    def images(self, place: int) -> Iterator[Image]:
        """The linear maps that a variable is the image under."""
        equation = self.defined.get(place)
        if equation is None or not all(map(real, (*equation.invars, *equation.outvars))):
            return
        name, operands = equation.primitive.name, equation.invars
        what = (name, repr(sorted(equation.params.items())), _kind(self.variables[place]))
        for i in POSITIONS.get(name, ()):
            fixed = tuple(v if isinstance(v, core.Var) else float(v.val) for k, v in enumerate(operands) if k != i)
            moved = operands[i]
            if isinstance(moved, core.Var) and moved not in fixed:
                yield Image((*what, i, fixed, _kind(moved)), equation, i, self.place[moved])

    def _scaled(self, v: Atom, coefficient: Coefficient) -> tuple[int, Coefficient]:
        if isinstance(v, core.Literal):
            return UNIT, times(coefficient, (((), float(v.val)),))
        return self.place[v], coefficient

    def _number(self, v: Atom) -> Coefficient | None:
        """An operand that is one number, or is filled with it."""
        if isinstance(v, core.Literal):
            return (((), float(v.val)),)
        if not shape(v):
            return (((self.place[v],), 1.0),)
        equation = self.defined.get(self.place[v])
        if equation is not None and equation.primitive.name == "broadcast_in_dim" and real(equation.invars[0]):
            return self._number(equation.invars[0]) if not shape(equation.invars[0]) else None
        return None

    def _depth(self, v: Atom) -> int:
        return -1 if isinstance(v, core.Literal) else self._level[self.place[v]]


def cost(equation: core.JaxprEqn) -> int:
    """Operations, about."""
    size = sum(math.prod(shape(v)) for v in equation.outvars)
    if equation.primitive.name != CONTRACTION:
        return size
    contracted = equation.params["dimension_numbers"][0][0]
    return 2 * size * math.prod(shape(equation.invars[0])[axis] for axis in contracted)


def real(v: Atom) -> bool:
    """Whether it is an array of floating numbers; a literal one of them."""
    floating = bool(jnp.issubdtype(getattr(v.aval, "dtype", bool), jnp.floating))
    return floating and not (isinstance(v, core.Literal) and shape(v))


def times(one: Coefficient, other: Coefficient) -> Coefficient:
    """The product of two coefficients."""
    return plus(*((((*f, *g), a * b),) for f, a in one for g, b in other))


def plus(*coefficients: Coefficient) -> Coefficient:
    """The sum of coefficients."""
    total: dict[tuple[int, ...], float] = {}
    for coefficient in coefficients:
        for factors, number in coefficient:
            key = tuple(sorted(factors))
            total[key] = total.get(key, 0.0) + number
    return tuple(sorted(total.items()))


def factored(parts: Iterable[tuple[int, Coefficient]]) -> tuple[Coefficient, Combination]:
    """A combination as a number times one whose first coefficient begins with 1, so that multiples are alike."""
    total: dict[int, Coefficient] = {}
    for place, coefficient in parts:
        total[place] = plus(total.get(place, ()), coefficient)
    monomials = [Counter(factors) for coefficient in total.values() for factors, _ in coefficient]
    shared = functools.reduce(operator.and_, monomials)
    number = total[min(total)][0][1] or 1.0
    divided = {
        place: tuple(sorted((tuple(sorted((Counter(f) - shared).elements())), a / number) for f, a in coefficient))
        for place, coefficient in total.items()
    }
    return ((tuple(sorted(shared.elements())), number),), tuple(sorted(divided.items()))


def shape(v: Atom) -> tuple[int, ...]:
    """Of an array."""
    found: Any = v.aval
    return found.shape


def dtype(v: Atom) -> Any:
    """Of an array."""
    found: Any = v.aval
    return found.dtype


def _kind(v: Atom) -> Hashable:
    return shape(v), str(dtype(v))
