"""Corrections: the trained field is kept, a second network begins at the scale of the residuals that are left."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.problems import harmonic

from . import poisson

KEY = jax.random.key(0)


def network(key, dtype=None):
    return pj.nn.MLP(1, "scalar", width=4, depth=1, param_dtype=dtype, rngs=pj.nn.Rngs(key))


def cubed(u, x):
    """A nonlinear residual, whose derivative depends on the field."""
    return u(x) ** 3 - 8 * x[0]


def test_it_adds_to_the_residuals_as_much_as_is_left(x64):
    """The derivative by hand: 3 u² N."""
    x = jnp.linspace(0.1, 1.0, 7)[:, None]
    known, added = poisson.model(1, jnp.float64), network(jax.random.split(KEY)[1])
    u = pj.correction({"data": cubed}, {"data": x}, network)(known, KEY)
    size = lambda values: np.sqrt(np.mean(np.asarray(values) ** 2))
    u0, n = (np.asarray(jax.vmap(f)(x)) for f in (known, added))
    expected = size(u0**3 - 8 * x[:, 0]) / size(3 * u0**2 * n)
    np.testing.assert_allclose(jax.vmap(u)(x), u0 + expected * n, rtol=1e-12)


@pytest.mark.slow
def test_points_may_be_drawn_and_a_factor_keeps_what_holds(x64):
    factor = lambda x: x[0] * (1 - x[0])
    draw = lambda key: {"pde": pj.sampling.box(key, [0.0], [1.0], 9), "bc": jnp.array([[0.0], [1.0]])}
    known = poisson.model(1, jnp.float64)
    u = pj.correction(poisson.TERMS, draw, network, factor=factor)(known, KEY)
    ends, inside = jnp.array([[0.0], [1.0]]), jnp.array([[0.5]])
    np.testing.assert_array_equal(jax.vmap(u)(ends), jax.vmap(known)(ends))
    assert u(inside[0]) != known(inside[0])


def test_a_network_that_no_residual_sees_is_left_at_its_own_scale(x64):
    terms = {"data": lambda u, x: u(x) - u(x) + x[0]}
    known, points = poisson.model(1, jnp.float64), {"data": jnp.ones((2, 1))}
    u = pj.correction(terms, points, network)(known, KEY)
    added = network(jax.random.split(KEY)[1])
    np.testing.assert_allclose(u(jnp.ones(1)), known(jnp.ones(1)) + added(jnp.ones(1)), rtol=1e-12)


def phases(first, second):
    model = pj.correction(poisson.TERMS, poisson.batch(), lambda key: network(key, jnp.float32))
    return [pj.Phase(first, 10), pj.Phase(second, 10, model=model)]


@pytest.mark.exhaustive
def test_the_first_field_stays_and_a_killed_run_goes_on(tmp_path):
    """What a checkpoint keeps of the trained field is what was trained."""
    first, second = (pj.train_step(poisson.TERMS, optax.adam(rate)) for rate in (1e-2, 1e-3))
    start = lambda: first.init(network(KEY, jnp.float32), poisson.batch(), key=KEY)
    options = {"steps_per_call": 5, "progress": False}
    half, _ = pj.fit(first, start(), poisson.batch(), steps=10, **options)
    whole, history = pj.fit(phases(first, second), start(), poisson.batch(), **options)
    u = second.model(whole)
    assert isinstance(u, pj.nn.Corrected) and len(jax.tree.leaves(whole.params)) == 4
    kept = jax.tree.leaves(whole.constants)
    assert all(any(np.array_equal(leaf, k) for k in kept) for leaf in jax.tree.leaves(half.params))

    def kill(step, metrics, state):
        if step == 20:
            raise KeyError

    with pytest.raises(KeyError):
        pj.fit(
            phases(first, second),
            start(),
            poisson.batch(),
            callback=kill,
            checkpoint=tmp_path,
            checkpoint_every=5,
            **options,
        )
    resumed, after = pj.fit(phases(first, second), start(), poisson.batch(), checkpoint=tmp_path, **options)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(resumed.params), strict=True):
        np.testing.assert_array_equal(a, b)
    x = jnp.array([0.3])
    assert u(x) == second.model(resumed)(x)
    np.testing.assert_array_equal(history["loss"], after["loss"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pj.nn.Corrected(lambda x: x[0], network(KEY), 1.0), "known is a function"),
        (lambda: pj.nn.Corrected(network(KEY), 3.0, 1.0), r"network is 3\.0; expected a function"),
        (lambda: pj.nn.Corrected(network(KEY), network(KEY), 1.0, 2.0), r"factor is 2\.0; expected a function"),
    ],
)
def test_what_is_no_field_is_named(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_fields_of_other_shapes_are_named():
    vector = pj.nn.MLP(1, 2, width=4, depth=1, rngs=pj.nn.Rngs(0))
    with pytest.raises(ValueError, match=r"the network has shape \(2,\) at a point; expected the known field's \(\)"):
        pj.nn.Corrected(network(KEY), vector, 1.0)(jnp.ones(1))


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore:fit.*the run has converged to rounding")
def test_the_limit_is_arithmetic(x64):
    """The oscillator below 1e-11: a network, and a second one on what it leaves."""
    batch = harmonic.draw(KEY, {"pde": 400}, jnp.float64)
    low, high = harmonic.grid.min(0), harmonic.grid.max(0)
    inputs = pj.nn.Standardize.box(low, high)
    made = lambda key: pj.nn.MLP(1, "scalar", width=20, depth=2, inputs=inputs, rngs=pj.nn.Rngs(key))
    weights = pj.term_weights.fixed({"ic": 100.0})
    adam, *newton = (
        pj.train_step(harmonic.terms, optimizer, term_weights=weights)
        for optimizer in (optax.adam(5e-3), pj.optimizers.ssbroyden(), pj.optimizers.ssbroyden())
    )
    run = [
        pj.Phase(adam, 500),
        pj.Phase(newton[0], 3000),
        pj.Phase(newton[1], 3000, model=pj.correction(harmonic.terms, batch, made)),
    ]
    state = adam.init(made(jax.random.key(1)), batch, key=jax.random.key(2))
    options = {"evaluate": harmonic.evaluate, "evaluate_every": 250, "steps_per_call": 250, "progress": False}
    _, history = pj.fit(run, state, batch, **options)
    errors, at = history["evaluation/relative_l2"], history["evaluation/step"]
    once, twice = errors[at <= 3500].min(), errors[at > 3500].min()
    assert once < 1e-8 and twice < 1e-11, (once, twice)
