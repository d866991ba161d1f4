"""Blocks of features of several kinds in one program: what least squares of each leave of the residuals."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from pinnjax import nn
from pinnjax.nn.corrected import Known
from pinnjax.solver import _newton
from pinnjax.solver._plan import Plan
from pinnjax.terms import bridge, evaluation

PyTree = Any
OTHERS = 1000  # points of a term at which they are compared
FOLLOWED = 8  # Gauss-Newton steps from zero: an equation is near enough to a linear one if they come to something,
FALLS = 0.9  # each leaves no more than this share of what the one before left,
SHORTER, SHORTEST = 0.5, 0.4  # of a step that leaves more residuals than there were, and with which it is given up;
LINEAR = 10.0  # and is one if the first leaves no more times what it was to leave
ROUNDED = 1e-8  # what a change of linear equations may differ by, relative
ENOUGH = 1e-6  # with which it is not worth looking for better ones
DAMPING = 1e-15  # of a block's least squares, over the norm of its J,
APART, HARDLY = 100.0, 1.4  # and of two so far apart the larger, if it leaves hardly more of the residuals
BLOCKS = 5  # in one program


class Kind(NamedTuple):
    """What features are.

    Attributes:
        activation: "tanh" or "sin".
        slopes: `(d,)`, as `pinnjax.nn.RandomFeatures` has them.
    """

    activation: str
    slopes: tuple[float, ...]


class _Blocks(nn.Module):
    """Features of several kinds side by side, in one program for all kinds."""

    def __init__(self, box: Any, outputs: Any, weights: Array, centres: Array, waves: Array):
        self.box, self.outputs = tuple(tuple(end.tolist()) for end in box), outputs
        self.weights, self.centres, self.waves = (Known(x) for x in (weights, centres, waves))
        self.coefficients = nn.Param(jnp.zeros((len(weights), components_of(outputs)), weights.dtype))

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        low, high = (jnp.asarray(end, x.dtype) for end in self.box)
        weights = self.weights[...]
        z = weights @ ((2 * x - low - high) / (high - low)) - jnp.sum(weights * self.centres[...], axis=1)
        values = jnp.where(self.waves[...], jnp.sin(z), jnp.tanh(z)) @ self.coefficients[...]
        return values[0] if self.outputs == "scalar" else values


class Pilot:
    """Least squares of blocks of features, all in one program: at some points, and what is left at others."""

    def __init__(self, plan: Plan, size: int, share: float, key: Array):
        numbers = {t: max(1, int(share * n)) if t in plan.equations else n for t, n in plan.numbers.items()}
        self.plan = dataclasses.replace(plan, numbers=numbers)
        for_points, for_others, for_weights, for_centres = jax.random.split(key, 4)
        self.points = {**self.plan.fresh(for_points), **(plan.batch or {})}
        self.others = evaluation.some_of_each(plan.terms, self.plan.fresh(for_others), OTHERS)
        self.m = components_of(plan.made.outputs)
        self.width, d = max(1, size // self.m), len(plan.made.box[0])
        draw = lambda key: jax.random.uniform(key, (self.width, d), minval=-1.0, maxval=1.0)
        self.unit, self.centres = draw(for_weights), jnp.tile(draw(for_centres), (BLOCKS, 1))
        self.systems: dict[Any, Callable] = {}
        self.steps: dict[Kind, np.ndarray] = {}  # the first one of each kind,
        self.begin = np.zeros(0)  # and the residuals before it at the others
        self.seconds = np.inf  # that the fastest factorisation took

    def left(self, kinds: Sequence[Kind]) -> dict[Kind, float]:
        """The share of the residuals that the linearised equations leave, of at most as many kinds as blocks."""
        system, params, constants = self._model([*kinds, *[kinds[-1]] * (BLOCKS - len(kinds))])
        (r, j), (self.begin, j_other) = (system(params, constants, some) for some in (self.points, self.others))
        found = {}
        for i, kind in enumerate(kinds):
            columns = self._block(params, i)
            began = time.perf_counter()
            self.steps[kind] = _least(r, j[:, columns])
            self.seconds = min(self.seconds, time.perf_counter() - began)
            found[kind] = _share(self.begin + j_other[:, columns] @ self.steps[kind], self.begin)
        return found

    def linear(self, kind: Kind) -> bool:
        """Whether the equations are: from zero to some other field residuals change as their Jacobian says."""
        system, params, constants = self._model([kind] * BLOCKS)
        flat, unravel = ravel_pytree(params)
        step = np.random.default_rng(0).normal(size=flat.size) / np.sqrt(flat.size)
        before, j = system(params, constants, self.others)
        change = system(unravel(flat + step), constants, self.others)[0] - before
        return bool(np.linalg.norm(change - j @ step) <= ROUNDED * np.linalg.norm(change))

    def followed(self, kind: Kind, left: float) -> float:
        """The share of the residuals that a few Gauss-Newton steps of a kind leave; of a linear equation one does."""
        system, params, constants = self._model([kind] * BLOCKS)
        flat, unravel = ravel_pytree(params)
        theta, columns, shares, length = np.array(flat), self._block(params, 0), [1.0], 1.0
        r, j = system(params, constants, self.points)
        while len(shares) <= FOLLOWED and length >= SHORTEST:
            step, length, before = _spared(r, j[:, columns]), 1.0, np.linalg.norm(r)
            while length >= SHORTEST:
                there = theta.copy()
                there[columns] += length * step
                now = unravel(jnp.asarray(there))
                r, j = system(now, constants, self.points)
                if np.linalg.norm(r) < before:
                    break
                length *= SHORTER
            theta = there
            shares.append(_share(system(now, constants, self.others)[0], self.begin))
            if shares[-1] <= LINEAR * max(left, ENOUGH) or not shares[-1] < FALLS * shares[-2]:
                break
        return min(shares)

    def _model(self, kinds: Sequence[Kind]) -> tuple[Callable, PyTree, PyTree]:
        made = self.plan.made
        weights = jnp.concatenate([self.unit * jnp.asarray(kind.slopes)[None] for kind in kinds])
        waves = jnp.repeat(jnp.asarray([kind.activation == "sin" for kind in kinds]), self.width)
        blocks = _Blocks(made.box, made.outputs, weights, self.centres, waves)
        definition, params, constants = bridge.split(made.whole(blocks))
        return self.systems.setdefault(definition, _newton.linearised(self.plan, definition)), params, constants

    def _block(self, params: PyTree, i: int) -> np.ndarray:
        own, rest = _columns(params, (BLOCKS * self.width, self.m))
        return np.concatenate([own[i * self.width : (i + 1) * self.width].ravel(), rest])


def _columns(params: PyTree, shape: tuple[int, int]) -> tuple[Any, Any]:
    """Of the parameters in one vector, the places of the outer layer, in its shape, and those of the others."""
    flat, unravel = ravel_pytree(params)
    numbers = jax.tree.leaves(unravel(jnp.arange(flat.size, dtype=flat.dtype)))
    places: list[Any] = [np.asarray(leaf).astype(int) for leaf in numbers]
    own = next(leaf for leaf in places if leaf.shape == shape)
    return own, np.concatenate([leaf.ravel() for leaf in places if leaf is not own] or [np.zeros(0, int)])


def _least(r: np.ndarray, j: np.ndarray) -> np.ndarray:
    """The δ for which ‖r + Jδ‖ is least; NaN where there is none."""
    p = j.shape[1]
    if not (np.isfinite(j).all() and np.isfinite(r).all() and j.any()):
        return np.full(p, np.nan)
    below = DAMPING * np.linalg.norm(j) * np.eye(p, p + 1)
    triangle = np.asarray(np.linalg.qr(np.concatenate([np.column_stack([j, -r]), below]), mode="r"))
    return np.linalg.solve(triangle[:p, :p], triangle[:p, p])


def _spared(r: np.ndarray, j: np.ndarray) -> np.ndarray:
    """The δ of the largest damping that leaves hardly more than the least, as `gauss_newton` has it for "qr"."""
    p = j.shape[1]
    if not (np.isfinite(j).all() and np.isfinite(r).all() and j.any()):
        return np.full(p, np.nan)
    triangle, size = np.asarray(np.linalg.qr(np.column_stack([j, -r]), mode="r")), np.linalg.norm(j)

    def solved(damping: float) -> tuple[np.ndarray, float]:
        both = np.asarray(np.linalg.qr(np.concatenate([triangle, damping * size * np.eye(p, p + 1)]), mode="r"))
        found = np.linalg.solve(both[:p, :p], both[:p, p])
        return found, float(np.linalg.norm(triangle[:, :p] @ found - triangle[:, p]))

    damping, (found, least) = DAMPING, solved(DAMPING)
    while damping * APART <= 1:
        more, left = solved(damping * APART)
        if left > HARDLY * least:
            break
        damping, found = damping * APART, more
    return found


def _share(left: np.ndarray, whole: np.ndarray) -> float:
    share = np.linalg.norm(left) / np.linalg.norm(whole) if whole.any() else np.inf
    return float(share) if np.isfinite(share) else float("inf")


def components_of(outputs: Any) -> int:
    """Of the field."""
    return 1 if outputs == "scalar" else int(outputs)
