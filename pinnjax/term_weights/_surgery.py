"""Gradient surgery in the span of the terms' gradients: whatever a rule makes of them is T numbers.

Every rule that combines g = Σ_t a_t g_t needs of the gradients only how they lie to each other: T vectors of T numbers
with the same lengths and angles, the columns of R in the QR factorisation of the gradients. A surgery is a function
from R to the coefficients a, and they are its weights: `optax.tree.get(state, "weights")`.

The Gram matrix K_st = g_s · g_t says the same in exact arithmetic. In floating point it does not: there an angle θ is
1 - θ²/2, and lost below √eps, 3e-4 in single precision, where the columns of R keep it down to eps. And squares of
lengths leave the range of single precision at 1e19. So R has columns of length one, and the lengths are kept apart.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from pinnjax.term_weights import _rule
from pinnjax.terms import term_gradients

PyTree = Any
MOST_TERMS = 10  # rules that try every subset of the terms stop here: 2^10 systems of ten equations


class Span(NamedTuple):
    """What a surgery sees of the gradients; the terms are in the order of their names.

    Attributes:
        directions: R, `(T, T)`: column t stands for g_t / ‖g_t‖. A zero gradient stands at right angles to all others.
        norms: ‖g_t‖, `(T,)`.
        steps: `()`, updates so far.
        names: of the terms.
    """

    directions: Float[Array, "T T"]
    norms: Float[Array, " T"]
    steps: Array
    names: list[str]

    @property
    def alive(self) -> Float[Array, "T T"]:
        """R with columns of zeros for zero gradients."""
        return self.directions * (self.norms > 0)[None, :]

    @property
    def sizes(self) -> Float[Array, " T"]:
        """The norms in units of the largest; zeros when all gradients are zero."""
        return divide(self.norms, jnp.max(self.norms))


def surgery(
    coefficients: Callable[[Span], Float[Array, " T"]],
    *,
    start: Callable[[dict[str, PyTree]], PyTree] = lambda term_params: (),
) -> optax.GradientTransformationExtraArgs:
    """A term-space transform that scales each gradient by its coefficient, so that their sum is the direction.

    Coefficients may be negative. When one is not finite (a broken term), those of the last step are kept and counted.
    A negative one has no real root, so `residual_fn` is then NaN: Gauss-Newton needs a rule with positive weights.
    """

    def propose(inputs: _rule.RuleInputs, memory: PyTree) -> tuple[_rule.Weights, PyTree]:
        found, sound = combine(coefficients, inputs.grads, inputs.steps)
        return {name: jnp.where(sound, found[i], jnp.nan) for i, name in enumerate(inputs.grads)}, memory

    propose.__module__ = coefficients.__module__  # the rule's, so that errors can name it
    return _rule.scalar_rule(propose, start=start, signed=True)


def combine(
    coefficients: Callable[[Span], Float[Array, " T"]], term_grads: dict[str, PyTree], steps: Array
) -> tuple[Float[Array, " T"], Bool[Array, ""]]:
    """A surgery's coefficients for these gradients, and whether they and the gradients are finite."""
    with jax.default_matmul_precision("highest"):  # accelerators take ten bits for small products by default
        directions, norms = term_gradients.directions(term_grads)
        found = coefficients(Span(directions, norms, steps, list(term_grads)))
    return found, jnp.all(jnp.isfinite(found)) & jnp.all(jnp.isfinite(norms))


def divide(values: Array, norms: Array) -> Array:
    """Values / norms, and 0 for zero gradients."""
    return jnp.where(norms > 0, values / jnp.where(norms > 0, norms, 1), 0)


def length(vector: Float[Array, "*S T"]) -> Float[Array, "*S"]:
    """Euclidean length along the last axis, without squares that leave the range of the precision."""
    largest = jnp.max(jnp.abs(vector), axis=-1)
    return largest * jnp.sqrt(jnp.sum(divide(vector, largest[..., None]) ** 2, axis=-1))


def rounding(matrix: Float[Array, "*S T"]) -> float:
    """Below this, a length that T unit vectors leave when they cancel cannot be told from zero."""
    return 10 * matrix.shape[-1] * float(jnp.finfo(matrix.dtype).eps)


