"""The members of a chain of transforms, and the space that each belongs to.

A chain is looked into as far as optax's closures show its members.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping

import optax

WRAPPERS = ("_wrappers", "scheduled", "per_term", "per_point_memory")  # modules of rules around rules


def members(transform: optax.GradientTransformation) -> Iterator[tuple[str, Callable]]:
    """Names and update functions of the transforms that a chain, or a wrapper, is made of.

    Example:
        >>> import optax, pinnjax as pj
        >>> chain = optax.chain(optax.clip(1.0), pj.term_weights.bounded(pj.term_weights.ntk()))
        >>> print([name for name, _ in members(chain)])
        ['clip', 'ntk']
    """
    yield from _members(transform.update)


def _members(update: Callable) -> Iterator[tuple[str, Callable]]:
    own, module = getattr(update, "__module__", None) or "", _module(update)
    if not own.startswith("pinnjax.") or module in WRAPPERS:
        inside = list(_inside(update))
        if inside:
            for inner in inside:
                yield from _members(inner)
            return
    name = module if own.startswith("pinnjax.") else getattr(update, "__qualname__", repr(update)).split(".")[0]
    yield name, update


def _inside(update: Callable) -> Iterator[Callable]:
    """The update functions that one holds in its closure; for `inject_hyperparams`, the factory."""
    if not inspect.isfunction(update):
        return
    for name, value in inspect.getclosurevars(inspect.unwrap(update)).nonlocals.items():
        if isinstance(value, optax.GradientTransformation):
            yield value.update
        elif name == "update_fns":
            yield from value
        elif name == "inner_factory":
            yield value
        elif isinstance(value, tuple | list):
            yield from (v.update for v in value if isinstance(v, optax.GradientTransformation))
        elif isinstance(value, Mapping):
            yield from (v.update for v in value.values() if isinstance(v, optax.GradientTransformation))


def space(update: Callable) -> str | None:
    """The space that a rule of pinnjax belongs to, by its module; None for what others wrote."""
    own = getattr(update, "__module__", None) or ""
    if own == "pinnjax.train.balanced":
        return "balanced"
    parts = own.split(".")
    if parts[0] != "pinnjax":
        return None
    return {"term_weights": "term_weights", "point_weights": "point_weights", "optimizers": "optimizer"}.get(parts[1])


def _module(update: Callable) -> str:
    return (getattr(update, "__module__", None) or "").rpartition(".")[2]
