"""What follows from the terms, the points and the reference of a problem, where it is not said."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import checks, nn
from pinnjax.problems import _points
from pinnjax.problems._recipe import Recipe
from pinnjax.problems._schedules import cosine
from pinnjax.problems._second_order import second_order
from pinnjax.term_weights import lr_annealing
from pinnjax.terms import bridge, evaluation, losses, names

PyTree = Any
STEPS = 20_000
MOST_COMPONENTS = 8  # of a field, that are tried
LINE = 201  # test points in one dimension


def itself(u: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The field as it is, the usual `quantity`."""
    return u


def found_out(given: Mapping[str, Any]) -> dict[str, Any]:
    """Every field that was left open, and the others checked; `given` are the fields of a problem."""
    terms = given["terms"]
    checks.terms(terms)
    draw = _points.drawing(given["draw"])
    points = _points.numbers(draw, terms, given["points"])
    against = next(iter(terms)) if given["balance_against"] is None else given["balance_against"]
    checks.known_names("Problem: balance_against", terms, [against])
    module = with_coefficients(given["coefficients"]) if given["module"] is None else given["module"]
    found = {"draw": draw, "points": points, "balance_against": against, "module": module}
    network, grid, reference = dict(given["network"] or {}), given["grid"], given["reference"]
    if grid is None or not {"in_features", "out_features"} <= set(network):
        batch = _points.sample(draw, terms, points)
        if grid is None:
            if reference is not None and not callable(reference):
                raise ValueError(
                    f"Problem: reference is {checks.described(reference)}, and grid is missing; expected the points "
                    "(n, d) that it is at, or a function u(x)"
                )
            grid = _grid(batch, against)
        network = _inputs(network, batch, against)
    grid = np.asarray(grid)
    if grid.ndim != 2 or grid.size == 0:
        raise ValueError(f"Problem: grid has shape {grid.shape}; expected (n, d), one row a point")
    found |= {"grid": grid, "reference": _reference(reference, grid)}
    if "out_features" not in network:
        of_reference = reference is not None and given["quantity"] is itself
        network["out_features"] = (
            _components(found["reference"]) if of_reference else _tried(terms, network, batch, module)
        )
    recipes = dict(given["recipes"] or _recipes(terms, against, module, fixed=isinstance(draw, _points.Given)))
    default_methods = given["default_methods"] or tuple(recipes)
    if "second_order" not in recipes and given["second_order"] is not None:
        options = {"model": module(nn.ModifiedMLP), **given["second_order"]}
        recipes["second_order"] = second_order(draw, terms, against, **options)
    title = given["title"]
    if title is None:
        m = network["out_features"]
        kind = "a scalar field" if m == "scalar" else f"a field of {m} components"
        title = f"{', '.join(terms)}: {kind} over {grid.shape[1]} coordinate{'s' * (grid.shape[1] > 1)}"
    return found | {
        "title": title,
        "network": network,
        "grid_shape": _shape(grid) if given["grid_shape"] is None else given["grid_shape"],
        "recipes": recipes,
        "default_methods": default_methods,
    }


def _places(batch: Mapping[str, PyTree], against: str) -> Float[np.ndarray, "n d"]:
    """Coordinates of the points of the term that is balanced against, or of the first that has some."""
    for points in (batch[against], *batch.values()):
        found = names.places(points)
        if found is not None:
            return np.asarray(found, float)
    raise ValueError("Problem: no term has points (n, d); expected network={'in_features': d, ...} and grid")


def _grid(batch: Mapping[str, PyTree], against: str) -> Float[np.ndarray, "n d"]:
    """Equidistant points of the interval, or the places themselves: a box around them may be more than the domain."""
    places = _places(batch, against)
    if places.shape[1] > 1:
        return places
    ends = [(x.min(), x.max()) for x in map(names.places, batch.values()) if x is not None and x.shape[1] == 1]
    return np.linspace(min(low for low, _ in ends), max(high for _, high in ends), LINE, dtype=float)[:, None]


def _inputs(network: dict[str, Any], batch: Mapping[str, PyTree], against: str) -> dict[str, Any]:
    """`in_features` of the network, and points that are standardised where nothing is said of inputs."""
    if "in_features" in network:
        return network
    places = _places(batch, against)
    point = jax.ShapeDtypeStruct(places.shape[1:], jnp.result_type(float))
    if "inputs" in network:
        size = int(jax.eval_shape(network["inputs"], point).size)
        return {"in_features": size, **network}
    low, high = places.min(axis=0), places.max(axis=0)
    inputs = {"inputs": nn.Standardize.box(low, high)} if np.all(low < high) else {}
    return {"in_features": places.shape[1], **inputs, **network}


