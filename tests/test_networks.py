import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import pinnjax as pj
from pinnjax.terms import bridge

rngs = lambda: pj.nn.Rngs(0)
small = {"width": 4, "depth": 2}

# Every network and input map, and compositions of them, of three coordinates and of the default dtype or a given one.
THREE_COORDINATES = {
    "MLP": lambda **dtype: pj.nn.MLP(3, "scalar", **small, **dtype, rngs=rngs()),
    "ModifiedMLP": lambda **dtype: pj.nn.ModifiedMLP(3, "scalar", **small, **dtype, rngs=rngs()),
    "PirateNet": lambda **dtype: pj.nn.PirateNet(3, "scalar", **small, **dtype, rngs=rngs()),
    "SIREN": lambda **dtype: pj.nn.SIREN(3, "scalar", omega=5.0, **small, **dtype, rngs=rngs()),
    "ChebyshevKAN": lambda **dtype: pj.nn.ChebyshevKAN(3, "scalar", degree=3, **small, **dtype, rngs=rngs()),
    "Separable": lambda **dtype: pj.nn.Separable([pj.nn.MLP(1, 2, **small, **dtype, rngs=rngs()) for _ in range(3)]),
    "Factorized": lambda **dtype: pj.nn.Factorized(THREE_COORDINATES["MLP"](**dtype), rngs=rngs()),
    "Standardize": lambda **_: pj.nn.Standardize([0.5, 1.5, -1.0], [0.3, 2.0, 1.0]),
    "Periodic": lambda **_: pj.nn.Periodic([None, 2.0, None]),
    "FourierFeatures": lambda **dtype: pj.nn.FourierFeatures(3, 4, scale=2.0, **dtype, rngs=rngs()),
    "RandomFeatures": lambda **dtype: pj.nn.RandomFeatures(
        [0.0] * 3, [1.0] * 3, "scalar", width=5, scale=2.0, **dtype, rngs=rngs()
    ),
    "FBPINN": lambda **dtype: pj.nn.FBPINN(
        [0.0] * 3, [1.0] * 3, "scalar", windows=[1, (2, 1, 3)], **small, **dtype, rngs=rngs()
    ),
    "Constrained": lambda **dtype: pj.nn.Constrained(
        pj.nn.MLP(3, "scalar", **small, **dtype, rngs=rngs()), lift=lambda x: x[1], factor=lambda x: x[0]
    ),
    "Corrected": lambda **dtype: pj.nn.Corrected(
        THREE_COORDINATES["MLP"](**dtype), THREE_COORDINATES["MLP"](**dtype), 0.5
    ),
    "Subdomains": lambda **dtype: pj.nn.Subdomains(
        [THREE_COORDINATES["MLP"](**dtype), THREE_COORDINATES["MLP"](**dtype)],
        [pj.sampling.Box((0.0, 0.0, 0.0), (0.5, 1.0, 1.0)), pj.sampling.Box((0.5, 0.0, 0.0), (1.0, 1.0, 1.0))],
    ),
    "Window": lambda **dtype: pj.nn.Window(THREE_COORDINATES["MLP"](**dtype), 0, -1.0, 2.0),
    "Windows": lambda **dtype: pj.nn.Windows([THREE_COORDINATES["Window"](**dtype)] * 2),
    "WithCoefficients": lambda **dtype: pj.nn.WithCoefficients(THREE_COORDINATES["MLP"](**dtype), {"nu": 0.1}, **dtype),
    "WithConditions": lambda **dtype: pj.nn.WithConditions(
        THREE_COORDINATES["MLP"](**dtype),
        [pj.nn.Dirichlet(lambda x: x[0], 1.0), pj.nn.Robin(lambda x: 1 - x[1], 2.0, lambda x: x[2])],
    ),
    "MLP of Standardize": lambda **dtype: pj.nn.MLP(
        3, 2, inputs=pj.nn.Standardize([0.5] * 3, [0.3] * 3), **small, **dtype, rngs=rngs()
    ),
    "ModifiedMLP of Periodic": lambda **dtype: pj.nn.ModifiedMLP(
        4, "scalar", inputs=pj.nn.Periodic([None, 2.0, None]), **small, **dtype, rngs=rngs()
    ),
    "MLP of FourierFeatures": lambda **dtype: pj.nn.MLP(
        8, "scalar", inputs=THREE_COORDINATES["FourierFeatures"](**dtype), **small, **dtype, rngs=rngs()
    ),
    "MLP of two maps": lambda **dtype: pj.nn.MLP(
        4,
        "scalar",
        inputs=lambda x: pj.nn.Periodic([None, 2.0, None])(pj.nn.Standardize([0.5] * 3, [0.3] * 3)(x)),
        **small,
        **dtype,
        rngs=rngs(),
    ),
    "MLP of a slice": lambda **dtype: pj.nn.MLP(
        3, "scalar", inputs=lambda x: x[..., :3] * 2.0, **small, **dtype, rngs=rngs()
    ),
    "Constrained Constrained": lambda **dtype: pj.nn.Constrained(
        THREE_COORDINATES["Constrained"](**dtype), lift=lambda x: 0.0, factor=lambda x: 1 - x[0]
    ),
}

