"""GradNorm's loop as it is documented, beside the same loop with the library's pieces, and beside the rule itself.

The page shows the first two part by part: a comment that begins with `# --` opens a part. All three are run.
"""

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pinnjax.problems import Problem, Recipe, prepare
from pinnjax.term_weights.gradnorm import gradient_norms, gradnorm, gradnorm_loss, inverse_training_rates
from pinnjax.terms import losses as of_terms
from pinnjax.terms import term_gradients
from pinnjax.train.fit import fit

PyTree = Any
Weights = dict[str, Any]
ALPHA, RATE, EVERY = 1.5, 1e-3, 10  # restoring force; of the weights' descent; steps between two moves


def documented(loss_of: Mapping[str, Callable], params: PyTree, tx: Any, steps: int) -> list[Weights]:
    """By hand: initial losses, a move every k steps, weights appended to a history."""
    # -- the start
    value_and_grad = {t: jax.jit(jax.value_and_grad(f)) for t, f in loss_of.items()}
    weights: Weights = dict.fromkeys(loss_of, 1.0)
    history, opt_state = [], tx.init(params)
    for step in range(steps):
        # -- losses of the terms, and their gradients
        found = {t: f(params) for t, f in value_and_grad.items()}
        loss = {t: pair[0] for t, pair in found.items()}
        grad = {t: pair[1] for t, pair in found.items()}
        # -- initial losses
        if step == 0:
            initial = loss
        # -- the network's step, with the weights as they are
        history.append(weights)
        weighed = [optax.tree.scale(weights[t], grad[t]) for t in grad]
        total = jax.tree.map(lambda *g: sum(g), *weighed)
        updates, opt_state = tx.update(total, opt_state, params)
        params = optax.apply_updates(params, updates)
        # -- every k steps: how slowly each term learns
        if step % EVERY == 0:
            ratio = {t: loss[t] / initial[t] for t in loss}
            mean = sum(ratio.values()) / len(ratio)
            rate = {t: ratio[t] / mean for t in ratio}
            # -- how long its gradient is
            norm = {t: jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(g))) for t, g in grad.items()}
            # -- the slope of Σ |λ ‖g‖ - target|, whose targets are constants
            size = {t: weights[t] * norm[t] for t in norm}
            mean = sum(size.values()) / len(size)
            slope = {t: norm[t] * jnp.sign(size[t] - mean * rate[t] ** ALPHA) for t in size}
            # -- the weights' step, and back to a sum of T
            weights = {t: jnp.clip(weights[t] - RATE * slope[t], 0.01, 100.0) for t in weights}
            mean = sum(weights.values()) / len(weights)
            weights = {t: weights[t] / mean for t in weights}
    return history


def with_pieces(terms: Mapping[str, Callable], state: Any, batch: Any, tx: Any, steps: int) -> list[Weights]:
    """The same loop, with the functions of the library."""
    # -- the start
    value_and_grads = jax.jit(of_terms.value_and_grads(terms, state.definition, state.constants))
    weights: Weights = dict.fromkeys(terms, 1.0)
    history, params, opt_state = [], state.params, tx.init(state.params)
    for step in range(steps):
        # -- losses of the terms, and their gradients
        loss, grad = value_and_grads(params, batch)
        # -- initial losses
        if step == 0:
            initial = loss
        # -- the network's step, with the weights as they are
        history.append(weights)
        total = term_gradients.total({t: optax.tree.scale(weights[t], grad[t]) for t in grad})
        updates, opt_state = tx.update(total, opt_state, params)
        params = optax.apply_updates(params, updates)
        # -- every k steps: how slowly each term learns
        if step % EVERY == 0:
            rate = inverse_training_rates(loss, initial)
            # -- how long its gradient is
            norm = gradient_norms(grad)
            # -- the slope of Σ |λ ‖g‖ - target|, whose targets are constants
            slope = jax.grad(gradnorm_loss)(weights, norm, rate, ALPHA)
            # -- the weights' step, and back to a sum of T
            weights = {t: jnp.clip(weights[t] - RATE * slope[t], 0.01, 100.0) for t in weights}
            mean = sum(weights.values()) / len(weights)
            weights = {t: weights[t] / mean for t in weights}
    return history


def compared(problem: Problem, recipe: Recipe, steps: int) -> dict[str, np.ndarray]:
    """The weights over the steps, `{loop: (steps, T)}`, of both loops and of the rule.

    In double precision, and still apart by some 1e-5: the problem is odd, so the gradients of biases begin as rounding,
    of which Adam makes whole steps.
    """
    rule = gradnorm(alpha=ALPHA, learning_rate=optax.sgd(RATE), every=EVERY)
    tx = recipe.optimizer(recipe.schedule(steps))
    with jax.enable_x64(True):
        balanced = dataclasses.replace(recipe, term_weights=rule)
        train, start = prepare(problem, balanced, steps, jnp.float64)
        state, drawn = start(jax.random.key(0))
        batch = drawn or {}
        field = lambda params: train.model(dataclasses.replace(state, params=params))
        loss_of = {
            t: lambda params, t=t: jnp.mean(jax.vmap(lambda x: problem.terms[t](field(params), x))(batch[t]) ** 2)
            for t in problem.terms
        }
        by_hand = documented(loss_of, state.params, tx, steps)
        pieces = with_pieces(problem.terms, state, batch, tx, steps)
        history = fit(train, state, batch, steps=steps, progress=False)[1]
    rows = lambda found: np.array([[float(weights[t]) for t in problem.terms] for weights in found])
    ours = np.stack([history[f"weight/{t}"] for t in problem.terms], axis=1)
    return {"documented": rows(by_hand), "pieces": rows(pieces), "rule": ours}


def side_by_side() -> list[tuple[str, str, str]]:
    """Both loops part by part: `(what it does, as documented, with pieces)`.

    Example:
        >>> print([name for name, *_ in side_by_side()][:2])
        ['the start', 'losses of the terms, and their gradients']
    """
    left, right = (_parts(f) for f in (documented, with_pieces))
    return [(name, left[name], right[name]) for name in left]


def _parts(function: Callable) -> dict[str, str]:
    source = inspect.getsource(function)
    pieces = re.split(r"^ *# -- (.*)\n", source[: source.rindex("    return")], flags=re.MULTILINE)
    return {name: textwrap.dedent(text).rstrip() for name, text in zip(pieces[1::2], pieces[2::2], strict=True)}
