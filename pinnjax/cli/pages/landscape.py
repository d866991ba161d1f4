"""Slices of the loss around parameters: in the coordinates of gradient descent, in Adam's, and along a trajectory.

Adam steps by m / √v. In coordinates φ with θ = v^{-1/4} φ that is gradient descent, and the Hessian is
v^{-1/4} H v^{-1/4}: where Adam helps, the loss is rounder there.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import scipy.sparse.linalg
from jaxtyping import Array, Float

from pinnjax.terms import evaluation, losses
from pinnjax.train.state import TrainState

PyTree = Any
Loss = Callable[[Float[Array, " p"]], Float[Array, ""]]

SIDE = 31  # points of a slice, a side
RISE = 10.0  # the loss at the end of a slice along its steepest direction, over that in the middle
SAMPLES = 32  # random directions for the mean curvature


class Slice(NamedTuple):
    """The loss over two orthogonal directions of unit length, the steepest one and a random one.

    Attributes:
        loss: `(SIDE, SIDE)`, the random direction by rows.
        reach: half the side's length.
        steepest: curvature along the first direction, the largest there is.
        mean: mean curvature over all directions.
    """

    loss: Float[np.ndarray, "side side"]
    reach: float
    steepest: float
    mean: float


class Trajectory(NamedTuple):
    """The way of the parameters on the plane of its two main directions, through its end.

    Attributes:
        place: `(E, 2)`.
        share: of the way's variance that this plane has.
        loss: `(SIDE, SIDE)`, the second direction by rows.
        x: first and last place of the slice along the first direction.
        y: along the second.
    """

    place: Float[np.ndarray, "E 2"]
    share: float
    loss: Float[np.ndarray, "side side"]
    x: Float[np.ndarray, "2"]
    y: Float[np.ndarray, "2"]


def weighted_loss(
    terms: Mapping[str, Any], state: TrainState, batch: Mapping[str, PyTree], weights: Mapping[str, float]
) -> Loss:
    """Σ λ_t mean r_t² as a function of the parameters in one vector."""
    residuals = evaluation.residuals(terms, state.definition, state.constants)
    unravel = jax.flatten_util.ravel_pytree(state.params)[1]

    def loss(flat: Float[Array, " p"]) -> Float[Array, ""]:
        found = residuals(unravel(flat), batch)
        return optax.tree.sum({t: weights.get(t, 1.0) * losses.loss(r) for t, r in found.items()})

    return loss


def adam_scale(state: TrainState) -> Float[Array, " p"]:
    """v^{-1/4} of a state whose optimiser is Adam."""
    second = jax.flatten_util.ravel_pytree(optax.tree.get(state.optimizer, "nu"))[0]
    return 1 / jnp.sqrt(jnp.sqrt(second) + 1e-8)


def around(loss: Loss, middle: Float[Array, " p"], scale: Float[Array, " p"]) -> Slice:
    """A slice through parameters θ, in the coordinates φ with θ = scale · φ.

    Args:
        loss: of parameters.
        middle: the parameters.
        scale: ones as gradient descent sees it, `adam_scale` as Adam does.
    """
    size = middle.shape[0]
    slope = jax.grad(lambda phi: loss(middle + scale * phi))
    product = jax.jit(lambda w: jax.jvp(slope, (jnp.zeros(size),), (w,))[1])
    matvec = lambda w: np.asarray(product(jnp.asarray(w, middle.dtype)))
    operator = scipy.sparse.linalg.LinearOperator((size, size), matvec=matvec, dtype=middle.dtype)
    largest, vectors = scipy.sparse.linalg.eigsh(operator, k=1, which="LA", tol=1e-3)
    random = np.random.default_rng(0).normal(size=(SAMPLES, size))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    curvatures = jax.lax.map(lambda w: jnp.vdot(w, product(w)), jnp.asarray(random, jnp.float32))
    first = vectors[:, 0]
    other = random[0] - first * (first @ random[0])
    other /= np.linalg.norm(other)
    reach = float(np.sqrt(2 * (RISE - 1) * float(loss(middle)) / largest[0]))
    along = np.linspace(-reach, reach, SIDE)
    plane = lambda ab: loss(middle + scale * (ab[0] * jnp.asarray(first) + ab[1] * jnp.asarray(other, jnp.float32)))
    return Slice(_grid(plane, along, along), reach, float(largest[0]), float(jnp.mean(curvatures)))


def trajectory(loss: Loss, path: Float[np.ndarray, "E p"]) -> Trajectory:
    """The plane of the two main directions of a path, by its singular values, and the loss on it."""
    away = path - path[-1]
    _, sizes, directions = np.linalg.svd(away, full_matrices=False)
    place = away @ directions[:2].T
    margin = 0.15 * np.ptp(place, axis=0)
    x, y = np.stack([place.min(axis=0) - margin, place.max(axis=0) + margin], axis=1)
    end, both = jnp.asarray(path[-1]), jnp.asarray(directions[:2])
    found = _grid(lambda ab: loss(end + ab @ both), np.linspace(x[0], x[1], SIDE), np.linspace(y[0], y[1], SIDE))
    return Trajectory(place, float(np.sum(sizes[:2] ** 2) / np.sum(sizes**2)), found, x, y)


def _grid(function: Loss, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """A function of two numbers on a grid, the second by rows."""
    places = jnp.asarray(np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2), jnp.float32)
    return np.asarray(jax.jit(lambda at: jax.lax.map(function, at))(places)).reshape(len(ys), len(xs))
