"""Natural gradient steps for many points: the kernel of the residuals by a few random columns.

References:
  Guzmán-Cordero, Dangel, Goldshlager, Zeinhofer, `Improving energy natural gradient descent through Woodbury, momentum,
  and randomization <https://arxiv.org/abs/2505.12149>`_, 2025 (ENGD-W and SPRING with Nyström's approximation). The
  authors' code: `rla-pinns <https://github.com/andresguzco/rla-pinns>`_, `optim/rngd.py`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, ScalarLike

from pinnjax import checks
from pinnjax.optimizers._damped import LARGEST, damped_solve
from pinnjax.optimizers._least_squares import least_squares

PyTree = Any
HALVINGS = 30  # the paper's grid ends at 2⁻³⁰


class NystromState(NamedTuple):
    """State of `nystrom_natural_gradient`.

    Attributes:
        direction: φ, like the parameters.
        key: of the next random columns.
        value: the loss after the last step, as the search saw it; None with a fixed rate.
    """

    direction: PyTree
    key: Key[Array, ""]
    value: Float[Array, ""] | None


def nystrom_natural_gradient(
    learning_rate: ScalarLike | None = None,
    *,
    rank: int,
    damping: ScalarLike = 1e-3,
    decay: ScalarLike = 0.0,
    seed: int = 0,
) -> optax.GradientTransformationExtraArgs:
    """Natural gradient steps with a kernel of low rank, with momentum as in `spring`, and a search for their length.

    With r the residuals, |r|² the loss, J their Jacobian, K = JJᵀ and Ω random normal columns,

      K̂ = KΩ (ΩᵀKΩ)⁻¹ (KΩ)ᵀ,  φ ← βφ + Jᵀ(K̂ + λI)⁻¹(r - βJφ),

    and the step is -ηφ. What K̂ does not see takes a gradient step of rate 1/λ: the smaller the rank, the larger λ
    should be. The authors factorise ΩᵀKΩ + 10⁻⁷; here K̂ = (JQ)(JQ)ᵀ with Q an orthonormal basis of JᵀΩ, the same matrix
    without the shift, and the Woodbury formula is used in a basis of JQ, where it loses no digits to 1/λ. They divide φ
    by √(1 - β²ᵏ) in step k; here it is as it is.

    Args:
        learning_rate: η, dimensionless; None searches: 1, ½, ¼, ... as long as halving lowers the loss, down to the
            paper's 2⁻³⁰. A search that lowers nothing takes no step and forgets φ.
        rank: columns of Ω, >= 1; N and more give the exact step. The paper takes a tenth of N.
        damping: λ, in the units of the loss, > 0.
        decay: β, the share of the last direction, dimensionless, in [0, 1]; 0 for no momentum.
        seed: of the columns.

    Returns:
        A parameter-space transform whose update is the whole step. It needs `params` and `residual_fn`, with a search
        `value_fn`, and reads `value` and `jacobian_fn`, as `pinnjax.train_step` gives them.

    Raises:
        ValueError: when an argument is out of range, or the columns would take more than 2 GiB.

    Cost: one gradient a point, O(NP rank), and mostly two or three values of the loss in a search; J is held, N by P,
        and no matrix N by N or P by P.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = nystrom_natural_gradient(1.0, rank=1, damping=1.0)
        >>> residual_fn = lambda a: 3.0 * a[None] - 4.0
        >>> params = jnp.float32(3.0)
        >>> updates, state = optimizer.update(params, optimizer.init(params), params, residual_fn=residual_fn)
        >>> print(f"{updates:.4f}")  # -J r / (J² + λ) = -3 · 5 / (9 + 1)
        -1.5000
    """
    checks.count("nystrom_natural_gradient: rank", rank)
    checks.number("nystrom_natural_gradient: damping", damping, 1e-300)
    checks.number("nystrom_natural_gradient: decay", decay, 0.0, 1.0)
    if learning_rate is not None:
        checks.number("nystrom_natural_gradient: learning_rate", learning_rate, 0.0)

    def init(params: PyTree) -> NystromState:
        dtype = ravel_pytree(params)[0].dtype
        value = jnp.full((), jnp.nan, dtype) if learning_rate is None else None
        return NystromState(jax.tree.map(jnp.zeros_like, params), jax.random.key(seed), value)

    def update(
        grads: PyTree,
        state: NystromState,
        params: PyTree = None,
        *,
        value: Any = None,
        value_fn: Callable | None = None,
        residual_fn: Callable | None = None,
        jacobian_fn: Callable | None = None,
        **extra: Any,
    ) -> tuple[PyTree, NystromState]:
        del grads, extra
        problem = least_squares("nystrom_natural_gradient", params, residual_fn, jacobian_fn)
        if learning_rate is None and value_fn is None:
            raise ValueError(
                "nystrom_natural_gradient: value_fn is missing; expected the loss as a function of the parameters, as "
                "pinnjax.train_step gives it, or a learning_rate"
            )
        flat, dtype = problem.flat, problem.flat.dtype
        r, jacobian = problem.residual(flat).astype(dtype), problem.jacobian(flat).astype(dtype)
        next_key, now = jax.random.split(state.key)
        old = ravel_pytree(state.direction)[0]
        before = jnp.multiply(decay, old)
        direction = before + _solution(jacobian, r - jacobian @ before, rank, now, damping)
        if learning_rate is None:
            here = jnp.asarray(r @ r if value is None else value, dtype)
            along = lambda length, loss=value_fn: jnp.asarray(loss(problem.unravel(flat - length * direction)), dtype)
            length, found = _halved(along, here)
            lowered = length > 0
            step, memory = jnp.where(lowered, length * direction, 0), jnp.where(lowered, direction, 0)
        else:
            sound = jnp.all(jnp.isfinite(direction))
            found, step, memory = None, jnp.multiply(learning_rate, direction), jnp.where(sound, direction, old)
        return problem.unravel(-step.astype(dtype)), NystromState(problem.unravel(memory), next_key, found)

    return optax.GradientTransformationExtraArgs(init, update)


def _solution(
    jacobian: Float[Array, "N P"], target: Float[Array, " N"], rank: int, key: Array, damping: ScalarLike
) -> Float[Array, " P"]:
    """Jᵀ(K̂ + λI)⁻¹ζ; with BC the QR of JQ, K̂ = BCCᵀBᵀ."""
    n, p = jacobian.shape
    rank, itemsize = min(rank, n), jacobian.dtype.itemsize
    if max(n, p) * rank * itemsize > LARGEST:
        raise ValueError(
            f"nystrom_natural_gradient: {rank} columns of {max(n, p)} numbers take "
            f"{max(n, p) * rank * itemsize / 2**30:.1f} GiB; expected a rank of at most "
            f"{LARGEST // (max(n, p) * itemsize)}, or fewer points a step, drawn by a sampler"
        )
    columns = jax.random.normal(key, (n, rank), jacobian.dtype)
    basis, c = jnp.linalg.qr(jacobian @ jnp.linalg.qr(jacobian.T @ columns)[0])
    inside = basis.T @ target
    rest = target - basis @ inside
    rest = rest - basis @ (basis.T @ rest)  # once more, so that rounding is not divided by λ
    return jacobian.T @ (basis @ damped_solve(c @ c.T, inside, damping) + rest / damping)


def _halved(along: Callable[[Array], Array], value: Float[Array, ""]) -> tuple[Array, Array]:
    """The length 2⁻ᵏ before the first halving that no longer lowers the loss, and the loss there; 0 where none does."""

    def body(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        length, best, least, _ = carry
        found = along(length)
        better = found < least  # never of a NaN
        over = (best > 0) & ~better
        return length / 2, jnp.where(better, length, best), jnp.where(better, found, least), over

    one, zero = jnp.ones_like(value), jnp.zeros_like(value)
    going = lambda carry: ~carry[3] & (carry[0] >= 2.0**-HALVINGS)
    _, best, least, _ = jax.lax.while_loop(going, body, (one, zero, value, jnp.array(False)))
    return best, least
