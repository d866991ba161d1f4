"""A problem of your own on the command line: `module:factory`, a function without arguments that returns it."""

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from pinnjax.cli import catalogue, choosing
from pinnjax.doctor import diagnose
from pinnjax.problems import STEPS, Given, Problem, Recipe
from pinnjax.sampling import Sampler
from pinnjax.solver import solve
from pinnjax.term_weights import lr_annealing
from pinnjax.terms import bridge, names
from pinnjax.train.step import train_step

TAKEN = {*inspect.signature(diagnose).parameters, *inspect.signature(train_step).parameters} - {"options", "monitors"}
SOLVED = {*inspect.signature(solve).parameters} - {"progress", "checkpoint"}
UNNAMED = Problem.__dataclass_fields__["name"].default


@dataclasses.dataclass(frozen=True, eq=False)
class OneModel:
    """A recipe's `model` that is always the same, whatever the seed.

    Attributes:
        model: as the factory made it.
    """

    model: Any

    def __call__(self, **network: Any) -> Any:
        """The model itself."""
        del network
        return self.model


def problem(text: str) -> Problem:
    """The problem of a name, or of `module:factory`.

    Raises:
        ValueError: when there is none, with what was expected.
    """
    if ":" not in text:
        return choosing.look_up("problem", text, catalogue.PROBLEMS)
    return as_problem(text, made(text))


def as_problem(text: str, found: Problem | Mapping[str, Any]) -> Problem:
    """What a factory returned as a problem with recipes.

    Raises:
        ValueError: when it returned the arguments of `pinnjax.solve`, which needs no recipe.
    """
    if isinstance(found, Problem):
        return found
    if "points" in found:
        raise ValueError(
            f"{text!r} returned the arguments of pinnjax.solve, which `pinnjax solve` takes; expected a "
            "pinnjax.problems.Problem or the arguments of pinnjax.diagnose"
        )
    return of_arguments(text, found)


def made(target: str) -> Problem | Mapping[str, Any]:
    """What `module:factory` returns: a problem, or the arguments of `pinnjax.diagnose` or of `pinnjax.solve`.

    Raises:
        ValueError: when it cannot be called, or returns something else.
    """
    module, _, factory = target.partition(":")
    sys.path.insert(0, "")  # modules of the current folder, as `python -m` finds them
    try:
        function = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{target!r} cannot be called: {error}; expected module:factory") from error
    finally:
        sys.path.remove("")
    try:
        found = function() if callable(function) else function
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise ValueError(f"{target!r} raises {type(error).__name__}: {error}") from error
    if isinstance(found, Problem):
        return dataclasses.replace(found, name=factory) if found.name == UNNAMED else found
    if not isinstance(found, Mapping):
        raise ValueError(
            f"{target!r} returned a {type(found).__name__}; expected a pinnjax.problems.Problem or the arguments of "
            "pinnjax.diagnose as a dict"
        )
    if {"terms", "points"} <= set(found) <= SOLVED:
        return found
    if not {"terms", "model"} <= set(found) <= TAKEN:
        raise ValueError(
            f"{target!r} returned a dict of {sorted(map(str, found))}; expected the arguments of pinnjax.diagnose: "
            f"terms, model, and some of {', '.join(sorted(TAKEN - {'terms', 'model'}))}; or of pinnjax.solve: terms, "
            f"points, and some of {', '.join(sorted(SOLVED - {'terms', 'points'}))}"
        )
    return found


def of_arguments(target: str, given: Mapping[str, Any]) -> Problem:
    """A problem of the arguments of `pinnjax.diagnose`: the run that they describe is its first recipe.

    Where they have no term weights, a second recipe balances the terms. The model is that of every seed.
    """
    terms, sampler, batch = given["terms"], given.get("sampler"), dict(given.get("batch") or {})
    if sampler is None and not batch:
        raise ValueError(f"{target!r} returned no points; expected batch={{term: points}}, or a sampler")
    draw: Any = Given(batch, given.get("fresh") or {}) if sampler is None else _drawing(sampler, batch)
    optimizer = given.get("optimizer")
    recipe = Recipe(
        "as the factory says",
        model=OneModel(given["model"]),
        schedule=lambda steps: 1e-3,
        steps=given.get("steps", STEPS),
        optimizer=optax.adam if optimizer is None else lambda rate: optimizer,
        term_weights=given.get("term_weights"),
        point_weights=given.get("point_weights"),
        resampled=False,
        sampler=None if sampler is None else lambda numbers, dtype: sampler,
        chunk=given.get("chunk", "auto"),
    )
    recipes = {"given": recipe}
    if recipe.term_weights is None and len(terms) > 1:
        rule = lr_annealing(next(iter(terms)))
        recipes["balanced"] = dataclasses.replace(recipe, summary="with learning-rate annealing", term_weights=rule)
    return Problem(
        terms,
        draw,
        given.get("exact"),
        name=target.partition(":")[2],
        network=_network(given["model"], batch if sampler is None else draw(jax.random.key(0))),
        recipes=recipes,
        second_order=None,  # that recipe trains a network of its own: --optimizer ssbroyden trains the one given
        time=given.get("time"),
    )


def all_seeds_alike(problem: Problem, recipes: Mapping[str, Recipe]) -> bool:
    """Whether seeds change nothing, since neither the network nor the points depend on them."""
    same_network = all(isinstance(recipe.phases[0].model, OneModel) for recipe in recipes.values())
    return same_network and isinstance(problem.draw, Given)


def _drawing(sampler: Sampler, batch: Mapping[str, Any]) -> Any:
    def draw(key: jax.Array) -> dict[str, Any]:
        """The sampler's points for a key, and those that stay."""
        return dict(batch) | dict(sampler.pool(sampler.init(key)))

    return draw


def _network(model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that a network like the model has, for those who ask for another with --model."""
    u = bridge.field(*bridge.split(model))
    places = next((x for x in map(names.places, batch.values()) if x is not None), None)
    if places is None:
        raise ValueError("no term has points (n, d); expected some, since errors and losses are measured there")
    found = jax.eval_shape(u, jax.ShapeDtypeStruct(places.shape[1:], jnp.result_type(float)))
    return {"in_features": places.shape[1], "out_features": found.shape[0] if found.shape else "scalar"}