# What is no point of three coordinates, and what is said of it.
NO_POINT = {
    "a grid": (jnp.ones((5, 3)), r"shape \(5, 3\); expected one point \(.*jax.vmap\(u\)\(grid\)"),
    "a grid of one point": (jnp.ones((1, 3)), r"shape \(1, 3\); expected one point"),
    "a square grid": (jnp.ones((3, 3)), r"shape \(3, 3\); expected one point"),
    "a column": (jnp.ones((3, 1)), r"shape \(3, 1\); expected one point"),
    "two coordinates": (jnp.ones(2), r"shape \((2|1),\).*expected"),
    "no coordinates": (jnp.ones(0), r"shape \(0,\); expected one point"),
    "a scalar": (jnp.float32(0.3), r"shape \(\); expected one point"),
    "a number": (0.3, r"a point is 0.3; expected an array|shape \(\); expected one point"),
    "a list": ([0.1, 0.2, 0.3], "a point is a list; expected an array"),
    "integers": (jnp.array([1, 2, 3]), "a point has dtype int32; expected a floating dtype"),
    "truths": (np.array([True, False, True]), "a point has dtype bool; expected a floating dtype"),
}


@pytest.mark.parametrize("wrong", NO_POINT)
@pytest.mark.parametrize("name", THREE_COORDINATES)
def test_what_is_no_point_is_refused_and_never_read_as_one(name, wrong):
    u, (x, said) = THREE_COORDINATES[name](), NO_POINT[wrong]
    for call in (u, jax.jit(u)):
        with pytest.raises((ValueError, TypeError), match=said) as caught:
            call(x)
        assert "\n" not in str(caught.value)
    if isinstance(x, jax.Array) and x.ndim:
        with pytest.raises((ValueError, TypeError), match=said):
            jax.vmap(u)(jnp.stack([x, x]))


@pytest.mark.parametrize("name", THREE_COORDINATES)
def test_a_grid_under_vmap_is_its_points_one_by_one(name):
    u, grid = THREE_COORDINATES[name](), jax.random.uniform(jax.random.key(0), (4, 3))
    one_by_one = jnp.stack([u(x) for x in np.asarray(grid)])
    chex.assert_trees_all_close(jax.jit(jax.vmap(u))(grid), one_by_one, rtol=2e-5, atol=2e-6)
    slopes = jax.jit(jax.vmap(pj.grad(u)))(grid)
    chex.assert_shape(slopes, (*one_by_one.shape, 3))
    chex.assert_tree_all_finite(slopes)


@pytest.mark.parametrize("name", THREE_COORDINATES)
def test_without_a_word_networks_have_the_precision_that_is_switched_on(name, dtype):
    u = THREE_COORDINATES[name]()
    assert {p.dtype for p in jax.tree.leaves(nnx.state(u))} <= {dtype}
    value = u(jnp.linspace(0.1, 0.7, 3, dtype=dtype))
    assert value.dtype == dtype


@pytest.mark.parametrize("name", sorted(THREE_COORDINATES))
def test_a_float32_point_costs_a_float64_network_nothing(name, x64):
    u, x = THREE_COORDINATES[name](param_dtype=jnp.float64), jnp.array([0.1, 0.4, -7.3], jnp.float32)
    wrapped = ("Constrained", "Corrected", "WithCoefficients")
    plain = ("MLP", "ModifiedMLP", "PirateNet", "SIREN", "Separable", "Factorized")
    promoted = name in (*plain, "FourierFeatures", "MLP of FourierFeatures", *wrapped)
    rounding = 1e-14 if promoted else 5e-6  # the others calculate with the point alone, in its own precision
    chex.assert_trees_all_close(np.float64(u(x)), u(x.astype(jnp.float64)), rtol=rounding, atol=rounding)
    mixed = THREE_COORDINATES[name](param_dtype=jnp.float32)(x.astype(jnp.float64))
    assert mixed.dtype == jnp.float64  # a float64 point is not rounded


@pytest.mark.slow
def test_coefficients_are_trained_with_the_field_and_keep_their_signs():
    """u' = k with u = 3x: k moves from 1 to 3, and a negative one from -6 to -3."""
    for guess, slope in [(1.0, 3.0), (-6.0, -3.0)]:
        terms = {"ode": lambda u, x: pj.diff(u, 0)(x) - u.k, "data": lambda u, x, a=slope: u(x) - a * x[0]}
        batch = dict.fromkeys(terms, jnp.linspace(0, 1, 20)[:, None])
        model = pj.nn.WithCoefficients(pj.nn.MLP(1, "scalar", width=8, depth=1, rngs=rngs()), {"k": guess})
        train = pj.train_step(terms, optax.adam(3e-2))
        state, _ = pj.fit(train, train.init(model, batch), batch, steps=1000, progress=False)
        np.testing.assert_allclose(train.model(state).k, slope, rtol=0.05)


