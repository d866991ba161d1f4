"""What quasi-Newton methods with a dense inverse Hessian share: the pair, the direction, the search, a loss that moves.

With H the inverse Hessian, s the last step and y the change of the gradient along it, ρ = 1 / yᵀs, every method of
Broyden's self-scaled class is

  H ← (H - Hy yᵀH / yᵀHy + φ yᵀHy v vᵀ) / τ + ρ s sᵀ,  v = ρ s - Hy / yᵀHy,

and a method says what φ and τ are. Two choices are our own: H starts from the scale of the first pair (Nocedal, Wright,
equation 6.20), and it is kept when points are drawn anew without a test of its Cholesky factor, since a direction that
does not descend restarts it in any case.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from pinnjax import checks
from pinnjax.optimizers import _line_search
from pinnjax.optimizers._same_loss import same_loss

PyTree = Any
LARGEST = 2**31  # bytes of H
ROUNDING = 4  # units in the last place of the loss within which two values are one


class Pair(NamedTuple):
    """What φ and τ are made of, all dimensionless.

    Attributes:
        h: yᵀHy / yᵀs.
        b: sᵀH⁻¹s / yᵀs.
        size: number of parameters.
    """

    h: Float[Array, ""]
    b: Float[Array, ""]
    size: int


Coefficients = Callable[[Pair], tuple[Array, Array]]


class QuasiNewtonState(NamedTuple):
    """State of a quasi-Newton method.

    Attributes:
        inverse_hessian: H.
        grad: the gradient before the last step.
        moved: s, the last step; zero where there was none.
        curvature: sᵀH⁻¹s.
        value: the loss after the last step, as the search saw it.
        pairs: updates of H since it was a multiple of one.
        idle: searches in a row that lowered nothing: after one the steepest descent is tried, after two the method
            waits for another loss.
        trials: evaluations of the last search.
        dropped: pairs that were not used: of another loss, or without positive curvature.
        restarts: how often H started anew.
    """

    inverse_hessian: Float[Array, "P P"]
    grad: Float[Array, " P"]
    moved: Float[Array, " P"]
    curvature: Float[Array, ""]
    value: Float[Array, ""]
    pairs: Int[Array, ""]
    idle: Int[Array, ""]
    trials: Int[Array, ""]
    dropped: Int[Array, ""]
    restarts: Int[Array, ""]


def quasi_newton(
    rule: str, coefficients: Coefficients, *, retake: bool = False, trials: int = _line_search.TRIALS
) -> optax.GradientTransformationExtraArgs:
    """The method with these coefficients; for the arguments see `ssbroyden`."""
    checks.number(f"{rule}: trials", trials, 1)

    def init(params: PyTree) -> QuasiNewtonState:
        flat, _ = ravel_pytree(params)
        _check_memory(rule, flat)
        zero, none = jnp.zeros((), flat.dtype), jnp.zeros((), jnp.int32)
        return QuasiNewtonState(
            inverse_hessian=jnp.eye(flat.size, dtype=flat.dtype),
            grad=jnp.zeros_like(flat),
            moved=jnp.zeros_like(flat),
            curvature=zero,
            value=jnp.full((), jnp.nan, flat.dtype),
            **dict.fromkeys(("pairs", "idle", "trials", "dropped", "restarts"), none),
        )

    def update(
        grads: PyTree,
        state: QuasiNewtonState,
        params: PyTree = None,
        *,
        value: Any = None,
        value_fn: Callable | None = None,
        **extra: Any,
    ) -> tuple[PyTree, QuasiNewtonState]:
        del extra
        if params is None or value is None or value_fn is None:
            raise ValueError(
                f"{rule}: params, value or value_fn is missing; expected update(grads, state, params, value=..., "
                "value_fn=...), as pinnjax.train_step calls it"
            )
        flat, unravel = ravel_pytree(params)
        g = ravel_pytree(grads)[0].astype(flat.dtype)
        value = jnp.asarray(value, flat.dtype)
        loss = lambda x: jnp.asarray(value_fn(unravel(x)), flat.dtype)

        same = same_loss(value, state.value)
        old_grad = state.grad
        if retake:
            anew = jnp.isfinite(state.value) & ~same
            old_grad = jax.lax.cond(anew, lambda: jax.grad(loss)(flat - state.moved), lambda: old_grad)
        hessian, newton, used = _learnt(state, coefficients, g, g - old_grad, same | retake)

        idle = jnp.where(same, state.idle, 0)
        descends = ((g @ newton < 0) | ~jnp.any(g)) & jnp.all(jnp.isfinite(newton))
        fresh = ~descends | (idle > 0) | (state.pairs + used == 0)
        direction = jnp.where(fresh, _steepest(g, value), newton)
        line = lambda a: jax.jvp(lambda t: loss(flat + t * direction), (a,), (jnp.ones_like(a),))
        slope = g @ direction
        found, tried = _line_search.strong_wolfe(line, value, slope, (slope < 0) & (idle < 2), trials)

        # A difference within rounding says nothing of which point is the lower one.
        rounding = ROUNDING * jnp.finfo(flat.dtype).eps * jnp.abs(value)
        lowered = (found.length > 0) & (found.value < value - rounding)
        moved = jnp.where(lowered, found.length * direction, 0)
        restarted = fresh & (lowered | ~descends)
        started = jnp.isfinite(state.value)
        new = QuasiNewtonState(
            inverse_hessian=jnp.where(restarted, jnp.eye(flat.size, dtype=flat.dtype), hessian),
            grad=g,
            moved=moved,
            # H is one after a restart, the direction a multiple of the gradient's: it is scaled by the first pair.
            curvature=jnp.where(fresh, moved @ moved, -(found.length**2) * slope),
            value=jnp.where(lowered, found.value, value),
            pairs=jnp.where(restarted, 0, state.pairs + used),
            idle=jnp.where(lowered, 0, jnp.minimum(idle + 1, 2)),
            trials=tried,
            dropped=state.dropped + (started & ~used & jnp.any(state.moved != 0)),
            restarts=state.restarts + (restarted & (state.pairs > 0)),
        )
        return unravel(moved), new

    update.__module__ = coefficients.__module__  # the method's, so that errors can name it
    return optax.GradientTransformationExtraArgs(init, update)


def _learnt(
    state: QuasiNewtonState, coefficients: Coefficients, g: Array, y: Array, known: Bool[Array, ""]
) -> tuple[Array, Array, Bool[Array, ""]]:
    """H with the last pair in it, the direction -Hg, and whether the pair was used."""
    s, size = state.moved, g.size
    ys = y @ s
    used = known & (ys > jnp.finfo(g.dtype).eps * jnp.linalg.norm(y) * jnp.linalg.norm(s))
    safe = lambda number: jnp.where(used & (number != 0), number, 1)
    # The first pair gives H, which is one, the scale of the inverse Hessian (Nocedal & Wright, equation 6.20).
    scale = jnp.where(used & (state.pairs == 0), ys / safe(y @ y), 1)
    hy, hg = scale * (state.inverse_hessian @ jnp.stack([y, g], axis=1)).T
    rho, yhy = 1 / safe(ys), safe(y @ hy)
    phi, tau = coefficients(Pair(yhy * rho, state.curvature / scale * rho, size))
    sound = used & jnp.isfinite(phi) & jnp.isfinite(tau) & (tau > 0)
    phi, tau = jnp.where(sound, phi, 1), jnp.where(sound, tau, 1)
    a, b, c = (phi - 1) / yhy / tau, -phi * rho / tau, phi * rho**2 * yhy / tau + rho

    # The four products of hy and s are two: hy (a hy + b s)ᵀ + s (b hy + c s)ᵀ.
    left, right = a * hy + b * s, b * hy + c * s
    whole = scale / tau * state.inverse_hessian + jnp.outer(hy, left) + jnp.outer(s, right)
    hg_new = hg / tau + hy * (left @ g) + s * (right @ g)
    return jnp.where(used, whole, state.inverse_hessian), -jnp.where(used, hg_new, hg), used


def _steepest(g: Array, value: Array) -> Array:
    """Down the gradient to where a parabola with its minimum at a loss of zero has it, a length of one at most.

    It is the same step for a loss of another size: a step that is only as long as a small gradient is lost in rounding
    (Nocedal & Wright, equation 3.60).
    """
    norm = jnp.linalg.norm(g)
    some = jnp.where(norm > 0, norm, 1)
    return -g / some * jnp.minimum(1, jnp.where(value == 0, 1, 2 * jnp.abs(value)) / some)


def _check_memory(rule: str, flat: Array) -> None:
    size = flat.size**2 * flat.dtype.itemsize
    if size > LARGEST:
        raise ValueError(
            f"{rule}: the inverse Hessian of {flat.size} parameters takes {size / 2**30:.1f} GiB, and a step three of "
            f"them; expected at most {int((LARGEST / flat.dtype.itemsize) ** 0.5)} parameters, or optax.lbfgs, which "
            "keeps a few vectors"
        )
