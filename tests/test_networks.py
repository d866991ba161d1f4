import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax import bridge


@pytest.mark.parametrize("network", [pj.nn.MLP, pj.nn.ModifiedMLP])
@pytest.mark.parametrize(("out_features", "shape"), [("scalar", ()), (1, (1,)), (3, (3,))])
def test_outputs_have_the_shape_asked_for_and_the_dtype_of_the_parameters(network, out_features, shape, dtype):
    u = network(2, out_features, width=5, depth=2, param_dtype=dtype, rngs=pj.nn.Rngs(0))
    value = u(jnp.ones(2, dtype))
    assert value.shape == shape
    assert value.dtype == dtype
    assert {p.dtype for p in jax.tree.leaves(bridge.split(u)[1])} == {dtype}


def test_the_mlp_equals_its_formula_in_numpy():
    u = pj.nn.MLP(2, "scalar", width=4, depth=2, activation=jnp.sin, rngs=pj.nn.Rngs(3))
    h = x = np.array([0.3, -0.8], np.float32)
    for layer in u.hidden:
        h = np.sin(h @ np.asarray(layer.kernel[...]) + np.asarray(layer.bias[...]))
    expected = h @ np.asarray(u.out.kernel[...])[:, 0] + np.asarray(u.out.bias[...])[0]
    np.testing.assert_allclose(u(jnp.asarray(x)), expected, rtol=1e-5)
    assert len(u.hidden) == 2


def test_the_modified_mlp_equals_its_formula_in_numpy():
    """U and V encode the input; H ← (1 - Z) U + Z V in every hidden layer."""
    net = pj.nn.ModifiedMLP(
        2, 2, width=4, depth=3, inputs=pj.nn.Standardize([1.0, 0.0], [2.0, 1.0]), rngs=pj.nn.Rngs(3)
    )
    dense = lambda layer, h: h @ np.asarray(layer.kernel[...]) + np.asarray(layer.bias[...])
    x = np.array([0.3, -0.8], np.float32)
    h = (x - [1.0, 0.0]) / [2.0, 1.0]
    u, v = np.tanh(dense(net.encoder_u, h)), np.tanh(dense(net.encoder_v, h))
    for layer in net.mlp.hidden:
        z = np.tanh(dense(layer, h))
        h = (1 - z) * u + z * v
    np.testing.assert_allclose(net(jnp.asarray(x)), dense(net.mlp.out, h), rtol=1e-5)


def test_kernels_are_glorot_normal_and_biases_zero():
    u = pj.nn.MLP(300, 1, width=500, depth=1, rngs=pj.nn.Rngs(0))
    kernel = np.asarray(u.hidden[0].kernel[...])
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / 800), rtol=0.01)  # 150 000 samples
    np.testing.assert_array_equal(u.hidden[0].bias[...], np.zeros(500))


def test_standardised_points_have_zero_mean_and_unit_variance():
    points = pj.sampling.box(jax.random.key(0), [-1.0, 2.0], [1.0, 10.0], 20_000)
    mapped = jax.vmap(pj.nn.Standardize.box([-1.0, 2.0], [1.0, 10.0]))(points)
    np.testing.assert_allclose(mapped.mean(0), [0, 0], atol=0.02)  # 1 / √20 000 is 0.007
    np.testing.assert_allclose(mapped.std(0), [1, 1], atol=0.02)


def test_input_numbers_are_not_trained():
    u = pj.nn.MLP(1, "scalar", width=2, depth=1, inputs=pj.nn.Standardize([0.5], [0.3]), rngs=pj.nn.Rngs(0))
    sizes = sorted(p.size for p in jax.tree.leaves(bridge.split(u)[1]))
    assert sizes == [1, 2, 2, 2]  # two kernels and two biases


def test_a_periodic_embedding_makes_fields_and_derivatives_periodic():
    u = pj.nn.MLP(5, "scalar", width=8, depth=2, inputs=pj.nn.Periodic([None, 2.0], harmonics=2), rngs=pj.nn.Rngs(0))
    left, right = jnp.array([0.3, -1.0]), jnp.array([0.3, 1.0])
    for field in (u, pj.diff(u, 1), pj.diff(u, 1, 1), pj.diff(u, 0)):
        np.testing.assert_allclose(field(left), field(right), rtol=1e-4, atol=1e-5)
    assert abs(u(jnp.array([0.3, 0.0])) - u(left)) > 1e-3
    with pytest.raises(ValueError, match="expected positive numbers, or None"):
        pj.nn.Periodic([-1.0])


def test_a_constrained_field_holds_its_condition_and_trains_the_network():
    network = pj.nn.MLP(2, "scalar", width=8, depth=1, rngs=pj.nn.Rngs(0))
    u = pj.nn.Constrained(network, lift=lambda x: jnp.sin(x[1]), factor=lambda x: x[0])
    np.testing.assert_allclose(u(jnp.array([0.0, 0.7])), np.sin(0.7), rtol=1e-6)
    batch = {"data": jnp.array([[1.0, 0.2], [1.0, 0.9]])}
    train = pj.train_step({"data": lambda u, x: u(x) - 2.0}, optax.adam(3e-2))
    state = train.init(u, batch)
    state, history = pj.fit(train, state, batch, steps=300)
    assert history["loss"][-1] < 1e-3 * history["loss"][0]
    np.testing.assert_allclose(train.model(state)(jnp.array([0.0, 0.7])), np.sin(0.7), rtol=1e-6)


def test_the_encoders_of_the_modified_network_start_as_they_are_told():
    plain = pj.nn.ModifiedMLP(2, "scalar", width=400, depth=1, rngs=pj.nn.Rngs(0))
    assert not np.any(np.asarray(plain.encoder_u.bias[...]))
    drawn = pj.nn.ModifiedMLP(
        2, "scalar", width=400, depth=1, encoder_bias=jax.nn.initializers.normal(0.3), rngs=pj.nn.Rngs(0)
    )
    for encoder in (drawn.encoder_u, drawn.encoder_v):
        assert np.std(np.asarray(encoder.bias[...])) == pytest.approx(0.3, rel=0.15)  # 400 numbers: 3.5 %, four times
    assert not np.any(np.asarray(drawn.mlp.hidden[0].bias[...]))
    np.testing.assert_array_equal(drawn.mlp.hidden[0].kernel[...], plain.mlp.hidden[0].kernel[...])
