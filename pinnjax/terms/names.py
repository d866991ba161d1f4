"""Which term, which equation, which points: the one place that reads the names of residuals.

A term has the residual of its own name, or, where its function returns a dict, one an equation: "ode" with `{"p": ...,
"q": ...}` has the residuals "ode/p" and "ode/q", at the points of "ode". A term may be called "bc/left": the name of an
equation has no "/", so that of its term ends at the last one.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import jax
import numpy as np

Value = TypeVar("Value")


def equations(term: str, value: Any) -> dict[str, Any]:
    """What a residual function returned, by the names of the residuals.

    Raises:
        ValueError, TypeError: when a dict is empty, or one of its keys is no name.

    Example:
        >>> print(equations("bc", 1.0), equations("ode", {"p": 1.0, "q": 2.0}))
        {'bc': 1.0} {'ode/p': 1.0, 'ode/q': 2.0}
    """
    if not isinstance(value, Mapping):
        return {term: value}
    if not value:
        raise ValueError(f"term {term!r} returns an empty dict; expected an entry an equation")
    for key in value:
        if not isinstance(key, str) or not key or "/" in key:
            raise TypeError(f'term {term!r} has an equation named {key!r}; expected a non-empty string without "/"')
    return {f"{term}/{key}": part for key, part in value.items()}


def distinct(terms: Mapping[str, Iterable[str]]) -> None:
    """No two terms have a residual of one name.

    Args:
        terms: the names of the residuals of each term.

    Raises:
        ValueError: when "a/b" is both a term and an equation of "a".
    """
    owner: dict[str, str] = {}
    for term, residuals in terms.items():
        for name in residuals:
            if name in owner:
                raise ValueError(
                    f"terms {owner[name]!r} and {term!r} both have a residual named {name!r}; expected other names"
                )
            owner[name] = term


def term_of(residual: str, terms: Iterable[str]) -> str:
    """The term, among these, that a residual belongs to; its points are there.

    Raises:
        ValueError: when it is none of them.

    Example:
        >>> print(term_of("bc/left", ["bc/left"]), term_of("ode/p", ["ode"]), term_of("bc/left/p", ["bc/left", "bc"]))
        bc/left ode bc/left
    """
    terms = list(terms)
    owner = _owner(residual, terms)
    if owner is None:
        raise ValueError(f"no term has the residual {residual!r}; the terms are {terms}")
    return owner


def of_residual(residual: str, table: Mapping[str, Value], terms: Iterable[str]) -> Value | None:
    """The entry of the term that a residual belongs to, from a table that some of the terms are in."""
    owner = _owner(residual, list(terms))
    return None if owner is None else table.get(owner)


def places(points: Any) -> Any | None:
    """Coordinates `(n, d)` of the points of a term: themselves, or the first such array of a pytree; None without one.

    Example:
        >>> import jax.numpy as jnp
        >>> print(places((jnp.zeros((5, 2)), jnp.ones(5))).shape, places({"y": jnp.ones(5)}))
        (5, 2) None
    """
    return next((leaf for leaf in jax.tree.leaves(points) if np.ndim(leaf) == 2), None)


def _owner(residual: str, terms: list[str]) -> str | None:
    before = residual.rpartition("/")[0]
    return residual if residual in terms else before if before in terms else None


def meant(what: str, given: Iterable[str], residuals: Iterable[str]) -> dict[str, str]:
    """The residuals that some names stand for, each with the name that stood for it: a term means all its equations.

    Raises:
        ValueError: when a name stands for none, or two names for one.

    Example:
        >>> print(meant("causal: terms", ["ode", "ic"], ["ode/p", "ode/q", "ic", "bc"]))
        {'ode/p': 'ode', 'ode/q': 'ode', 'ic': 'ic'}
    """
    residuals = list(residuals)
    found: dict[str, str] = {}
    for name in given:
        own = [name] if name in residuals else [r for r in residuals if r.rpartition("/")[0] == name]
        if not own:
            raise ValueError(f"{what} names unknown terms {[name]}; expected some of {residuals}")
        for residual in own:
            if found.setdefault(residual, name) != name:
                raise ValueError(f"{what} names {found[residual]!r} and {name!r}; both stand for {residual!r}")
    return found