@pytest.mark.parametrize(
    ("guesses", "said"),
    [
        ({"nu": 0.0}, "first guess of nu is 0"),
        ({"nu": float("nan")}, "first guess of nu is nan"),
        ({"two words": 1.0}, "'two words' is no name"),
        ({"hidden": 1.0}, "'hidden' is no name for a coefficient"),
    ],
)
def test_a_coefficient_without_a_name_or_a_size_is_refused(guesses, said):
    with pytest.raises(ValueError, match=said):
        pj.nn.WithCoefficients(pj.nn.MLP(1, "scalar", **small, rngs=rngs()), guesses)


def test_a_lift_or_a_factor_of_another_shape_is_refused():
    scalar, vector = (pj.nn.MLP(2, m, **small, rngs=rngs()) for m in ("scalar", 2))
    x, zero, one = jnp.ones(2), lambda x: 0.0, lambda x: x[0]
    for network, lift, factor, said in [
        (scalar, lambda x: x[:1], one, r"the lift has shape \(1,\) at a point; expected \(\) or the network's \(\)"),
        (scalar, lambda x: x, one, r"the lift has shape \(2,\)"),
        (scalar, zero, lambda x: x[:1], r"the factor has shape \(1,\)"),
        (vector, lambda x: x[:1], one, r"the lift has shape \(1,\) at a point; expected \(\) or the network's \(2,\)"),
        (vector, zero, lambda x: jnp.ones(3), r"the factor has shape \(3,\)"),
    ]:
        with pytest.raises(ValueError, match=said):
            pj.nn.Constrained(network, lift, factor)(x)
    for lift, factor in [(zero, one), (lambda x: x, one), (zero, lambda x: x)]:
        chex.assert_shape(pj.nn.Constrained(vector, lift, factor)(x), (2,))


def test_seeds_may_be_traced_and_give_what_they_give_as_integers():
    start = lambda seed: bridge.split(pj.nn.MLP(2, "scalar", **small, rngs=pj.nn.Rngs(seed)))[1]
    stacked = jax.vmap(start)(jnp.arange(3))
    for seed in range(3):
        alone = start(seed)
        chex.assert_trees_all_equal(jax.tree.map(lambda p, i=seed: p[i], stacked), alone, strict=True)
        chex.assert_trees_all_equal(start(np.int64(seed)), alone)
        chex.assert_trees_all_equal(start(jax.random.key(seed)), alone)
    named = pj.nn.MLP(2, "scalar", **small, rngs=pj.nn.Rngs(params=jnp.uint32(2)))
    chex.assert_trees_all_equal(bridge.split(named)[1], start(pj.nn.Rngs(2).params.key[...]))


class Layered(pj.nn.Module):
    """A network with a layer that does not only read, and random numbers that it merely keeps."""

    def __init__(self, layer):
        self.network = pj.nn.MLP(1, 3, **small, rngs=rngs())
        self.layer = layer
        self.rngs = rngs()

    def __call__(self, x):
        return self.layer(self.network(x)).sum()


class Noise(pj.nn.Module):
    """Random numbers drawn by hand."""

    def __init__(self):
        self.rngs = rngs()

    def __call__(self, x):
        return x + self.rngs.normal(x.shape)


IMPURE = {
    "dropout": lambda: nnx.Dropout(0.5, rngs=rngs()),
    "batch statistics": lambda: nnx.BatchNorm(3, rngs=rngs()),
    "noise": Noise,
}


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("layer", IMPURE)
def test_a_model_that_changes_in_its_call_is_refused(layer, order):
    train = pj.train_step({"pde": lambda u, x: pj.diff(u, *[0] * order)(x)}, optax.sgd(0.1))
    with pytest.raises(ValueError, match=r"a call of the model changes .* expected a model that only reads"):
        train.init(Layered(IMPURE[layer]()), {"pde": jnp.ones((2, 1))})


@pytest.mark.parametrize("layer", ["dropout", "batch statistics"])
def test_a_model_that_only_keeps_random_numbers_or_statistics_trains(layer):
    model = Layered(IMPURE[layer]())
    model.eval()
    batch = {"pde": jnp.ones((2, 1))}
    train = pj.train_step({"pde": lambda u, x: pj.diff(u, 0)(x) + u(x)}, optax.sgd(1e-3))
    state = train.init(model, batch)
    state, before = train.update(state, batch)
    state, after = train.update(state, batch)
    assert after["loss"] < before["loss"]


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
