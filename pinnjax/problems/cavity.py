"""Lid-driven cavity: steady flow in the unit square below a lid that moves with speed 1, at any Reynolds number.

u u_x + v u_y = -p_x + Δu / Re, u v_x + v v_y = -p_y + Δv / Re, u_x + v_y = 0; (u, v) = (1, 0) on y = 1 and 0 on the
other walls. The unknowns are (u, v, p), or the stream function and the pressure (ψ, p) with u = ψ_y, v = -ψ_x, which
satisfy the continuity equation by themselves. The error is that of the speed √(u² + v²); the published figures
are in the spectral norm of its matrix of values, `relative_spectral` here.

Where the lid meets the walls the velocity jumps. A network that rounds that off at a radius ρ has a mean squared
residual as 1 / (Re ρ)², so the loss prefers round corners, and a weaker flow. `best` has the corners' flow built in.

References:
  Wang, Teng, Perdikaris, `Understanding and mitigating gradient pathologies in physics-informed neural networks
  <https://arxiv.org/abs/2001.04536>`_, SIAM Journal on Scientific Computing 43(5), 2021: Section 3.3; the set-up is
  that of the authors' code (three hidden layers of 50, float32, 40 000 steps of Adam).

  Botella, Peyret, `Benchmark spectral results on the lid-driven cavity flow
  <https://doi.org/10.1016/S0045-7930(98)00002-4>`_, Computers & Fluids 27, 1998 (the reference's method).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn, sampling
from pinnjax.derivatives import component, diff, laplacian
from pinnjax.point_weights import by_position
from pinnjax.problems import _corner_flow
from pinnjax.problems._four_methods import authors_network, four_methods
from pinnjax.problems._problem import Field, Problem, Recipe, grid
from pinnjax.problems._schedules import cosine
from pinnjax.problems.references import cavity as references
from pinnjax.problems.references import load
from pinnjax.term_weights import lr_annealing

LOWER, UPPER = (0.0, 0.0), (1.0, 1.0)


def flow(model: Field) -> tuple[Field, Field, Field]:
    """The fields u, v and p of a model that returns (u, v, p)."""
    return component(model, 0), component(model, 1), component(model, 2)


def stream(model: Field) -> tuple[Field, Field, Field]:
    """The fields u = ψ_y, v = -ψ_x and p of a model that returns (ψ, p)."""
    psi = component(model, 0)
    return diff(psi, 1), lambda x: -diff(psi, 0)(x), component(model, 1)


def momentum(u: Field, v: Field, p: Field, x: Float[Array, " 2"], reynolds: float) -> list[Array]:
    """Residuals u u_x + v u_y + p_x - Δu / Re and u v_x + v v_y + p_y - Δv / Re."""
    return [
        u(x) * diff(u, 0)(x) + v(x) * diff(u, 1)(x) + diff(p, 0)(x) - laplacian(u)(x) / reynolds,
        u(x) * diff(v, 0)(x) + v(x) * diff(v, 1)(x) + diff(p, 1)(x) - laplacian(v)(x) / reynolds,
    ]


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """`points["pde"]` points inside and `points["bc"]` on each of the four walls."""
    inside, walls = jax.random.split(key)
    return {
        "pde": sampling.box(inside, LOWER, UPPER, points["pde"], dtype),
        "bc": sampling.box_faces(walls, LOWER, UPPER, points["bc"], dtype),
    }


def far_from_corners(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Weight (r / 0.2)², at most 1, for residuals as 1/r."""
    return jnp.minimum(_corner_flow.distance(x) / 0.2, 1.0) ** 2


STORED = load("cavity")
MODES = 64  # of the reference at another Reynolds number
SIDE = STORED["x"]
GRID = grid(SIDE, SIDE)
BALANCED = lr_annealing("pde", variant="cavity")


