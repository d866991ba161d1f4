"""An inverse problem: damping and stiffness, x'' + c x' + k x = 0 with c = 0.4, k = 9, from 60 noisy positions.

x = e^{-ct/2} cos ωt, ω² = k - c²/4; the noise is 1e-3 of the solution's standard deviation.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import diff
from pinnjax.problems._problem import Problem

DAMPING, STIFFNESS, NOISE, DATA, END = 0.4, 9.0, 1e-3, 60, 5.0


def exact(t: Any, xp: Any = jnp) -> Any:
    """The position at the time `(..., 1)`."""
    t = t[..., 0]
    return xp.exp(-DAMPING * t / 2) * xp.cos(np.sqrt(STIFFNESS - DAMPING**2 / 4) * t)


def _measurements() -> tuple[Float[np.ndarray, "n 1"], Float[np.ndarray, " n"]]:
    random = np.random.default_rng(0)
    times = np.linspace(0, END, DATA)[:, None]
    values = exact(times, np)
    return times, values + NOISE * np.std(values) * random.standard_normal(DATA)


TIMES, VALUES = _measurements()


def ode(u: Any, t: Float[Array, " 1"]) -> Float[Array, ""]:
    """Residual x'' + c x' + k x."""
    return diff(u, 0, 0)(t) + u.c * diff(u, 0)(t) + u.k * u(t)


def data(u: Any, measured: tuple[Float[Array, " 1"], Float[Array, ""]]) -> Float[Array, ""]:
    """Residual x - y of a position y."""
    t, y = measured
    return u(t) - y


def errors(u: Any) -> dict[str, Array]:
    """Relative errors of c and k."""
    return {"c_error": jnp.abs(u.c / DAMPING - 1), "k_error": jnp.abs(u.k / STIFFNESS - 1)}


def draw(key: Array) -> dict[str, Any]:
    """Random times, and the measurements."""
    return {
        "ode": sampling.box(key, (0.0,), (END,), 500),
        "data": (jnp.asarray(TIMES), jnp.asarray(VALUES)),
    }


inverse_oscillator = Problem(
    name="inverse_oscillator",
    title="Inverse problem: damping and stiffness of an oscillator from 60 noisy positions",
    terms={"ode": ode, "data": data},
    draw=draw,
    reference=exact,
    coefficients={"c": 1.0, "k": 5.0},
    measure=errors,
    time=0,
)
