"""Networks of other papers: each is its formula, starts as its paper says, and refuses what it cannot be."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.polynomial import chebyshev

import pinnjax as pj
from pinnjax.terms import bridge

POINT = np.array([0.3, -0.8], np.float32)
POINTS = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (40, 2)), jnp.float32)


def rngs(seed=0):
    return pj.nn.Rngs(seed)


def shaken(network, seed=0):
    """With numbers for parameters that begin at zero: biases, and α of a PirateNet."""
    definition, params, constants = bridge.split(network)
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    moved = [leaf + 0.3 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    return bridge.field(definition, jax.tree.unflatten(structure, moved), constants)


def dense(layer, h):
    return h @ np.asarray(layer.kernel[...], float) + np.asarray(layer.bias[...], float)


def waves(**options):
    return pj.nn.FourierFeatures(2, 3, scale=1.0, rngs=rngs(7), **options)


def pirate(out_features="scalar", **options):
    return pj.nn.PirateNet(6, out_features, **{"width": 4, "depth": 2, "inputs": waves()} | options, rngs=rngs(1))


def test_the_pirate_net_equals_its_formula_in_numpy():
    u = shaken(pirate(2))
    angles = 2 * np.pi * np.asarray(u.inputs.frequencies[...], float) @ POINT
    h = np.concatenate([np.cos(angles), np.sin(angles)])
    gate_u, gate_v = np.tanh(dense(u.gate_u, h)), np.tanh(dense(u.gate_v, h))
    for block in u.blocks:
        f = np.tanh(dense(block.first, h))
        z = f * gate_u + (1 - f) * gate_v
        g = np.tanh(dense(block.second, z))
        z = g * gate_u + (1 - g) * gate_v
        alpha = float(block.alpha[...])
        h = alpha * np.tanh(dense(block.third, z)) + (1 - alpha) * h
    assert len(u.blocks) == 2 and alpha != 0
    np.testing.assert_allclose(u(jnp.asarray(POINT)), dense(u.out, h), rtol=2e-5, atol=1e-6)


def test_a_pirate_net_begins_as_a_linear_layer_of_its_features_and_its_blocks_can_leave():
    u = pirate()
    np.testing.assert_array_equal(u.features(jnp.asarray(POINT)), waves()(jnp.asarray(POINT)))
    definition, params, constants = bridge.split(u)
    slopes = jax.grad(lambda p: bridge.field(definition, p, constants)(jnp.asarray(POINT)))(params)
    assert all(abs(float(block["alpha"][...])) > 1e-4 for block in slopes["blocks"].values())  # α is no saddle


@pytest.mark.parametrize("out_features", ["scalar", 2])
def test_the_last_layer_of_a_pirate_net_is_that_of_least_squares(out_features):
    """Against numpy's least squares in double precision; forty points and seven columns, so it is unique."""
    u = pirate(out_features)
    values = jnp.sin(3 * POINTS[:, 0]) if out_features == "scalar" else jnp.sin(3 * POINTS)
    fitted = u.fitted(POINTS, values)
    columns = np.concatenate([jax.vmap(waves())(POINTS), np.ones((40, 1))], axis=1)
    solution = np.linalg.lstsq(columns, np.asarray(values, float), rcond=None)[0]
    np.testing.assert_allclose(jax.vmap(fitted)(POINTS), columns @ solution, atol=2e-4)  # float32
    chex.assert_trees_all_equal(bridge.split(u.blocks[0])[1], bridge.split(fitted.blocks[0])[1])
    assert not np.allclose(jax.vmap(u)(POINTS), jax.vmap(fitted)(POINTS))  # what was given is as it was


@pytest.mark.slow
def test_an_initial_condition_is_met_at_once_by_a_fitted_pirate_net():
    x = jnp.linspace(-1, 1, 50)
    points = jnp.stack([jnp.zeros_like(x), x], axis=1)
    inputs = pj.nn.FourierFeatures(2, 16, scale=0.5, rngs=rngs())
    u = pj.nn.PirateNet(32, "scalar", width=8, depth=2, inputs=inputs, rngs=rngs())
    error = lambda u: float(pj.relative_l2(u, points, x**2 * jnp.cos(jnp.pi * x)))
    assert error(u.fitted(points, x**2 * jnp.cos(jnp.pi * x))) < 1e-2 < 0.5 < error(u)


def test_values_that_are_not_the_fields_are_refused():
    with pytest.raises(ValueError, match=r"values have shape \(40, 1\); expected \(40,\)"):
        pirate().fitted(POINTS, POINTS[:, :1])


FACTORED = {
    "MLP": lambda: pj.nn.MLP(2, "scalar", width=4, depth=2, rngs=rngs()),
    "ModifiedMLP": lambda: pj.nn.ModifiedMLP(2, "scalar", width=4, depth=2, rngs=rngs()),
    "PirateNet": pirate,
}


