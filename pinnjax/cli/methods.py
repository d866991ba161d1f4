"""Every method by its space, with the first line of its docstring: for `pinnjax list` and the table in the README."""

import inspect
from types import ModuleType
from typing import Any

import optax

from pinnjax import monitors, nn, optimizers, point_weights, sampling, term_weights
from pinnjax.train.monitor import Monitor

SPACES: dict[str, tuple[ModuleType, Any]] = {
    "term weights": (term_weights, optax.GradientTransformation),
    "point weights": (point_weights, optax.GradientTransformation),
    "optimizers": (optimizers, optax.GradientTransformation),
    "samplers": (sampling, sampling.Sampler),
    "networks": (nn, nn.Module),
    "monitors": (monitors, Monitor),
}


def summaries(space: str) -> dict[str, str]:
    """`{name: first line of its docstring}` of every function of a space that makes such a thing, and of its networks.

    Args:
        space: a key of `SPACES`.

    Example:
        >>> summaries("samplers")["resample"]
        'Draw new points in every step, or in every so many, inside the program.'
    """
    module, kind = SPACES[space]
    found = {}
    for name in sorted(vars(module), key=str.lower):
        method = getattr(module, name)
        made = method if inspect.isclass(method) else getattr(method, "__annotations__", {}).get("return")
        own = getattr(method, "__module__", "").startswith(module.__name__)
        if own and not name.startswith("_") and inspect.isclass(made) and issubclass(made, kind) and method is not kind:
            found[name] = (inspect.getdoc(method) or "").split("\n")[0]
    return found
