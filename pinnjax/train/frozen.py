"""The loss that the balancers defined in this step: their weights frozen, a function of the parameters alone.

Its gradient is the sum of the balanced gradients, so a line search goes down the function that it descends. That needs
balancers that scale each term's gradient, g_t -> λ_t g_t; λ_t is read off what they did, so a transform that keeps no
weights in its state, a clip of norms or a user's own, counts as well.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, ScalarLike

from pinnjax.terms import losses

PyTree = Any
Evaluate = Callable[[PyTree], Mapping[str, Array]]


def applied(
    term_grads: Mapping[str, PyTree], balanced: Mapping[str, PyTree], stated: Mapping[str, ScalarLike]
) -> tuple[dict[str, Float[Array, ""]], Bool[Array, ""]]:
    """λ_t of each term, the number for which λ_t g_t is nearest to what the balancers made of g_t.

    Args:
        term_grads: g_t, `{term: like params}`.
        balanced: what came out.
        stated: the weights that the rules say they applied, `{term: ()}`: taken where the two agree to rounding, and
            where g_t vanishes or is not finite.

    Returns:
        `({term: λ_t}, whether every λ_t g_t is what came out)`.

    Example:
        >>> import jax.numpy as jnp
        >>> weights, exact = applied({"pde": jnp.array([3.0, 4.0])}, {"pde": jnp.array([0.6, 0.8])}, {"pde": 1.0})
        >>> print(f"{weights['pde']:.3f}", exact)
        0.200 True
    """
    found = {name: _applied(term_grads[name], balanced[name], jnp.asarray(stated[name])) for name in term_grads}
    exact = jnp.all(jnp.stack([e for _, e in found.values()]))
    return {name: weight for name, (weight, _) in found.items()}, exact


def _applied(grads: PyTree, balanced: PyTree, stated: Array) -> tuple[Array, Array]:
    dtype = jnp.promote_types(optax.tree.dtype(grads, "highest"), jnp.float32)
    near = jnp.finfo(dtype).eps ** 0.6  # far above the rounding of a sum over parameters, far below what a clip does
    g, b = optax.tree.cast(grads, dtype), optax.tree.cast(balanced, dtype)
    largest = optax.tree.norm(g, ord=jnp.inf)
    alive = (largest >= jnp.finfo(dtype).tiny) & jnp.isfinite(largest)
    unit = optax.tree.scale(1 / jnp.where(alive, largest, 1), g)  # its square neither over- nor underflows
    weight = optax.tree.vdot(unit, b) / jnp.where(alive, largest * optax.tree.vdot(unit, unit), 1)
    weight = jnp.where(alive & ~(jnp.abs(weight - stated) <= near * jnp.abs(stated)), weight, stated)
    off = optax.tree.norm(optax.tree.sub(b, optax.tree.scale(weight, g)), ord=jnp.inf)
    exact = ~alive | (off <= near * optax.tree.norm(b, ord=jnp.inf))
    return weight.astype(stated.dtype), exact


class Loss:
    """Σ_t λ_t mean_i w_ti |r_ti|² as the three functions of the parameters that optimisers ask for.

    NaN where no loss has the balanced gradients' sum as its gradient, so that such a step is not taken.

    Attributes:
        called: which of the three were called, known when the optimiser is traced.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        jacobians: Evaluate,
        term_weights: Mapping[str, Array],
        point_weights: Mapping[str, Array],
        exact: Bool[Array, ""],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Freeze the weights; `check` is called before the first evaluation, and raises where there is no loss."""
        self._evaluate, self._jacobians = evaluate, jacobians
        self._term_weights, self._point_weights = term_weights, point_weights
        self._exact, self._check = exact, check
        self.called: set[str] = set()

    def functions(self) -> dict[str, Callable]:
        """The extra args of an optimiser."""
        return {"value_fn": self.value_fn, "residual_fn": self.residual_fn, "jacobian_fn": self.jacobian_fn}

    def value_fn(self, params: PyTree, residual_fn: Any = None, jacobian_fn: Any = None) -> Float[Array, ""]:
        """The loss."""
        del residual_fn, jacobian_fn  # the line searches of optax hand on every extra arg
        found = self._asked("value_fn", self._evaluate, params)
        parts = {t: self._term_weights[t] * losses.loss(r, self._point_weights[t]) for t, r in found.items()}
        return jnp.where(self._exact, optax.tree.sum(parts), jnp.nan)

    def residual_fn(self, params: PyTree) -> Float[Array, " N"]:
        """√(λ_t w_ti / n_t) r_ti in one vector, whose squared norm is the loss; NaN where a weight is negative."""
        rows = []
        for t, r in self._asked("residual_fn", self._evaluate, params).items():
            rows.append((self._root(t, r) * r.reshape(len(r), -1)).ravel())
        return jnp.where(self._exact, jnp.concatenate(rows), jnp.nan)

    def jacobian_fn(self, params: PyTree) -> Float[Array, "N P"]:
        """The Jacobian of `residual_fn`, parameters in the order of `ravel_pytree`, one gradient a point and row."""
        rows = []
        for t, j in self._asked("jacobian_fn", self._jacobians, params).items():
            rows.append((self._root(t, j)[..., None] * j).reshape(-1, j.shape[-1]))
        return jnp.where(self._exact, jnp.concatenate(rows), jnp.nan)

    def _root(self, term: str, found: Array) -> Float[Array, "n 1"]:
        return jnp.sqrt(self._term_weights[term] * self._point_weights[term] / found.shape[0])[:, None]

    def _asked(self, who: str, evaluate: Evaluate, params: PyTree) -> Mapping[str, Array]:
        if not self.called:
            self._check()
        self.called.add(who)
        return evaluate(params)
