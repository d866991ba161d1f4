"""Open up a traced program: functions that it calls, and arrays that it stacks only to take them apart again.

`jax.nn.silu` and `jnp.where` are functions of their own in a trace, and `grad(u)(x)[0]` is an entry of a stack. What is
inside is hidden from who looks for common subexpressions and sums; here it comes to light. The numbers stay the same.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core
from jaxtyping import Array

CALLS = ("jit", "pjit", "closed_call")
JOINS = {"concatenate": "dimension", "stack": "axis"}
ELEMENTWISE: dict[str, Callable[..., Array]] = {
    "add": operator.add,
    "add_any": operator.add,
    "div": jax.lax.div,
    "mul": operator.mul,
    "neg": operator.neg,
    "sub": operator.sub,
}
Bounds = Sequence[int]
Box = Callable[[Bounds, Bounds], Array]  # the entries of an array from these indices up to those


def inlined(program: core.ClosedJaxpr) -> core.ClosedJaxpr:
    """The program without calls, entries of stacks taken from what was stacked.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> f = lambda x: jnp.stack([jax.nn.silu(x), jnp.sin(x)])[0]
        >>> names = [e.primitive.name for e in inlined(jax.make_jaxpr(f)(1.0)).jaxpr.eqns]
        >>> "logistic" in names, "slice" in names
        (True, False)
    """
    return jax.make_jaxpr(lambda *arguments: _run(program, arguments))(*arguments_of(program))


def arguments_of(program: core.ClosedJaxpr) -> list[jax.ShapeDtypeStruct]:
    """What a program is called with."""
    weak = lambda v: getattr(v.aval, "weak_type", False)
    return [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype, weak_type=weak(v)) for v in program.jaxpr.invars]


def evaluated(jaxpr: core.Jaxpr, equation: core.JaxprEqn, operands: Mapping[core.Var, Any]) -> dict[core.Var, Any]:
    """What one equation of a program makes of its operands, under the settings that it was traced with."""
    results = [v for v in equation.outvars if not isinstance(v, core.DropVar)]
    alone = jaxpr.replace(constvars=[], invars=list(operands), outvars=results, eqns=[equation])
    return dict(zip(results, core.jaxpr_as_fun(core.ClosedJaxpr(alone, []))(*operands.values()), strict=True))


def _run(program: core.ClosedJaxpr, arguments: Sequence[Any]) -> list[Any]:
    jaxpr = program.jaxpr
    values: dict[core.Var, Any] = dict(zip(jaxpr.constvars, program.consts, strict=True))
    values |= zip(jaxpr.invars, arguments, strict=True)
    boxes: dict[int, Box] = {}  # by the identity of arrays, which are in `values` as long as this is
    for equation in jaxpr.eqns:
        operands = [v.val if isinstance(v, core.Literal) else values[v] for v in equation.invars]
        found = _evaluated(jaxpr, equation, operands, boxes)
        values |= zip(equation.outvars, found, strict=True)
        if (box := _box_of(equation, operands, boxes)) is not None:
            boxes[id(found[0])] = box
    return [v.val if isinstance(v, core.Literal) else values[v] for v in jaxpr.outvars]


def _evaluated(jaxpr: core.Jaxpr, equation: core.JaxprEqn, operands: list[Any], boxes: dict[int, Box]) -> list[Any]:
    name, parameters = equation.primitive.name, equation.params
    if name in CALLS and _plain(parameters):
        return _run(parameters["jaxpr"], operands)
    if name == "slice" and parameters["strides"] is None:
        return [_cut(operands[0], parameters["start_indices"], parameters["limit_indices"], boxes)]
    given = {v: o for v, o in zip(equation.invars, operands, strict=True) if isinstance(v, core.Var)}
    kept = evaluated(jaxpr, equation, given)
    return [kept.get(v) for v in equation.outvars]


def _box_of(equation: core.JaxprEqn, operands: list[Any], boxes: dict[int, Box]) -> Box | None:
    """How entries of a result are had without all of it."""
    name = equation.primitive.name
    if name in JOINS:
        axis, new = equation.params[JOINS[name]], name == "stack"
        return lambda starts, limits: _from_parts(operands, axis, new, starts, limits, boxes)
    if name == "broadcast_in_dim" and not jnp.shape(operands[0]):
        return lambda starts, limits: jnp.broadcast_to(
            operands[0], [b - a for a, b in zip(starts, limits, strict=True)]
        )
    if name in ELEMENTWISE and any(id(o) in boxes for o in operands):
        cut = lambda o, starts, limits: _cut(o, starts, limits, boxes) if jnp.shape(o) else o
        return lambda starts, limits: ELEMENTWISE[name](*(cut(o, starts, limits) for o in operands))
    return None


def _from_parts(
    parts: Sequence[Any],
    axis: int,
    new: bool,
    starts: Bounds,
    limits: Bounds,
    boxes: dict[int, Box],
) -> Array:
    """Entries of arrays side by side, from the one part that has them all; `new` where their axis is a new one."""
    begin = 0
    for part in parts:
        end = begin + (1 if new else part.shape[axis])
        if begin <= starts[axis] and limits[axis] <= end:
            if new:
                others = lambda bounds: tuple(b for i, b in enumerate(bounds) if i != axis)
                return jnp.expand_dims(_cut(part, others(starts), others(limits), boxes), axis)
            moved = lambda bounds, begin=begin: tuple(b - begin * (i == axis) for i, b in enumerate(bounds))
            return _cut(part, moved(starts), moved(limits), boxes)
        begin = end
    whole = jnp.stack(parts, axis) if new else jnp.concatenate(parts, axis)
    return jax.lax.slice(whole, starts, limits)


def _cut(array: Any, starts: Bounds, limits: Bounds, boxes: dict[int, Box]) -> Array:
    if not any(starts) and tuple(limits) == jnp.shape(array):
        return array
    box = boxes.get(id(array))
    return jax.lax.slice(array, starts, limits) if box is None else box(starts, limits)


def _plain(parameters: dict[str, Any]) -> bool:
    """Whether a call asks for nothing of its own: no placement on devices, no donation."""
    given = [*parameters.get("in_shardings", ()), *parameters.get("out_shardings", ())]
    return all(type(s).__name__ == "UnspecifiedValue" for s in given) and not any(parameters.get("donated_invars", ()))