def cavity_with(reynolds: float, form: Callable[[Field], tuple[Field, Field, Field]] = stream) -> Problem:
    """The cavity at another Reynolds number, or in the other form; its reference is computed, which takes seconds.

    Args:
        reynolds: Re, dimensionless, > 0, where the steady flow is stable: up to some 7500.
        form: `stream` for models of (ψ, p), `flow` for models of (u, v, p).

    Raises:
        ValueError: when the Reynolds number is not positive.
    """
    if reynolds <= 0:
        raise ValueError(f"cavity: reynolds is {reynolds}; expected a number > 0")

    def pde(model: Field, x: Float[Array, " 2"]) -> Float[Array, " m"]:
        """Residuals of momentum and, for (u, v, p), of continuity, u_x + v_y."""
        u, v, p = form(model)
        continuity = [diff(u, 0)(x) + diff(v, 1)(x)] if form is flow else []
        return jnp.stack([*momentum(u, v, p, x, reynolds), *continuity])

    def bc(model: Field, x: Float[Array, " 2"]) -> Float[Array, " 2"]:
        """√2 (u - lid, v): the authors add up the four walls, and take the mean over the two components."""
        u, v, _ = form(model)
        return jnp.sqrt(2.0) * jnp.stack([u(x) - (x[1] == 1.0), v(x)])

    def speed(model: Field) -> Field:
        u, v, _ = form(model)
        # At rest the norm has no derivative; nobody differentiates this one.
        return lambda x: jnp.sqrt(u(x) ** 2 + v(x) ** 2)

    expected = _speed(reynolds)

    def spectral(model: Field) -> dict[str, Array]:
        """The authors' measure, in the spectral norm of the matrix of speeds (NumPy's `norm(matrix, 2)`)."""
        found = jax.vmap(speed(model))(jnp.asarray(GRID, jnp.result_type(float))).reshape(expected.shape)
        return {"relative_spectral": jnp.linalg.norm(found - expected, 2) / np.linalg.norm(expected, 2)}

    psi_p = form is stream

    def beside_corners(**network: Any) -> nn.Constrained:
        """The modified network, to which the corners' flow is added."""
        corners = _corner_flow.psi_p if psi_p else _corner_flow.uvp
        return nn.Constrained(authors_network(**network), lambda x: corners(x, reynolds), factor=lambda x: jnp.ones(()))

    return Problem(
        name="cavity" if psi_p else "cavity_uvp",
        title=f"Lid-driven cavity at Re = {reynolds:g}, in {'(ψ, p)' if psi_p else '(u, v, p)'}",
        source="Wang, Teng & Perdikaris 2021",
        terms={"pde": pde, "bc": bc},
        balance_against="pde",
        draw=draw,
        points={"pde": 128, "bc": 128},
        network={
            "in_features": 2,
            "out_features": 2 if psi_p else 3,
            "width": 50,
            "depth": 3,
            "inputs": nn.Standardize.box(LOWER, UPPER),
        },
        grid=GRID,
        reference=expected.ravel(),
        grid_shape=(100, 100),
        recipes={
            **four_methods(BALANCED, authors_network, {"M4": 3.42e-2} if psi_p and reynolds == 100 else {}),
            "best": Recipe(
                "M4 with the corners' flow built in, equations weighed by (r / 0.2)² there, cosine decay from 3e-3",
                beside_corners,
                cosine(3e-3),
                40_000,
                term_weights=BALANCED,
                point_weights=by_position({"pde": far_from_corners}),
                resampled=True,
            ),
        },
        second_order={"model": beside_corners, "point_weights": by_position({"pde": far_from_corners})},
        default_methods=("M1", "best"),
        quantity=speed,
        measure=spectral,
    )


def _speed(reynolds: float) -> Float[np.ndarray, "100 100"]:
    """The reference's speed on the grid, stored for Re = 100."""
    if reynolds == STORED["reynolds"]:
        return np.linalg.norm(STORED["u"], axis=-1)
    _, u, v, _ = references.solve(reynolds, MODES)(GRID[:, 0], GRID[:, 1])
    return np.hypot(u, v).reshape(100, 100)


cavity = cavity_with(100.0)
cavity_uvp = cavity_with(100.0, flow)
