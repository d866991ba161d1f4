"""Curvature of the loss: eigenvalues of its Hessian and its Gauss-Newton matrix by the Lanczos method.

A training problem is stiff when the largest eigenvalue, which bounds the learning rate, is far above the others, which
set the pace. Neither matrix is ever formed.

References:
  Golub, Van Loan, Matrix Computations, 4th edition, 2013: Section 10.1, the Lanczos iteration; reorthogonalised here.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax.terms import evaluation

PyTree = Any
Product = Callable[[Float[Array, " p"]], Float[Array, " p"]]


def products(
    terms: Mapping[str, Any],
    definition: Any,
    params: PyTree,
    batch: Mapping[str, PyTree],
    constants: PyTree = None,
    *,
    weights: Mapping[str, Any] | None = None,
) -> tuple[Product, Product, int]:
    """Products with the Hessian H and the Gauss-Newton matrix G of L = Σ_t λ_t mean r_t², and their size p.

    H = G + what the curvature of the residuals adds, where G = 2 Σ_t λ_t J_tᵀ J_t / n_t.

    Args:
        terms: `{name: residual function}`.
        definition: an `nnx.GraphDef`, or `apply(params, x)`.
        params: where.
        batch: `{term: points}`.
        constants: a module's variables that are not trained.
        weights: λ_t; 1 when None.

    Returns:
        `v -> H v`, `v -> G v` on vectors `(p,)`, and p.

    Example:
        >>> import jax.numpy as jnp
        >>> terms = {"data": lambda u, x: u(x) - 1.0}
        >>> u, params, batch = lambda p, x: p[0] * p[1] * x[0], jnp.array([1.0, 2.0]), {"data": jnp.ones((1, 1))}
        >>> h, g, size = products(terms, u, params, batch)
        >>> print(size, h(jnp.array([1.0, 0.0])), g(jnp.array([1.0, 0.0])))
        2 [8. 6.] [8. 4.]
    """
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    residuals = evaluation.residuals(terms, definition, constants)
    scale = lambda name: 1.0 if weights is None else weights.get(name, 1.0)

    def roots(p: Float[Array, " p"]) -> dict[str, Array]:
        """Residuals scaled so that the sum of their squares is the loss."""
        return {
            name: r * jnp.sqrt(jnp.asarray(scale(name), r.dtype) / r.shape[0])
            for name, r in residuals(unravel(p), batch).items()
        }

    def loss(p: Float[Array, " p"]) -> Float[Array, ""]:
        return sum((jnp.sum(r**2) for r in roots(p).values()), start=jnp.zeros((), flat.dtype))

    def hessian(v: Float[Array, " p"]) -> Float[Array, " p"]:
        return jax.jvp(jax.grad(loss), (flat,), (v,))[1]

    def gauss_newton(v: Float[Array, " p"]) -> Float[Array, " p"]:
        _, forward = jax.jvp(roots, (flat,), (v,))
        return 2 * jax.vjp(roots, flat)[1](forward)[0]

    return hessian, gauss_newton, flat.shape[0]


def lanczos(product: Product, size: int, *, key: Array, steps: int = 50, dtype: Any = None) -> Float[Array, " steps"]:
    """Ritz values of a symmetric matrix, rising: its extreme eigenvalues to high accuracy, the others roughly.

    With as many steps as the matrix has rows they are all its eigenvalues.

    Args:
        product: `v -> A v`.
        size: rows of A.
        key: of the random start.
        steps: products, at most `size`.
        dtype: of the vectors; JAX's default when None.

    Raises:
        ValueError: when there are more steps than rows, or none.

    Cost: `steps` products; memory: `steps` vectors.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> print(lanczos(lambda v: jnp.array([1.0, 2.0, 7.0]) * v, 3, key=jax.random.key(0), steps=3).round(4))
        [1. 2. 7.]
    """
    if not 1 <= steps <= size:
        raise ValueError(f"lanczos: steps is {steps}; expected 1 to {size}, the rows of the matrix")
    first = jax.random.normal(key, (size,), dtype)
    first = first / jnp.linalg.norm(first)
    basis = jnp.zeros((steps, size), first.dtype).at[0].set(first)
    eps = jnp.finfo(first.dtype).eps

    def step(carry: tuple, i: Array) -> tuple[tuple, tuple]:
        basis, largest = carry
        w = product(basis[i])
        along = jnp.vdot(basis[i], w, precision="highest")
        largest = jnp.maximum(largest, jnp.linalg.norm(w))
        for _ in range(2):  # twice is enough
            inside = jnp.matmul(basis, w, precision="highest")  # accelerators take ten bits by default
            w = w - jnp.matmul(inside, basis, precision="highest")
        beta = jnp.linalg.norm(w)
        # An invariant subspace: what is left is rounding, and the rest of the matrix is not seen from this start.
        ended = beta <= 100 * eps * largest
        beta = jnp.where(ended, 0.0, beta)
        following = jnp.where(ended, 0.0, w / jnp.where(ended, 1.0, beta))
        basis = jnp.where(i + 1 < steps, basis.at[jnp.minimum(i + 1, steps - 1)].set(following), basis)
        return (basis, largest), (along, beta)

    (_, _), (diagonal, beside) = jax.lax.scan(step, (basis, jnp.zeros((), first.dtype)), jnp.arange(steps))
    return jnp.linalg.eigvalsh(jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1))


def stiffness(eigenvalues: Float[Array, " steps"]) -> Float[Array, ""]:
    """The largest eigenvalue over the median magnitude of all, dimensionless.

    Example:
        >>> import jax.numpy as jnp
        >>> print(stiffness(jnp.array([0.5, 1.0, 100.0])))
        100.0
    """
    return jnp.max(eigenvalues) / jnp.median(jnp.abs(eigenvalues))
