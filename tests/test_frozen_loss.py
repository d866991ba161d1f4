"""What an optimiser is offered agrees: `grad` is the gradient of `value_fn`, or the rule to blame is named.

That every scalar rule is a weight times each gradient is a row of its contract.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj

from . import poisson
from .marks import few

TERMS = {
    "pde": lambda u, x: 3 * u(x) - x[0] ** 2,
    "bc": lambda u, x: u(x) - x[0],
    "ic": lambda u, x: u(x) * x[0] - 0.3,
}
BATCH = poisson.batch(6) | {"ic": jnp.array([[0.5]])}


def witness():
    """An optimiser that takes a step downhill, and keeps what it was offered."""

    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return {"grad": zeros, "slope": zeros, "value": jnp.zeros(()), "at": jnp.zeros(()), "squares": jnp.zeros(())}

    def update(grads, state, params, *, value, grad, value_fn, residual_fn, **extra):
        seen = {"grad": grad, "value": value}
        seen["at"], seen["slope"] = jax.value_and_grad(value_fn)(params)
        seen["squares"] = jnp.sum(residual_fn(params) ** 2)
        seen = jax.tree.map(lambda new, old: new.astype(old.dtype), seen, {key: state[key] for key in seen})
        return optax.tree.scale(-1e-4, grads), seen

    return optax.GradientTransformationExtraArgs(init, update)


def offered(term_weights, steps=3, point_weights=None, batch=BATCH):
    train = pj.train_step(TERMS, witness(), term_weights=term_weights, point_weights=point_weights)
    state = train.init((poisson.apply, poisson.plain_params()), batch)
    for _ in range(steps):
        state, metrics = train.update(state, batch)
    return state.optimizer, metrics


CHAINS = {
    "clip of norms, then fixed": lambda: optax.chain(
        optax.clip_by_global_norm(0.1), pj.term_weights.fixed({"bc": 16.0})
    ),
    "a clip of each term's norm": lambda: pj.term_weights.per_term(optax.clip_by_global_norm(0.1)),
    "two rules": lambda: optax.chain(
        pj.term_weights.lr_annealing("pde", every=1), pj.term_weights.bounded(pj.term_weights.ntk(), 0.5, 2.0)
    ),
    "surgery behind a rule": lambda: optax.chain(pj.term_weights.fixed({"bc": 100.0}), pj.term_weights.cagrad()),
    "a rule that counts gradients at points": lambda: pj.term_weights.ntk(every=1),
    "a rule of the user's": lambda: optax.stateless(
        lambda grads, _: {t: optax.tree.scale(1 / optax.tree.norm(g), g) for t, g in grads.items()}
    ),
}


@pytest.mark.parametrize("name", few(CHAINS, "clip of norms, then fixed"))
def test_the_gradient_that_an_optimiser_gets_is_that_of_value_fn(name, quick_compilation):
    seen, metrics = offered(CHAINS[name]())
    assert metrics["skipped"] == 0
    size = optax.tree.norm(seen["grad"])
    off = optax.tree.norm(optax.tree.sub(seen["grad"], seen["slope"]))
    assert size > 0 and float(off / size) < 2e-3  # float32 sums over points with weights from 1e-2 to 1e5
    np.testing.assert_allclose(seen["at"], seen["value"], rtol=1e-4)
    if min(metrics[f"weight/{t}"] for t in TERMS) >= 0:  # a negative weight has no root
        np.testing.assert_allclose(seen["squares"], seen["value"], rtol=1e-4)


@pytest.mark.parametrize(
    "rule, named",
    [
        (lambda: optax.chain(optax.clip(1e-3), pj.term_weights.fixed({"bc": 16.0})), "clip"),
        (lambda: pj.term_weights.multiadam(), "multiadam"),
        (lambda: optax.chain(pj.term_weights.fixed({"bc": 2.0}), pj.term_weights.multiadam()), "multiadam"),
        (lambda: pj.term_weights.per_term(optax.scale_by_adam()), "scale_by_adam"),
        (lambda: optax.chain(pj.term_weights.ntk(), optax.ema(0.9)), "ema"),
        (lambda: optax.stateless(lambda grads, _: jax.tree.map(jnp.sign, grads)), "stateless|lambda"),
    ],
)
def test_a_rule_whose_sum_is_no_gradient_refuses_such_an_optimiser_by_name(rule, named, quick_compilation):
    with pytest.raises(ValueError, match=rf"term_weights has ({named}).*which turns the terms' gradients"):
        offered(rule())


@pytest.mark.parametrize(
    "rule", [lambda: pj.term_weights.multiadam(), lambda: optax.chain(optax.clip(1e-3), pj.term_weights.ntk())]
)
def test_and_goes_with_one_that_does_not_ask(rule, quick_compilation):
    train = pj.train_step(TERMS, optax.sgd(1e-3), term_weights=rule())
    state = train.init((poisson.apply, poisson.plain_params()), BATCH)
    state, metrics = train.update(state, BATCH)
    assert metrics["skipped"] == 0


@pytest.mark.slow
def test_the_weight_of_a_clipped_term_is_the_one_that_was_applied(x64, quick_compilation):
    """‖g‖ of all terms is clipped to 0.1, so λ = 0.1 / ‖g‖ for all; recomputed here from the metrics."""
    _, metrics = offered(optax.clip_by_global_norm(0.1), steps=1)
    norm = np.sqrt(sum(float(metrics[f"grad_norm/{t}"]) ** 2 for t in TERMS))
    assert norm > 0.1
    for t in TERMS:
        np.testing.assert_allclose(metrics[f"weight/{t}"], 0.1 / norm, rtol=1e-5)  # parameters are float32 here


def test_a_clip_that_no_trial_saw_is_counted_and_not_taken(quick_compilation):
    """1e11 is above every gradient that a transform is tried on; the gradient of the step is above it."""
    huge = lambda: optax.stateless(lambda grads, _: jax.tree.map(lambda g: jnp.clip(g, -1e12, 1e12), grads))
    terms = {"pde": lambda u, x: 1e8 * (u(x) - 3.0)}
    train = pj.train_step(terms, witness(), term_weights=huge())
    state = train.init((poisson.apply, poisson.plain_params()), {"pde": BATCH["pde"]})
    after, metrics = train.update(state, {"pde": BATCH["pde"]})
    assert metrics["skipped"] == 1
    chex.assert_trees_all_equal(after.params, state.params)


@pytest.mark.parametrize(
    "point_weights", [None, pj.point_weights.self_adaptive(1.0), pj.point_weights.causal(["pde"], interval=(0.0, 1.0))]
)
def test_point_weights_are_frozen_into_value_fn(point_weights, quick_compilation):
    seen, _ = offered(pj.term_weights.fixed({"bc": 4.0}), point_weights=point_weights)
    chex.assert_trees_all_close(seen["grad"], seen["slope"], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer, precision",
    [
        (optax.lbfgs(), "float32"),
        (optax.lbfgs(), "float64"),
        (optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(10)), "float32"),
    ],
)
def test_no_step_of_a_line_search_raises_the_loss(optimizer, precision):
    """Down to rounding and on: a least-squares fit by a small network that is soon solved."""
    with jax.enable_x64(precision == "float64"):
        dtype = jnp.dtype(precision)
        batch = {"data": jnp.linspace(-1, 1, 5, dtype=dtype)[:, None]}
        train = pj.train_step({"data": lambda u, x: u(x) - x[0] ** 2}, optimizer)
        state = train.init((poisson.apply, poisson.plain_params(dtype=dtype)), batch)
        _, metrics = jax.lax.scan(lambda s, _: train.update(s, batch), state, length=300)
        losses = np.asarray(metrics["loss"])
        assert np.isfinite(losses).all()
        assert (np.diff(losses) <= 0).all()


def test_a_step_that_raises_the_loss_it_was_searched_on_is_not_taken_and_the_search_starts_anew():
    def init(params):
        return {"tries": jnp.zeros((), jnp.int32)}

    def update(grads, state, params, *, value_fn, **extra):
        value_fn(params)
        return optax.tree.scale(1e3, grads), {"tries": state["tries"] + 1}  # far uphill

    train = pj.train_step(TERMS, optax.GradientTransformationExtraArgs(init, update))
    state = train.init((poisson.apply, poisson.plain_params()), BATCH)
    after, metrics = train.update(state, BATCH)
    assert metrics["skipped"] == 1 and metrics["nonfinite/pde"] == 0 and after.optimizer["tries"] == 0
    chex.assert_trees_all_equal(after.params, state.params)


@pytest.mark.slow
def test_balanced_hands_what_only_rules_read_to_no_line_search():
    terms = poisson.TERMS
    params, batch = poisson.plain_params(), poisson.batch(6)
    tx = pj.balanced(optax.lbfgs(), term_weights=pj.term_weights.ntk(), terms=terms)
    norms = pj.point_grad_norms(terms, poisson.apply)
    evaluate = pj.value_and_grads(terms, poisson.apply)

    def value_fn(p):
        found, _ = evaluate(p, batch)
        return optax.tree.sum(found)

    losses, grads = evaluate(params, batch)
    updates, _ = tx.update(
        grads,
        tx.init(params),
        params,
        losses=losses,
        residuals=None,
        points=batch,
        step=0,
        point_grad_norms=lambda: norms(params, batch),
        value=value_fn(params),
        grad=jax.grad(value_fn)(params),
        value_fn=value_fn,
    )
    chex.assert_tree_all_finite(updates)
