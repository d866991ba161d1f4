"""Learning-rate annealing: weigh each term so that its gradient is as large as that of a reference term.

References:
  Wang, Teng, Perdikaris, `Understanding and mitigating gradient pathologies in physics-informed neural networks
  <https://arxiv.org/abs/2001.04536>`_, SIAM Journal on Scientific Computing 43(5), 2021: Algorithm 1.

  Jin, Cai, Li, Karniadakis, `NSFnets <https://arxiv.org/abs/2003.06496>`_, Journal of Computational Physics 426, 2021.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ScalarLike

from pinnjax import checks
from pinnjax.term_weights import _rule
from pinnjax.terms import names, term_gradients

PyTree = Any
Leaves = list[Array]


class Variant(NamedTuple):
    """One published form of the rule.

    Attributes:
        ratio: λ̂ of (leaves of g_ref, leaves of g_t).
        weighted: whether g_t is taken with its current weight, λ_t g_t.
        matrices_only: whether only weight matrices count (leaves of two axes or more), not biases or coefficients.
        decay: share of λ that stays in a move, in [0, 1].
        every: steps between two moves.
    """

    ratio: Callable[[Leaves, Leaves], Array]
    weighted: bool
    matrices_only: bool
    decay: float
    every: int


def _mean_over_leaves(leaves: Leaves) -> Array:
    return jnp.mean(jnp.stack([jnp.mean(jnp.abs(g)) for g in leaves]))


def _max(leaves: Leaves) -> Array:
    return jnp.max(jnp.stack([jnp.max(jnp.abs(g)) for g in leaves]))


def _max_over_mean(reference: Leaves, term: Leaves) -> Array:
    return _max(reference) / _mean_over_leaves(term)


def _max_over_mean_guarded(reference: Leaves, term: Leaves) -> Array:
    return _max(reference) / (_mean_over_leaves(term) + 1e-8)


def _largest_layer_ratio(reference: Leaves, term: Leaves) -> Array:
    return jnp.max(
        jnp.stack([jnp.max(jnp.abs(r)) / jnp.mean(jnp.abs(g)) for r, g in zip(reference, term, strict=True)])
    )


def _mean_over_mean(reference: Leaves, term: Leaves) -> Array:
    def mean(leaves: Leaves) -> Array:
        return optax.tree.norm(leaves, ord=1) / optax.tree.size(leaves)

    return mean(reference) / mean(term)


def _norm_over_norm(reference: Leaves, term: Leaves) -> Array:
    return term_gradients.norm(reference) / term_gradients.norm(term)


VARIANTS = {
    "released": Variant(_max_over_mean, weighted=True, matrices_only=True, decay=0.9, every=10),
    "cavity": Variant(_largest_layer_ratio, weighted=True, matrices_only=True, decay=0.9, every=10),
    "paper": Variant(_max_over_mean_guarded, weighted=False, matrices_only=False, decay=0.1, every=1),
    "mean": Variant(_mean_over_mean, weighted=False, matrices_only=False, decay=0.9, every=1),
    "norm": Variant(_norm_over_norm, weighted=False, matrices_only=False, decay=0.9, every=1),
}


def lr_annealing(
    reference: str,
    *,
    variant: str = "released",
    decay: ScalarLike | None = None,
    every: int | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Weigh each term by how much smaller its gradient is than the reference term's.

    Wang et al. 2021, Algorithm 1: every `every` steps λ_t ← decay λ_t + (1 - decay) λ̂_t, with λ_ref = 1 and λ_t = 1 at
    the start, where

    * ``"released"`` (the default): λ̂_t = max|g_ref| / mean|λ_t g_t| as in the authors' code for Helmholtz and
      Klein-Gordon: the *weighted* gradient below, weight matrices only, the mean over layers of each layer's mean;
      decay 0.9, every 10 steps. λ settles near the square root of the plain ratio.
    * ``"cavity"``: the authors' code for the cavity: max over layers of max|g_ref| / mean|λ_t g_t| within the layer.
    * ``"paper"``: Algorithm 1 as printed, λ̂_t = max|g_ref| / mean|g_t|, unweighted below, all parameters, ε = 1e-8;
      decay 0.1, every step.
    * ``"mean"``: mean|g_ref| / mean|g_t|, as in NSFnets; decay 0.9, every step.
    * ``"norm"``: ‖g_ref‖ / ‖g_t‖; decay 0.9, every step.

    The default is the form behind the published figures. Relative L2 errors on the Helmholtz problem (method M4, 40 000
    steps, seed 0): ``"released"`` 4.9e-3 (λ near 70), ``"norm"`` 1.4e-3, ``"paper"`` 3.0e-1: it runs away.

    Args:
        reference: name of the term that is balanced against, usually ``"pde"``; the sum of its equations where it has
            several.
        variant: a name above.
        decay: share of the old weight, dimensionless, in [0, 1]; the variant's own when None.
        every: steps between two moves, >= 1; the variant's own when None.

    Returns:
        A term-space transform; it reads no extra args. A proposal λ̂ that is not finite and positive (a term with zero
        or non-finite gradient) is not taken: the weight is kept and the event counted in `held`.

    Raises:
        ValueError: when the variant or the reference is unknown, or a number is out of range.

    Cost: a maximum and a mean over the parameters a term.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = lr_annealing("pde", variant="paper", decay=0.5)
        >>> grads = {"pde": jnp.array([3.0, -8.0]), "bc": jnp.array([0.5, 1.5])}
        >>> balanced, state = balancer.update(grads, balancer.init(grads))
        >>> print(state.weights["bc"])  # (1 + 8 / 1) / 2
        4.5
    """
    if variant not in VARIANTS:
        raise ValueError(f"lr_annealing: variant is {variant!r}; expected one of {list(VARIANTS)}")
    rule = VARIANTS[variant]
    checks.number("lr_annealing: decay", decay, 0.0, 1.0)
    checks.number("lr_annealing: every", every, 1)
    keep = rule.decay if decay is None else decay
    period = rule.every if every is None else every

    def chosen(grads: PyTree) -> Leaves:
        leaves = jax.tree.leaves(grads)
        matrices = [g for g in leaves if g.ndim >= 2]
        return matrices if rule.matrices_only and matrices else leaves

    def propose(inputs: _rule.RuleInputs, memory: PyTree) -> tuple[_rule.Weights, PyTree]:
        targets = {}
        references = names.meant("lr_annealing: reference", [reference], inputs.grads)
        above = term_gradients.total({name: inputs.grads[name] for name in references})
        for name, grads in inputs.grads.items():
            ratio = rule.ratio(chosen(above), chosen(grads))
            if rule.weighted:  # every ratio is homogeneous of degree -1 in g_t
                ratio = ratio / inputs.weights[name]
            alive = (term_gradients.norm(grads) > 0) & (ratio > 0)
            targets[name] = jnp.ones_like(ratio) if name in references else jnp.where(alive, ratio, jnp.nan)
        return targets, memory

    def start(term_params: dict[str, PyTree]) -> PyTree:
        names.meant("lr_annealing: reference", [reference], term_params)
        return ()

    return _rule.scalar_rule(propose, start=start, decay=keep, every=period)
