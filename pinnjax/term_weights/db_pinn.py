"""DB-PINN: what the conditions weigh together is balanced against the PDE, and shared out by how hard each is to fit.

References:
  Zhou, Chen, Yang, Png, `Dual-balancing for physics-informed neural networks <https://arxiv.org/abs/2505.11117>`_,
  IJCAI 2025: Sections 4.1 to 4.3, and the authors' code.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from pinnjax import checks
from pinnjax.term_weights import _rule
from pinnjax.terms import names, term_gradients

PyTree = Any


class DBPINNMemory(NamedTuple):
    """Memory of `db_pinn`.

    Attributes:
        mean_losses: mean of the losses at the moves so far, `{term: ()}`.
        moves: `()`, moves so far.
    """

    mean_losses: dict[str, Float[Array, ""]]
    moves: Int[Array, ""]


def _max_over_mean(reference: Array, term: Array, weight: Array) -> Array:
    return jnp.max(jnp.abs(reference)) / jnp.mean(jnp.abs(weight * term))


def _deviations(reference: Array, term: Array, weight: Array) -> Array:
    del weight
    return _deviation(reference) / _deviation(term)


def _deviations_over_kurtoses(reference: Array, term: Array, weight: Array) -> Array:
    def spread(g: Array) -> Array:
        deviation = _deviation(g)
        return deviation / jnp.mean(((g - jnp.mean(g)) / deviation) ** 4)

    del weight
    return spread(reference) / spread(term)


def _deviation(g: Array) -> Array:
    return term_gradients.norm(g - jnp.mean(g)) / jnp.sqrt(jnp.size(g) - 1)


VARIANTS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "mean": _max_over_mean,
    "std": _deviations,
    "kurt": _deviations_over_kurtoses,
}


def db_pinn(reference: str, *, variant: str = "mean", every: int = 100) -> optax.GradientTransformationExtraArgs:
    """Balance all conditions together, shared out by how hard each is to fit.

    λ̂_t = (Σ_j ρ_j) d_t / Σ_j d_j over the conditions, and λ_t the mean of all λ̂_t so far; λ_ref = 1.

    ρ_t compares the gradient of the reference with that of condition t, all parameters together (inter-balancing):

    * ``"mean"``: max|g_ref| / mean|λ_t g_t|, as in learning-rate annealing;
    * ``"std"``: std(g_ref) / std(g_t), as in inverse-Dirichlet weighting;
    * ``"kurt"``: the same with std(g) / kurtosis(g).

    d_t = L_t / (mean of L_t over the moves so far) is the difficulty of condition t (intra-balancing). The weights are
    running means over all moves (Welford), so they settle.

    Args:
        reference: name of the term that the conditions are balanced against, usually `"pde"`.
        variant: a name above.
        every: steps between two moves, >= 1.

    Returns:
        A term-space transform. It reads the extra arg `losses`, `{term: ()}`. When a gradient is zero or not finite,
        all weights are kept, and the event counted in `held`.

    Raises:
        ValueError: when the variant or the reference is unknown, `every` is out of range, or `losses` are missing.

    Cost: two reductions over the parameters a term.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = db_pinn("pde")
        >>> grads = {"pde": jnp.array([3.0, -8.0]), "bc": jnp.array([0.5, 1.5]), "ic": jnp.array([3.0, 5.0])}
        >>> losses = {"pde": jnp.float32(1.0), "bc": jnp.float32(2.0), "ic": jnp.float32(1.0)}
        >>> balanced, state = balancer.update(grads, balancer.init(grads), losses=losses)
        >>> print(state.weights["bc"], state.weights["ic"])  # 8/1 + 8/4 in equal parts, as both difficulties are 1
        5.0 5.0
    """
    if variant not in VARIANTS:
        raise ValueError(f"db_pinn: variant is {variant!r}; expected one of {list(VARIANTS)}")
    checks.number("db_pinn: every", every, 1)

    def start(term_params: dict[str, PyTree]) -> DBPINNMemory:
        references = names.meant("db_pinn: reference", [reference], term_params)
        zeros = {name: 0 * one for name, one in _rule.ones(term_params).items() if name not in references}
        return DBPINNMemory(zeros, jnp.zeros((), jnp.int32))

    def propose(inputs: _rule.RuleInputs, memory: DBPINNMemory) -> tuple[_rule.Weights, DBPINNMemory]:
        losses = _rule.needs_losses("db_pinn", inputs)
        flat = {name: ravel_pytree(grads)[0] for name, grads in inputs.grads.items()}
        references = names.meant("db_pinn: reference", [reference], inputs.grads)
        above = term_gradients.total({name: flat[name] for name in references})
        moves = memory.moves + 1
        means = {t: m + (losses[t] - m) / moves for t, m in memory.mean_losses.items()}
        difficulties = {t: _rule.ratio(losses[t], m) for t, m in means.items()}
        ratios = {t: VARIANTS[variant](above, flat[t], inputs.weights[t]) for t in means}
        # The mean of the λ̂ starts with the first of them: the 1 that the weights start with is not counted.
        share = jnp.asarray(optax.tree.sum(ratios) / optax.tree.sum(difficulties) if means else 1.0)
        counted = {t: jnp.where(moves == 1, 0, inputs.weights[t]) for t in means}
        weights = {t: w + (share * difficulties[t] - w) / moves for t, w in counted.items()}
        alive = jnp.isfinite(share) & (share > 0)
        weights = {t: jnp.where(alive, w, jnp.nan) for t, w in weights.items()}
        weights |= {name: jnp.ones_like(inputs.weights[name]) for name in references}
        memory = jax.tree.map(lambda new, old: jnp.where(alive, new, old), DBPINNMemory(means, moves), memory)
        return weights, memory

    return _rule.scalar_rule(propose, start=start, every=every)
