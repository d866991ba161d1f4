"""The programs of a run on a torus: a step, its matrices, and what is known where it ends."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from pinnjax.train import _exponential
from pinnjax.train._evolution import NotOfWaves
from pinnjax.train._local import SAME
from pinnjax.train._torus import SPREAD, Torus

AROUND = 0.1  # relative change of a state at which it is asked whether a matrix is the same
PUSHED = (0.0, 0.01, 0.1, 0.5, 0.9)  # of the time: when it is asked what moves a field that is at rest,
SOON = 0.01  # and for how long


class Programs:
    """All that a step needs, compiled for a number of waves.

    Attributes:
        step: of `(t, y, slope, bend, h, factors)`: the state after it and its two derivatives; `(3, k)` root mean
            squares of the errors of the step and of the polynomial over it, and of the state; and what waves leave.
        factors: of `(t, y, h)`, see `pinnjax.train._exponential.factors`.
        ends: of `(t, y)`: two derivatives of the state, and what waves leave of the highest derivative in time, along
            each coordinate, times the time to that order.
    """

    def __init__(self, torus: Torus, y: Complex[np.ndarray, "w y"]):
        self.torus, local = torus, torus.local
        highest, m = torus.highest(self._inverses(y)), local.m

        def split(t: Array, y: Array) -> tuple[Array, Array]:
            """The derivative of the state, and of the highest derivatives in time what waves do not take."""
            kept, rest = highest(t, y)
            return jnp.concatenate([y[:, m:], kept], axis=1), rest

        f = lambda t, y: split(t, y)[0]
        rms = lambda state: jnp.stack([torus.rms(part) for part in torus.blocks(state)])

        def ends(t: Array, y: Array) -> tuple[Array, Array, Array]:
            (slope, rest), along = jax.linearize(split, t, y)
            bend, _ = along(jnp.ones_like(t), slope)
            return slope, bend, torus.left(rest) * local.span**local.order

        def step(t: Array, y: Array, slope: Array, bend: Array, h: Array, factors: Array) -> tuple[Array, ...]:
            new, error = _exponential.step(f, t, y, h, factors)
            slope_new, bend_new, left = ends(t + h, new)
            inside = _exponential.between(f, t, h, (y, slope, bend), (new, slope_new, bend_new), factors[0])
            return new, slope_new, bend_new, jnp.stack([rms(error), rms(inside), rms(new)]), left

        self.step, self.ends = jax.jit(step), jax.jit(ends)
        self.factors = jax.jit(lambda t, y, h: _exponential.factors(torus.linear(t, y), h))
        self._f, self._rms = jax.jit(f), jax.jit(rms)

    def sizes(self, y: Complex[Array, "w y"]) -> Float[np.ndarray, " k"]:
        """Of the field and its derivatives; where it is at rest, of one into which it is soon pushed."""
        local, sizes = self.torus.local, np.asarray(self._rms(y))
        if sizes[0] == 0.0:
            times = [local.begin + share * local.span for share in PUSHED]
            pushed = max(float(self._rms(self._f(t, y))[-1]) for t in times)
            sizes = np.maximum(sizes, np.eye(local.order)[0] * SOON * local.span**local.order * pushed)
        return np.maximum(sizes, (float(sizes[0]) or 1.0) / local.span ** np.arange(local.order))

    def _inverses(self, y: Complex[np.ndarray, "w y"]) -> Float[np.ndarray, "n m r"] | None:
        """Of what multiplies the highest derivative in time, where that is the same at all times and states."""
        local, rng = self.torus.local, np.random.default_rng(0)
        around = [y, *(y + AROUND * np.abs(y).max() * rng.normal(size=y.shape) for _ in "ab")]
        times, matrices = local.begin + local.span * np.array([0.0, 0.5, 0.9]), jax.jit(self.torus.matrices)
        found = [np.asarray(matrices(t, one)) for t, one in zip(times, around, strict=True)]
        if not np.isfinite(found[0]).all():
            raise NotOfWaves("residuals are not finite at the beginning")
        spread = np.linalg.svd(found[0], compute_uv=False)
        if found[0].shape[1] < local.m or not spread[:, -1].min() > SPREAD * spread.max():
            raise NotOfWaves("the equations leave a part of the highest derivative open")
        same = all(np.abs(a - found[0]).max() <= SAME * np.abs(found[0]).max() for a in found[1:])
        return np.linalg.pinv(found[0]) if same else None
