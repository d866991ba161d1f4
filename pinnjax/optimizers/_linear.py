"""The linear model r + Jδ of the residuals, and its damped steps, (JᵀJ + μI) δ = -Jᵀr, in the cheapest way.

References:
  Woodbury's identity: JᵀJ + μI and JJᵀ + μI give the same step, (JᵀJ + μI)⁻¹Jᵀr = Jᵀ(JJᵀ + μI)⁻¹r.

  Clarkson, Woodruff, `Low-rank approximation and regression in input sparsity time <https://arxiv.org/abs/1207.6365>`_,
  Journal of the ACM 63, 2017 (the count sketch).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, ScalarLike

from pinnjax.optimizers._damped import damped_solve
from pinnjax.optimizers._least_squares import LeastSquares

LARGEST_MATRIX = 2**31  # bytes of J, or of its product with itself
LARGEST_SIDE = 8000  # of a matrix to factorise
ITERATIONS = 100  # of conjugate gradients
ROUNDING = 10.0  # of a factorisation, in units of the last place for each row
HARDLY = 2.0  # times more of the squared residuals,
APART = 1e4  # where two dampings that are compared are so much apart
SUMS = 4  # of residuals, for each direction of a sketch


class Model(NamedTuple):
    """The linear model around the parameters of a step.

    Attributes:
        scale: mean of the diagonal of JᵀJ, which makes dampings dimensionless.
        step: μ to δ and the decrease |r|² - |r + Jδ|² that the model predicts for it.
        left: μ to the |r + Jδ|² that it predicts, to more digits than their difference; None where no one asks.
    """

    scale: Float[Array, ""]
    step: Callable[[Array], tuple[Array, Array]]
    left: Callable[[Array], Array] | None = None

    def spared(self, least: ScalarLike) -> Array:
        """The largest μ, over the scale, that is predicted to leave hardly more than the least one.

        Smaller ones add what hardly changes the residuals. As long as equations are not satisfied, parts of the
        parameters that only rounding holds become large by it, and later steps do not take them back.
        """
        assert self.left is not None
        left, first = self.left, jnp.asarray(least, self.scale.dtype)
        most = HARDLY * left(first * self.scale)
        more = lambda ratio: ratio * APART
        going = lambda ratio: (more(ratio) <= 1) & (left(more(ratio) * self.scale) <= most)
        return jax.lax.while_loop(going, more, first)


def least_damping(solver: str, size: int, dtype: Any) -> float:
    """The least μ over the mean of the diagonal of JᵀJ at which a factorisation of `size` rows is more than rounding.

    The largest eigenvalue of JᵀJ is at most `size` times that mean; rounding of J is the root of that of JᵀJ.
    """
    eps = float(jnp.finfo(dtype).eps)
    return ROUNDING * size * (eps**2 if solver == "qr" else eps)


def model(rule: str, problem: LeastSquares, solver: str, sketch: int | None, key: Array) -> Model:
    """The model, with the solver that suits its size.

    Raises:
        ValueError: when a matrix would be too large.
    """
    n, p = jax.eval_shape(problem.residual, problem.flat).shape[0], problem.flat.size
    size = problem.flat.dtype.itemsize
    large = n * p * size > LARGEST_MATRIX or (sketch is None and min(n, p) > LARGEST_SIDE)
    if solver == "cg" or (solver == "auto" and large and sketch is None):
        return _matrix_free(problem)
    side = {"primal": p, "dual": n, "auto": min(n, p), "qr": p}[solver]
    if max(n * p, 0 if sketch else side**2) * size > LARGEST_MATRIX:
        raise ValueError(
            f"{rule}: {n} residuals by {p} parameters, with a matrix of {side} by {side}, take more than "
            f'{LARGEST_MATRIX / 2**30:.0f} GiB; expected fewer points, solver="cg", or optax.lbfgs'
        )
    residual, jacobian = problem.residual(problem.flat), problem.jacobian(problem.flat)
    if sketch is not None:
        return _sketched(residual, jacobian, min(sketch, p), key)
    if solver == "qr":
        return _orthogonal(residual, jacobian)
    return _primal(residual, jacobian) if side == p and solver != "dual" else _dual(residual, jacobian)


def _predicted(gradient: Array, step: Array, along: Array) -> Array:
    return -(2 * gradient @ step + along @ along)


def _primal(residual: Array, jacobian: Array) -> Model:
    gram, gradient = jacobian.T @ jacobian, jacobian.T @ residual

    def step(damping: Array) -> tuple[Array, Array]:
        found = -damped_solve(gram, gradient, damping)
        return found, _predicted(gradient, found, jacobian @ found)

    return Model(jnp.trace(gram) / len(gram), step)


def _dual(residual: Array, jacobian: Array) -> Model:
    kernel, gradient = jacobian @ jacobian.T, jacobian.T @ residual

    def step(damping: Array) -> tuple[Array, Array]:
        found = -(jacobian.T @ damped_solve(kernel, residual, damping))
        return found, _predicted(gradient, found, jacobian @ found)

    return Model(jnp.trace(kernel) / jacobian.shape[1], step)


def _orthogonal(residual: Array, jacobian: Array) -> Model:
    """With J = QR it is |Qᵀr + Rδ|² that is least: no product with itself squares the condition of J."""
    p = jacobian.shape[1]
    factor = lambda matrix, right: jnp.split(jnp.linalg.qr(jnp.c_[matrix, right], mode="r"), [p], axis=1)
    rows, right = factor(jacobian, residual)

    def solved(damping: Array) -> tuple[Array, Array]:
        below = jnp.sqrt(damping) * jnp.eye(p, dtype=rows.dtype)
        upper, both = factor(jnp.concatenate([rows, below]), jnp.concatenate([right, jnp.zeros((p, 1), rows.dtype)]))
        found = -jax.scipy.linalg.solve_triangular(upper[:p], both[:p, 0])
        return found, jnp.sum((right[:, 0] + rows @ found) ** 2)

    def step(damping: Array) -> tuple[Array, Array]:
        found, left = solved(damping)
        return found, jnp.sum(right**2) - left

    return Model(jnp.sum(rows**2) / p, step, lambda damping: solved(damping)[1])


def _sketched(residual: Array, jacobian: Array, k: int, key: Array) -> Model:
    """δ = Tᵀz for random T, on the sketch S of the residuals: |S(r + JTᵀz)|² + μ|z|² is least."""
    n, p = jacobian.shape
    first, second = jax.random.split(key)
    core = jacobian if p <= k else _counted(first, jacobian.T, k).T
    gradient, reduced = jacobian.T @ residual, core.T @ residual
    rows = core if n <= SUMS * k else _counted(second, core, SUMS * k)
    gram = rows.T @ rows

    def step(damping: Array) -> tuple[Array, Array]:
        z = -damped_solve(gram, reduced, damping)
        found = z if p <= k else _spread(first, z, p, k)
        return found, _predicted(gradient, found, core @ z)

    return Model(jnp.trace(gram) / len(gram), step)


def _counted(key: Array, rows: Array, k: int) -> Array:
    """The count sketch: every row is added, with a random sign, to one of k sums."""
    place, sign = _hashed(key, len(rows), k, rows.dtype)
    return jax.ops.segment_sum(sign[:, None] * rows, place, k)


def _spread(key: Array, z: Array, p: int, k: int) -> Array:
    """The transpose of the sketch of p rows."""
    place, sign = _hashed(key, p, k, z.dtype)
    return sign * z[place]


def _hashed(key: Array, n: int, k: int, dtype: jnp.dtype) -> tuple[Array, Array]:
    first, second = jax.random.split(key)
    return jax.random.randint(first, (n,), 0, k), jax.random.rademacher(second, (n,), dtype)


def _matrix_free(problem: LeastSquares) -> Model:
    residual, forward = jax.linearize(problem.residual, problem.flat)
    transposed = jax.linear_transpose(forward, problem.flat)
    backward = lambda v: transposed(v)[0]
    gradient = backward(residual)
    # E over signs of |Jz|² is the trace of JᵀJ; one draw is enough for a scale.
    signs = jax.random.rademacher(jax.random.key(0), problem.flat.shape, problem.flat.dtype)
    scale = jnp.sum(forward(signs) ** 2) / problem.flat.size

    def step(damping: Array) -> tuple[Array, Array]:
        product = lambda v: backward(forward(v)) + damping * v
        found, _ = jax.scipy.sparse.linalg.cg(product, -gradient, tol=1e-10, maxiter=ITERATIONS)
        return found, _predicted(gradient, found, forward(found))

    return Model(scale, step)
