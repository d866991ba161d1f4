"""GradNorm: weights are trained so that slower terms get larger gradients.

References:
  Chen, Badrinarayanan, Lee, Rabinovich, `GradNorm: gradient normalization for adaptive loss balancing in deep multitask
  networks <https://arxiv.org/abs/1711.02257>`_, ICML 2018: equations 1-2 and Algorithm 1.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, ScalarLike

from pinnjax import checks
from pinnjax.term_weights import _rule
from pinnjax.terms import term_gradients

PyTree = Any


class GradNormMemory(NamedTuple):
    """Memory of `gradnorm`.

    Attributes:
        initial_losses: L_t(0), `{term: ()}`; zero before it is known.
        norms: ‖g_t‖ in the last step, `{term: ()}`.
        rates: r_t in the last step, `{term: ()}`.
        descent: state of the weights' own optimiser.
    """

    initial_losses: dict[str, Float[Array, ""]]
    norms: dict[str, Float[Array, ""]]
    rates: dict[str, Float[Array, ""]]
    descent: PyTree


def inverse_training_rates(
    losses: Mapping[str, ScalarLike], initial_losses: Mapping[str, ScalarLike]
) -> dict[str, Array]:
    """Relative inverse training rates r_t = L̃_t / mean_j L̃_j with L̃_t = L_t / L_t(0); their mean is 1.

    Example:
        >>> rates = inverse_training_rates({"pde": 1.0, "bc": 3.0}, {"pde": 4.0, "bc": 4.0})
        >>> print(rates["pde"], rates["bc"])  # 1/4 and 3/4 over their mean, 1/2
        0.5 1.5
    """
    ratios = {name: _rule.ratio(losses[name], initial_losses[name]) for name in losses}
    mean = _rule.mean(ratios)
    return {name: ratio / mean for name, ratio in ratios.items()}


def gradient_norms(term_grads: Mapping[str, PyTree]) -> dict[str, Array]:
    """‖g_t‖ of each unweighted term, over all leaves given."""
    return term_gradients.norms(term_grads)


def gradnorm_loss(
    weights: Mapping[str, ScalarLike],
    norms: Mapping[str, ScalarLike],
    rates: Mapping[str, ScalarLike],
    alpha: ScalarLike,
) -> Float[Array, ""]:
    """L_grad = Σ_t |G_t - Ḡ r_t^α| with G_t = λ_t ‖g_t‖ and Ḡ = mean_t G_t; the target Ḡ r_t^α is a constant.

    Example:
        >>> ones = {"pde": 1.0, "bc": 1.0}
        >>> print(gradnorm_loss(ones, {"pde": 3.0, "bc": 1.0}, ones, 1.5))  # |3 - 2| + |1 - 2|
        2.0
    """
    weighted = {name: jnp.asarray(weights[name] * norms[name]) for name in weights}
    mean = _rule.mean(weighted)
    targets = {name: jax.lax.stop_gradient(mean * rates[name] ** alpha) for name in weights}
    return optax.tree.sum({name: jnp.abs(weighted[name] - targets[name]) for name in weights})


def gradnorm(
    *,
    alpha: ScalarLike = 1.5,
    learning_rate: ScalarLike | optax.GradientTransformation = 0.01,
    every: int = 1,
    min_weight: ScalarLike = 0.01,
    max_weight: ScalarLike = 100.0,
    renormalize: bool = True,
    mean_rate: bool = True,
    layers: Callable[[PyTree], PyTree] = lambda grads: grads,
) -> optax.GradientTransformationExtraArgs:
    """Train the weights so that slower terms get larger gradients.

    Descend L_grad(λ) = Σ_t |λ_t ‖g_t‖ - Ḡ r_t^α| by one step of the weights' own optimiser (Algorithm 1).

    As in the paper, step k weighs with λ(k), and what it sees moves the weights to λ(k+1), which the next step applies:
    in the first step all are 1. (Much code in use applies λ(k+1) in step k.) After a move the weights are clipped into
    [min_weight, max_weight] and, with `renormalize`, scaled to Σ_t λ_t = T. The clip bounds the weight and not its
    gradient, so a weight at its bound comes back as soon as L_grad says so.

    Args:
        alpha: strength of the restoring force, dimensionless; 0 makes all weighted norms equal.
        learning_rate: of Adam, the default descent, or any optax optimiser.
        every: steps between two moves, >= 1; a move shows in the step after.
        min_weight: lower bound, > 0.
        max_weight: upper bound.
        renormalize: whether the weights sum to the number of terms; the unnormalised variant leaves them where L_grad
            takes them.
        mean_rate: whether r_t is divided by its mean, as in the paper; some descriptions use r_t = L_t / L_t(0).
        layers: picks the part of a gradient whose norm counts, e.g. the last shared layer as in the paper.

    Returns:
        A term-space transform. It reads the extra arg `losses`, `{term: ()}`; the first that is not 0 is L_t(0).

    Raises:
        ValueError: when a number is out of range, or `losses` are missing.

    Cost: a norm a term and a few scalar operations.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> balancer = gradnorm(learning_rate=optax.sgd(0.1))
        >>> grads = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([0.6, 0.8])}
        >>> losses = {"pde": jnp.float32(1.0), "bc": jnp.float32(1.0)}
        >>> _, state = balancer.update(grads, balancer.init(grads), losses=losses)
        >>> print(state.weights["pde"], state.weights["bc"])
        1.0 1.0
        >>> _, state = balancer.update(grads, state, losses=losses)
        >>> print(state.weights["pde"], state.weights["bc"])  # (1 - 0.1 · 5, 1 + 0.1 · 1) scaled to sum 2
        0.625 1.375
    """
    checks.number("gradnorm: alpha", alpha, 0.0)
    checks.number("gradnorm: every", every, 1)
    checks.number("gradnorm: min_weight", min_weight, 1e-12)
    descent = learning_rate if isinstance(learning_rate, optax.GradientTransformation) else optax.adam(learning_rate)

    def start(term_params: dict[str, PyTree]) -> GradNormMemory:
        weights = _rule.ones(term_params)
        zeros = {name: 0 * one for name, one in weights.items()}
        return GradNormMemory(zeros, zeros, weights, descent.init(weights))

    def propose(inputs: _rule.RuleInputs, memory: GradNormMemory) -> tuple[_rule.Weights, GradNormMemory]:
        losses = _rule.needs_losses("gradnorm", inputs)
        initial = _rule.first_losses(losses, memory.initial_losses)
        rates = inverse_training_rates(losses, initial)
        if not mean_rate:
            rates = {name: _rule.ratio(losses[name], initial[name]) for name in losses}
        norms = gradient_norms({name: layers(grads) for name, grads in inputs.grads.items()})
        # By what the step before saw. Its weights are those of the state, where a tool may have edited them.
        slope = jax.grad(gradnorm_loss)(inputs.weights, memory.norms, memory.rates, alpha)
        step, descent_state = descent.update(slope, memory.descent, inputs.weights)
        updated = {
            name: jnp.clip(w, min_weight, max_weight) for name, w in optax.apply_updates(inputs.weights, step).items()
        }
        if renormalize:
            mean = _rule.mean(updated)
            updated = {name: w / mean for name, w in updated.items()}
        due = (inputs.steps > 0) & ((inputs.steps - 1) % every == 0)
        updated, descent_state = jax.tree.map(
            lambda new, old: jnp.where(due, new, old), (updated, descent_state), (inputs.weights, memory.descent)
        )
        return updated, GradNormMemory(initial, norms, rates, descent_state)

    return _rule.scalar_rule(propose, start=start)
