"""Gradient surgery through the Gram matrix: a direction in the span of the terms' gradients is T numbers.

Every rule that combines g = Σ_t a_t g_t needs no more of the gradients than K_st = g_s · g_t, a T x T matrix. So a
surgery is a function from K to the coefficients a, and they are its weights: `optax.tree.get(state, "weights")`. The
cosines C = D⁻¹ K D⁻¹, D = diag ‖g_t‖, carry what a rule needs at equal scales, where K itself would lose a term whose
gradient is a thousand times smaller to single precision.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from pinnjax.term_weights import scaling

PyTree = Any
MOST_TERMS = 10  # rules that try every subset of the terms stop here: 2^10 systems of ten equations


class Gram(NamedTuple):
    """What a surgery sees of the gradients; the terms are in the order of their names.

    Attributes:
        products: K, `(T, T)`.
        norms: ‖g_t‖, `(T,)`.
        cosines: C, `(T, T)`; rows and columns of zero gradients are zero.
        steps: `()`, updates so far.
        names: of the terms.
    """

    products: Float[Array, "T T"]
    norms: Float[Array, " T"]
    cosines: Float[Array, "T T"]
    steps: Array
    names: list[str]


def gram(term_grads: dict[str, PyTree]) -> Float[Array, "T T"]:
    """K_st = g_s · g_t, in single precision or better.

    Example:
        >>> import jax.numpy as jnp
        >>> print(gram({"pde": jnp.array([1.0, 2.0]), "bc": jnp.array([3.0, -1.0])}))
        [[ 5.  1.]
         [ 1. 10.]]
    """
    products = []
    for leaves in zip(*map(jax.tree.leaves, term_grads.values()), strict=True):
        rows = jnp.stack([leaf.ravel() for leaf in leaves])
        kind = jnp.promote_types(rows.dtype, jnp.float32)
        products.append(jnp.matmul(rows, rows.T, precision="highest", preferred_element_type=kind))
    return sum(products[1:], products[0])


def surgery(
    coefficients: Callable[[Gram], Float[Array, " T"]],
    *,
    start: Callable[[dict[str, PyTree]], PyTree] = lambda term_params: (),
) -> optax.GradientTransformationExtraArgs:
    """A term-space transform that scales each gradient by its coefficient, so that their sum is the direction.

    Coefficients may be negative. When one is not finite (a broken term), those of the last step are kept and counted.
    A negative one has no real root, so `residual_fn` is then NaN: Gauss-Newton needs a rule with positive weights.
    """

    def propose(seen: scaling.Seen, memory: PyTree) -> tuple[scaling.Weights, PyTree]:
        found, sound = combine(coefficients, seen.grads, seen.steps)
        return {name: jnp.where(sound, found[i], jnp.nan) for i, name in enumerate(seen.grads)}, memory

    return scaling.scalar_rule(propose, start=start, signed=True)


def combine(
    coefficients: Callable[[Gram], Float[Array, " T"]], term_grads: dict[str, PyTree], steps: Array
) -> tuple[Float[Array, " T"], Bool[Array, ""]]:
    """A surgery's coefficients for these gradients, and whether they and the gradients are finite."""
    products = gram(term_grads)
    norms = jnp.sqrt(jnp.diagonal(products))
    inverse = jnp.where(norms > 0, 1 / jnp.where(norms > 0, norms, 1), 0)
    cosines = products * inverse[:, None] * inverse[None, :]
    found = coefficients(Gram(products, norms, cosines, steps, list(term_grads)))
    return found, jnp.all(jnp.isfinite(found)) & jnp.all(jnp.isfinite(products))


def divide(values: Array, norms: Array) -> Array:
    """Values / norms, and 0 for zero gradients."""
    return jnp.where(norms > 0, values / jnp.where(norms > 0, norms, 1), 0)


def least_squares(matrix: Float[Array, "T T"], right: Float[Array, " T"]) -> Float[Array, " T"]:
    """M⁺ b for a positive semi-definite M."""
    rtol = 10 * matrix.shape[0] * jnp.finfo(matrix.dtype).eps
    return jnp.linalg.pinv(matrix, rtol=rtol, hermitian=True) @ right


def subsets(terms: int, *, empty: bool) -> Bool[np.ndarray, "S T"]:
    """Every subset of the terms as a mask, the empty one first where it counts."""
    if terms > MOST_TERMS:
        raise ValueError(f"{terms} terms; expected at most {MOST_TERMS}, since this rule tries every subset of them")
    return np.array(list(itertools.product([False, True], repeat=terms)), bool)[0 if empty else 1 :]


def solve_on(
    masks: Bool[np.ndarray, "S T"], matrix: Float[Array, "T T"], right: Float[Array, " T"]
) -> Float[Array, "S T"]:
    """M_SS x_S = b_S for each subset S, x = 0 outside; a touch of the identity keeps dependent rows solvable."""
    both = masks[:, :, None] & masks[:, None, :]
    identity = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    ridge = 10 * jnp.finfo(matrix.dtype).eps
    systems = jnp.where(both, matrix[None], 0) + jnp.where(masks[:, :, None], ridge, 1.0) * identity[None]
    return jnp.linalg.solve(systems, jnp.where(masks, right[None], 0)[..., None])[..., 0]
