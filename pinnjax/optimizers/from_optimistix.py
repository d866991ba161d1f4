"""Any minimiser or least-squares solver of optimistix as an optax transform.

References:
  Rader, Lyons, Kidger, `Optimistix: modular optimisation in JAX and Equinox <https://arxiv.org/abs/2402.09983>`_, 2024.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from pinnjax import checks
from pinnjax.optimizers._same_loss import same_loss

PyTree = Any


class OptimistixState(NamedTuple):
    """State of `from_optimistix`.

    Attributes:
        solver: the arrays of the solver's own state.
        value: the loss after the last step.
        trials: steps of the solver that the last update took.
        restarts: how often the solver started anew.
    """

    solver: tuple[Array, ...]
    value: Float[Array, ""]
    trials: Int[Array, ""]
    restarts: Int[Array, ""]


def from_optimistix(
    solver: Any, *, residuals: int | None = None, max_trials: int = 64
) -> optax.GradientTransformationExtraArgs:
    """Take the steps that a solver of optimistix takes, one accepted step an update.

    A minimiser sees the loss, a least-squares solver the residuals r whose |r|² is the loss. The solver remembers the
    loss where it is; when that is another one now, after new points or other weights, it starts anew from the present
    parameters. So it does after an update in which no trial was accepted. Its tolerances are not used: the loop says
    when to stop. `pinnjax.train_step` takes no step that raises the loss: choose a solver that searches or damps, not
    `optimistix.GaussNewton` or `optimistix.NelderMead`.

    Args:
        solver: such as `optimistix.BFGS(rtol, atol)`, `optimistix.LevenbergMarquardt(rtol, atol)`, or one of a package
            that builds on optimistix.
        residuals: N, how many residuals there are, for a least-squares solver: optax makes a state without them.
        max_trials: most steps of the solver, refused trials and first evaluations, in an update, >= 2.

    Returns:
        A parameter-space transform whose update is the whole step. It needs `params` and `value_fn`, or `residual_fn`
        for a least-squares solver, and reads `value` and `jacobian_fn`, as `pinnjax.train_step` gives them.

    Raises:
        ImportError: when optimistix is not installed: `pip install pinnjax[optimistix]`.
        TypeError, ValueError: when the solver is neither, or `residuals` does not fit.

    Cost: the solver's, and one value of the loss. The state of a least-squares solver holds J, N by P.

    Example:
        >>> import optimistix, pinnjax as pj
        >>> optimizer = from_optimistix(optimistix.LevenbergMarquardt(1e-8, 1e-8), residuals=1)
        >>> train = pj.train_step({"data": lambda u, x: u(x) - 6.0}, optimizer)
        >>> batch = {"data": jnp.array([[2.0]])}
        >>> state = train.init((lambda a, x: a * x[0], jnp.float32(0.0)), batch)
        >>> state, history = pj.fit(train, state, batch, steps=8)
        >>> print(state.params)
        3.0
    """
    try:
        import equinox
        import optimistix
    except ImportError as error:
        raise ImportError("from_optimistix needs optimistix: pip install pinnjax[optimistix]") from error
    squares = isinstance(solver, optimistix.AbstractLeastSquaresSolver)
    _check(solver, squares or isinstance(solver, optimistix.AbstractMinimiser), squares, residuals, max_trials)
    options = {"jac": "bwd"} if squares else {}  # so that the state holds J as numbers, not as a program

    def begun(fn: Callable, flat: Array) -> tuple[PyTree, PyTree]:
        """The arrays of a new state, and the rest of it."""
        struct = jax.ShapeDtypeStruct((residuals,) if squares else (), flat.dtype)
        state = solver.init(fn, flat, None, options, struct, None, frozenset())
        arrays, rest = equinox.partition(state, equinox.is_array)
        return jax.tree.map(lambda x: jnp.asarray(x, x.dtype), arrays), rest

    def init(params: PyTree) -> OptimistixState:
        flat, none = ravel_pytree(params)[0], jnp.zeros((), jnp.int32)
        nothing = lambda y, args: (jnp.zeros((residuals,) if squares else (), flat.dtype), None)
        arrays, _ = begun(nothing, flat)
        return OptimistixState(tuple(jax.tree.leaves(arrays)), jnp.full((), jnp.nan, flat.dtype), none, none)

    def update(
        grads: PyTree,
        state: OptimistixState,
        params: PyTree = None,
        *,
        value: Any = None,
        value_fn: Callable | None = None,
        residual_fn: Callable | None = None,
        jacobian_fn: Callable | None = None,
        **extra: Any,
    ) -> tuple[PyTree, OptimistixState]:
        del grads, extra
        _check_given(params, residual_fn if squares else value_fn, squares, residuals)
        flat, unravel = ravel_pytree(params)
        target = _flat(residual_fn if squares else value_fn, jacobian_fn if squares else None, unravel)
        fn = lambda y, args: (jnp.asarray(target(y), flat.dtype), None)
        loss = lambda y: jnp.sum(fn(y, None)[0] ** 2) if squares else fn(y, None)[0]
        here = loss(flat) if value is None else jnp.asarray(value, flat.dtype)

        fresh, rest = begun(fn, flat)
        known = same_loss(here, state.value)
        where = lambda condition, new, old: jax.tree.map(lambda n, o: jnp.where(condition, n, o), new, old)

        def trial(carry: tuple) -> tuple:
            y, arrays, _, trials = carry
            new_y, new, _ = solver.step(fn, y, None, options, equinox.combine(arrays, rest), frozenset())
            return new_y, equinox.filter(new, equinox.is_array), jnp.any(new_y != y), trials + 1

        start = where(known, jax.tree.unflatten(jax.tree.structure(fresh), state.solver), fresh)
        y, arrays, moved, trials = jax.lax.while_loop(
            lambda carry: ~carry[2] & (carry[3] < max_trials),
            trial,
            (flat, start, jnp.array(False), jnp.zeros((), jnp.int32)),
        )
        return unravel(y - flat), OptimistixState(
            solver=tuple(jax.tree.leaves(where(moved, arrays, fresh))),
            value=jnp.where(moved, loss(y), here),
            trials=trials,
            restarts=state.restarts + ((~known & ~jnp.isnan(state.value)) | ~moved),
        )

    return optax.GradientTransformationExtraArgs(init, update)


def _check(solver: Any, known: bool, squares: bool, residuals: int | None, max_trials: int) -> None:
    if not known:
        raise TypeError(
            f"from_optimistix: the solver is {checks.described(solver)}; expected a minimiser or a least-squares "
            "solver of optimistix, such as optimistix.BFGS(rtol=1e-8, atol=1e-8)"
        )
    if squares:
        checks.count("from_optimistix: residuals", residuals)
    elif residuals is not None:
        raise ValueError(
            f"from_optimistix: residuals is {residuals}; expected None for {type(solver).__name__}, a minimiser"
        )
    checks.number("from_optimistix: max_trials", max_trials, 2)


def _check_given(params: PyTree, target: Callable | None, squares: bool, residuals: int | None) -> None:
    if params is None or target is None:
        wanted = "residual_fn" if squares else "value_fn"
        raise ValueError(
            f"from_optimistix: params or {wanted} is missing; expected update(grads, state, params, {wanted}=...), as "
            "pinnjax.train_step calls it"
        )
    if squares and (found := jax.eval_shape(target, params).shape) != (residuals,):
        raise ValueError(
            f"from_optimistix: residuals is {residuals}, but residual_fn gives shape {found}; expected "
            f"residuals={found[0]}"
        )


def _flat(function: Any, jacobian_fn: Callable | None, unravel: Callable) -> Callable:
    """A function of flat parameters, whose pullbacks are rows of `jacobian_fn`: it costs a gradient a point."""
    plain = lambda y: function(unravel(y))
    if jacobian_fn is None:
        return plain
    found = jax.custom_vjp(plain)
    found.defvjp(lambda y: (plain(y), jacobian_fn(unravel(y))), lambda jacobian, cotangent: (cotangent @ jacobian,))
    return found