@pytest.mark.parametrize("name", FACTORED)
def test_factors_leave_the_field_as_it_was_and_scale_every_units_gradient(name):
    """W = V e^s column by column: dL/dV = e^s dL/dW and dL/ds = Σ V e^s dL/dW, with dL/dW of the plain network."""
    plain = shaken(FACTORED[name]())
    u = pj.nn.Factorized(plain, mean=0.5, deviation=0.2, rngs=rngs(1))
    np.testing.assert_allclose(jax.vmap(u)(POINTS), jax.vmap(plain)(POINTS), rtol=1e-4, atol=1e-5)

    def slopes(network):
        definition, params, constants = bridge.split(network)
        loss = lambda p: jnp.mean(jax.vmap(bridge.field(definition, p, constants))(POINTS) ** 2)
        named = lambda tree: {path: np.asarray(leaf) for path, leaf in nnx.to_flat_state(nnx.State(tree))}
        return named(jax.grad(loss)(params)), named(params)

    (before, _), (after, params) = slopes(plain), slopes(u)
    kernels = [path for path in before if path[-1] == "kernel"]
    assert len(kernels) >= 3
    for path in kernels:
        scale = np.exp(params["network", *path[:-1], "scale"])
        factor = params["network", *path]
        expected = before[path] * scale[None, :]
        np.testing.assert_allclose(after["network", *path], expected, rtol=2e-3, atol=1e-6)
        np.testing.assert_allclose(
            after["network", *path[:-1], "scale"], (factor * expected).sum(0), rtol=2e-3, atol=1e-5
        )


def test_scales_are_drawn_as_they_are_told_and_layers_without_weights_are_refused():
    u = pj.nn.Factorized(pj.nn.MLP(1, "scalar", width=4000, depth=1, rngs=rngs()), rngs=rngs(1))
    scale = np.asarray(u.network.hidden[0].scale[...])
    np.testing.assert_allclose([scale.mean(), scale.std()], [1.0, 0.1], atol=0.007)  # 0.1 / √4000 is 0.0016
    assert np.unique(scale).size > 3000
    with pytest.raises(ValueError, match="a Standardize, has no nnx"):
        pj.nn.Factorized(pj.nn.Standardize([0.0], [1.0]), rngs=rngs())
    with pytest.raises(TypeError, match="network is a function"):
        pj.nn.Factorized(lambda x: x, rngs=rngs())


def test_the_siren_equals_its_formula_in_numpy():
    u = pj.nn.SIREN(2, 3, width=5, depth=2, omega=7.0, inputs=pj.nn.Standardize([1.0, 0], [2.0, 1]), rngs=rngs())
    h = (POINT - [1.0, 0.0]) / [2.0, 1.0]
    for layer in u.hidden:
        h = np.sin(7.0 * dense(layer, h))
    np.testing.assert_allclose(u(jnp.asarray(POINT)), dense(u.out, h), rtol=2e-5, atol=1e-6)


def test_a_siren_keeps_the_size_of_its_values_over_the_depth():
    """The paper's claim: W alone gives the arguments of the sines the variance 1. b adds 30² / (3 · 400) = 0.75."""
    u = pj.nn.SIREN(2, "scalar", width=400, depth=6, rngs=rngs())
    h = np.asarray(POINTS, float)
    for i, layer in enumerate(u.hidden):
        argument = 30.0 * dense(layer, h)
        h = np.sin(argument)
        if i:
            assert argument.var() == pytest.approx(1.75, rel=0.12)
            assert h.var() == pytest.approx(
                (1 - np.exp(-2 * 1.75)) / 2, rel=0.08
            )  # of the sine of such a normal number
    first, second = (np.asarray(layer.kernel[...]) for layer in u.hidden[:2])
    assert 0.45 < np.abs(first).max() <= 0.5  # 1/n, n = 2
    assert 0.99 < np.abs(second).max() / (np.sqrt(6 / 400) / 30) <= 1.0


def test_the_chebyshev_kan_equals_its_formula_with_numpys_polynomials():
    u = pj.nn.ChebyshevKAN(2, 2, width=3, depth=2, degree=4, rngs=rngs())
    h = POINT.astype(float)
    for c in u.coefficients:
        c = np.asarray(c[...], float)
        h = np.array(
            [sum(chebyshev.chebval(np.tanh(h[i]), c[:, i, o]) for i in range(len(h))) for o in range(c.shape[2])]
        )
    np.testing.assert_allclose(u(jnp.asarray(POINT)), h, rtol=2e-5, atol=1e-7)


def test_a_chebyshev_kan_has_derivatives_where_tanh_is_one():
    """cos(k arccos 1) has none; the polynomial has, and tanh is flat there."""
    u = pj.nn.ChebyshevKAN(1, "scalar", width=3, depth=1, degree=5, rngs=rngs())
    for order in (1, 2):
        assert pj.diff(u, *[0] * order)(jnp.array([40.0])) == 0.0
        assert jnp.isfinite(pj.diff(u, *[0] * order)(jnp.array([0.0])))


