"""NTK weights: every term's block of the neural tangent kernel to the same trace.

References:
  Wang, Yu, Perdikaris, `When and why PINNs fail to train: a neural tangent kernel perspective
  <https://arxiv.org/abs/2007.14527>`_, Journal of Computational Physics 449, 2022: Section 6 and Algorithm 1.

  Wang, Sankaran, Wang, Perdikaris, `An expert's guide to training physics-informed neural networks
  <https://arxiv.org/abs/2308.08468>`_, 2023: Section 5.2.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ScalarLike

from pinnjax import checks
from pinnjax.term_weights import scaling

PyTree = Any


def ntk(*, mean: bool = False, rate: ScalarLike = 1.0, every: int = 100) -> optax.GradientTransformationExtraArgs:
    r"""Weigh each term by λ̂_t = Σ_j tr K_jj / tr K_tt, where tr K_tt = Σ_i ‖∇_θ r_ti‖² over the points of term t.

    Every `every` steps λ_t ← (1 - rate) λ_t + rate λ̂_t. A term whose kernel has a small trace converges slowly; the
    weights bring all terms to the same mean rate of convergence.

    * By default the trace, and `rate` 1, as in the paper (equation 6.5; its code moves the weights every 100 steps).
    * `mean=True`: the mean of the diagonal, tr K_tt / n_t, as in the expert's guide (with `rate=0.1, every=1000`
      there), so the number of points of a term does not count.

    The paper's loss is a mean over points and its kernel a sum: terms with more points get smaller weights.

    Args:
        mean: whether the diagonal of K_tt is averaged, not summed.
        rate: dimensionless, in [0, 1].
        every: steps between two moves, >= 1.

    Returns:
        A term-space transform. It reads the extra arg `point_grad_norms`, a function of no arguments that returns
        ‖∇_θ r_ti‖, `{term: (n,)}`, and calls it under `lax.cond` when a move is due. `pinnjax.train_step` offers it;
        in a loop of your own it comes from `pinnjax.point_grad_norms`. A term whose trace is zero keeps its weight.

    Raises:
        ValueError: when a number is out of range, or `point_grad_norms` is missing.

    Cost: when due, one gradient a point (in chunks, see `pinnjax.point_grad_norms`); nothing otherwise. Under
    `jax.vmap` over seeds XLA evaluates both branches of the `cond`, so it is then paid in every step.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = ntk()
        >>> grads = {"pde": jnp.array([3.0]), "bc": jnp.array([1.0])}
        >>> norms = lambda: {"pde": jnp.array([1.0, 2.0]), "bc": jnp.array([1.0, 0.0])}
        >>> balanced, state = balancer.update(grads, balancer.init(grads), point_grad_norms=norms)
        >>> print(state.weights["pde"], state.weights["bc"])  # traces 5 and 1, sum 6
        1.2 6.0
    """
    checks.number("ntk: rate", rate, 0.0, 1.0)
    checks.number("ntk: every", every, 1)

    def propose(seen: scaling.Seen, memory: PyTree) -> tuple[scaling.Weights, PyTree]:
        point_grad_norms = seen.extra.get("point_grad_norms")
        if point_grad_norms is None:
            raise ValueError(
                "ntk: update got no point_grad_norms; expected the extra arg point_grad_norms=function () -> "
                "{term: (n,)}, as pinnjax.train_step and pinnjax.point_grad_norms give it"
            )

        def move() -> scaling.Weights:
            norms = point_grad_norms()
            reduce = jnp.mean if mean else jnp.sum
            traces: dict[str, Array] = {name: reduce(jnp.square(norms[name])) for name in seen.grads}
            total = optax.tree.sum(traces)
            return {name: (total / traces[name]).astype(seen.weights[name].dtype) for name in traces}

        return jax.lax.cond(seen.due, move, lambda: seen.weights), memory

    return scaling.scalar_rule(propose, rate=rate, every=every)
