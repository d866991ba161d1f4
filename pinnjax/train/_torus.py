"""Equations of a field on a periodic box: at each place of a grid they give its highest derivative in time.

Derivatives in space are those of waves, by fast Fourier transforms. What multiplies a derivative by the same number
always is done to the waves themselves, and needs no place.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from pinnjax.train._evolution import NotOfWaves
from pinnjax.train._local import Local

OVER = 3  # places for each wave: products of two waves fall on no other one (Orszag 1971)
LOOKED_AT = 2000  # places at which it is asked how the highest derivative depends on the others
SPREAD = 1e-8  # of singular values: a part that has so little of it is left open
TRIES, ROUNDING, CONTRADICTORY = 12, 1e-12, 1e-6  # Newton steps to the start, and what they may leave of the residuals


class Torus:
    """A field of waves, the least ones along each coordinate, and its highest derivative in time.

    Its state is `(w, order * m)`: the waves' coefficients, of the field and of its derivatives in time.
    """

    def __init__(self, local: Local, numbers: Sequence[int], over: float = OVER):
        self.local, self.numbers = local, tuple(numbers)
        self.grid = tuple(int(np.ceil(over * number)) for number in numbers)
        lengths = np.subtract(local.upper, local.lower)
        axes = [np.fft.fftfreq(n, 1 / n) for n in self.grid[:-1]] + [np.fft.rfftfreq(self.grid[-1], 1 / self.grid[-1])]
        waves = np.meshgrid(*axes, indexing="ij")
        self.every, self.shape = waves, waves[0].shape
        inside = np.all([np.abs(k) <= number for k, number in zip(waves, numbers, strict=True)], axis=0)
        self.kept = np.flatnonzero(inside)
        self.waves = np.stack([k.ravel()[self.kept] for k in waves], axis=1)  # (w, d)
        rates = 2j * np.pi * self.waves / lengths
        self.symbols = np.stack([np.prod(rates ** np.array(s), axis=1) for s in local.indices])  # (s, w)
        seen = local.seen
        exact = np.einsum("iksm,sw->wikm", seen.factors, self.symbols)
        self.exact = exact.reshape(len(self.kept), local.m, -1) if seen.same.any() else None  # of each wave
        self.looked_up = np.flatnonzero(~seen.same)  # the derivatives whose values are needed at places
        self.twice = np.where(self.waves[:, -1] > 0, 2.0, 1.0) / np.prod(self.grid) ** 2  # of the mean square
        along = [
            low + length * np.arange(n) / n for low, length, n in zip(local.lower, lengths, self.grid, strict=True)
        ]
        self.places = np.stack(np.meshgrid(*along, indexing="ij"), axis=-1).reshape(-1, len(lengths))

    def values(self, state: Complex[Array, "*more w m"]) -> Float[Array, "*more n m"]:
        """At all places."""
        *more, _, m = state.shape
        whole = self.widened(state)
        found = jnp.fft.irfftn(whole, self.grid, tuple(range(len(more), whole.ndim - 1)))
        return found.reshape(*more, -1, m)

    def spectrum(self, values: Float[Array, "n m"]) -> Complex[Array, "*shape m"]:
        """Of values at all places: all waves that these can tell apart."""
        return jnp.fft.rfftn(values.reshape(*self.grid, -1), axes=tuple(range(len(self.grid))))

    def widened(
        self, state: Complex[Array, "*more w m"], shape: Sequence[int] | None = None
    ) -> Complex[Array, "*all m"]:
        """With zeros for waves that are too many, as many as the places tell apart, or as the shape has."""
        *more, _, m = state.shape
        found = state.reshape(*more, *_block(self.numbers), m)
        for a, (n, many) in enumerate(zip(self.numbers, shape or self.shape, strict=True), len(more)):
            low, high = jnp.split(found, [n + 1], axis=a)
            zeros = jnp.zeros((*low.shape[:a], many - found.shape[a], *low.shape[a + 1 :]), low.dtype)
            found = jnp.concatenate([low, zeros, high], axis=a)
        return found

    def taken_over(self, state: Complex[Array, "*more w m"], coarse: "Torus") -> Complex[Array, "*more v m"]:
        """The field of another torus, which has no more waves."""
        whole = coarse.widened(jnp.asarray(state), _block(self.numbers))
        size = np.prod(self.grid) / np.prod(coarse.grid)
        return size * whole.reshape(*state.shape[:-2], -1, state.shape[-1])

    def cut(self, spectrum: Complex[Array, "*shape m"]) -> Complex[Array, "w m"]:
        """The waves that are not too many."""
        for a, (n, many) in enumerate(zip(self.numbers, self.shape, strict=True)):
            last = a == len(self.shape) - 1
            low, _, high = jnp.split(spectrum, [n + 1, many if last else many - n], axis=a)
            spectrum = jnp.concatenate([low, high], axis=a)
        return spectrum.reshape(-1, spectrum.shape[-1])

    def left(self, spectrum: Complex[Array, "*shape m"]) -> Float[Array, " d"]:
        """Root mean squares of the waves that are too many, along each coordinate."""
        twice = jnp.where(self.every[-1] > 0, 2.0, 1.0) / np.prod(self.grid) ** 2
        size = jnp.mean(jnp.abs(spectrum) ** 2, axis=-1) * twice
        pairs = zip(self.every, self.numbers, strict=True)
        return jnp.sqrt(jnp.stack([jnp.sum(jnp.where(np.abs(k) > n, size, 0.0)) for k, n in pairs]))

    def rms(self, state: Complex[Array, "w m"]) -> Float[Array, ""]:
        """Root mean square of the field over the box."""
        return jnp.sqrt(jnp.sum(self.twice[:, None] * jnp.abs(state) ** 2) / state.shape[-1])

    def blocks(self, state: Complex[Array, "w y"]) -> Complex[Array, "k w m"]:
        """The field and its derivatives in time."""
        return jnp.moveaxis(state.reshape(len(state), self.local.order, self.local.m), 1, 0)

    def start(self) -> tuple[Complex[np.ndarray, "w y"], float]:
        """The state at the beginning, and what waves leave of it, relative.

        Raises:
            NotOfWaves: when the conditions there do not say what the field is at each place.
        """
        local, shape = self.local, (self.local.order, self.local.m)
        at_start = lambda x, jet: local.at_start(x, jet.reshape(shape))
        whole = jax.jit(jax.vmap(lambda x, jet: (at_start(x, jet), jax.jacfwd(at_start, 1)(x, jet))))
        jets = np.zeros((len(self.places), shape[0] * shape[1]))
        first = before = np.inf
        for _ in range(TRIES):
            r, j = map(np.asarray, whole(self.places, jets))
            left = float(np.linalg.norm(r))
            first = min(first, left) if before == np.inf else first
            if left <= ROUNDING * first or not left < before:
                break
            before = left
            if not np.isfinite(j).all() or np.linalg.matrix_rank(j, tol=SPREAD * np.abs(j).max()).min() < j.shape[2]:
                raise NotOfWaves("the conditions at the beginning leave a part of the field open")
            jets = jets - (np.linalg.pinv(j) @ r[..., None])[..., 0]
        if not left <= CONTRADICTORY * max(first, np.finfo(float).tiny):
            raise NotOfWaves("the conditions at the beginning contradict each other at a place")
        waves = lambda jets: (state := self.cut(self.spectrum(jets)), self.values(state))
        state, kept = map(np.asarray, jax.jit(waves)(jets))
        left = np.linalg.norm(jets - kept, axis=0)
        return state, float(np.max(left / np.maximum(np.linalg.norm(jets, axis=0), np.finfo(float).tiny)))

    def matrices(self, t: Array, state: Complex[Array, "w y"]) -> Float[Array, "n r m"]:
        """How the residuals at all places depend on the highest derivative in time."""
        return self._residuals(t, self._jets(state))[1]

    def highest(self, fixed: Float[np.ndarray, "n m r"] | None) -> Callable[[Array, Array], tuple[Array, Array]]:
        """The highest derivative in time at all places, by least squares at each; by these inverses if they are given.

        As waves: those that are kept, and `(*shape, m)`, the others that the places can tell apart.
        """

        def found(t: Array, state: Complex[Array, "w y"]) -> tuple[Array, Array]:
            r, a = self._residuals(t, self._jets(state))
            every = self.spectrum(-_solved(a, r) if fixed is None else -jnp.einsum("nmr,nr->nm", fixed, r))
            kept = self.cut(every)
            exactly = 0.0 if self.exact is None else times(self.exact, state)
            return kept + exactly, every - self.widened(kept)

        return found

    def linear(self, t: Array, state: Complex[Array, "w y"]) -> Complex[Array, "w y y"]:
        """Of the derivative of the state, a part that is linear in it, the same at all places: for each wave a matrix.

        Of the highest derivatives in space the middle of their factors, which leaves the least; of others the mean.
        """
        local = self.local
        jets = self._jets(state)
        some = slice(None, None, max(1, len(self.places) // LOOKED_AT))
        r, a = self._residuals(t, jets, some)
        d = -_solved(a, r)
        by_jet = jax.jacfwd(lambda t, x, jet: local.residual(local.indices, t, x, jet), argnums=2)
        at = lambda x, jet, d: by_jet(t, x, self._whole(jet, d))
        slopes = jax.vmap(at, (0, 2, 0))(self.places[some], jets[:, :, some], d)
        n, rows, k, s, m = slopes.shape
        factors = -_solved(a, slopes.reshape(n, rows, -1)).reshape(n, m, k, s, m)[:, :, :-1]
        total = np.array([sum(index) for index in local.indices])
        middle, mean = (jnp.max(factors, 0) + jnp.min(factors, 0)) / 2, jnp.mean(factors, 0)
        highest = (total == total.max()) & (total.max() > 0)
        factors = jnp.where(highest[None, None, :, None], middle, mean)  # (m, k, s, m)
        last = jnp.einsum("iksm,sw->wikm", factors, self.symbols).reshape(len(self.kept), local.m, -1)
        ahead = jnp.broadcast_to(
            jnp.eye(local.order * local.m)[local.m :], (len(last), (local.order - 1) * local.m, last.shape[2])
        )
        return jnp.concatenate([ahead, last], axis=1)

    def _jets(self, state: Complex[Array, "w y"]) -> Float[Array, "k s n m"]:
        """At all places, the derivatives whose values are needed there."""
        return self.values(self.blocks(state)[:, None] * self.symbols[None, self.looked_up, :, None])

    def _whole(self, jet: Float[Array, "k s m"], highest: Float[Array, " m"]) -> Float[Array, "k+1 all m"]:
        """With the highest derivative in time, and zeros for what is not looked up."""
        none, place = jnp.zeros_like(highest), {s: i for i, s in enumerate(self.looked_up.tolist())}
        number = len(self.symbols)
        below = [[part[place[s]] if s in place else none for s in range(number)] for part in jet]
        return jnp.stack([*map(jnp.stack, below), jnp.stack([highest, *[none] * (number - 1)])])

    def _residuals(self, t: Array, jets: Float[Array, "k s n m"], some: slice = slice(None)) -> tuple[Array, Array]:
        """At places, and how they depend on the highest derivative in time."""
        local = self.local

        def at(x: Array, jet: Array) -> tuple[Array, Array]:
            with_highest = lambda d: local.residual(local.indices, t, x, self._whole(jet, d))
            return with_highest(jnp.zeros(local.m)), jax.jacfwd(with_highest)(jnp.zeros(local.m))

        return jax.vmap(at, (0, 2))(jnp.asarray(self.places[some]), jets[:, :, some])


def _block(numbers: Sequence[int]) -> tuple[int, ...]:
    """How many waves along each axis are kept: both signs, but along the last one."""
    return (*(2 * n + 1 for n in numbers[:-1]), numbers[-1] + 1)


def times(a: Complex[Array, "w i j"], b: Complex[Array, "w j *k"]) -> Complex[Array, "w i *k"]:
    """A product of small matrices for each wave, or of a matrix and a vector: in few fused sums."""
    over = (...,) if b.ndim == 2 else (..., None)
    parts = [a[:, :, j][over] * b[:, None, j] for j in range(a.shape[2])]
    return sum(parts[1:], parts[0])


def _solved(a: Float[Array, "n r m"], b: Array) -> Array:
    """Least squares at each place."""
    columns = b if b.ndim == 3 else b[..., None]
    if a.shape[1] > a.shape[2]:
        a, columns = jnp.einsum("nri,nrj->nij", a, a), jnp.einsum("nri,nrc->nic", a, columns)
    found = columns / a if a.shape[2] == 1 else jnp.linalg.solve(a, columns)
    return found if b.ndim == 3 else found[..., 0]
