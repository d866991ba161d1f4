"""The equations of a field of waves at one time: what they say of its highest derivative in time.

At a place the field is a polynomial of few derivatives, so a residual there and its Jacobian are small; products with
the waves' derivatives at all places, which never change, make rows of them.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax.nn.evolved import waves
from pinnjax.train._evolution import NotOfWaves, Task, flat, taylor

PyTree = Any
CUT = 1e-10  # waves that are so small a part of the others are none
OVER = 3  # places of an equation for each wave


class System:
    """A task for a field u(t, x) = Σ_j c_j(t) ψ_j(x) with so many waves, ψ orthonormal combinations of them."""

    def __init__(self, task: Task, number: int):
        self.task, self.number = task, number
        low, high = task.box
        n = OVER * (2 * number + 1) if number else 1
        places = low + (high - low) * (np.arange(n) + 0.5) / n
        self.basis = _orthonormal(self._waves(places)[0] / np.sqrt(n), task.stretch == 1)
        self.places = {t: np.asarray(task.conditions.get(t, places), float) for t in task.terms}
        self.derivatives = {t: self._waves(self.places[t], task.orders[t][1]) @ self.basis for t in task.terms}
        self.size = self.basis.shape[1] * task.m  # coefficients

    def raw(self, c: Float[np.ndarray, " size"]) -> Float[np.ndarray, "p m"]:
        """Coefficients of the waves themselves."""
        return self.basis @ np.asarray(c).reshape(-1, self.task.m)

    def taken_over(self, raw: Float[np.ndarray, "p m"]) -> Float[np.ndarray, " size"]:
        """Coefficients of this system for those of waves of another one, which may be fewer."""
        equation = self.task.equations[0]  # in whose places ψ are orthonormal, but for rounding
        waved = self._waves(self.places[equation])[0][:, : len(raw)] @ raw
        return np.linalg.lstsq(self.derivatives[equation][0], waved, rcond=None)[0].ravel()

    def check_local(self) -> None:
        """Residuals see the field at their place only, or the polynomial there says nothing of them."""
        task, rng = self.task, np.random.default_rng(0)
        raw = 0.1 * rng.normal(size=(task.order + 1, len(self.basis), task.m)) / len(self.basis)
        raw[0, 0] += 1.0  # such as a logarithm can be taken of
        blocks = np.stack([self.taken_over(part).reshape(-1, task.m) for part in raw])
        kept = jnp.asarray(self.basis @ blocks)

        def field(point: Array) -> Array:
            t, x = task.time_and_x(point)
            return task.shaped(taylor(list(waves(x, *task.box, self.number, self.task.stretch) @ kept), t))

        for t, term in task.terms.items():
            some = jnp.asarray(self.places[t][:3])
            direct = jax.jit(jax.vmap(lambda x, term=term: flat(term(field, task.at(jnp.zeros(()), x)))))(some)
            jets = self._jets(t, jnp.asarray(blocks))[:3]
            local = jax.vmap(task.local(t, 0), (None, 0, 0))(jnp.zeros(()), some, jets)[0]
            if not np.allclose(direct, local, rtol=1e-6, atol=1e-6 * float(jnp.max(jnp.abs(local)) + 1e-300)):
                raise NotOfWaves(f"the residual of {t!r} sees the field elsewhere than at its place")

    def rows(
        self, t: Array, blocks: Float[Array, "k p m"], some: Mapping[str, int]
    ) -> dict[str, tuple[Float[Array, "n r"], Float[Array, "n r kpm"]]]:
        """Residuals of some terms at their places, each differentiated so often, and their Jacobian by all blocks."""
        found = {}
        for term, times in some.items():
            places, derivatives = jnp.asarray(self.places[term]), jnp.asarray(self.derivatives[term])
            r, slopes = jax.vmap(self.task.local(term, times), (None, 0, 0))(t, places, self._jets(term, blocks))
            j = jnp.einsum("nrksm,snp->nrkpm", slopes, derivatives)
            found[term] = (r / np.sqrt(len(places)), j.reshape(*r.shape, -1) / np.sqrt(len(places)))
        return found

    @property
    def differentiated(self) -> dict[str, int]:
        """All conditions and equations, so often that they say something of the highest derivative.

        Rows that are heavier than others come first, or Householder's reflections lose what the others say.
        """
        later = [*self.task.conditions, *self.task.equations]
        return {t: self.task.order - self.task.orders[t][0] for t in later}

    def starts(self) -> list[dict[str, int]]:
        """What holds at the beginning: conditions there, and of the others what says nothing of that derivative."""
        return [dict.fromkeys(self.task.initial, 0)] + [
            {t: i} for t, k in self.differentiated.items() for i in range(k)
        ]

    def _jets(self, term: str, blocks: Float[Array, "k p m"]) -> Float[Array, "n k s m"]:
        return jnp.einsum("snp,kpm->nksm", jnp.asarray(self.derivatives[term]), blocks)

    def _waves(self, x: Float[np.ndarray, " n"], order: int = 0) -> Float[np.ndarray, "s n p"]:
        """The waves and their derivatives up to an order."""
        return _waves(x, self.task.box, self.number, self.task.stretch, order)


def _waves(
    x: Float[np.ndarray, " n"], box: tuple[float, float], number: int, stretch: float, order: int
) -> Float[np.ndarray, "s n p"]:
    """Those of `pinnjax.nn.evolved.waves`, whose derivatives are waves again.

    Example:
        >>> print(_waves(np.array([1.0]), (0.0, 2.0), 1, 1.0, 1).round(3)[:, 0])  # 1, cos πz, sin πz with z = x - 1
        [[1.    1.    0.   ]
         [0.    0.    3.142]]
    """
    low, high = box
    rates = np.arange(1, number + 1) * np.pi / stretch * 2 / (high - low)
    angles = (x - (low + high) / 2)[:, None] * rates
    found = []
    for k in range(order + 1):
        turned = angles + k * np.pi / 2
        pairs = np.stack([rates**k * np.cos(turned), rates**k * np.sin(turned)], axis=-1)
        found.append(np.concatenate([np.full((len(x), 1), float(k == 0)), pairs.reshape(len(x), -1)], axis=1))
    return np.stack(found)


def _orthonormal(values: Float[np.ndarray, "n p"], periodic: bool) -> Float[np.ndarray, "p q"]:
    if periodic:
        return np.diag(1 / np.linalg.norm(values, axis=0))
    _, s, vt = np.linalg.svd(values, full_matrices=False)
    return vt[s > CUT * s[0]].T / s[s > CUT * s[0]]
