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
from pinnjax.term_weights import _rule
from pinnjax.terms import losses

PyTree = Any


def ntk(*, trace: bool = False, decay: ScalarLike = 0.0, every: int = 100) -> optax.GradientTransformationExtraArgs:
    r"""Make all terms converge at one mean rate, by the neural tangent kernel.

    Weigh each term by λ̂_t = Σ_j c_j / c_t, with c_t = tr K_tt / n_t and tr K_tt = Σ_i ‖∇_θ r_ti‖².

    Every `every` steps λ_t ← decay λ_t + (1 - decay) λ̂_t. The mean of the diagonal c_t is the mean rate at which the
    residuals of a term converge; the weights make the rates equal.

    * The default is the paper's rule (equation 6.5, updated every 100 steps) in the paper's set-ups, where all terms
      have as many points, and the expert's guide's where they have not (its moving average: `decay=0.9, every=1000`).
    * `trace=True` leaves the n_t out, as the paper's equation is printed. The loss being a mean and the trace a sum,
      terms with few points then get too much: on the harmonic problem, with 50 points against one, λ_ic is 50 times
      larger and the error eight times.

    Args:
        trace: whether the diagonal of K_tt is summed, not averaged.
        decay: share of the old weight, dimensionless, in [0, 1].
        every: steps between two moves, >= 1.

    Returns:
        A term-space transform. It reads the extra arg `point_grad_norms`, a function of no arguments that returns
        ‖∇_θ r_ti‖, `{term: (n,)}`, and calls it when a move is due. `pinnjax.train_step` offers it;
        in a loop of your own it comes from `pinnjax.point_grad_norms`. A term whose trace is zero keeps its weight.

    Raises:
        ValueError: when a number is out of range, or `point_grad_norms` is missing.

    Cost: when due, a pullback and products of a few vectors a point (see `pinnjax.point_grad_norms`), 0.7 to 0.8 of a
    plain step; with `every=1` norms come out of the pass that finds the gradients, 0.3 of it; nothing otherwise. Under
    `jax.vmap` over seeds XLA evaluates both branches of the `cond`, so it is then paid in every step.

    Example:
        >>> import jax.numpy as jnp
        >>> balancer = ntk()
        >>> grads = {"pde": jnp.array([3.0]), "bc": jnp.array([1.0])}
        >>> norms = lambda: {"pde": jnp.array([1.0, 2.0]), "bc": jnp.array([1.0, 0.0])}
        >>> balanced, state = balancer.update(grads, balancer.init(grads), point_grad_norms=norms)
        >>> print(state.weights["pde"], state.weights["bc"])  # means of squares 5/2 and 1/2, sum 3
        1.2 6.0
    """
    checks.number("ntk: decay", decay, 0.0, 1.0)
    checks.number("ntk: every", every, 1)

    def propose(inputs: _rule.RuleInputs, memory: PyTree) -> tuple[_rule.Weights, PyTree]:
        point_grad_norms = inputs.extra.get("point_grad_norms")
        if point_grad_norms is None:
            raise ValueError(
                "ntk: update got no point_grad_norms; expected the extra arg point_grad_norms=function () -> "
                "{term: (n,)}, as pinnjax.train_step and pinnjax.point_grad_norms give it"
            )

        def move() -> _rule.Weights:
            norms = point_grad_norms()
            traces: dict[str, Array] = {}
            for name in inputs.grads:
                squares = jnp.square(norms[name])
                counts = losses.sampling_weights(inputs.extra.get("sampling_weights"), name, squares)
                traces[name] = losses.sum_over_points(squares, counts) if trace else jnp.mean(counts * squares)
            total = optax.tree.sum(traces)
            return {name: (total / traces[name]).astype(inputs.weights[name].dtype) for name in traces}

        return (move() if every == 1 else jax.lax.cond(inputs.due, move, lambda: inputs.weights)), memory

    return _rule.scalar_rule(propose, decay=decay, every=every)