def equal_projections(span: Span) -> tuple[Float[Array, " T"], Float[Array, " T"]]:
    """The shortest q with q · g_t = ‖g_t‖ for all t, and x with q = Σ_t x_t g_t / ‖g_t‖.

    In least squares where gradients are linearly dependent, and zero where no q is better than zero (opposite
    gradients). In terms of the cosines C, x = C⁺ 1.
    """
    u, values, vt = jnp.linalg.svd(span.alive)
    kept = values > rounding(vt) * jnp.max(values)
    ones = jnp.where(kept, vt @ jnp.ones_like(values), 0)  # what of the right side can be had
    possible = length(ones) > rounding(vt)
    along = jnp.where(kept & possible, ones / jnp.where(kept, values, 1), 0)
    x = vt.T @ (along / jnp.where(kept, values, 1))
    return jnp.where(jnp.all(kept), _independent(span.directions), x), u @ along


def _independent(directions: Float[Array, "T T"]) -> Float[Array, " T"]:
    """The x with Rᵀ R x = 1. The first of the equations is taken from the others, with 1 - cosine from the sine.

    So nearly parallel gradients, for which all equations are nearly the same, keep their differences.
    """
    below = directions[1:, 1:]
    cosine = directions[0, 0] * directions[0, 1:]
    difference = jnp.where(cosine > 0, jnp.sum(below**2, axis=0) / (1 + cosine), 1 - cosine)
    others = solve(below, solve(below, difference, transposed=True))
    return jnp.concatenate([1 - cosine @ others[:, None], others])


def subsets(terms: int) -> Bool[np.ndarray, "S T"]:
    """Every subset of the terms as a mask, the empty one first."""
    if terms > MOST_TERMS:
        raise ValueError(f"{terms} terms; expected at most {MOST_TERMS}, since this rule tries every subset of them")
    return np.array(list(itertools.product([False, True], repeat=terms)), bool)


def factors(
    masks: Bool[np.ndarray, "S T"], matrix: Float[Array, "m T"]
) -> tuple[Float[Array, "S m T"], Float[Array, "S T T"], Bool[Array, " S"]]:
    """Q and R of each subset of the columns, as zeros and unit columns outside, and whether they are independent."""
    inside = jnp.where(masks[:, None, :], matrix[None], 0)
    outside = jnp.where(masks[:, None, :], 0, jnp.eye(matrix.shape[1], dtype=matrix.dtype)[None])
    q, r = jnp.linalg.qr(jnp.concatenate([inside, outside], axis=1))
    sound = jnp.min(jnp.abs(jnp.diagonal(r, axis1=1, axis2=2)), axis=1) > rounding(matrix)
    return jnp.where(masks[:, None, :], q[:, : matrix.shape[0]], 0), r, sound


def solve(r: Float[Array, "*S T T"], right: Float[Array, "*S T"], *, transposed: bool = False) -> Float[Array, "*S T"]:
    """R⁻¹ b or R⁻ᵀ b, for each subset."""
    return jax.scipy.linalg.solve_triangular(r, right[..., None], trans=int(transposed))[..., 0]


def nonnegative(matrix: Float[Array, "m T"], right: Float[Array, " m"]) -> Float[Array, " T"]:
    """The z >= 0 of least ‖A z - b‖, for columns of A and b of size one: the subset that meets the conditions best.

    Those of Karush, Kuhn and Tucker: z >= 0 and Aᵀ (b - A z) <= 0. Lengths would not tell subsets apart: they differ in
    second order only, so half of the digits would be lost.
    """
    masks = subsets(matrix.shape[1])
    q, r, sound = factors(masks, matrix)
    z = jnp.where(masks, solve(r, right @ q), 0)
    rest = jnp.broadcast_to(right, (len(masks), len(right)))
    for _ in range(2):  # twice, so that a short rest is at right angles to its own precision
        rest = rest - jnp.einsum("sij,sj->si", q, jnp.einsum("sij,si->sj", q, rest))
    slopes = rest @ matrix
    violation = jnp.maximum(jnp.max(-z, axis=1), jnp.max(slopes, axis=1))
    return jnp.maximum(z[best(violation, sound)], 0)


def best(violation: Float[Array, " S"], sound: Bool[Array, " S"]) -> Array:
    """The subset whose conditions are violated least."""
    return jnp.argmin(jnp.where(sound & jnp.isfinite(violation), violation, jnp.inf))
