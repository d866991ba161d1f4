"""A transform in the wrong space, or what is none, is one sentence; it never runs in silence."""

import jax.numpy as jnp
import optax
import pytest

import pinnjax as pj
from pinnjax import term_weights
from pinnjax.train._members import members

from . import poisson
from .test_point_weights_contract import RULES as POINT_RULES
from .test_term_weights_contract import RULES as TERM_RULES

BATCH = poisson.batch(6)


def start(optimizer=None, **options):
    train = pj.train_step(poisson.TERMS, optax.sgd(1e-3) if optimizer is None else optimizer, **options)
    return train.init((poisson.apply, poisson.plain_params()), BATCH)


@pytest.mark.parametrize("name", TERM_RULES)
def test_every_term_rule_is_refused_elsewhere(name):
    rule = TERM_RULES[name].make("pde")
    said = "has the rule .*, which is of term space; expected it as term_weights="
    with pytest.raises(TypeError, match="point_weights " + said):
        start(point_weights=rule)
    with pytest.raises(TypeError, match="optimizer " + said):
        start(optax.chain(optax.clip(1.0), rule))


@pytest.mark.parametrize("name", POINT_RULES)
def test_every_point_rule_is_refused_elsewhere(name):
    rule = POINT_RULES[name].make("pde")
    said = "has the rule .*, which is of point space; expected it as point_weights="
    with pytest.raises(TypeError, match="term_weights " + said):
        start(term_weights=optax.chain(rule, optax.identity()))
    with pytest.raises(TypeError, match="optimizer " + said):
        start(rule)


@pytest.mark.parametrize("name", ["lr_annealing", "cagrad", "config", "multiadam", "fixed", "gradnorm"])
def test_the_error_names_the_rule(name):
    make = getattr(term_weights, name)
    rule = make("pde") if name == "lr_annealing" else make({"bc": 2.0}) if name == "fixed" else make()
    with pytest.raises(TypeError, match=f"point_weights has the rule {name}, "):
        start(point_weights=rule)


@pytest.mark.parametrize("what", ["term_weights", "point_weights", "optimizer"])
@pytest.mark.parametrize("given", [{"bc": 10.0}, 10.0, "lr_annealing", term_weights.lr_annealing, [1.0, 2.0]])
def test_what_is_no_transform_is_refused(what, given):
    with pytest.raises(TypeError, match=f"{what} is .*; expected an optax transform such as"):
        start(**{what: given})


@pytest.mark.parametrize(
    "rule",
    [
        lambda: optax.adam(1e-3),
        lambda: optax.sgd(0.1),
        lambda: optax.chain(term_weights.lr_annealing("pde"), optax.adam(1e-3)),
        lambda: optax.inject_hyperparams(optax.adam)(1e-3),
        lambda: optax.rmsprop(1e-3),
    ],
)
def test_a_whole_optimiser_as_term_weights_would_climb_and_is_refused(rule):
    with pytest.raises(TypeError, match="turns gradients into steps downhill, as a whole optimiser does"):
        start(term_weights=rule())


@pytest.mark.parametrize("rule", [lambda: optax.sgd(0.1), lambda: optax.adam(1e-3), lambda: optax.scale(-1.0)])
def test_an_optimiser_as_point_weights_is_refused(rule):
    with pytest.raises(TypeError, match="gives negative weights, as an optimiser does"):
        start(point_weights=rule())


def test_transforms_that_change_names_or_shapes_are_refused():
    drop = lambda given: {"pde": given["pde"]}
    with pytest.raises(TypeError, match="returns other names or shapes than it got"):
        start(term_weights=optax.stateless(lambda grads, _: drop(grads)))
    with pytest.raises(TypeError, match="returns other names or shapes"):
        start(point_weights=optax.stateless(lambda weights, _: drop(weights)))


@pytest.mark.parametrize(
    "options",
    [
        {"term_weights": optax.clip(1.0)},
        {"term_weights": optax.chain(optax.scale_by_adam(), term_weights.fixed({"bc": 2.0}))},
        {"term_weights": optax.named_chain(("clip", optax.clip(1.0)), ("ntk", term_weights.ntk()))},
        {"term_weights": optax.masked(optax.trace(0.9), {"pde": True, "bc": False})},
        {"point_weights": optax.chain(pj.point_weights.residual_attention(), optax.clip(5.0))},
        {"point_weights": optax.scale(2.0)},
    ],
)
def test_what_belongs_is_let_in(options):
    start(**options)


def test_balanced_is_for_a_loop_of_ones_own():
    tx = pj.balanced(optax.adam(1e-3), term_weights=term_weights.ntk(), terms=poisson.TERMS)
    with pytest.raises(TypeError, match=r"optimizer has pinnjax.balanced, which is for a loop of your own"):
        start(tx)
    with pytest.raises(TypeError, match="term_weights has the rule self_adaptive"):
        pj.balanced(optax.adam(1e-3), term_weights=pj.point_weights.self_adaptive(0.1), terms=["pde"])


def test_a_sampler_is_one():
    with pytest.raises(TypeError, match=r"sampler is a function; expected a pinnjax.sampling.Sampler"):
        start(sampler=lambda key: {"pde": jnp.zeros((3, 1))})


def test_members_of_nested_transforms_are_found():
    nested = optax.chain(
        optax.clip(1.0),
        term_weights.scheduled(term_weights.bounded(term_weights.gradnorm()), every=2),
        term_weights.per_term(optax.chain(optax.trace(0.9), optax.scale(2.0))),
        optax.inject_hyperparams(term_weights.lr_annealing, static_args=("reference",))("pde"),
    )
    assert [name for name, _ in members(nested)] == ["clip", "gradnorm", "trace", "scale", "lr_annealing"]
