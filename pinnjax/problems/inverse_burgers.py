"""An inverse problem: the viscosity of Burgers' equation from noisy data, u_t + u u_x = ν u_xx with ν = 0.01/π unknown.

The data are 2000 points of the exact solution, t in (0, 1] and x in [-1, 1], with noise of 1 % of the solution's
standard deviation; there is no initial and no boundary condition. ν shows only where the front is: elsewhere u_xx is
nearly nothing.

References:
  Raissi, Perdikaris, Karniadakis, `Physics-informed neural networks <https://doi.org/10.1016/j.jcp.2018.10.045>`_,
  Journal of Computational Physics 378, 2019: Section 4.1.1 (the set-up).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn
from pinnjax.derivatives import diff
from pinnjax.problems._defaults import with_coefficients
from pinnjax.problems._problem import Problem, Recipe
from pinnjax.problems._schedules import cosine
from pinnjax.problems.burgers import LOWER, UPPER, VISCOSITY, burgers, inside
from pinnjax.term_weights import fixed, lr_annealing

COEFFICIENTS = {"nu": 0.03}  # the first guess, ten times the true ν
NOISE = 0.01  # standard deviation of the noise over that of the solution
DATA = 2000


def pde(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_t + u u_x - ν u_xx with the unknown ν."""
    return diff(u, 0)(x) + u(x) * diff(u, 1)(x) - u.nu * diff(u, 1, 1)(x)


def data(u: Callable, xy: tuple[Float[Array, " 2"], Float[Array, ""]]) -> Float[Array, ""]:
    """Residual u(x) - y of a measurement y at x."""
    x, y = xy
    return u(x) - y


def measurements(seed: int = 0) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
    """2000 points drawn from the test grid, without t = 0, and the noisy solution there."""
    random = np.random.default_rng(seed)
    later = np.flatnonzero(burgers.grid[:, 0] > 0)
    chosen = random.choice(later, DATA, replace=False)
    noise = NOISE * np.std(burgers.reference) * random.standard_normal(DATA)
    return burgers.grid[chosen], burgers.reference[chosen] + noise


PLACES, VALUES = measurements()


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Any]:
    """Random points inside for the equation, the same measurements always."""
    dtype = jnp.result_type(float) if dtype is None else dtype
    n = points["data"]
    return {
        "pde": inside(key, points["pde"], dtype),
        "data": (jnp.asarray(PLACES[:n], dtype), jnp.asarray(VALUES[:n], dtype)),
    }


def viscosity(u: Any) -> dict[str, Array]:
    """ν and its relative error."""
    return {"nu": u.nu, "nu_error": jnp.abs(u.nu / VISCOSITY - 1)}


SETUP: dict[str, Any] = {"model": with_coefficients(COEFFICIENTS)(nn.MLP), "schedule": cosine(5e-3), "steps": 20_000}

inverse_burgers = Problem(
    name="inverse_burgers",
    title="Inverse problem: the viscosity of Burgers' equation from 2000 noisy points",
    source="Raissi, Perdikaris & Karniadakis 2019 (set-up)",
    terms={"pde": pde, "data": data},
    balance_against="pde",
    draw=draw,
    points={"pde": 1000, "data": DATA},
    network={
        "in_features": 2,
        "out_features": "scalar",
        "width": 32,
        "depth": 4,
        "inputs": nn.Standardize.box(LOWER, UPPER),
    },
    grid=burgers.grid,
    time=0,
    reference=burgers.reference,
    grid_shape=burgers.grid_shape,
    recipes={
        "plain": Recipe("MLP, every weight 1", **SETUP),
        "weighted": Recipe("MLP, λ_data = 1000", term_weights=fixed({"data": 1000.0}), **SETUP),
        "balanced": Recipe("MLP, learning-rate annealing", term_weights=lr_annealing("pde"), **SETUP),
    },
    default_methods=("plain", "weighted"),
    measure=viscosity,
    coefficients=COEFFICIENTS,
)
