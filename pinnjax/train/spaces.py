"""The three spaces of transforms: what stands in the wrong one is an error, and whether a balancer has a loss.

optax has one interface for all three, so a rule in the wrong place runs, and does nothing or harm. The members of a
chain are looked at one by one; what pinnjax did not write is tried on random numbers.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from pinnjax.train._members import members, space

PyTree = Any
EXAMPLES = {
    "term_weights": 'pinnjax.term_weights.lr_annealing("pde") or pinnjax.term_weights.fixed({"bc": 100.0})',
    "point_weights": "pinnjax.point_weights.self_adaptive(1e-2)",
    "optimizer": "optax.adam(1e-3)",
}
OPTIMIZERS = ("multiadam", "m_config")  # of term space: their sum is a step, the gradient of no loss
SCALES = (1e-10, 1.0, 1e10)  # sizes of the gradients that a transform is tried on


def check(what: str, transform: Any) -> None:
    """A transform is one, and none of its members belongs to another space.

    Args:
        what: `"term_weights"`, `"point_weights"` or `"optimizer"`, the argument that it was given as.
        transform: what was given.

    Raises:
        TypeError: when it is not.

    Example:
        >>> import pinnjax as pj
        >>> check("point_weights", pj.term_weights.lr_annealing("pde"))
        Traceback (most recent call last):
        ...
        TypeError: point_weights has the rule lr_annealing, which is of term space; expected it as term_weights=...
    """
    if not isinstance(transform, optax.GradientTransformation):
        raise TypeError(
            f"{what} is {_described(transform)}; expected an optax transform such as {EXAMPLES[what]}, or nothing"
        )
    for name, update in members(transform):
        own = space(update)
        if own == "balanced":
            raise TypeError(
                f"{what} has pinnjax.balanced, which is for a loop of your own; expected its two parts, as optimizer "
                "and as term_weights"
            )
        if own is not None and own != what:
            raise TypeError(
                f"{what} has the rule {name}, which is of {own.split('_')[0]} space; expected it as {own}=..."
            )


def _described(value: Any) -> str:
    return f"{value!r}" if isinstance(value, bool | int | float | str) else f"a {type(value).__name__}"


def scales(term_tx: optax.GradientTransformation) -> bool:
    """Whether a term-space transform may be one that only scales each term's gradient: no optimiser of that space."""
    return not _turning(term_tx)


def _turning(term_tx: optax.GradientTransformation) -> list[str]:
    return [n for n, update in members(term_tx) if space(update) == "term_weights" and n in OPTIMIZERS]


def check_directions(
    term_tx: optax.GradientTransformation,
    term_params: Mapping[str, PyTree],
    extra: Mapping[str, Any],
    optimizer: optax.GradientTransformation,
) -> None:
    """A term-space transform only scales each term's gradient, so that a loss has the gradient it makes.

    Args:
        term_tx: the transform.
        term_params: `{term: params}`, of which shapes and dtypes count.
        extra: the extra args that its update gets; likewise.
        optimizer: who asks for that loss.

    Raises:
        ValueError: when it does not.
    """
    found = list(members(term_tx))
    turning = _turning(term_tx)
    if not turning and not all(space(update) == "term_weights" for _, update in found):

        def off(grads: Mapping[str, PyTree], out: Mapping[str, PyTree]) -> Array:
            def one(g: PyTree, b: PyTree) -> Array:
                weight = optax.tree.vdot(g, b) / optax.tree.vdot(g, g)
                return optax.tree.norm(optax.tree.sub(b, optax.tree.scale(weight, g))) / (optax.tree.norm(b) + 1e-30)

            return jnp.max(jnp.stack([one(grads[t], out[t]) for t in grads]))

        if np.any(_tried(term_tx, term_params, extra, off) > 1e-3):
            turning = [name for name, update in found if space(update) is None]
    if turning:
        who = ", ".join(dict.fromkeys(name for name, _ in members(optimizer)))
        raise ValueError(
            f"term_weights has {', '.join(turning)}, which turns the terms' gradients into other directions, so no "
            f"loss has their sum as its gradient; the optimizer ({who}) asks for that loss. Expected rules that only "
            "scale gradients, or another optimizer, or the transform in front of the optimizer"
        )


