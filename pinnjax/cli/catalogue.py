"""What the command line knows by name; the library itself has no registry."""

import ast
import difflib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import jax.numpy as jnp
import optax

from pinnjax import nn, point_weights, problems, term_weights
from pinnjax.problems import Problem

T = TypeVar("T")


class Entry(NamedTuple):
    """A rule by name.

    Attributes:
        make: function of the problem and the options after the colon, returning the transform.
        summary: what it does, in one line.
        source: paper.
        cost: extra work in a step.
    """

    make: Callable[..., Any]
    summary: str
    source: str
    cost: str


def _self_adaptive(problem: Problem, learning_rate: float = 5e-3, **options: Any) -> Any:
    del problem  # the authors' form: Adam uphill and a mask inside the square, (γ r)²
    return point_weights.self_adaptive(optax.adam(learning_rate), mask=jnp.square, initial=1.0, **options)


PROBLEMS: dict[str, Problem] = {problem.name: problem for problem in [problems.helmholtz]}

MODELS: dict[str, Callable[..., Any]] = {"mlp": nn.MLP, "modified_mlp": nn.ModifiedMLP}

TERM_WEIGHTS: dict[str, Entry] = {
    "none": Entry(lambda problem: None, "every term with weight 1", "", "none"),
    "fixed": Entry(lambda problem, **weights: term_weights.fixed(weights), "given weights: fixed:bc=100", "", "none"),
    "lr_annealing": Entry(
        lambda problem, **options: term_weights.lr_annealing(problem.balance_against, **options),
        "max |∇L_ref| / mean |∇L_t|, a moving average",
        "Wang, Teng, Perdikaris 2021",
        "two reductions over the parameters a term",
    ),
    "grad_norm_ratio": Entry(
        lambda problem, **options: term_weights.grad_norm_ratio(**options),
        "mean ‖∇L‖ / ‖∇L_t‖, a moving average",
        "Wang, Sankaran, Wang, Perdikaris 2023",
        "a norm a term",
    ),
    "gradnorm": Entry(
        lambda problem, **options: term_weights.gradnorm(**options),
        "weights trained so that slower terms get larger gradients",
        "Chen et al. 2018",
        "a norm a term",
    ),
    "inverse_dirichlet": Entry(
        lambda problem, **options: term_weights.inverse_dirichlet(**options),
        "max std(∇L) / std(∇L_t), a moving average",
        "Maddu et al. 2022",
        "a deviation a term",
    ),
    "relobralo": Entry(
        lambda problem, **options: term_weights.relobralo(**options),
        "softmax of relative losses, with random lookback",
        "Bischof, Kraus 2021",
        "a few scalars",
    ),
    "softadapt": Entry(
        lambda problem, **options: term_weights.softadapt(**options),
        "softmax of the losses' rates of change",
        "Heydari, Thompson, Mehmood 2019",
        "a few scalars",
    ),
    "pcgrad": Entry(
        lambda problem, **options: term_weights.pcgrad(**options),
        "surgery: gradients projected off those they conflict with",
        "Yu et al. 2020",
        "a Gram matrix",
    ),
    "mgda": Entry(
        lambda problem: term_weights.mgda(),
        "surgery: the shortest vector in the convex hull",
        "Désidéri 2012",
        "a Gram matrix",
    ),
    "imtl_g": Entry(
        lambda problem: term_weights.imtl_g(),
        "surgery: equal projections on every gradient",
        "Liu et al. 2021",
        "a Gram matrix",
    ),
    "aligned_mtl": Entry(
        lambda problem: term_weights.aligned_mtl(),
        "surgery: principal components of one length",
        "Senushkin et al. 2023",
        "a Gram matrix",
    ),
    "upgrad": Entry(
        lambda problem: term_weights.upgrad(),
        "surgery: mean of projections onto the dual cone",
        "Quinton, Rey 2024",
        "a Gram matrix",
    ),
    "config": Entry(
        lambda problem: term_weights.config(),
        "surgery: equal positive cosines to every gradient",
        "Liu, Chu, Thuerey 2025",
        "a Gram matrix",
    ),
}

POINT_WEIGHTS: dict[str, Entry] = {
    "none": Entry(lambda problem: None, "every point with weight 1", "", "none"),
    "self_adaptive": Entry(
        _self_adaptive,
        "weights that ascend the loss (SA-PINN)",
        "McClenny, Braga-Neto 2023",
        "a few operations a point",
    ),
}


def look_up(what: str, name: str, table: Mapping[str, T]) -> T:
    """The entry of that name, or an error that names the choices."""
    if name not in table:
        close = difflib.get_close_matches(name, table, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(f"{what} is {name!r}; expected one of {', '.join(table)}{hint}")
    return table[name]


def make(what: str, text: str, table: Mapping[str, Entry], problem: Problem) -> Any:
    """The transform for `name` or `name:option=value,option=value`."""
    name, _, rest = text.partition(":")
    entry = look_up(what, name, table)
    options = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"{what} {name!r} has the option {pair!r}; expected option=value")
        options[key.strip()] = _value(value)
    try:
        return entry.make(problem, **options)
    except TypeError as error:
        raise ValueError(f"{what} {name!r} does not take the options {sorted(options)}: {error}") from error


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
