"""Gauss-Newton steps within a trust region: the Levenberg-Marquardt method on the weighted residuals.

References:
  Nocedal, Wright, `Numerical Optimization <https://doi.org/10.1007/978-0-387-40065-5>`_, 2nd edition, Springer, 2006:
  Section 10.3.

  Müller, Zeinhofer, `Achieving high accuracy with PINNs via energy natural gradient descent
  <https://arxiv.org/abs/2302.13163>`_, International Conference on Machine Learning, 2023 (for a sum of squared
  residuals that method is this one).

  Jnini, Vella, Zeinhofer, `Gauss-Newton natural gradient descent for physics-informed computational fluid dynamics
  <https://arxiv.org/abs/2402.10680>`_, 2024 (matrix-free, by conjugate gradients).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, ScalarLike

from pinnjax import checks
from pinnjax.optimizers import _linear, _radius
from pinnjax.optimizers._least_squares import least_squares

PyTree = Any
SOLVERS = ("auto", "primal", "dual", "qr", "cg")
FIRST = 1e-3  # damping
COARSE = {"qr": 1e-8}  # below it few dampings are tried, where the whole range is 30 orders of magnitude


class GaussNewtonState(NamedTuple):
    """State of `gauss_newton`.

    Attributes:
        damping: μ over the mean of the diagonal of JᵀJ, dimensionless.
        value: the loss after the last step.
        idle: whether nothing lowered that loss.
        trials: radii tried in the last step.
        key: of the sketches.
    """

    damping: Float[Array, ""]
    value: Float[Array, ""]
    idle: Array
    trials: Int[Array, ""]
    key: Array


def gauss_newton(
    *,
    damping: ScalarLike | None = None,
    accept: ScalarLike = 0.075,
    solver: str = "auto",
    sketch: int | None = None,
    trials: int = 30,
    seed: int = 0,
) -> optax.GradientTransformationExtraArgs:
    """Steps δ with (JᵀJ + μI) δ = -Jᵀr, of the largest trust region whose model holds.

    r are the weighted residuals, whose squared norm is the loss, and J their Jacobian. The damping μ is divided by 4 as
    long as the loss falls by at least the share `accept` of what the linear model predicts, or else multiplied by 4
    until it does: the largest step that can be trusted is taken, not the one that lowers the loss most. Taking the
    latter stalls on plateaus.

    Args:
        damping: first μ, over the mean of the diagonal of JᵀJ; dimensionless. When None 1e-3, and for "qr" the least
            one, since a linear problem is then solved in one step.
        accept: actual over predicted decrease that a step needs, in (0, 1); the same all along (DSGNAR ends at 0.5).
        solver: "primal" factorises JᵀJ + μI, "dual" JJᵀ + μI, the same step to rounding; "qr" factorises J itself, at
            some four times the cost, and keeps the digits that a product with itself loses: for models that are linear
            in their parameters, and ill-conditioned. Its μ is never so small that a larger one would leave hardly more
            of the residuals, by the linear model. "cg" uses conjugate gradients on products with J, which is never
            stored. "auto" takes the smaller matrix, and "cg" where both are large.
        sketch: the step is sought among so many random directions, on four times as many random sums of residuals;
            None for no sketch. For large J.
        trials: most radii tried in a step.
        seed: of the sketches.

    Returns:
        A parameter-space transform whose update is the whole step, without a learning rate. It needs what
        `pinnjax.train_step` gives: `params`, `value`, `value_fn`, `residual_fn` and, for speed, `jacobian_fn`. Use
        double precision. Nothing is remembered but μ, so points and weights may change in every step.

    Raises:
        ValueError: when a number is out of range, or J is too large for the solver that was asked for.

    Cost: J, one gradient a point; its product with itself, O(N P min(N, P)); a Cholesky factorisation and the loss for
        each radius.

    Example:
        >>> import pinnjax as pj
        >>> train = pj.train_step({"data": lambda u, x: u(x) - 6.0}, gauss_newton())
        >>> batch = {"data": jnp.array([[2.0]])}
        >>> state = train.init((lambda a, x: a * x[0], jnp.float32(0.0)), batch)
        >>> state, history = pj.fit(train, state, batch, steps=3)
        >>> print(f"{state.params:.4f}")
        3.0000
    """
    checks.number("gauss_newton: trials", trials, 1)
    if solver not in SOLVERS:
        raise ValueError(f"gauss_newton: solver is {solver!r}; expected one of {', '.join(SOLVERS)}")
    if sketch is not None:
        checks.number("gauss_newton: sketch", sketch, 1)

    if solver == "qr" and sketch is not None:
        raise ValueError('gauss_newton: a sketch is given with solver="qr"; expected one of the two')

    def least(params: PyTree) -> float:
        size = sum(leaf.size for leaf in jax.tree.leaves(params))
        return _linear.least_damping(solver, size, jnp.result_type(*jax.tree.leaves(params)))

    def first(params: PyTree) -> ScalarLike:
        return damping if damping is not None else least(params) if solver == "qr" else FIRST

    def init(params: PyTree) -> GaussNewtonState:
        dtype = jnp.result_type(*jax.tree.leaves(params))
        zero = jnp.zeros((), dtype)
        return GaussNewtonState(
            jnp.asarray(first(params), dtype), zero, jnp.array(False), jnp.zeros((), jnp.int32), jax.random.key(seed)
        )

    def update(
        grads: PyTree,
        state: GaussNewtonState,
        params: PyTree = None,
        *,
        value: Any = None,
        value_fn: Callable | None = None,
        residual_fn: Callable | None = None,
        jacobian_fn: Callable | None = None,
        **extra: Any,
    ) -> tuple[PyTree, GaussNewtonState]:
        del grads, extra
        problem = least_squares("gauss_newton", params, residual_fn, jacobian_fn)
        flat = problem.flat
        alone = lambda p: jnp.sum(problem.residual(ravel_pytree(p)[0]) ** 2)
        loss = alone if value_fn is None else value_fn
        value = jnp.asarray(loss(params) if value is None else value, flat.dtype)
        key, now = jax.random.split(state.key)
        model = _linear.model("gauss_newton", problem, solver, sketch, now)

        def trial(ratio: Array) -> _radius.Trial:
            step, predicted = model.step(ratio * model.scale)
            after = jnp.asarray(loss(problem.unravel(flat + step)), flat.dtype)
            gain = jnp.where(predicted > 0, (value - after) / predicted, -jnp.inf)
            return _radius.Trial(ratio, step, after, gain)

        waits = state.idle & (value == state.value) & (sketch is None)
        smallest = model.spared(least(params)) if solver == "qr" else jnp.asarray(least(params), flat.dtype)
        found, tried = _radius.largest(
            trial,
            jnp.maximum(jnp.where(state.idle, first(params), state.damping), smallest),
            accept,
            trials,
            ~waits,
            flat,
            least=smallest,
            coarse=COARSE.get(solver, 0.0),
        )
        lowered = found.value < value
        step = jnp.where(lowered, found.step, 0)
        # Where the whole model held, the next search begins anew.
        ratio = jnp.where(found.ratio <= smallest, first(params), found.ratio) if solver == "qr" else found.ratio
        new = GaussNewtonState(ratio, jnp.where(lowered, found.value, value), ~lowered, tried, key)
        return problem.unravel(step), new

    return optax.GradientTransformationExtraArgs(init, update)
