"""Equations at one place and time, where the field is a polynomial of few derivatives: what they see of it."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jaxtyping import Array, Bool, Float

from pinnjax.nn.mlp import OutFeatures
from pinnjax.terms import cse, inline
from pinnjax.train._evolution import NotOfWaves, flat

Index = tuple[int, ...]  # how often it is differentiated along each coordinate
MOST = 4  # derivatives along all coordinates together
SOME = 500  # places at which it is asked what equations depend on
STEEP = 8.0  # waves over the box of a field of which residuals are asked what they see
SAME = 1e-10  # relative difference of factors that is rounding


class Seen(NamedTuple):
    """What equations see of a field.

    Attributes:
        order: of the highest derivative in time.
        indices: the derivatives in space, the field itself first.
        same: `(s,)`, whether what multiplies them is the same at all times, places and fields,
        factors: `(m, k, s, m)`, and how the highest derivative in time depends on these.
    """

    order: int
    indices: list[Index]
    same: Bool[np.ndarray, " s"]
    factors: Float[np.ndarray, "m k s m"]


@dataclasses.dataclass(frozen=True)
class Local:
    """Equations at a place, whatever the grid.

    Attributes:
        terms: `{name: residual function}` of points `(d + 1,)`, equations and what holds at the beginning.
        initial: the names of the latter.
        lower: `(d,)`, least x,
        upper: `(d,)`, and the same a period on.
        outputs: components of the field, or "scalar".
        axis: of the time.
        begin: of the time,
        span: and how long it is, in its units.
        traced: residuals, see `_of`.
    """

    terms: Mapping[str, Callable]
    initial: Sequence[str]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    outputs: OutFeatures
    axis: int
    begin: float
    span: float
    traced: dict[Any, Callable] = dataclasses.field(default_factory=dict)

    @property
    def m(self) -> int:
        """Components."""
        return 1 if self.outputs == "scalar" else int(self.outputs)

    def shaped(self, value: Float[Array, " m"]) -> Array:
        """A value of the field as residuals expect it."""
        return value[0] if self.outputs == "scalar" else value

    def points(self, number: int) -> tuple[Float[Array, " n"], Float[Array, "n d"]]:
        """Random times and places."""
        rng, low, up = np.random.default_rng(0), np.array(self.lower), np.array(self.upper)
        t = self.begin + self.span * rng.uniform(0.1, 0.9, number)
        return jnp.asarray(t), jnp.asarray(low + (up - low) * rng.uniform(size=(number, len(low))))

    def at(self, t: Array, x: Float[Array, " d"]) -> Float[Array, " d+1"]:
        """The point."""
        return jnp.concatenate([x[: self.axis], t[None], x[self.axis :]])

    def place(self, point: Float[Array, " d+1"]) -> Float[Array, " d"]:
        """Its place."""
        return jnp.concatenate([point[: self.axis], point[self.axis + 1 :]])

    @functools.cached_property
    def seen(self) -> Seen:
        """What the equations see of the field."""
        d = len(self.lower)
        every = sorted((s for s in itertools.product(range(MOST + 1), repeat=d) if sum(s) <= MOST), key=sum)
        t, x = self.points(SOME)
        jets = np.random.default_rng(1).normal(size=(SOME, MOST + 1, len(every), self.m))
        jets[:, 0, 0] = 1.0 + 0.1 * np.tanh(jets[:, 0, 0])  # such as a logarithm can be taken of
        slopes, at_start = (
            np.asarray(jax.jit(jax.vmap(jax.jacrev(self._of(start, every), argnums=2)))(t, x, jets))
            for start in (False, True)
        )
        by_index = (slopes != 0).any(axis=(0, 1, 4))  # (k, s)
        order = int(np.max(np.flatnonzero(by_index.any(axis=1)), initial=0))
        if not order:
            raise NotOfWaves("no equation has a derivative along the time")
        if by_index[order, 1:].any():
            raise NotOfWaves("an equation has the highest derivative in time together with one in space")
        if at_start[:, :, order:].any() or at_start[..., 1:, :].any():
            raise NotOfWaves("a condition at the beginning has a derivative in space, or as high a one in time")
        kept = np.flatnonzero(by_index.any(axis=0) | (np.arange(len(every)) == 0))
        slopes = slopes[:, :, : order + 1, kept]
        size = np.abs(slopes).max(axis=(0, 1, 2, 4))
        same = np.abs(slopes - slopes[:1]).max(axis=(0, 1, 2, 4)) <= SAME * size
        highest = slopes[..., order, 0, :]
        same &= (np.arange(len(kept)) > 0) & (np.abs(highest - highest[:1]).max() <= SAME * np.abs(highest).max())
        factors = -np.einsum("mr,rksn->mksn", np.linalg.pinv(highest[0]), slopes[0, :, :-1]) * same[:, None]
        return Seen(order, [every[s] for s in kept], same, factors)

    @property
    def order(self) -> int:
        """Of the equations in time."""
        return self.seen.order

    @property
    def indices(self) -> list[Index]:
        """The derivatives in space that the equations see, the field itself first."""
        return self.seen.indices

    def residual(self, indices: Sequence[Index], t: Array, x: Array, jet: Float[Array, "k s m"]) -> Float[Array, " r"]:
        """Of all equations at a place, where the field has these derivatives."""
        return self._of(False, indices)(t, x, jet)

    def at_start(self, x: Float[Array, " d"], jet: Float[Array, "k m"]) -> Float[Array, " r"]:
        """Of what holds at the beginning, where the field has these derivatives in time and none in space."""
        return self._of(True, [(0,) * len(x)])(jnp.asarray(self.begin), x, jet[:, None])

    def _of(self, at_start: bool, indices: Sequence[Index]) -> Callable[[Array, Array, Array], Array]:
        """Residuals of some terms, of t, x and a jet; traced once."""
        if (key := (at_start, tuple(indices))) in self.traced:
            return self.traced[key]
        some = [term for name, term in self.terms.items() if (name in self.initial) == at_start]
        most = np.max(indices, axis=0)

        def residuals(t: Array, x: Array, jet: Float[Array, "k s m"]) -> Float[Array, " r"]:
            def field(point: Float[Array, " d+1"]) -> Array:
                now, here = point[self.axis] - t, self.place(point) - x
                in_time = [now**k / math.factorial(k) for k in range(len(jet))]
                powers = [[h**k / math.factorial(k) for k in range(n + 1)] for h, n in zip(here, most, strict=True)]
                product = lambda s: math.prod(p[k] for p, k in zip(powers, s, strict=True) if k)
                in_space = [product(s) * jnp.ones_like(t) for s in indices]
                return self.shaped(jnp.einsum("k,s,ksm->m", jnp.stack(in_time), jnp.stack(in_space), jet))

            return jnp.concatenate([flat(term(field, self.at(t, x))) for term in some])

        def once(t: Array, x: Array, jet: Float[Array, "k s m"]) -> Float[Array, " r"]:
            if (orders := (key, len(jet))) not in self.traced:
                shapes = (jax.ShapeDtypeStruct(a.shape, x.dtype) for a in (t, x, jet))
                program = cse.merged(inline.inlined(jax.make_jaxpr(residuals)(*shapes)))
                self.traced[orders] = jax.jit(core.jaxpr_as_fun(program))
            return self.traced[orders](jnp.asarray(t, x.dtype), x, jet)[0]

        self.traced[key] = once
        return once

    def check(self) -> None:
        """Residuals see the field at their place only, and are linear in the highest derivative in time."""
        indices, (t, x) = self.indices, self.points(SOME)
        n, lengths = self.m, np.subtract(self.upper, self.lower)
        rates = 2 * np.pi * (STEEP + np.arange(n * len(lengths)).reshape(n, -1) / 7) / lengths
        wave = lambda t, x: 0.1 * jnp.exp(1j * (rates @ (x - np.array(self.lower)) - (t - self.begin) / self.span))
        field = lambda point: self.shaped(1.0 + wave(point[self.axis], self.place(point)).real)
        in_time = (-1j / self.span) ** np.arange(self.order + 1)
        of_wave = in_time[:, None, None] * np.array([np.prod((1j * rates) ** s, axis=1) for s in np.array(indices)])
        itself = np.zeros(of_wave.shape)
        itself[0, 0] = 1.0  # such as a logarithm can be taken of

        def seen(t: Array, x: Array) -> tuple[Array, Array, Array]:
            equations = [term for name, term in self.terms.items() if name not in self.initial]
            direct = jnp.concatenate([flat(term(field, self.at(t, x))) for term in equations])
            jet = itself + (of_wave * wave(t, x)[None, None]).real
            of = lambda times: self.residual(indices, t, x, jet.at[self.order, 0].multiply(times))
            return direct, of(1.0), of(3.0) - of(2.0) - (of(2.0) - of(1.0))

        direct, local, bent = map(np.asarray, jax.jit(jax.vmap(seen))(t, x))
        rounding = 1e-6 * float(np.max(np.abs(local)) + 1e-300)
        if not np.allclose(direct, local, rtol=1e-6, atol=rounding):
            raise NotOfWaves("a residual sees the field elsewhere than at its place")
        if not np.abs(bent).max() <= rounding:
            raise NotOfWaves("an equation is not linear in its highest derivative in time")
