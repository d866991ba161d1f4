"""A breather of the nonlinear Schrödinger equation: i h_t + ½ h_xx + |h|² h = 0, h(0, x) = 2 sech x, t in [0, π/2].

The field has two components, Re h and Im h. The problem is usually posed periodic on [-5, 5], where 2 sech x has a kink
at the ends. Here it is the one on the whole line, whose solution is known, a bound state of two solitons that comes
back to |h(0, x)| at t = π/2; its values at x = ±5 are the boundary condition. The published figures belong to the
periodic problem.

References:
  Satsuma, Yajima, `Initial value problems of one-dimensional self-modulation of nonlinear waves in dispersive media
  <https://doi.org/10.1143/PTPS.55.284>`_, Progress of Theoretical Physics Supplement 55, 1974 (the solution).

  Raissi, Perdikaris, Karniadakis, `Physics-informed neural networks <https://doi.org/10.1016/j.jcp.2018.10.045>`_,
  Journal of Computational Physics 378, 2019: Section 3.1.1 (the periodic problem).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn, sampling
from pinnjax.derivatives import diff
from pinnjax.point_weights import residual_attention
from pinnjax.problems._exact_start import exact_start, starting_right
from pinnjax.problems._problem import Problem, Recipe, grid
from pinnjax.problems._schedules import cosine
from pinnjax.term_weights import fixed

LOWER, UPPER = (0.0, -5.0), (np.pi / 2, 5.0)  # of (t, x)


def exact(t: Any, x: Any, xp: Any = jnp) -> Any:
    """The solution, (Re h, Im h) along the last axis."""
    below = xp.cosh(4 * x) + 4 * xp.cosh(2 * x) + 3 * xp.cos(4 * t)
    # h = 4 (e^{it/2} cosh 3x + 3 e^{9it/2} cosh x) / below
    real = xp.cos(t / 2) * xp.cosh(3 * x) + 3 * xp.cos(9 * t / 2) * xp.cosh(x)
    imaginary = xp.sin(t / 2) * xp.cosh(3 * x) + 3 * xp.sin(9 * t / 2) * xp.cosh(x)
    return xp.stack([4 * real / below, 4 * imaginary / below], axis=-1)


def pde(u: Callable, x: Float[Array, " 2"]) -> Float[Array, " 2"]:
    """Real and imaginary part of i h_t + ½ h_xx + |h|² h, whose loss is the sum of their squares."""
    h, (real_t, imaginary_t) = u(x), diff(u, 0)(x)
    return jnp.stack([-imaginary_t, real_t]) + 0.5 * diff(u, 1, 1)(x) + jnp.sum(h**2) * h


def initial(x: Float[Array, " 2"]) -> Float[Array, " 2"]:
    """The solution at t = 0."""
    return jnp.stack([2 / jnp.cosh(x[1]), jnp.zeros_like(x[1])])


def ic(u: Callable, x: Float[Array, " 2"]) -> Float[Array, " 2"]:
    """Residual h - 2 sech x at t = 0."""
    return u(x) - initial(x)


def bc(u: Callable, x: Float[Array, " 2"]) -> Float[Array, " 2"]:
    """Residual h - h* at x = ±5."""
    return u(x) - exact(x[0], x[1])


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """Random points inside, equidistant ones at t = 0 and at both ends."""
    dtype = jnp.result_type(float) if dtype is None else dtype
    x = jnp.linspace(-5, 5, points["ic"], dtype=dtype)
    t = jnp.linspace(0, np.pi / 2, points["bc"], dtype=dtype)
    ends = jnp.tile(jnp.array([-5.0, 5.0], dtype), (points["bc"], 1)).T.ravel()
    return {
        "pde": sampling.box(key, LOWER, UPPER, points["pde"], dtype),
        "ic": jnp.stack([jnp.zeros_like(x), x], axis=1),
        "bc": jnp.stack([jnp.tile(t, 2), ends], axis=1),
    }


def size(u: Callable[[Array], Array]) -> dict[str, Array]:
    """Relative L2 error of |h|, which does not see the phase."""
    dtype = jnp.result_type(float)
    found = jnp.linalg.norm(jax.vmap(u)(jnp.asarray(GRID, dtype)), axis=1)
    expected = jnp.linalg.norm(jnp.asarray(SOLUTION, dtype), axis=1)
    return {"relative_l2_size": jnp.linalg.norm(found - expected) / jnp.linalg.norm(expected)}


T, X = np.linspace(0, np.pi / 2, 101), np.linspace(-5, 5, 201)
GRID = grid(T, X)
SOLUTION = exact(GRID[:, 0], GRID[:, 1], np)
SETUP: dict[str, Any] = {"schedule": cosine(2e-3), "steps": 20_000}

schroedinger = Problem(
    name="schroedinger",
    title="Nonlinear Schrödinger equation, i h_t + ½ h_xx + |h|² h = 0, h(0, x) = 2 sech x",
    source="Raissi, Perdikaris & Karniadakis 2019 (set-up, periodic there)",
    terms={"pde": pde, "ic": ic, "bc": bc},
    balance_against="pde",
    draw=draw,
    points={"pde": 1024, "ic": 200, "bc": 50},
    network={
        "in_features": 2,
        "out_features": 2,
        "width": 48,
        "depth": 3,
        "inputs": nn.Standardize.box(LOWER, UPPER),
    },
    grid=GRID,
    time=0,
    reference=SOLUTION,
    grid_shape=(101, 201),
    recipes={
        "plain": Recipe("MLP, every weight 1", nn.MLP, **SETUP),
        "attention": Recipe(
            "modified MLP, residual-based attention, λ_ic = λ_bc = 10",
            nn.ModifiedMLP,
            point_weights=residual_attention(),
            term_weights=fixed({"ic": 10.0, "bc": 10.0}),
            **SETUP,
        ),
        "early": exact_start(initial, end=np.pi / 2, rate=6.0, steps=20_000, term_weights=fixed({"bc": 10.0})),
    },
    second_order={"model": starting_right(initial, end=np.pi / 2)},
    default_methods=("plain", "early"),
    measure=size,
)
