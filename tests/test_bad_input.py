"""Each wrong input raises one sentence that names what was given and what was expected."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pinnjax as pj
from pinnjax import checks, point_weights, term_weights
from pinnjax.cli import main
from pinnjax.problems import Problem, solve
from pinnjax.terms import bridge

from . import poisson

MINE = Problem(poisson.TERMS, poisson.batch(), lambda x: jnp.sin(jnp.pi * x[0]))
NAN_POINTS = {"pde": jnp.array([[0.1], [jnp.nan]]), "bc": jnp.zeros((1, 1))}


def start(terms=poisson.TERMS, batch=None, model=None, **options):
    key = options.pop("key", None)
    train = pj.train_step(terms, optax.adam(1e-3), **options)
    return train.init(poisson.model() if model is None else model, batch or poisson.batch(), key=key)


def with_points(**points):
    return start(batch=poisson.batch() | points)


def column(u, x):
    return u(x)[None]


TABLE = {
    "unknown term in the batch": (
        lambda: with_points(ic=jnp.zeros((1, 1))),
        r"the batch has unknown \['ic'\]; expected the terms \['pde', 'bc'\]",
    ),
    "missing term in the batch": (
        lambda: start(batch={"pde": jnp.zeros((2, 1))}),
        r"the batch misses \['bc'\]; expected the terms",
    ),
    "both": (
        lambda: start(batch={"pde": jnp.zeros((2, 1)), "bcs": jnp.zeros((2, 1))}),
        r"misses \['bc'\] and has unknown \['bcs'\]",
    ),
    "batch is no dict": (lambda: start(batch=[jnp.zeros((2, 1))]), "the batch is a list; expected a dict"),
    "points of rank 1": (
        lambda: with_points(pde=jnp.zeros(8)),
        r"term 'pde': points of shape \(8,\); expected \(n, d\), one row a point",
    ),
    "points of rank 3": (lambda: with_points(pde=jnp.zeros((8, 1, 1))), r"points of shape \(8, 1, 1\); expected"),
    "unequal rows in a data term": (
        lambda: with_points(bc=(jnp.zeros((3, 1)), jnp.zeros(4))),
        r"term 'bc': points with leaves of shapes \[\(3, 1\), \(4,\)\]; expected the same n rows",
    ),
    "zero points": (lambda: with_points(bc=jnp.zeros((0, 1))), "term 'bc' has zero points; expected n >= 1"),
    "empty pytree of points": (lambda: with_points(bc=()), "term 'bc' has no points; expected an array"),
    "NaN in points": (
        lambda: start(batch=NAN_POINTS),
        "term 'pde': 1 of its coordinates are not finite, first in point 1",
    ),
    "NaN in points given to fit": (
        lambda: pj.fit(pj.train_step(poisson.TERMS, optax.sgd(1.0)), None, NAN_POINTS, steps=1),
        "term 'pde': 1 of its coordinates are not finite",
    ),
    "a residual of shape (n, 1)": (
        lambda: start(terms={"pde": poisson.pde, "bc": column}),
        r"term 'bc': the residual at one point has shape \(1,\); expected \(\) or \(m,\) with m >= 2",
    ),
    "a model with one output instead of a scalar": (
        lambda: start(model=pj.nn.MLP(1, 1, width=4, depth=1, rngs=pj.nn.Rngs(0))),
        r'the residual at one point has shape \(1,\).*out_features="scalar"',
    ),
    "a residual that is a matrix": (
        lambda: start(terms={"pde": poisson.pde, "bc": lambda u, x: jnp.ones((2, 2))}),
        r"term 'bc': the residual at one point has shape \(2, 2\)",
    ),
    "an integer residual": (
        lambda: start(terms={"pde": poisson.pde, "bc": lambda u, x: 1}),
        "term 'bc': the residual has dtype int32; expected a floating dtype",
    ),
    "a vector field where the reference is scalar": (
        lambda: pj.relative_l2(lambda x: x, jnp.ones((3, 1)), jnp.ones(3)),
        r"the field has shape \(3, 1\) on the grid; expected the reference's \(3,\)",
    ),
    "a scalar field where a vector is needed": (
        lambda: pj.divergence(lambda x: x[0])(jnp.ones(2)),
        r"divergence: the field has shape \(\) at a point; expected \(2,\)",
    ),
    "terms are a list": (lambda: pj.train_step([poisson.pde], optax.sgd(1.0)), "terms are a list; expected a dict"),
    "no terms": (lambda: pj.train_step({}, optax.sgd(1.0)), "terms are empty; expected at least one"),
    "a term that is no function": (
        lambda: pj.train_step({"pde": 3.0}, optax.sgd(1.0)),
        "term 'pde' is a float; expected a residual function",
    ),
    "no model": (lambda: start(model=3.0), r"a model of type float; expected an nnx.Module or a pair"),
    "a sampler without a key": (
        lambda: start(sampler=pj.sampling.resample(poisson.draw)),
        "key is None; expected a random key",
    ),
    "points given twice": (
        lambda: start(sampler=pj.sampling.resample(poisson.draw), key=jax.random.key(0)),
        r"both have points for \['bc', 'pde'\]; expected each term in one of them",
    ),
    "unknown reference": (
        lambda: start(term_weights=term_weights.lr_annealing("pdes")),
        r"lr_annealing: reference names unknown terms \['pdes'\]; expected some of \['bc', 'pde'\]",
    ),
    "unknown variant": (
        lambda: term_weights.lr_annealing("pde", variant="papers"),
        r"variant is 'papers'; expected one of \['released', 'cavity', 'paper', 'mean', 'norm'\]",
    ),
    "decay out of range": (
        lambda: term_weights.lr_annealing("pde", decay=1.5),
        r"decay is 1.5; expected a number in \[0, 1\]",
    ),
    "every out of range": (
        lambda: term_weights.lr_annealing("pde", every=0),
        r"every is 0; expected a number in \[1, inf\]",
    ),
    "unknown fixed weight": (
        lambda: start(term_weights=term_weights.fixed({"bcs": 2.0})),
        r"fixed: weights names unknown terms \['bcs'\]",
    ),
    "negative fixed weight": (
        lambda: term_weights.fixed({"bc": -1.0}),
        "the weight of 'bc' is -1.0; expected a number in",
    ),
    "unknown self-adaptive term": (
        lambda: start(point_weights=point_weights.self_adaptive(1.0, terms=["ic"])),
        r"self_adaptive: terms names unknown terms \['ic'\]",
    ),
    "negative ascent": (
        lambda: point_weights.self_adaptive(-1.0),
        r"learning_rate is -1.0; expected a number in \[0, inf\]",
    ),
    "unknown term by position": (
        lambda: start(point_weights=point_weights.by_position({"ic": lambda x: 1.0})),
        r"by_position: weights names unknown terms \['ic'\]",
    ),
    "a number by position": (
        lambda: point_weights.by_position({"pde": 2.0}),
        "weight of 'pde' is 2.0; expected a function of one",
    ),
    "a vector by position": (
        lambda: weighed_with(point_weights.by_position({"pde": lambda x: x})),
        r"the weight of 'pde' at one point has shape \(1,\); expected a scalar \(\)",
    ),
    "memory of points that are replaced": (
        lambda: start_with_sampler(point_weights=point_weights.self_adaptive(1.0)),
        "the sampler replaces its points in every step; expected a sampler whose points stay",
    ),
    "wrong names in balanced": (
        lambda: balanced_with({"pde": jnp.ones(2)}),
        r"balanced: the gradients misses \['bc'\]; expected the terms",
    ),
    "no steps": (
        lambda: pj.fit(pj.train_step(poisson.TERMS, optax.sgd(1.0)), start(), poisson.batch(), steps=0),
        "fit: steps is 0; expected an integer >= 1",
    ),
    "network of no width": (
        lambda: pj.nn.MLP(2, "scalar", width=0, rngs=pj.nn.Rngs(0)),
        "width is 0; expected an integer >= 1",
    ),
    "unknown out_features": (
        lambda: pj.nn.ModifiedMLP(2, "scalr", rngs=pj.nn.Rngs(0)),
        "out_features is 'scalr'; expected an integer >= 1 or \"scalar\"",
    ),
    "standardisation by zero": (lambda: pj.nn.Standardize([0.0], [0.0]), "expected equal lengths, deviations > 0"),
    "standardisation by NaN": (lambda: pj.nn.Standardize([0.0], [jnp.nan]), r"deviation is \[nan\]; expected finite"),
    "standardisation of two lengths": (lambda: pj.nn.Standardize([0.0], [1.0, 1.0]), "expected equal lengths"),
    "standardisation by a number": (
        lambda: pj.nn.Standardize(0.0, 1.0),
        "mean is 0.0; expected finite numbers, one for",
    ),
    "a box upside down": (
        lambda: pj.nn.Standardize.box([0.0, 1.0], [1.0, 0.0]),
        r"lower \[0.0, 1.0\] and upper \[1.0, 0.0\]; expected equal lengths, lower < upper",
    ),
    "a box of two dimensions": (lambda: pj.nn.Standardize.box([0.0], [1.0, 2.0]), "expected equal lengths, lower <"),
    "a period of NaN": (lambda: pj.nn.Periodic([jnp.nan]), r"periods is \[nan\]; expected finite numbers"),
    "an infinite period": (lambda: pj.nn.Periodic([jnp.inf]), r"periods is \[inf\]; expected finite numbers"),
    "one period": (lambda: pj.nn.Periodic(2.0), "periods is 2.0; expected finite numbers, one for"),
    "no period": (lambda: pj.nn.Periodic([]), r"periods is \[\]; expected finite numbers, one for each coordinate"),
    "half a harmonic": (lambda: pj.nn.Periodic([1.0], 1.5), "harmonics is 1.5; expected an integer >= 1"),
    "a scale of three for points of two": (
        lambda: fourier(2, 4, scale=[1.0, 2.0, 3.0]),
        r"scale is \(1.0, 2.0, 3.0\); expected a positive number, or 2 of them",
    ),
    "a scale of one for points of two": (lambda: fourier(2, 4, scale=[1.0]), "expected a positive number, or 2 of"),
    "a scale of NaN": (lambda: fourier(2, 4, scale=jnp.nan), "scale is .*nan.*; expected finite numbers"),
    "half a wave": (lambda: fourier(2, 0.5, scale=1.0), "waves is 0.5; expected an integer >= 1"),
    "random waves from a seed": (lambda: fourier(2, 4, scale=1.0, rngs=0), r"rngs is 0; expected pinnjax.nn.Rngs\(0\)"),
    "a network from a seed": (lambda: network(rngs=0), r"rngs is 0; expected pinnjax.nn.Rngs\(0\)"),
    "a network from a key": (lambda: network(rngs=jax.random.key(0)), r"rngs is an array .*; expected pinnjax.nn.Rngs"),
    "True for a size": (lambda: network(width=True), "width is True; expected an integer >= 1"),
    "half a layer": (lambda: network(depth=1.5), "depth is 1.5; expected an integer >= 1"),
    "an activation by name": (lambda: network(activation="tanh"), "activation is 'tanh'; expected a function"),
    "an input map by name": (
        lambda: network(inputs="periodic"),
        "inputs is 'periodic'; expected a function of a point",
    ),
    "an input map that is a class": (
        lambda: pj.nn.ModifiedMLP(2, "scalar", inputs=pj.nn.Periodic, rngs=pj.nn.Rngs(0)),
        "inputs is the class Periodic; expected a function of a point, or None",
    ),
    "parameters of integers": (lambda: network(param_dtype=jnp.int32), "param_dtype is .*int32; expected a floating"),
    "parameters of no dtype": (lambda: network(param_dtype="float46"), "param_dtype is 'float46'; expected a floating"),
    "an input map of another length": (
        lambda: network(inputs=pj.nn.Periodic([1.0, None]))(jnp.ones(2)),
        r"MLP: inputs gives the shape \(3,\); expected \(in_features,\) = \(2,\)",
    ),
    "a number for a lift": (
        lambda: pj.nn.Constrained(network(), 0.0, lambda x: x[0]),
        "lift is 0.0; expected a function of a point",
    ),
    "integer parameters": (
        lambda: start(model=(lambda p, x: p["a"] * x[0], {"a": jnp.float32(2), "n": jnp.arange(2)})),
        r"params/n is an array of shape \(2,\) and dtype int32; expected a floating dtype",
    ),
    "a Python integer as a parameter": (
        lambda: start(model=(lambda a, x: a * x[0], 3)),
        "params is 3; expected a floating dtype",
    ),
    "complex parameters": (
        lambda: start(model=(lambda a, x: jnp.abs(a) * x[0], [jnp.ones(2) * 1j])),
        r"params/0 is an array of shape \(2,\) and dtype complex64; expected a floating dtype",
    ),
    "an integer nnx.Param": (lambda: bridge.split(integer_module()), "params/nu.* dtype int32; expected a floating"),
    "integer parameters in a loop of one's own": (
        lambda: pj.value_and_grads(poisson.TERMS, lambda a, x: a * x[0])(jnp.int32(3), poisson.batch()),
        r"params is an array of shape \(\) and dtype int32; expected a floating dtype",
    ),
    "points as lists": (
        lambda: with_points(pde=[[0.1], [0.2]]),
        r"term 'pde': points hold the number 0.1; expected an array \(n, d\).*jnp.array\(points\)",
    ),
    "values of a data term as a list": (
        lambda: with_points(bc=(jnp.zeros((2, 1)), [0.0, 1.0])),
        "term 'bc': points hold the number 0.0; expected",
    ),
    "values of a data term as a column": (
        lambda: start(
            terms={"pde": poisson.pde, "bc": lambda u, xy: u(xy[0]) - xy[1]},
            batch=poisson.batch() | {"bc": (jnp.zeros((3, 1)), jnp.zeros((3, 1)))},
        ),
        r"'bc': the residual at one point has shape \(1,\); .* values that go with its points are \(n,\), not \(n, 1\)",
    ),
    "a reference that is a column": (
        lambda: pj.relative_l2(lambda x: x[0], jnp.ones((3, 1)), jnp.ones((3, 1))),
        r"the field has shape \(3,\) on the grid; expected the reference's \(3, 1\).*its reference is \(n,\)",
    ),
    "a reference on another grid": (
        lambda: pj.relative_l2(lambda x: x[0], jnp.ones((3, 1)), jnp.ones(1)),
        r"has shape \(3,\) on the grid; expected the reference's \(1,\)",
    ),
    "a scalar for a reference": (lambda: pj.relative_l2(lambda x: x[0], jnp.ones((3, 1)), 1.0), r"reference's \(\)"),
    "a grid of numbers": (
        lambda: pj.relative_l2(lambda x: x, jnp.ones(3), jnp.ones(3)),
        r"relative_l2: the grid has shape \(3,\); expected \(n, d\), one row a point",
    ),
    "a grid of no points": (lambda: pj.relative_l2(lambda x: x[0], jnp.ones((0, 1)), jnp.ones(0)), r"shape \(0, 1\)"),
    "a seed for a key": (
        lambda: checks.key("train.init: key", 0),
        r"train.init: key is 0; expected a random key such as jax.random.key\(0\)",
    ),
    "a seed in an array": (lambda: checks.key("key", jnp.uint32(0)), r"key is an array of shape \(\) and dtype uint32"),
    "no key": (lambda: checks.key("key", None), "key is None; expected a random key"),
    "numbers for a key": (lambda: checks.key("key", jnp.ones(2)), "dtype float32; expected a random key"),
    "several keys": (lambda: checks.key("key", jax.random.split(jax.random.key(0), 3)), r"shape \(3,\) .*several keys"),
    "a problem without points": (
        lambda: Problem(poisson.TERMS, 3),
        r"Problem: draw is 3; expected \{term: points\}, draw\(key\) or draw\(key, points, dtype\)",
    ),
    "a problem's draw of two arguments": (
        lambda: Problem(poisson.TERMS, lambda key, points: {}),
        r"draw takes \(key, points\); expected",
    ),
    "a problem whose draw asks for numbers": (
        lambda: Problem(poisson.TERMS, lambda key, points, dtype: {}),
        r"points are missing; expected \{term: number\}",
    ),
    "a problem whose numbers are others": (
        lambda: Problem(poisson.TERMS, poisson.batch(), points={"pde": 8}),
        r"points are \{'pde': 8\}, but draw gives \{'pde': 16, 'bc': 2\}; expected draw\(key, points, dtype\)",
    ),
    "a problem that misses points": (
        lambda: Problem(poisson.TERMS, {"pde": np.ones((3, 1))}),
        r"the batch misses \['bc'\]; expected the terms",
    ),
    "a problem with a reference that is nowhere": (
        lambda: Problem(poisson.TERMS, poisson.batch(), np.ones(3)),
        r"reference is an array of shape \(3,\) .* and grid is missing; expected the points \(n, d\)",
    ),
    "a problem with a reference of other points": (
        lambda: Problem(poisson.TERMS, poisson.batch(), np.ones(3), grid=np.ones((4, 1))),
        r"reference has shape \(3,\) on a grid of shape \(4, 1\); expected \(n,\) or \(n, m\)",
    ),
    "a problem with a reference that is not finite": (
        lambda: Problem(poisson.TERMS, poisson.batch(), lambda x: 1 / x[0]),
        r"reference is not finite at 1 points of the grid, first at \[0\.0\]",
    ),
    "a problem with a reference of a grid": (
        lambda: Problem(poisson.TERMS, poisson.batch(), lambda x: x[:, 0]),
        r"reference raises IndexError at one point \(1,\): .*; expected a function u\(x\)",
    ),
    "a problem whose field cannot be guessed": (
        lambda: Problem({"pde": lambda u, x: u.nu * u(x)}, {"pde": np.ones((3, 1))}),
        r"the residuals take no field of 1 to 8 components; .*no attribute 'nu'; expected network=",
    ),
    "a problem of any number of components": (
        lambda: Problem({"pde": lambda u, x: jnp.linalg.norm(u(x)) - u(x)[0]}, {"pde": np.ones((3, 1))}),
        r"the residuals take fields of \[2, .* 8\] components; expected network=",
    ),
    "a problem balanced against no term": (
        lambda: Problem(poisson.TERMS, poisson.batch(), balance_against="pdf"),
        r"balance_against names unknown terms \['pdf'\]",
    ),
    "other numbers of points than a draw has": (
        lambda: solve(MINE, dataclasses.replace(MINE.recipes["plain"], points={"pde": 8}), steps=1),
        r"\{'pde': 8, 'bc': 2\} points are asked for, but draw gives \{'pde': 16, 'bc': 2\}",
    ),
    "several old keys": (
        lambda: checks.key("key", jax.random.split(jax.random.PRNGKey(0), 3)),
        r"shape \(3, 2\) .*several keys",
    ),
}


def network(**options):
    return pj.nn.MLP(2, "scalar", **({"width": 4, "rngs": pj.nn.Rngs(0)} | options))


def fourier(*sizes, **options):
    return pj.nn.FourierFeatures(*sizes, **({"rngs": pj.nn.Rngs(0)} | options))


def integer_module():
    model = network()
    model.nu = pj.nn.Param(jnp.int32(1))
    return model


def weighed_with(rule):
    found = {"pde": jnp.ones(3)}
    return rule.update(found, rule.init(found), residuals=found, points={"pde": jnp.ones((3, 1))})


def start_with_sampler(**options):
    train = pj.train_step(poisson.TERMS, optax.adam(1e-3), sampler=pj.sampling.resample(poisson.draw), **options)
    return train.init(poisson.model(), key=jax.random.key(0))


def balanced_with(grads):
    tx = pj.balanced(optax.sgd(1.0), term_weights=term_weights.fixed({}), terms=["pde", "bc"])
    return tx.update(grads, tx.init(jnp.ones(2)))


@pytest.mark.parametrize("case", TABLE)
def test_wrong_input_is_named(case):
    wrong, said = TABLE[case]
    with pytest.raises((ValueError, TypeError), match=said) as caught:
        wrong()
    assert "\n" not in str(caught.value)


COMMANDS = {
    "solve helmholz": "inverse_burgers (did you mean 'helmholtz'?)",
    "reproduce helmholz": "study is 'helmholz'; expected one of harmonic, poisson, tanh, gradnorm, fbpinn, helmholtz, "
    "klein_gordon, cavity, cavity_uvp, xpinn, hard, cascade, phases (did you mean 'helmholtz'?)",
    "page loss_weight": "page is 'loss_weight'; expected one of loss_weights, race, gradnorm, phases "
    "(did you mean 'loss_weights'?)",
    "solve helmholtz --method windows": "windows: helmholtz has no time; expected a problem in time",
    "solve inverse_burgers --method windows": "has unknown coefficients or points that stay",
    "solve burgers --method windows --until 2": "until is 2.0; expected a time in (0, 1]",
    "solve burgers --method windows --steps 3": "leave out --steps, or choose another method",
    "solve burgers --until 1": "--until is the last time of --method windows",
    "solve helmholtz --method M5": "method is 'M5'; expected one of M1, M2, M3, M4",
    "solve helmholtz --model mpl": "model is 'mpl'; expected one of mlp, modified_mlp",
    "solve helmholtz --term-weights annealing": "term-weights is 'annealing'; expected one of none, fixed,",
    "solve helmholtz --term-weights lr_annealing:variant=foo": "variant is 'foo'; expected one of ['released'",
    "solve helmholtz --term-weights lr_annealing:speed=1": "'lr_annealing' does not take these options, speed=1",
    "solve helmholtz --term-weights fixed:bc": "'fixed' has the option 'bc'; expected option=value",
    "solve helmholtz --point-weights sa": "point-weights is 'sa'; expected one of none, self_adaptive",
    "solve helmholtz --dtype float16": "dtype is 'float16'; expected float32 or float64",
    "solve helmholtz --steps 0": "steps is 0; expected a number >= 1",
    "list problem": "list is 'problem'; expected one of problems,",
    "bench stp": "bench is 'stp'; expected one of step",
    "bench step --rounds 0": "rounds is 0; expected a number >= 1",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_command_is_one_sentence_and_exit_code_2(command, capsys):
    assert main(command.split()) == 2
    said = capsys.readouterr().err
    assert COMMANDS[command] in said
    assert said.startswith("pinnjax: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey, lambda s: np.asarray(jax.random.PRNGKey(s))])
def test_keys_new_and_old_pass_and_under_vmap(make):
    draw = lambda key: jax.random.uniform(checks.key("key", key))
    assert draw(make(3)) == jax.random.uniform(jax.random.key(3))
    keys = jax.random.split(jnp.asarray(make(3)), 4)
    chex.assert_shape(jax.vmap(draw)(keys), (4,))


@settings(deadline=None, max_examples=30, derandomize=True)
@given(power=st.floats(-33, 36), error=st.floats(1e-3, 1e3))
def test_the_relative_error_does_not_depend_on_units(power, error):
    """Squares of 1e-33 and 1e36 are outside float32: an error could be read as zero or as NaN. Differences are not."""
    unit, grid = 10.0**power, np.array([[0.5], [-1.0], [0.25]], np.float32)
    if power + np.log10(1 + error) > 37:
        return
    reference = (grid[:, 0] * np.float32(unit)).astype(np.float32)
    found = pj.relative_l2(lambda x: x[0] * np.float32(unit * (1 + error)), grid.tolist(), reference.tolist())
    assert float(found) == pytest.approx(error, rel=3e-4)  # 1 + error is rounded: 1e-7 over 1e-3


def test_the_relative_error_of_a_vector_is_over_all_components():
    grid, reference = np.ones((2, 1), np.float32), np.array([[3.0, 0.0], [0.0, 4.0]])
    assert pj.relative_l2(lambda x: jnp.zeros(2), grid, reference) == 1
    found = pj.relative_l2(lambda x: jnp.array([3.0, 4.0]), grid, reference)
    assert float(found) == pytest.approx(1.0)  # the differences are 4 and 3, the reference's norm 5
    assert pj.relative_l2(lambda x: x[0], grid, np.zeros(2)) == jnp.inf


@pytest.mark.slow
def test_a_good_batch_passes_every_check():
    state = start(batch=jax.tree.map(np.asarray, poisson.batch()))
    assert int(state.step) == 0
