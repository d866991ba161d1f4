"""An eigenvalue: -u''/2 + x² u / 2 = E u on [-6, 6], u as the ground state at x = 0 and ±6; there E = 1/2.

References:
  Griffiths, Introduction to Quantum Mechanics, 2005: Section 2.3 (the harmonic oscillator).
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import diff
from pinnjax.problems._problem import Problem

END = 6.0


def exact(x: Float[Array, " 1"]) -> Float[Array, ""]:
    """The ground state."""
    return jnp.pi**-0.25 * jnp.exp(-(x[0] ** 2) / 2)


def pde(u: Any, x: Float[Array, " 1"]) -> Float[Array, ""]:
    """Residual -u''/2 + x² u / 2 - E u."""
    return -diff(u, 0, 0)(x) / 2 + (x[0] ** 2 / 2 - u.energy) * u(x)


def known(u: Any, x: Float[Array, " 1"]) -> Float[Array, ""]:
    """Residual u - e^{-x² / 2} / π^{1/4}."""
    return u(x) - exact(x)


def energy(u: Any) -> dict[str, Array]:
    """Relative error of E."""
    return {"energy_error": jnp.abs(u.energy / 0.5 - 1)}


def draw(key: Array) -> dict[str, Array]:
    """Random points, the ends, and the middle."""
    return {
        "pde": sampling.box(key, (-END,), (END,), 500),
        "ends": jnp.array([[-END], [END]]),
        "height": jnp.zeros((1, 1)),
    }


eigenvalue = Problem(
    name="eigenvalue",
    title="Ground state of the harmonic oscillator, with its energy",
    terms={"pde": pde, "ends": known, "height": known},
    draw=draw,
    reference=exact,
    coefficients={"energy": 0.7},
    measure=energy,
)
