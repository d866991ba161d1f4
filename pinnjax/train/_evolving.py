"""One system of waves in time: its start, its derivative, and the steps of an implicit method."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate
from jaxtyping import Array, Float

from pinnjax.train._waves import SAME, SPREAD, NotOfWaves, System

TRIES = 12  # Gauss-Newton steps to the start
ROUNDING = 1e-12  # of the residuals there, relative


class Moment(NamedTuple):
    """What is known at one time: the raw coefficients of the waves, and their first two derivatives."""

    time: float
    value: Float[np.ndarray, "p m"]
    slope: Float[np.ndarray, "p m"]
    curvature: Float[np.ndarray, "p m"]


def start(system: System) -> tuple[Float[np.ndarray, " y"], float]:
    """Coefficients at the beginning, and what they leave of the conditions there, relative to the field zero."""
    order, some = system.task.order, [one for one in system.starts() if one]
    shape = (-1, system.size // system.task.m, system.task.m)

    @jax.jit
    def both(y: Array) -> tuple[Array, Array]:
        whole = jnp.concatenate([y, jnp.zeros(system.size)]).reshape(shape)
        found = [system.rows(jnp.asarray(system.task.begin), whole, one) for one in some]
        j = jnp.concatenate([slopes for _, slopes in found])[:, :order]
        return jnp.concatenate([r for r, _ in found]), j.reshape(len(j), -1)

    y = np.zeros(order * system.size)
    r, j = map(np.asarray, both(y))
    first = left = float(np.linalg.norm(r))
    for i in range(TRIES):
        step, _, _, s = np.linalg.lstsq(j, -r, rcond=None)
        if not i and not (len(j) >= j.shape[1] and s[-1] > SPREAD * s[0]):
            raise NotOfWaves("the conditions at the beginning leave a part of the field open")
        r, j = map(np.asarray, both(y + step))
        new, before = float(np.linalg.norm(r)), left
        if new < left:
            y, left = y + step, new
        if left <= ROUNDING * first or not new < 0.5 * before:
            break
    return y, left / first if first > 0 else 0.0


class Evolving:
    """dy/dt = f(t, y) of a system, y its coefficients and their derivatives below the highest order.

    The highest derivative d is what the rows of all equations and conditions ask for by least squares: A d = -r.
    """

    def __init__(self, system: System):
        self.system, k, size = system, system.task.order, system.size
        rows = lambda t, blocks: system.rows(t, blocks, system.differentiated)
        whole = lambda y, d: jnp.concatenate([y, d]).reshape(-1, size // system.task.m, system.task.m)

        def parts(t: Array, y: Array) -> tuple[Array, Array]:
            r, j = rows(t, whole(y, jnp.zeros(size)))
            return r, j[:, k].reshape(len(r), -1)

        solve = self._solver(jax.jit(lambda t, y: parts(t, y)[1]))

        def f(t: Array, y: Array) -> Array:
            r, a = parts(t, y)
            return jnp.concatenate([y[size:], -solve(a, r)])

        def jacobian(t: Array, y: Array) -> Array:
            r, j = rows(t, whole(y, f(t, y)[-size:]))
            lower, a = j[:, :k].reshape(len(r), -1), j[:, k].reshape(len(r), -1)
            return jnp.concatenate([jnp.eye(k * size)[size:], -solve(a, lower)])

        def moment(t: Array, y: Array) -> tuple[Array, Array]:
            slope, second = jax.jvp(f, (t, y), (jnp.ones_like(t), f(t, y)))
            left = jnp.linalg.norm(rows(t, whole(y, slope[-size:]))[0])
            return jnp.stack([y[:size], slope[:size], second[:size]]), left

        self.f, self.jacobian, self._moment = map(jax.jit, (f, jacobian, moment))

    def moment(self, t: float, y: Float[np.ndarray, " y"]) -> tuple[Moment, float]:
        """The waves themselves, and what the equations leave: over the field, times the time to their order."""
        parts, left = map(np.asarray, self._moment(t, y))
        size = max(float(np.linalg.norm(parts[0])), np.finfo(float).tiny)
        return Moment(t, *map(self.system.raw, parts)), float(
            left
        ) * self.system.task.span**self.system.task.order / size

    def _solver(self, matrix: Callable[[Any, Any], Array]) -> Callable[[Array, Array], Array]:
        """Least squares with A; by A⁺ where A is the same always."""
        task, rng = self.system.task, np.random.default_rng(0)
        n = task.order * self.system.size
        found = [
            np.asarray(matrix(task.begin + task.span * x, rng.normal(size=n) / np.sqrt(n))) for x in (0.1, 0.5, 0.9)
        ]
        if not np.isfinite(found[0]).all():
            raise NotOfWaves("residuals are not finite for some field")
        u, s, vt = np.linalg.svd(found[0], full_matrices=False)
        if not s[-1] > SPREAD * s[0]:
            raise NotOfWaves("the equations leave a part of the highest derivative in time open")
        if all(np.abs(a - found[0]).max() <= SAME * np.abs(found[0]).max() for a in found[1:]):
            inverse = jnp.asarray((vt.T / s) @ u.T)
            return lambda a, b: inverse @ b

        def solve(a: Array, b: Array) -> Array:
            q, r = jnp.linalg.qr(a)
            return jax.scipy.linalg.solve_triangular(r, q.T @ b)

        return solve

    def steps(self, t: float, y: Float[np.ndarray, " y"], tolerance: float, limit: float) -> Any:
        """An implicit Runge-Kutta method of order 5 (Radau IIA, of scipy), one step at each `step()`."""
        end, size = self.system.task.begin + self.system.task.span, np.linalg.norm(y) / np.sqrt(len(y))

        def f(t: float, y: Array) -> np.ndarray:
            if time.perf_counter() > limit:
                raise TimeoutError
            return np.asarray(self.f(t, y))

        jacobian = lambda t, y: np.asarray(self.jacobian(t, y))
        return scipy.integrate.Radau(f, t, y, end, rtol=tolerance, atol=tolerance * size, jac=jacobian)
