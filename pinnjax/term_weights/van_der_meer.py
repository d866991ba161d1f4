"""Weights from the sizes of the domain and of the solution.

References:
  van der Meer, Oosterlee, Borovykh, `Optimally weighted loss functions for solving PDEs with neural networks
  <https://arxiv.org/abs/2002.06269>`_, Journal of Computational and Applied Mathematics 405, 2022: Sections 3 and 4,
  and the authors' code.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ScalarLike

from pinnjax import checks
from pinnjax.term_weights import scaling

PyTree = Any


def van_der_meer(
    interior: str,
    *,
    measures: Mapping[str, ScalarLike] | None = None,
    balance: ScalarLike = 0.5,
    magnitudes: Mapping[str, Callable[[Any, PyTree], Array]] | None = None,
    every: int = 1,
) -> optax.GradientTransformationExtraArgs:
    r"""Weigh the interior against the conditions by measures and λ, or every term by the size of what it compares.

    * With `measures` (the paper's optimal loss): λ |Ω| mean r² + (1 - λ) |∂Ω| mean b², twice that here, so that
      λ = ½ with unit measures is the plain loss. Each condition has its own measure. The λ that is optimal needs the
      solution, so λ is the user's number.
    * With `magnitudes` (magnitude normalisation): λ_t = 1 / mean_i |m_t(u, x_i)|². For Δu = q the authors take
      m = Σ_j |u_jj| inside, since its mean square is what (Δu)² could be if nothing cancelled, and the given boundary
      values on ∂Ω. The authors' gradient flows through m(u); here, as everywhere in term space, a weight is constant in
      the gradient.

    Args:
        interior: the term of the equation; all others are conditions.
        measures: `{term: |Ω| or |∂Ω|}`, in units of volume or area; a term left out has measure 1.
        balance: λ, dimensionless, in [0, 1]; with `measures`.
        magnitudes: `{term: function of the field and one point}`, in units of the residual; a term left out has
            weight 1.
        every: steps between two evaluations of the magnitudes, >= 1.

    Returns:
        A term-space transform. With `magnitudes` it reads the extra args `field`, the present u, and `points`,
        `{term: (n, d)}`, both from `pinnjax.train_step`.

    Raises:
        ValueError: unless exactly one of `measures` and `magnitudes` is given; when a name is not a term, or a number
            is out of range, or the extra args are missing.

    Cost: none with `measures`; with `magnitudes`, when due, the evaluation of m at the points.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = van_der_meer("pde", measures={"pde": 4.0, "bc": 8.0}, balance=0.9)
        >>> grads = {"pde": jnp.array([1.0]), "bc": jnp.array([1.0])}
        >>> balanced, state = balancer.update(grads, balancer.init(grads))
        >>> print(f"{state.weights['pde']:.2f} {state.weights['bc']:.2f}")  # 2 · 0.9 · 4 and 2 · 0.1 · 8
        7.20 1.60
    """
    if (measures is None) == (magnitudes is None):
        raise ValueError("van_der_meer: expected exactly one of measures and magnitudes")
    checks.number("van_der_meer: balance", balance, 0.0, 1.0)
    checks.number("van_der_meer: every", every, 1)

    def start(term_params: dict[str, PyTree]) -> PyTree:
        checks.known_names("van_der_meer: interior", term_params, [interior])
        checks.known_names("van_der_meer: measures", term_params, measures or {})
        checks.known_names("van_der_meer: magnitudes", term_params, magnitudes or {})
        return ()

    def measured(seen: scaling.Seen) -> scaling.Weights:
        given = measures or {}
        weights = {}
        for name, one in seen.weights.items():
            share = balance if name == interior else 1 - balance
            weights[name] = jnp.asarray(2 * share * given.get(name, 1.0), one.dtype)
        return weights

    def normalised(seen: scaling.Seen) -> scaling.Weights:
        field, points = seen.extra.get("field"), seen.extra.get("points")
        if field is None or points is None:
            raise ValueError(
                "van_der_meer: update got no field or no points; expected the extra args field=u and "
                "points={term: (n, d)}, as pinnjax.train_step gives them"
            )
        weights = dict(seen.weights)
        for name, magnitude in (magnitudes or {}).items():
            values = jax.vmap(lambda x, magnitude=magnitude: magnitude(field, x))(points[name])
            weights[name] = (1 / jnp.mean(jnp.square(values))).astype(weights[name].dtype)
        return weights

    def propose(seen: scaling.Seen, memory: PyTree) -> tuple[scaling.Weights, PyTree]:
        if magnitudes is None:
            return measured(seen), memory
        return jax.lax.cond(seen.due, lambda: normalised(seen), lambda: dict(seen.weights)), memory

    return scaling.scalar_rule(propose, start=start, every=every)
