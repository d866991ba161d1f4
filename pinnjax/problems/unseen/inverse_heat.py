"""An inverse problem: the conductivity of a rod, u_t = a u_xx with a = 0.2 unknown, from 200 noisy temperatures.

u = e^{-aπ²t} sin πx + 0.5 e^{-4aπ²t} sin 2πx; the noise is 1e-3 of the solution's standard deviation. Neither the start
nor the ends are given.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import sampling
from pinnjax.derivatives import diff
from pinnjax.problems._problem import Problem

CONDUCTIVITY, NOISE, DATA = 0.2, 1e-3, 200


def exact(x: Any, xp: Any = jnp) -> Any:
    """The temperature at (t, x), `(..., 2)`."""
    t, x = x[..., 0], x[..., 1]
    mode = lambda k: xp.exp(-CONDUCTIVITY * (k * np.pi) ** 2 * t) * xp.sin(k * np.pi * x)
    return mode(1) + 0.5 * mode(2)


def _measurements() -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
    random = np.random.default_rng(0)
    places = random.uniform(size=(DATA, 2))
    values = exact(places, np)
    return places, values + NOISE * np.std(values) * random.standard_normal(DATA)


PLACES, VALUES = _measurements()


def pde(u: Any, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Residual u_t - a u_xx."""
    return diff(u, 0)(x) - u.a * diff(u, 1, 1)(x)


def data(u: Any, measured: tuple[Float[Array, " 2"], Float[Array, ""]]) -> Float[Array, ""]:
    """Residual u - y of a temperature y."""
    x, y = measured
    return u(x) - y


def conductivity(u: Any) -> dict[str, Array]:
    """Relative error of a."""
    return {"a_error": jnp.abs(u.a / CONDUCTIVITY - 1)}


def draw(key: Array) -> dict[str, Any]:
    """Random points inside, and the measurements."""
    return {
        "pde": sampling.box(key, (0.0, 0.0), (1.0, 1.0), 1000),
        "data": (jnp.asarray(PLACES), jnp.asarray(VALUES)),
    }


inverse_heat = Problem(
    name="inverse_heat",
    title="Inverse problem: the conductivity of a rod from 200 noisy temperatures",
    terms={"pde": pde, "data": data},
    draw=draw,
    reference=exact,
    coefficients={"a": 1.0},
    measure=conductivity,
    time=0,
)