def _reference(reference: Any, grid: Float[np.ndarray, "n d"]) -> np.ndarray | None:
    """The values on the grid."""
    if reference is None:
        return None
    if callable(reference):
        try:
            with jax.enable_x64(True):
                values = np.asarray(jax.vmap(reference)(jnp.asarray(grid)))
        except (TypeError, ValueError, LookupError) as error:
            raise ValueError(
                f"Problem: reference raises {type(error).__name__} at one point ({grid.shape[1]},): {error}; expected "
                "a function u(x), or values on grid"
            ) from error
    else:
        values = np.asarray(reference)
    if values.ndim not in (1, 2) or len(values) != len(grid):
        raise ValueError(
            f"Problem: reference has shape {values.shape} on a grid of shape {grid.shape}; expected (n,) or (n, m)"
        )
    bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if bad.any():
        raise ValueError(
            f"Problem: reference is not finite at {bad.sum()} points of the grid, first at "
            f"{grid[np.argmax(bad)].tolist()}; expected a grid inside the domain"
        )
    return values


def _components(reference: np.ndarray) -> Any:
    return "scalar" if reference.ndim == 1 else reference.shape[1]


def with_coefficients(coefficients: Mapping[str, float]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """From a network class to one whose fields have the unknown coefficients."""
    if not coefficients:
        return lambda network: network

    def module(network: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, param_dtype=None, **options: nn.WithCoefficients(
            network(*args, param_dtype=param_dtype, **options), coefficients, param_dtype
        )

    return module


def _tried(terms: Mapping[str, Any], network: Mapping[str, Any], batch: Mapping[str, PyTree], module: Any) -> Any:
    """For which `out_features` the residuals can be evaluated."""
    few = evaluation.some_of_each(terms, batch, 4)
    errors: dict[Any, Exception] = {}

    def parts(m: Any) -> Any:
        return bridge.split(module(nn.MLP)(**{**network, "width": 4, "depth": 1, "out_features": m}, rngs=nn.Rngs(0)))

    def suits(m: Any) -> bool:
        definition, params, constants = parts(m)
        try:
            jax.eval_shape(evaluation.residuals(terms, definition, constants), params, few)
        except Exception as error:  # whatever a residual raises on a field that it is not for
            errors[m] = error
            return False
        return True

    if suits("scalar"):
        return "scalar"
    suiting = [m for m in range(2, MOST_COMPONENTS + 1) if suits(m)]
    if len(suiting) == 1:
        return suiting[0]
    if not suiting:
        raise ValueError(
            f"Problem: the residuals take no field of 1 to {MOST_COMPONENTS} components; for a scalar field: "
            f"{str(errors['scalar']).splitlines()[0]}; expected network={{'out_features': ...}}, and recipes where the "
            "model is more than a field"
        ) from errors["scalar"]
    used = _used(terms, parts(suiting[-1]), few)  # JAX reads u(x)[5] of three components without a word
    if used == suiting[-1]:
        raise ValueError(
            f"Problem: the residuals take fields of {suiting} components; expected network={{'out_features': m}}"
        )
    return used


def _used(terms: Mapping[str, Any], model: Any, batch: Mapping[str, PyTree]) -> int:
    """One more than the index of the last component that the residuals read."""
    definition, params, constants = model
    evaluate = evaluation.residuals(terms, definition, constants)
    total = lambda p: jnp.stack([losses.loss(r) for r in evaluate(p, batch).values()]).sum()
    gradient = jax.jit(jax.grad(total))(params)
    last = next(
        g for path, g in jax.tree.leaves_with_path(gradient) if "'out'" in str(path) and "'kernel'" in str(path)
    )
    read = np.any(np.asarray(last) != 0, axis=0)
    return int(np.max(np.flatnonzero(read), initial=-1)) + 1


def _shape(grid: Float[np.ndarray, "n d"]) -> tuple[int, ...]:
    """The sides' lengths of a tensor product, `(n,)` of anything else."""
    if grid.shape[1] == 1:
        return (len(grid),)
    sides = [np.unique(column) for column in grid.T]
    lengths = tuple(map(len, sides))
    product = int(np.prod(lengths, dtype=float)) == len(grid)
    return lengths if product and np.array_equal(_points.grid(*sides), grid) else (len(grid),)


def _recipes(terms: Mapping[str, Any], against: str, module: Any, *, fixed: bool) -> dict[str, Recipe]:
    """A plain network with Adam; and the same balanced, where there is something to balance."""
    setup: dict[str, Any] = {
        "model": module(nn.MLP),
        "schedule": cosine(1e-3),
        "steps": STEPS,
        "resampled": False if fixed else None,
    }
    recipes = {"plain": Recipe("MLP, equal weights", **setup)}
    if len(terms) > 1:
        rule = lr_annealing(against)
        recipes["balanced"] = Recipe("MLP, learning-rate annealing", term_weights=rule, **setup)
    return recipes
