"""Poisson's equation in one dimension, u'' = -(aπ)² sin(aπx) on [0, 1], with u = sin(aπx).

The residual's gradient grows with the frequency aπ and the boundary's does not: there the imbalance comes from.

References:
  Wang, Teng, Perdikaris, `Understanding and mitigating gradient pathologies in physics-informed neural networks
  <https://arxiv.org/abs/2001.04536>`_, SIAM Journal on Scientific Computing 43(5), 2021: Section 2.4.

  Wang, Yu, Perdikaris, `When and why PINNs fail to train: a neural tangent kernel perspective
  <https://arxiv.org/abs/2007.14527>`_, Journal of Computational Physics 449, 2022: Section 7.1 (a = 4, 100 points).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import nn
from pinnjax.derivatives import diff
from pinnjax.problems._problem import Problem, Recipe
from pinnjax.problems._schedules import cosine
from pinnjax.term_weights import lr_annealing, ntk


def bc(u: Callable, x: Float[Array, " 1"]) -> Float[Array, ""]:
    """Residual u at both ends; sin(aπ) = 0 for a whole number a."""
    return u(x)


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """`points["pde"]` equidistant points, and the two ends; nothing is random."""
    del key
    dtype = jnp.result_type(float) if dtype is None else dtype
    return {
        "pde": jnp.linspace(0, 1, points["pde"], dtype=dtype)[:, None],
        "bc": jnp.array([[0.0], [1.0]], dtype),
    }


GRID = np.linspace(0.0, 1.0, 1001)[:, None]
SETUP: dict[str, Any] = {"schedule": cosine(1e-3), "steps": 20_000}


def poisson_with(a: int) -> Problem:
    """The problem with u = sin(aπx).

    Args:
        a: half the number of waves in the interval, a whole number >= 1.

    Raises:
        ValueError: when a is not such a number.

    Example:
        >>> poisson_with(16).title
        "Poisson equation, u'' = -(16π)² sin(16πx) on [0, 1]"
    """
    if a != int(a) or a < 1:
        raise ValueError(f"poisson: a is {a}; expected a whole number >= 1, since u is 0 at both ends")
    frequency = a * np.pi

    def pde(u: Callable, x: Float[Array, " 1"]) -> Float[Array, ""]:
        """Residual u'' + (aπ)² sin(aπx)."""
        return diff(u, 0, 0)(x) + frequency**2 * jnp.sin(frequency * x[0])

    return Problem(
        name="poisson",
        title=f"Poisson equation, u'' = -({a}π)² sin({a}πx) on [0, 1]",
        source="Wang, Yu & Perdikaris 2022 (set-up)",
        terms={"pde": pde, "bc": bc},
        balance_against="pde",
        draw=draw,
        points={"pde": 100},
        network={
            "in_features": 1,
            "out_features": "scalar",
            "width": 50,
            "depth": 3,
            "inputs": nn.Standardize.box([0.0], [1.0]),
        },
        grid=GRID,
        reference=np.sin(frequency * GRID[:, 0]),
        grid_shape=(1001,),
        recipes={
            "plain": Recipe("equal weights", nn.MLP, **SETUP),
            "annealed": Recipe("learning-rate annealing", nn.MLP, term_weights=lr_annealing("pde"), **SETUP),
            "ntk": Recipe("NTK weights", nn.MLP, term_weights=ntk(), **SETUP),
        },
        default_methods=("plain", "annealed"),
    )


poisson = poisson_with(4)
