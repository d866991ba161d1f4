"""Collapse combinations of derivatives: a sum of linear images is the linear image of the sum.

In u_xx + u_yy each second derivative is carried through every layer by itself, h_xx -> W h_xx and h_yy -> W h_yy,
though only their sum is wanted. So wherever a traced program adds what one linear map made of several operands, the
operands are added first and mapped once, W a + W b = W (a + b) and t ⊙ a + t ⊙ b = t ⊙ (a + b); their sum is a sum
again, and so on down through all layers. What is left is the forward Laplacian (Li et al. 2023), the collapsed Taylor
mode (Dangel et al. 2025), of any network without a rule for one, and of any combination: of u_t + u u_x - ν u_xx a
network carries u, u_x and one sum, in place of u, u_x, u_t and u_xx. Numbers that stand before a derivative, as u
before u_x, go through the maps with it. Results are the same to rounding. A program that would cost more operations
stays as it is.

References:
  Li, Ye, Jiang, Wen, Yu, Li et al., `A computational framework for neural network-based variational Monte Carlo with
  forward Laplacian <https://arxiv.org/abs/2307.08214>`_, 2023.
  Dangel, Siebert, Zeinhofer, Walther, `Collapsing Taylor mode automatic differentiation
  <https://arxiv.org/abs/2505.13644>`_, 2025.
"""

import dataclasses
import functools
import heapq
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core
from jaxtyping import Array

from pinnjax.terms import _linear, inline
from pinnjax.terms._linear import ONE, UNIT, Coefficient, Combination, Graph, Image

MINUS: Coefficient = (((), -1.0),)
LONG = 8  # a coefficient of more terms is not multiplied out

Asked = int | Combination  # a variable of the program, or a combination of them


@dataclasses.dataclass(frozen=True)
class Sum:
    """How a combination is evaluated.

    Attributes:
        images: coefficients, maps, and the combinations that they map.
        rest: coefficients and variables.
        like: a variable of the same shape.
    """

    images: list[tuple[Coefficient, Image, Combination]]
    rest: Combination
    like: core.Var


def collapsed(program: core.ClosedJaxpr) -> core.ClosedJaxpr:
    """The same with fewer operations, adding before it maps; the program itself where that saves none.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> f = lambda w, a, b: w @ a + 2.0 * (w @ b)
        >>> arguments = (jnp.ones((3, 3)), jnp.ones(3), jnp.ones(3))
        >>> program = jax.make_jaxpr(f)(*arguments)
        >>> [str(p).count("dot_general[") for p in (program, collapsed(program))]
        [2, 1]
    """
    if any(equation.effects for equation in program.eqns):
        return program  # whose order counts
    graph = Graph(program.jaxpr)
    plain, first = _Plan(graph, None), _Plan(graph, frozenset())
    # Where all that a sum adds is needed by itself too, to map the sum saves nothing: the first plan shows where.
    best = min(plain, first, _Plan(graph, first.variables), key=lambda plan: plan.cost)
    if best is plain:
        return program
    return jax.make_jaxpr(lambda *arguments: best.run(program.consts, arguments))(*inline.arguments_of(program))


