"""From what is written on the command line to what is meant, and an error that names the choices where nothing is."""

import ast
import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pinnjax.cli import catalogue
from pinnjax.problems import Problem

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
    except TypeError as error:
        raise ValueError(f"{what} {name!r} does not take the options {sorted(options)}: {error}") from error


def changes(term_weights: str | None, point_weights: str | None, problem: Problem) -> dict[str, Any]:
    """What the two rules, as written on the command line, change in a recipe."""
    changed: dict[str, Any] = {}
    if term_weights:
        changed["term_weights"] = make("term-weights", term_weights, catalogue.TERM_WEIGHTS, problem)
        optimizer = catalogue.TERM_WEIGHTS[_parsed("term-weights", term_weights)[0]].optimizer
        if optimizer is not None:
            changed["optimizer"] = optimizer
    if point_weights:
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


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
