"""Steps in time for waves: Euler's exponential method, extrapolated.

What is linear in the state, and the same at all places, is followed exactly, wave by wave; the rest is extrapolated
from 1, 2, ..., Q small steps, and the last two entries of that table say how large the error is.

References:
  Hochbruck, Ostermann, `Exponential integrators <https://doi.org/10.1017/S0962492910000048>`_, Acta Numerica 19, 2010
  (Euler's method, equation 2.3).

  Deuflhard, `Order and stepsize control in extrapolation methods <https://doi.org/10.1007/BF01418332>`_, Numerische
  Mathematik 41, 1983 (the harmonic sequence, and Aitken and Neville's table).
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

from pinnjax.nn.evolved import hermite
from pinnjax.train._torus import times

ORDER = 6  # Q
TERMS = 12  # of the series of φ₁, for matrices of norm below one
QUARTER = 0.25  # of a step, where the polynomial over it is compared with the equations,
DEFECT = 0.3  # and the share of the defect there, times the step, that its error is: s³ (1 - s)³ over its derivative


def phi(a: Complex[Array, "w y y"]) -> Complex[Array, "w y y"]:
    """φ₁(A) = Σ_j A^j / (j + 1)!, from that of A / 2^s, by φ₁(2A) = (e^A + 1) φ₁(A) / 2.

    Example:
        >>> print(phi(jnp.array([[[-40.0]], [[0.0]], [[1.0]]])).ravel().round(4))  # (e^a - 1) / a
        [0.025  1.     1.7183]
    """
    one = jnp.eye(a.shape[-1], dtype=a.dtype)[None]
    norm = jnp.max(jnp.sum(jnp.abs(a), axis=-1))
    halvings = jnp.maximum(0, jnp.ceil(jnp.log2(jnp.maximum(norm, 1e-3))) + 1).astype(int)
    b = a / 2.0**halvings
    series = jax.lax.fori_loop(0, TERMS, lambda j, part: one + times(b, part) / (TERMS + 1 - j), one + 0 * b)

    def double(_: Any, both: tuple[Array, Array]) -> tuple[Array, Array]:
        small, e = both
        return times(e + one, small) / 2, times(e, e)

    return jax.lax.fori_loop(0, halvings, double, (series, one + times(b, series)))[0]


def factors(linear: Complex[Array, "w y y"], h: Array) -> Complex[Array, "Q w y y"]:
    """(h / n) φ₁(h L / n), of small steps of h / n."""
    return jax.lax.map(lambda n: h / n * phi(h / n * linear), jnp.arange(1, ORDER + 1))


def step(
    f: Callable[[Array, Array], Array], t: Array, y: Complex[Array, "w y"], h: Array, small: Complex[Array, "Q w y y"]
) -> tuple[Complex[Array, "w y"], Complex[Array, "w y"]]:
    """The state after a step, and about its error."""

    def small_steps(both: tuple[Array, Array]) -> Array:
        n, factor = both
        one = lambda i, y: y + times(factor, f(t + i * h / n, y))
        return jax.lax.fori_loop(0, n, one, y)

    numbers = range(1, ORDER + 1)
    table = list(jax.lax.map(small_steps, (jnp.array(numbers), small)))
    before = table[-1]
    for k in range(1, ORDER):
        before = table[-1]
        pairs = zip(numbers, table[:-1], table[1:], strict=False)
        table = [fine + (fine - coarse) / ((n + k) / n - 1) for n, coarse, fine in pairs]
    return table[0], table[0] - before


def between(
    f: Callable[[Array, Array], Array],
    t: Array,
    h: Array,
    begin: Sequence[Array],
    end: Sequence[Array],
    whole: Complex[Array, "w y y"],
) -> Complex[Array, "w y"]:
    """About the error of the polynomial of degree 5 through both ends, from its defect after a quarter of the step.

    Args:
        f: the derivative of the state.
        t: the beginning of the step.
        h: its length.
        begin: the state there, and its first two derivatives.
        end: the same at the end.
        whole: h φ₁(h L), which takes from the defect what the equations damp.
    """
    powers, s = hermite(h, begin, end), QUARTER
    here = sum((p * s**k for k, p in enumerate(powers[1:], 1)), powers[0])
    rate = sum((k * p * s ** (k - 1) for k, p in enumerate(powers[2:], 2)), powers[1]) / h
    return DEFECT * times(whole, rate - f(t + s * h, here))
