"""The correction that Newton's method would make to a field: what its residuals say that its error is.

The residuals r of a field change with its parameters as J δ, and the field as F δ. The least squares correction
δ = -(JᵀJ + μ)⁻¹ Jᵀ r takes a part of the residuals away, and F δ is the error that this part stands for, as long as the
error is small: the equation of the error is the linearised equation, solved with the network itself. A correction that
does not take away as much at points that it was not made for says nothing: residuals may be the noise of measurements.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from pinnjax.solver._plan import LEAST, Plan, rows
from pinnjax.terms import bridge, chunks, evaluation, names, point_gradients

PyTree = Any
ROWS = 3000  # residuals, some three for each parameter of a network of ours
PLACES = 1000  # at which the field is compared
MOST = 3000  # parameters; the decomposition of J takes P² of memory and P² rows of time
EXPLAINED = (0.1, 0.5)  # of the residuals' size that may be left: less is noise, more says too little
ELSEWHERE = 0.8  # of the residuals at other points that may be left
DAMPINGS = 10.0 ** np.arange(0, -27, -1)  # μ over the largest eigenvalue of JᵀJ


class Known(NamedTuple):
    """What the linearised equations say of a field; NaN where they say nothing.

    Attributes:
        growth: C in e = C q, see `growth_of`.
        freedom: how far the field could be from this one with residuals as small, see `freedom_of`; relative.
        component: of a vector field, the one that could be farthest off.
    """

    growth: float
    freedom: float
    component: int | None = None


def known(plan: Plan, definition: Any, model: PyTree, places: Array, key: Array) -> Known:
    """C, the size of the correction over that of the residuals that it takes away, both relative; and the freedom left.

    Args:
        plan: of the run.
        definition: of the field.
        model: its parameters and constants.
        places: `(n, d)`, where the field is compared.
        key: of points for the correction, and of others to try it on.
    """
    params, constants = jax.tree.map(jnp.asarray, model)
    flat, unravel = ravel_pytree(params)
    if flat.size > MOST:
        return Known(float("nan"), float("nan"))
    two = [_half(plan, plan.fresh(k), i) for i, k in enumerate(jax.random.split(key))]
    n = ROWS // max(components(plan, definition, params, constants, two[0]).values())
    system = linearised(plan, definition)
    taken = lambda points: system(params, constants, evaluation.some_of_each(plan.terms, points, n))
    (r, j), others = map(taken, two)
    whole = {t: s.points for t, s in plan.sources.items() if s.generate is None and rows(s.points) >= LEAST}
    seen = taken({**two[0], **whole}) if whole else (r, j)
    field = lambda theta, x: bridge.field(definition, unravel(theta), constants)(x)
    some = chunks.some(places, PLACES)
    both = jax.jit(jax.vmap(lambda theta, x: (field(theta, x), jax.jacrev(field)(theta, x)), (None, 0)))
    values, slopes = map(np.asarray, both(flat, some))
    f, size = slopes.reshape(-1, flat.size), np.linalg.norm(values)
    free, move = freedom_of(*seen, f, float(size), float(jnp.linalg.norm(flat)))
    m = f.shape[0] // len(some)
    component = int(np.argmax(np.linalg.norm(move.reshape(-1, m), axis=0))) if m > 1 else None
    # Features have taken from the residuals what they can.
    growth = float("nan") if plan.features else growth_of(r, j, f, float(size), others)
    return Known(growth, free, component)


def freedom_of(r: np.ndarray, j: np.ndarray, f: np.ndarray, size: float, length: float) -> tuple[float, np.ndarray]:
    """How far the field can move, relative, while its residuals change by no more than what is left of them.

    The largest ‖Fδ‖ with ‖Jδ‖² / ‖r‖² + ‖δ‖² / ‖θ‖² = 1: of order one where the terms do not say which is the solution.

    Args:
        r: residuals.
        j: their Jacobian.
        f: that of the field.
        size: of the field.
        length: ‖θ‖, beyond which the field is not linear in its parameters.

    Returns:
        The number, and the move Fδ; NaN where there are fewer residuals than parameters, as any network is free between
        its points.

    Example:
        >>> f = np.eye(2)
        >>> print(freedom_of(np.array([1e-3, 0]), np.diag([1.0, 0.0]), f, 1.0, 10.0)[0])  # one is free
        10.0
        >>> print(f"{freedom_of(np.array([1e-3, 0]), np.eye(2), f, 1.0, 10.0)[0]:.3f}")
        0.001
    """
    finite = all(np.isfinite(x).all() for x in (r, j, f))
    if not finite or len(j) < j.shape[1] or not (r.any() and size > 0 and length > 0):
        return float("nan"), np.zeros(len(f))
    # With QR = [J / ‖r‖; 1 / ‖θ‖] the condition is ‖Rδ‖ = 1, and Fδ = (F R⁻¹) Rδ.
    whole = np.concatenate([j / np.linalg.norm(r), np.eye(j.shape[1]) / length])
    triangle = np.asarray(np.linalg.qr(whole, mode="r"))
    moves = np.linalg.solve(triangle.T, f.T).T
    farthest = moves @ np.linalg.eigh(moves.T @ moves)[1][:, -1]
    return float(np.linalg.norm(farthest)) / size, farthest


def growth_of(r: np.ndarray, j: np.ndarray, f: np.ndarray, size: float, others: tuple[np.ndarray, np.ndarray]) -> float:
    """C of the matrices; `others` are r and J at points to try a correction on.

    Returns:
        The largest C among corrections that leave 0.1 to 0.5 of the residuals, and at other points no more than 0.8;
        NaN where there is none.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> j, error = rng.normal(size=(50, 5)), rng.normal(size=5)
        >>> c = growth_of(j @ error, j, np.eye(5), 1.0, (j @ error, j))
        >>> print(f"{c * np.linalg.norm(j @ error) / np.linalg.norm(error):.1f}")
        1.0
    """
    if not all(np.isfinite(x).all() for x in (r, j, f, *others)) or not (r.any() and others[0].any() and size > 0):
        return float("nan")
    u, s, vt = np.linalg.svd(j, full_matrices=False)
    c, norm, new = u.T @ r, float(np.linalg.norm(r)), float(np.linalg.norm(others[0]))
    found = []
    for mu in s[0] ** 2 * DAMPINGS:
        kept = s**2 / (s**2 + mu)
        taken = float(np.linalg.norm(kept * c))
        left = np.sqrt(max(norm**2 - np.sum((1 - (1 - kept) ** 2) * c**2), 0.0)) / norm
        if taken > 0 and EXPLAINED[0] <= left <= EXPLAINED[1]:
            correction = -vt.T @ (c * s / (s**2 + mu))
            if np.linalg.norm(others[0] + others[1] @ correction) <= ELSEWHERE * new:
                found.append(float(np.linalg.norm(f @ correction)) / size / taken)
    return max(found, default=float("nan"))


def _half(plan: Plan, points: Mapping[str, PyTree], i: int) -> dict[str, PyTree]:
    """Of points that stay every second one: the others are to try on."""
    stays = lambda t: plan.sources[t].generate is None and rows(points[t]) >= LEAST
    return {t: jax.tree.map(lambda x: x[i::2], p) if stays(t) else p for t, p in points.items()}


def components(
    plan: Plan, definition: Any, params: PyTree, constants: PyTree, points: Mapping[str, PyTree]
) -> dict[str, int]:
    """Residuals at a point of each term."""
    found = jax.eval_shape(evaluation.residuals(plan.terms, definition, constants), params, points)
    numbers = dict.fromkeys(plan.terms, 0)
    for name, r in found.items():
        numbers[names.term_of(name, plan.terms)] += int(np.prod(r.shape[1:], dtype=int))
    return numbers


def linearised(plan: Plan, definition: Any) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """The weighted residuals, whose squared norm is the loss, and their Jacobian, of parameters, constants, points."""

    @jax.jit
    def both(params: PyTree, constants: PyTree, points: Mapping[str, PyTree]) -> tuple[dict, dict]:
        residuals = evaluation.residuals(plan.terms, definition, constants)
        jacobians = point_gradients.point_jacobians(plan.terms, definition, constants)
        return residuals(params, points), jacobians(params, points)

    def system(params: PyTree, constants: PyTree, points: Mapping[str, PyTree]) -> tuple[np.ndarray, np.ndarray]:
        r, j = both(params, constants, points)
        scale = {name: np.sqrt(plan.weights[name] / len(values)) for name, values in r.items()}
        return (
            np.concatenate([scale[name] * np.asarray(values).ravel() for name, values in r.items()]),
            np.concatenate([scale[name] * np.asarray(rows).reshape(-1, rows.shape[-1]) for name, rows in j.items()]),
        )

    return system