def check_signs(
    term_tx: optax.GradientTransformation, term_params: Mapping[str, PyTree], extra: Mapping[str, Any]
) -> None:
    """A term-space transform of others' making does not turn gradients into steps, as a whole optimiser would.

    Raises:
        TypeError: when it does, or when what comes out is not like what went in.
    """
    found = list(members(term_tx))
    if all(space(update) == "term_weights" for _, update in found):
        return
    names = ", ".join(name for name, _ in found)

    def along(grads: Mapping[str, PyTree], out: Mapping[str, PyTree]) -> Array:
        if jax.tree.map(jnp.shape, dict(out)) != jax.tree.map(jnp.shape, dict(grads)):
            raise TypeError(
                f"term_weights ({names}) returns other names or shapes than it got; expected {{term: like params}}"
            )
        return optax.tree.vdot(dict(grads), dict(out))

    if np.all(_tried(term_tx, term_params, extra, along) < 0):
        raise TypeError(
            f"term_weights ({names}) turns gradients into steps downhill, as a whole optimiser does, and the optimizer "
            "would turn them uphill again; expected a transform of gradients, and the optimiser as optimizer=..."
        )


def check_weights(rule: optax.GradientTransformation, residuals: Mapping[str, Array], extra: Mapping[str, Any]) -> None:
    """A point-space transform of others' making gives weights like those that it got, none of them negative.

    Raises:
        TypeError: when it does not.
    """
    found = list(members(rule))
    if all(space(update) == "point_weights" for _, update in found):
        return
    names = ", ".join(name for name, _ in found)
    ones = {name: jnp.ones(jnp.shape(r)[:1], r.dtype) for name, r in residuals.items()}
    inner = optax.with_extra_args_support(rule)

    @jax.jit
    def least() -> Array:
        weights, _ = inner.update(ones, inner.init(dict(residuals)), None, **extra)
        if jax.tree.map(jnp.shape, dict(weights)) != jax.tree.map(jnp.shape, ones):
            raise TypeError(f"point_weights ({names}) returns other names or shapes; expected weights {{term: (n,)}}")
        return jnp.min(jnp.stack([jnp.min(w) for w in weights.values()]))

    with jax.ensure_compile_time_eval():
        if least() < 0:
            raise TypeError(
                f"point_weights ({names}) gives negative weights, as an optimiser does; expected a transform of weights"
            )


def _tried(
    term_tx: optax.GradientTransformation,
    term_params: Mapping[str, PyTree],
    extra: Mapping[str, Any],
    measure: Callable[[Mapping[str, PyTree], Mapping[str, PyTree]], Array],
) -> np.ndarray:
    """`measure(gradients, what the balancer makes of them)` on random gradients of several sizes, evaluated now.

    It is the second update that is measured, so a memory of the first shows.
    """
    random = np.random.default_rng(0)
    inner = optax.with_extra_args_support(term_tx)

    def like(leaf: Any) -> Array:
        shape, dtype = jnp.shape(leaf), jnp.result_type(leaf)
        floating = jnp.issubdtype(dtype, jnp.floating)
        return jnp.asarray(random.uniform(0.5, 1.5, shape) if floating else np.ones(shape), dtype)

    def signed(leaf: Any) -> Array:
        return jnp.asarray(random.normal(size=jnp.shape(leaf)), jnp.result_type(leaf))

    with jax.ensure_compile_time_eval():
        params = jax.tree.map(signed, dict(term_params))
        earlier, grads = (jax.tree.map(signed, dict(term_params)) for _ in range(2))
        arrays = {key: jax.tree.map(like, value) for key, value in extra.items() if not callable(value)}
        numbers = {key: jax.tree.map(like, jax.eval_shape(f)) for key, f in extra.items() if callable(f)}
        extra_args = arrays | {key: lambda value=value: value for key, value in numbers.items()}

        @jax.jit
        def measured(scale: Array) -> Array:
            first, second = (jax.tree.map(lambda g: (scale * g).astype(g.dtype), g) for g in (earlier, grads))
            _, state = inner.update(first, inner.init(params), params, **extra_args)
            out, _ = inner.update(second, state, params, **extra_args)
            return measure(second, out)

        return np.array([measured(jnp.asarray(scale)) for scale in SCALES])
