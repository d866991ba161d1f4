"""One system of waves in time: its start, its derivative, and the steps of an implicit method."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax.train._evolution import NotOfWaves
from pinnjax.train._waves import System

TRIES = 12  # Gauss-Newton steps to the start
ROUNDING = 1e-12  # of the residuals there, relative
SAME = 1e-10  # relative difference of matrices that is rounding
SPREAD = 1e-8  # of singular values: a part that has so little of it is left open
AROUND = 0.1  # relative change of a state at which it is asked whether a matrix is the same
PUSHED = (0.0, 0.01, 0.1, 0.5, 0.9)  # of the time: when it is asked what moves a field that is at rest
HEAVIER = 3000.0  # than one wave's row a condition's is


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
        found = [rows for one in some for rows in system.rows(jnp.asarray(system.task.begin), whole, one).values()]
        r, j = (jnp.concatenate([rows[i].reshape(rows[0].size, -1) for rows in found]) for i in (0, 1))
        return r[:, 0], j[:, : len(y)]

    best = y = np.zeros(order * system.size)
    r, j = map(np.asarray, both(y))
    first = left = before = float(np.linalg.norm(r))
    for _ in range(TRIES):
        y = y + _least(j, -r, "the conditions at the beginning leave a part of the field open")
        r, j = map(np.asarray, both(y))
        new = float(np.linalg.norm(r))
        if new < left:
            best, left = y, new
        # The first step of conditions that are not linear may leave as much as there was.
        if left <= ROUNDING * first or not (new < 0.5 * before or left > 0.5 * first):
            break
        before = new
    return best, left / first if first > 0 else 0.0


class Evolving:
    """dy/dt = f(t, y) of a system, y its coefficients and their derivatives below the highest order.

    The highest derivative d is what the rows of all equations and conditions ask for by least squares: A d = -r.
    """

    def __init__(self, system: System, y: Float[np.ndarray, " y"]):
        self.system, size, n = system, system.size, len(y)
        heavy = self._weights(y)

        def rows(t: Array, y: Array, d: Array) -> tuple[Array, Array, Array]:
            """Residuals, and their slopes by y and by d."""
            found = system.rows(t, self._blocks(y, d), system.differentiated)
            r = jnp.concatenate([(heavy[term] * r).ravel() for term, (r, _) in found.items()])
            j = jnp.concatenate([(heavy[t][..., None] * j).reshape(-1, n + size) for t, (_, j) in found.items()])
            return r, j[:, :n], j[:, n:]

        solve = self._solver(jax.jit(lambda t, y: rows(t, y, jnp.zeros(size))[2]), y)

        def f(t: Array, y: Array) -> Array:
            r, _, a = rows(t, y, jnp.zeros(size))
            return jnp.concatenate([y[size:], -solve(a, r)])

        def jacobian(t: Array, y: Array) -> Array:
            _, lower, a = rows(t, y, f(t, y)[-size:])
            return jnp.concatenate([jnp.eye(n)[size:], -solve(a, lower)])

        def moment(t: Array, y: Array) -> tuple[Array, Array]:
            slope, second = jax.jvp(f, (t, y), (jnp.ones_like(t), f(t, y)))
            left = jnp.linalg.norm(rows(t, y, slope[-size:])[0])
            return jnp.stack([y[:size], slope[:size], second[:size]]), left

        self.f, self.jacobian, self._moment = map(jax.jit, (f, jacobian, moment))

    def _blocks(self, y: Array, d: Array) -> Float[Array, "k p m"]:
        m = self.system.task.m
        return jnp.concatenate([y, d]).reshape(-1, self.system.size // m, m)

    def _weights(self, y: Float[np.ndarray, " y"]) -> dict[str, Float[np.ndarray, "n r"]]:
        """Of rows: an equation is in units of the highest derivative, a condition is so heavy whatever its units."""
        system, size = self.system, self.system.size
        at_start = jax.jit(lambda t, y: system.rows(t, self._blocks(y, jnp.zeros(size)), system.differentiated))
        found = {}
        for term, (r, j) in at_start(system.task.begin, y).items():
            length = np.linalg.norm(np.asarray(j)[..., len(y) :], axis=-1)
            if term not in system.task.conditions:
                length = np.broadcast_to(np.linalg.norm(length, axis=0) / np.sqrt(size), r.shape)
            weight = HEAVIER if term in system.task.conditions else 1.0
            found[term] = weight / np.where(length > 0, length, 1.0)
        return found

    def moment(self, t: float, y: Float[np.ndarray, " y"]) -> tuple[Moment, float]:
        """The waves themselves, and what the equations leave: over the field, times the time to their order."""
        parts, left = map(np.asarray, self._moment(t, y))
        size = max(float(np.linalg.norm(parts[0])), np.finfo(float).tiny)
        return Moment(t, *map(self.system.raw, parts)), float(
            left
        ) * self.system.task.span**self.system.task.order / size

    def _solver(
        self, matrix: Callable[[Any, Any], Array], y: Float[np.ndarray, " y"]
    ) -> Callable[[Array, Array], Array]:
        """Least squares with A; by A⁺ where A is the same always."""
        task, rng = self.system.task, np.random.default_rng(0)
        around = [y, *(y + AROUND * rng.normal(size=y.shape) * np.linalg.norm(y) / np.sqrt(y.size) for _ in "ab")]
        times = task.begin + task.span * np.array([0.0, 0.5, 0.9])
        found = [np.asarray(matrix(t, one)) for t, one in zip(times, around, strict=True)]
        if not np.isfinite(found[0]).all():
            raise NotOfWaves("residuals are not finite at the beginning")
        inverse = _least(found[0], np.eye(len(found[0])), "the equations leave a part of the highest derivative open")
        if all(np.abs(a - found[0]).max() <= SAME * np.abs(found[0]).max() for a in found[1:]):
            fixed = jnp.asarray(inverse)
            return lambda a, b: fixed @ b

        def solve(a: Array, b: Array) -> Array:
            q, r = jnp.linalg.qr(a)
            return jax.scipy.linalg.solve_triangular(r, q.T @ b)

        return solve

    def steps(self, t: float, y: Float[np.ndarray, " y"], tolerance: float, limit: float) -> Any:
        """An implicit Runge-Kutta method of order 5 (Radau IIA, of scipy), one step at each `step()`."""
        import scipy.integrate  # slow to import

        end, size = self.system.task.begin + self.system.task.span, self._size(y) / np.sqrt(len(y))

        def f(t: float, y: np.ndarray) -> np.ndarray:
            if time.perf_counter() > limit:
                raise TimeoutError
            return np.asarray(self.f(t, y))

        jacobian = lambda t, y: np.asarray(self.jacobian(t, y))
        return scipy.integrate.Radau(f, t, y, end, rtol=tolerance, atol=tolerance * size, jac=jacobian)

    def _size(self, y: Float[np.ndarray, " y"]) -> float:
        """Of a state, or of one into which a field at rest is soon pushed."""
        if y.any():
            return float(np.linalg.norm(y))
        task = self.system.task
        pushed = [np.linalg.norm(self.f(task.begin + share * task.span, y)) for share in PUSHED]
        return PUSHED[1] * task.span * float(np.max(pushed)) or 1.0


def _least(a: Float[np.ndarray, "n p"], b: np.ndarray, otherwise: str) -> np.ndarray:
    """Least squares; `otherwise` says what it is if they leave something open."""
    import scipy.linalg

    if len(a) < a.shape[1] or not np.isfinite(a).all():
        raise NotOfWaves(otherwise)
    q, r = np.linalg.qr(a)
    diagonal = np.abs(np.diagonal(r))
    if not diagonal.min() > SPREAD * diagonal.max():
        raise NotOfWaves(otherwise)
    return np.asarray(scipy.linalg.solve_triangular(r, q.T @ b))