class _Plan:
    """What is evaluated, in which order, and how many operations that costs.

    Attributes:
        variables: those that are evaluated as the program defines them.
        cost: operations, about.
    """

    def __init__(self, graph: Graph, present: frozenset[int] | None) -> None:
        """Sums are collapsed unless `present` is None; these are the variables that will be there anyway."""
        self._graph, self._collapse, self._present = graph, present is not None, present or frozenset()
        self._sums: dict[Asked, Sum] = {}
        self._order: list[Asked] = []
        seen: set[Asked] = set()
        stack: list[tuple[Asked, bool]] = [(i, False) for i in graph.outputs]
        while stack:
            asked, ready = stack.pop()
            if ready:
                self._order.append(asked)
            elif asked not in seen:
                seen.add(asked)
                stack += [(asked, True), *((other, False) for other in self._needed(asked))]
        self.variables = frozenset(a for a in self._order if isinstance(a, int) and a not in self._sums)
        self.cost = self._costs()

    def run(self, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Array]:
        """The outputs of the program."""
        graph = self._graph
        values: dict[Asked, Any] = dict(enumerate([*constants, *arguments]))
        for asked in self._order:
            if asked in self._sums:
                values[asked] = self._summed(self._sums[asked], values)
            elif asked not in values and isinstance(asked, int):
                values.update(self._evaluated(graph.defined[asked], values, {}))
        return [_read(graph, v, values) for v in graph.jaxpr.outvars]

    def _needed(self, asked: Asked) -> list[Asked]:
        """What has to be evaluated before."""
        graph = self._graph
        if isinstance(asked, int):
            if asked not in graph.defined:
                return []
            parts = graph.summands(asked) if self._collapse else None
            found = None if parts is None else self._sum(parts, graph.variables[asked])
            if found is None or not found.images:
                return list(graph.operands(graph.defined[asked]))
        else:
            found = self._sum(asked, graph.variables[max(place for place, _ in asked)])
        self._sums[asked] = found
        needed: list[Asked] = [place for place, _ in found.rest if place != UNIT]
        for _, image, operand in found.images:
            needed += [operand, *(i for i in graph.operands(image.equation) if i != image.operand)]
        coefficients = [c for c, _, _ in found.images] + [c for _, c in found.rest]
        return needed + [i for c in coefficients for factors, _ in c for i in factors]

    def _sum(self, combination: Combination, like: core.Var) -> Sum:
        """Find the maps under which a combination has several images."""
        graph, rest = self._graph, self._spread(combination)
        by_map: dict[Any, dict[int, Image]] = {}
        for place in rest.keys() - self._present:
            for image in graph.images(place):
                by_map.setdefault(image.map, {})[place] = image
        images = []
        while by_map:
            by_map = {m: kept for m, all_ in by_map.items() if len(kept := {p: all_[p] for p in all_ if p in rest}) > 1}
            chosen = max(by_map.values(), key=self._worth, default={})
            if not chosen or not self._worth(chosen)[0]:
                break
            common, parts = _linear.factored([(image.operand, rest.pop(place)) for place, image in chosen.items()])
            images.append((common, next(iter(chosen.values())), parts))
        return Sum(images, tuple(sorted(rest.items())), like)

    def _worth(self, images: Mapping[int, Image]) -> tuple[int, bool]:
        """How many maps it saves to map the sum; matrix products first."""
        contracts = next(iter(images.values())).contracts
        all_there = contracts and set(images) <= self._present
        return 0 if all_there else len(images) - 1, contracts

    def _spread(self, combination: Combination) -> dict[int, Coefficient]:
        """The variables that a combination is one of, none of which is a combination again."""
        found: dict[int, Coefficient] = {}
        total: dict[int, Coefficient] = {}
        for place, coefficient in combination:  # x - x has one twice
            total[place] = _linear.plus(total.get(place, ()), coefficient)
        places = [-place for place in total]
        heapq.heapify(places)
        while places:  # the last first: operands come before what is made of them, so each is met once
            place = -heapq.heappop(places)
            coefficient = total.pop(place)
            whole = place == UNIT or place in self._present or len(coefficient) > LONG
            parts = None if whole else self._graph.summands(place)
            if parts is None:
                found[place] = coefficient
                continue
            for part, number in parts:
                if part not in total:
                    heapq.heappush(places, -part)
                total[part] = _linear.plus(total.get(part, ()), _linear.times(coefficient, number))
        return found

    def _costs(self) -> int:
        total, alone = 0, {}
        for asked in self._order:
            if asked in self._sums:
                found = self._sums[asked]
                scaled = sum(c not in (ONE, MINUS) for c in [c for c, *_ in found.images] + [c for _, c in found.rest])
                count = len(found.images) + len(found.rest) - 1 + scaled
                total += count * math.prod(_linear.shape(found.like))
                total += sum(_linear.cost(image.equation) for _, image, _ in found.images)
            elif isinstance(asked, int) and asked in self._graph.defined:
                alone[id(self._graph.defined[asked])] = self._graph.defined[asked]  # which may define several
        return total + sum(map(_linear.cost, alone.values()))

    def _summed(self, asked: Sum, values: Mapping[Asked, Any]) -> Array:
        shape, dtype = _linear.shape(asked.like), _linear.dtype(asked.like)
        parts: list[tuple[Coefficient, Any]] = []
        for coefficient, image, operand in asked.images:
            (mapped,) = self._evaluated(image.equation, values, {image.operand: values[operand]}).values()
            parts.append((coefficient, mapped))
        parts += [(coefficient, 1.0 if place == UNIT else values[place]) for place, coefficient in asked.rest]
        parts.sort(key=lambda part: part[0] == MINUS)
        total: Any = None
        for coefficient, value in parts:
            if coefficient == MINUS and total is not None:
                total = total - value
                continue
            term = value if coefficient == ONE else self._number(coefficient, values, dtype) * value
            total = term if total is None else total + term
        return jnp.broadcast_to(total, shape).astype(dtype)

    def _evaluated(
        self, equation: core.JaxprEqn, values: Mapping[Asked, Any], instead: Mapping[int, Any]
    ) -> dict[Asked, Any]:
        """What an equation makes of its operands, or of others in their place."""
        place = self._graph.place
        of = lambda i: instead[i] if i in instead else values[i]
        operands = {v: of(place[v]) for v in equation.invars if isinstance(v, core.Var)}
        return {place[v]: value for v, value in inline.evaluated(self._graph.jaxpr, equation, operands).items()}

    def _number(self, coefficient: Coefficient, values: Mapping[Asked, Any], dtype: Any) -> Array:
        """Σ number × product of variables."""
        terms = []
        for places, number in coefficient:
            factors = [values[place] for place in places]
            first = [] if number == 1.0 and factors else [jnp.asarray(number, dtype)]
            terms.append(functools.reduce(operator.mul, first + factors))
        return functools.reduce(operator.add, terms)


def _read(graph: Graph, v: Any, values: Mapping[Asked, Any]) -> Any:
    return v.val if isinstance(v, core.Literal) else values[graph.place[v]]
