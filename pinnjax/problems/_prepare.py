"""From a problem and a recipe to what `pinnjax.fit` takes: train steps, models and points."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from pinnjax import checks, nn, sampling
from pinnjax.problems._problem import Problem, Recipe
from pinnjax.train.phases import Phase, batch_of
from pinnjax.train.state import TrainState, TrainStep
from pinnjax.train.step import train_step

PyTree = Any
Start = Callable[[Array], tuple[TrainState, dict[str, PyTree] | None]]


def phases(
    problem: Problem, recipe: Recipe, steps: int | None = None, dtype: Any = None
) -> tuple[tuple[Phase, ...], Start]:
    """The phases of a run, one for a recipe with nothing before it, and how it starts.

    Args:
        problem: e.g. `pinnjax.problems.helmholtz`.
        recipe: whose `phases` these are.
        steps: number of steps of the last phase; the recipe's when None. Those before have their own.
        dtype: of all phases; None for what the recipe says, which is float32 where it says nothing.

    Returns:
        `(phases, start)` with `start(key) -> (state, batch)`, which `jax.vmap` takes over seeds. The batch has the
        terms that in some phase no sampler draws, whose points are drawn once; it is None where there are none.

    Raises:
        ValueError: when float64 is asked for but `jax_enable_x64` is not set, or points should stay in two phases that
            have different numbers of them.

    Example:
        >>> from pinnjax.problems import harmonic
        >>> (phase,), start = phases(harmonic, harmonic.recipes["plain"], steps=10)
        >>> state, batch = start(jax.random.key(0))
        >>> print(phase.steps, batch)  # points that are drawn in every step
        10 None
    """
    kinds = dtypes(recipe, dtype)
    if jnp.dtype("float64") in kinds and not jax.config.read("jax_enable_x64"):
        raise ValueError('dtype is float64; expected float32, or jax.config.update("jax_enable_x64", True) beforehand')
    found: list[Phase] = []
    kept: dict[str, tuple[Recipe, Any]] = {}  # by term: the first phase in which its points stay, and their shapes
    for one, kind in zip(recipe.phases, kinds, strict=True):
        length = one.steps if steps is None or one is not recipe else steps
        options = step_options(problem, one, length, kind)
        phase_dtype = kind if recipe.before else None
        checks.known_names("Recipe: built_in", problem.terms, one.built_in)
        terms = _left(problem.terms, one)
        train, model = train_step(terms, **options), _grown(problem, one, kind)
        found.append(Phase(train, length, dtype=phase_dtype, model=model, keeps=one.keeps, summary=one.summary))
        for term, shape in _shapes_that_stay(problem, one, options["sampler"]).items():
            if kept.setdefault(term, (one, shape))[1] != shape:
                raise ValueError(
                    f"points of {term!r} stay in the phases {kept[term][0].summary!r} and {one.summary!r}, which have "
                    "different numbers of them; expected one number, or a sampler in the later phase"
                )

    def start(key: Array) -> tuple[TrainState, dict[str, PyTree] | None]:
        key, model = _model(problem, recipe, key, kinds[0])
        batch = None
        if kept:
            wide = max(kinds, key=lambda kind: kind.itemsize)  # places in single precision are not on the boundary
            draws = {id(one): _points(problem, one, key, wide) for one, _ in kept.values()}
            batch = {term: draws[id(one)][term] for term, (one, _) in kept.items()}
        first = found[0]
        return first.train.init(model, batch_of(first.train, batch, first.dtype), key=key), batch

    return tuple(found), start


def prepare(problem: Problem, recipe: Recipe, steps: int, dtype: Any = None) -> tuple[TrainStep, Start]:
    """The train step and the start of a run of one phase; see `phases`."""
    found, start = phases(problem, recipe, steps, dtype)
    if len(found) > 1:
        raise ValueError(f"{recipe.summary!r} has {len(found)} phases; expected one, or pinnjax.problems.phases")
    return found[0].train, start


def dtypes(recipe: Recipe, dtype: Any = None) -> list[Any]:
    """The dtype of each phase: the one that is asked for, or its own, or that of the phase before, or float32."""
    found = [jnp.dtype(jnp.float32)]
    for one in recipe.phases:
        own = found[-1] if one.dtype is None else one.dtype
        found.append(jnp.dtype(own if dtype is None else dtype))
    return found[1:]


def step_options(problem: Problem, recipe: Recipe, steps: int, dtype: Any = jnp.float32) -> dict[str, Any]:
    """What a recipe, without those before it, gives `pinnjax.train_step` beside the terms."""
    sampler = None
    if recipe.sampler is not None:
        sampler = recipe.sampler(numbers_of_points(problem, recipe), dtype)
    elif draws_anew(recipe):
        sampler = sampling.resample(lambda key: _points(problem, recipe, key, dtype))
    return {
        "optimizer": recipe.optimizer(recipe.schedule(steps)),
        "term_weights": recipe.term_weights,
        "point_weights": recipe.point_weights,
        "sampler": sampler,
        "chunk": recipe.chunk,
    }


def draws_anew(recipe: Recipe) -> bool:
    """Whether all points are drawn anew in every step, where the recipe has no sampler."""
    return recipe.point_weights is None if recipe.resampled is None else recipe.resampled


def points_that_stay(drawn: dict[str, PyTree], sampler: sampling.Sampler | None) -> dict[str, PyTree] | None:
    """Of points drawn once, those of the terms that a sampler leaves out; None where it draws all."""
    if sampler is None:
        return drawn
    moving = jax.eval_shape(lambda key: sampler.pool(sampler.init(key)), jax.random.key(0))
    return {term: points for term, points in drawn.items() if term not in moving} or None


def begin(
    problem: Problem, recipe: Recipe, key: Array, dtype: Any = jnp.float32
) -> tuple[Any, dict[str, PyTree], Array]:
    """The model of a run, points of its first phase drawn once, and the key that is left for a sampler."""
    key, model = _model(problem, recipe, key, dtype)
    return model, problem.draw(key, numbers_of_points(problem, recipe.phases[0]), dtype), key


def numbers_of_points(problem: Problem, recipe: Recipe) -> dict[str, int]:
    """The recipe's numbers of points where it has its own, else the problem's."""
    return dict(problem.points) | dict(recipe.points or {})


def _model(problem: Problem, recipe: Recipe, key: Array, dtype: Any) -> tuple[Array, Any]:
    """What is left of the key, and the model of the first phase."""
    key, model_key = jax.random.split(key)
    network: Any = recipe.phases[0].model
    return key, network(**problem.network, param_dtype=dtype, rngs=nn.Rngs(model_key))


def _grown(problem: Problem, recipe: Recipe, dtype: Any) -> Callable[[Any, Array], Any] | None:
    """What makes the network of a phase of that of the phase before."""
    make = recipe.grown
    if make is None:
        return None
    return lambda trained, key: nn.grown(trained, make(**problem.network, param_dtype=dtype, rngs=nn.Rngs(key)))


def _left(of_terms: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Of things by term, those of the terms that are not built in."""
    return {term: thing for term, thing in of_terms.items() if term not in recipe.built_in}


def _points(problem: Problem, recipe: Recipe, key: Array, dtype: Any) -> dict[str, PyTree]:
    return _left(problem.draw(key, numbers_of_points(problem, recipe), dtype), recipe)


def _shapes_that_stay(problem: Problem, recipe: Recipe, sampler: sampling.Sampler | None) -> Mapping[str, Any]:
    drawn = jax.eval_shape(lambda key: _points(problem, recipe, key, jnp.float32), jax.random.key(0))
    shapes = {term: jax.tree.map(lambda leaf: leaf.shape, points) for term, points in drawn.items()}
    return points_that_stay(shapes, sampler) or {}
