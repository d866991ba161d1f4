"""Weights from the sizes of the domain, and residuals in units of what they are made of.

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
from pinnjax.term_weights import _rule
from pinnjax.terms import names
from pinnjax.terms.all_points import Batchwise

PyTree = Any


def van_der_meer(
    interior: str, measures: Mapping[str, ScalarLike], *, balance: ScalarLike = 0.5
) -> optax.GradientTransformationExtraArgs:
    r"""Weigh by the measures of domain and boundary.

    Weigh by measures: λ |Ω| mean r² + (1 - λ) |∂Ω| mean b², the paper's optimal loss.

    Twice that here, so that λ = ½ with unit measures is the plain loss; each condition has a measure of its own. The λ
    that is optimal depends on the solution, so λ is the user's number. The paper's heuristic for it, magnitude
    normalisation, changes the residuals: see `magnitude_normalized`.

    Args:
        interior: the term of the equation; all others are conditions.
        measures: `{term: |Ω| or |∂Ω|}`, in units of volume or area; a term left out has measure 1.
        balance: λ, dimensionless, in [0, 1].

    Returns:
        A term-space transform with constant weights; it reads no extra args.

    Raises:
        ValueError: when a name is not a term, or a number is out of range.

    Cost: none beyond the multiplication.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = van_der_meer("pde", {"pde": 4.0, "bc": 8.0}, balance=0.9)
        >>> grads = {"pde": jnp.array([1.0]), "bc": jnp.array([1.0])}
        >>> balanced, state = balancer.update(grads, balancer.init(grads))
        >>> print(f"{state.weights['pde']:.2f} {state.weights['bc']:.2f}")  # 2 · 0.9 · 4 and 2 · 0.1 · 8
        7.20 1.60
    """
    checks.number("van_der_meer: balance", balance, 0.0, 1.0)
    for name, measure in measures.items():
        checks.number(f"van_der_meer: the measure of {name!r}", measure, 0.0)

    def start(term_params: dict[str, PyTree]) -> PyTree:
        names.meant("van_der_meer: interior", [interior], term_params)
        names.meant("van_der_meer: measures", measures, term_params)
        return ()

    def propose(inputs: _rule.RuleInputs, memory: PyTree) -> tuple[_rule.Weights, PyTree]:
        inside = names.meant("van_der_meer: interior", [interior], inputs.weights)
        given = names.meant("van_der_meer: measures", measures, inputs.weights)
        shares = {name: balance if name in inside else 1 - balance for name in inputs.weights}
        sizes = {name: measures[given[name]] if name in given else 1.0 for name in inputs.weights}
        weights = {name: jnp.asarray(2 * share * sizes[name]) for name, share in shares.items()}
        return {name: w.astype(inputs.weights[name].dtype) for name, w in weights.items()}, memory

    return _rule.scalar_rule(propose, start=start)


def magnitude_normalized(
    residual: Callable[[Any, PyTree], Array], magnitude: Callable[[Any, PyTree], Array]
) -> Batchwise:
    """A term whose loss is mean r² / mean m², where m(u, x) is how large r would be if nothing in it cancelled.

    For Δu = q the authors take m = Σ_j |u_jj| + |q| inside, or its first part alone, and the given values on ∂Ω. The
    gradient flows through m(u) too, as in the authors' code; were it held constant, u = 0 would be the cure.

    Args:
        residual: a residual function of the field and one point, returning `()`.
        magnitude: a function of the field and one point, returning `()`, in units of the residual.

    Returns:
        A term, a function of all its points at once; it is not chunked.

    Example:
        >>> import jax.numpy as jnp, pinnjax as pj
        >>> term = magnitude_normalized(lambda u, x: u(x) - 1.0, lambda u, x: abs(u(x)) + 1.0)
        >>> evaluate = pj.residuals({"data": term}, lambda a, x: a * x[0])
        >>> print(evaluate(jnp.float32(3.0), {"data": jnp.array([[0.0], [1.0]])})["data"] * jnp.sqrt(8.5))  # m = 1, 4
        [-1.  2.]
    """

    def normalized(u: Any, points: PyTree) -> Array:
        size = jax.vmap(lambda x: magnitude(u, x))(points)
        return jax.vmap(lambda x: residual(u, x))(points) / jnp.sqrt(jnp.mean(jnp.square(size)))

    return Batchwise(normalized, a_point=True)
