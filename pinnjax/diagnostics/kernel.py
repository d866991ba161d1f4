"""The neural tangent kernel by blocks of terms, K_st = J_s J_tᵀ: which term converges how fast.

References:
  Wang, Yu, Perdikaris, `When and why PINNs fail to train: a neural tangent kernel perspective
  <https://arxiv.org/abs/2007.14527>`_, Journal of Computational Physics 449, 2022: Section 3 and Equation 6.5.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import checks
from pinnjax.terms import evaluation

PyTree = Any


class Spectrum(NamedTuple):
    """What a block K_tt says of its term.

    Attributes:
        eigenvalues: `(n,)`, falling: the rates at which the modes of the residual decay under gradient flow.
        trace: `()`, their sum.
        condition: `()`, the largest over the smallest that rounding can tell from zero.
    """

    eigenvalues: Float[Array, " n"]
    trace: Float[Array, ""]
    condition: Float[Array, ""]


def tangent_kernel(
    terms: Mapping[str, Any], definition: Any, constants: PyTree = None
) -> Callable[[PyTree, Mapping[str, PyTree]], dict[tuple[str, str], Float[Array, "n k"]]]:
    """All blocks K_st = J_s J_tᵀ, of the residuals' Jacobians with respect to the parameters.

    A vector residual counts as so many residuals, point by point. Memory and cost: every row of every J at once, n p
    numbers; take some hundred points.

    Args:
        terms: `{name: residual function}`.
        definition: an `nnx.GraphDef`, or `apply(params, x)`.
        constants: a module's variables that are not trained.

    Returns:
        `evaluate(params, batch) -> {(s, t): (n_s, n_t)}`.

    Example:
        >>> import jax.numpy as jnp
        >>> evaluate = tangent_kernel({"data": lambda u, x: u(x)}, lambda p, x: p[0] * x[0] + p[1])
        >>> print(evaluate(jnp.array([2.0, 0.0]), {"data": jnp.array([[1.0], [2.0]])})["data", "data"])
        [[2. 3.]
         [3. 5.]]
    """
    checks.terms(terms)
    residuals = evaluation.residuals(terms, definition, constants)

    def evaluate(params: PyTree, batch: Mapping[str, PyTree]) -> dict[tuple[str, str], Array]:
        jacobians = jax.jacrev(lambda p: {name: jnp.ravel(r) for name, r in residuals(p, batch).items()})(params)
        rows = {
            name: jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(jacobian)], axis=1)
            for name, jacobian in jacobians.items()
        }
        product = lambda a, b: jnp.matmul(a, b.T, precision="highest")
        return {(s, t): product(rows[s], rows[t]) for s in rows for t in rows}

    return evaluate


def spectra(blocks: Mapping[tuple[str, str], Float[Array, "n k"]]) -> dict[str, Spectrum]:
    """Eigenvalues, trace and condition number of each diagonal block.

    Example:
        >>> import jax.numpy as jnp
        >>> found = spectra({("data", "data"): jnp.array([[2.0, 0.0], [0.0, 8.0]])})["data"]
        >>> print(found.eigenvalues, found.trace, found.condition)
        [8. 2.] 10.0 4.0
    """
    found = {}
    for (s, t), block in blocks.items():
        if s == t:
            values = jnp.linalg.eigvalsh(block)[::-1]
            floor = values[0] * block.shape[0] * jnp.finfo(block.dtype).eps
            smallest = jnp.min(jnp.where(values > floor, values, values[0]))
            found[s] = Spectrum(values, jnp.trace(block), values[0] / smallest)
    return found
