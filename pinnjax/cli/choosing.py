"""From what is written on the command line to what is meant, and an error that names the choices where nothing is."""

import argparse
import ast
import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import jax

from pinnjax.cli import catalogue
from pinnjax.problems import Problem, Recipe, dtypes, phases
from pinnjax.train.phases import batch_of, following

T = TypeVar("T")


def look_up(what: str, name: str, table: Mapping[str, T]) -> T:
    """The entry of that name, or an error that names the choices."""
    if name not in table:
        close = difflib.get_close_matches(name, table, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(f"{what} is {name!r}; expected one of {', '.join(table)}{hint}")
    return table[name]


def make(what: str, text: str, table: Mapping[str, catalogue.Entry], problem: Problem) -> Any:
    """The transform for `name` or `name:option=value,option=value`."""
    name, options = _parsed(what, text)
    entry = look_up(what, name, table)
    try:
        return entry.make(problem, **options)
    except (TypeError, ValueError, LookupError) as error:
        given = ", ".join(f"{key}={value}" for key, value in options.items()) or "none"
        raise ValueError(f"{what} {name!r} does not take these options, {given}: {_first_line(error)}") from error


def number(options: argparse.Namespace, *names: str) -> None:
    """Numbers on the command line are at least one, where they are given."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; expected a number >= 1")


def common(options: argparse.Namespace) -> None:
    """The options that several commands have: steps, seed, seconds and dtype; float64 is switched on."""
    number(options, "steps")
    seconds = getattr(options, "seconds", None)
    if seconds is not None and not 0 < seconds < float("inf"):
        raise ValueError(f"seconds is {seconds}; expected a number > 0")
    if not -(2**31) <= getattr(options, "seed", 0) < 2**31:
        raise ValueError(f"seed is {options.seed}; expected an integer of 32 bits")
    dtype = getattr(options, "dtype", None)
    if dtype not in (None, "float32", "float64"):
        raise ValueError(f"dtype is {dtype!r}; expected float32 or float64")
    if dtype == "float64":
        jax.config.update("jax_enable_x64", True)


def double(recipes: Iterable[Recipe], dtype: str | None) -> None:
    """Switch float64 on where a recipe that is about to run has it."""
    if any("float64" in map(str, dtypes(recipe, dtype)) for recipe in recipes):
        jax.config.update("jax_enable_x64", True)


def try_rules(
    problem: Problem, recipe: Recipe, *rules: str | None, dtype: str | None = None, always: bool = False
) -> None:
    """Trace a step of each phase with rules that were given options, or `always`.

    A bad one is found here, and not in the midst of JAX.
    """
    given = [rule for rule in rules if rule and (always or ":" in rule)]
    if not given:
        return
    found, start = phases(problem, recipe, 1, dtype)
    try:
        state, batch = jax.eval_shape(start, jax.random.key(0))
        for before, phase in zip((None, *found), found, strict=False):
            if before is not None:
                move = lambda s, b, before=before, phase=phase: following(before.train, s, phase, b)
                state = jax.eval_shape(move, state, batch)
            update = lambda s, b, phase=phase: phase.train.update(s, batch_of(phase.train, b, phase.dtype))
            jax.eval_shape(update, state, batch)
    except Exception as error:
        raise ValueError(f"{' and '.join(given)} cannot be used here: {_first_line(error)}") from error


def changes(term_weights: str | None, point_weights: str | None, problem: Problem) -> dict[str, Any]:
    """What the two rules, as written on the command line, change in a recipe."""
    changed: dict[str, Any] = {}
    if term_weights is not None:
        changed["term_weights"] = make("term-weights", term_weights, catalogue.TERM_WEIGHTS, problem)
        optimizer = catalogue.TERM_WEIGHTS[_parsed("term-weights", term_weights)[0]].optimizer
        if optimizer is not None:
            changed["optimizer"] = optimizer
    if point_weights is not None:
        changed["point_weights"] = make("point-weights", point_weights, catalogue.POINT_WEIGHTS, problem)
    return changed


def split(text: str) -> list[str]:
    """`a,b:x=1,y=2,c` into `a`, `b:x=1,y=2` and `c`: what has an equals sign and no colon is an option of the last."""
    rules: list[str] = []
    for piece in filter(None, (p.strip() for p in text.split(","))):
        if "=" in piece and ":" not in piece and rules:
            rules[-1] += "," + piece
        else:
            rules.append(piece)
    return rules


def _parsed(what: str, text: str) -> tuple[str, dict[str, Any]]:
    name, _, rest = text.partition(":")
    options = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"{what} {name!r} has the option {pair!r}; expected option=value")
        options[key.strip()] = _value(value)
    return name, options


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