def test_coefficients_of_a_chebyshev_kan_have_the_papers_deviation():
    u = pj.nn.ChebyshevKAN(20, 1, width=30, depth=1, degree=9, rngs=rngs())
    assert np.std(u.coefficients[0][...]) == pytest.approx(1 / (20 * 10), rel=0.04)  # 6000 numbers: 0.9 %, four times


def separable(out_features, d=3, rank=4):
    m = 1 if out_features == "scalar" else out_features
    return pj.nn.Separable([pj.nn.MLP(1, rank * m, width=5, depth=1, rngs=rngs(i)) for i in range(d)], out_features)


@pytest.mark.parametrize(("out_features", "shape"), [("scalar", ()), (1, (1,)), (2, (2,))])
def test_a_separable_field_on_a_grid_is_its_points_one_by_one(out_features, shape):
    u, axes = separable(out_features), [jnp.linspace(-1, 1, n) for n in (2, 3, 5)]
    grid = jnp.stack(jnp.meshgrid(*axes, indexing="ij"), axis=-1)
    values = u.grid(axes)
    chex.assert_shape(values, (2, 3, 5, *shape))
    np.testing.assert_allclose(values.reshape(30, *shape), jax.vmap(u)(grid.reshape(30, 3)), rtol=1e-4, atol=1e-6)


def test_a_separable_field_is_a_sum_of_products():
    u = separable(2, d=2)
    first, second = (np.asarray(f(jnp.asarray(POINT[i : i + 1]))) for i, f in enumerate(u.factors))
    by_hand = [sum(first[2 * r + k] * second[2 * r + k] for r in range(4)) for k in range(2)]
    np.testing.assert_allclose(u(jnp.asarray(POINT)), by_hand, rtol=1e-5)


def test_a_grid_of_a_separable_field_costs_its_axes():
    u, n = separable("scalar"), 40
    axes = [jnp.linspace(-1, 1, n)] * 3
    flops = lambda f, *args: jax.jit(f).lower(*args).compile().cost_analysis()["flops"]
    grid = jnp.stack(jnp.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    assert flops(u.grid, axes) < 0.2 * flops(jax.vmap(u), grid)


def test_factors_that_do_not_fit_are_refused():
    one, two = (lambda x: jnp.concatenate([x, x]), lambda x: x)
    with pytest.raises(
        ValueError, match=r"shapes \[\(2,\), \(1,\)\]; expected the same \(R,\) of all, R a multiple of 1"
    ):
        pj.nn.Separable([one, two])
    with pytest.raises(ValueError, match="R a multiple of 2"):
        pj.nn.Separable([two, two], 2)
    with pytest.raises(ValueError, match=r"expected 2 of \(n,\)"):
        pj.nn.Separable([one, one]).grid([jnp.ones(3)])
    with pytest.raises(TypeError, match="a factor is 3"):
        pj.nn.Separable([3])
    with pytest.raises(ValueError, match="factors are empty"):
        pj.nn.Separable([])


def test_a_constrained_field_of_constants_has_the_scale_of_the_values():
    """u = mean + deviation N, component by component."""
    network = pj.nn.MLP(1, 2, width=4, depth=1, rngs=rngs())
    mean, deviation = jnp.array([300.0, 0.0]), jnp.array([20.0, 1e5])
    u = pj.nn.Constrained(network, lift=lambda x: mean, factor=lambda x: deviation)
    x = jnp.array([0.4])
    np.testing.assert_allclose(u(x), mean + deviation * network(x), rtol=1e-6)


@pytest.mark.parametrize("network", [pj.nn.SIREN, pj.nn.ChebyshevKAN, pj.nn.PirateNet])
@pytest.mark.parametrize(("out_features", "shape"), [("scalar", ()), (1, (1,)), (3, (3,))])
def test_outputs_have_the_shape_asked_for_and_the_dtype_of_the_parameters(network, out_features, shape, dtype):
    u = network(2, out_features, width=5, depth=2, param_dtype=dtype, rngs=rngs())
    value = u(jnp.ones(2, dtype))
    assert value.shape == shape and value.dtype == dtype
    assert {p.dtype for p in jax.tree.leaves(bridge.split(u)[1])} == {dtype}


@pytest.mark.parametrize("network", [pj.nn.SIREN, pj.nn.ChebyshevKAN, pj.nn.PirateNet])
def test_sizes_that_are_none_are_refused(network):
    for wrong in ({"width": 0}, {"depth": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is 0; expected an integer >= 1"):
            network(2, "scalar", **wrong, rngs=rngs())
    with pytest.raises(TypeError, match="rngs is 0; expected"):
        network(2, "scalar", rngs=0)
    with pytest.raises(ValueError, match="omega is 0"):
        pj.nn.SIREN(2, "scalar", omega=0, rngs=rngs())
