"""Measurements against dense computations in double precision, and against numbers by hand."""

import chex
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special

import pinnjax as pj
from pinnjax import diagnostics as d
from pinnjax.terms.cse import shared
from tests import poisson

pytestmark = pytest.mark.usefixtures("quick_compilation")
TERMS = poisson.TERMS | {"data": lambda u, x: jnp.stack([u(x) - x[0], 2 * u(x)])}


@pytest.fixture
def problem(x64):
    """A small net in double precision: definition, params, constants, batch."""
    model = poisson.model(dtype=jnp.float64)
    batch = poisson.batch(dtype=jnp.float64) | {"data": jnp.array([[0.2], [0.7], [0.9]])}
    state = pj.train_step(TERMS, optax.identity()).init(model, batch)
    return state.definition, state.params, state.constants, batch


def dense(problem):
    """Residuals as a function of the flat parameters, by name."""
    definition, params, constants, batch = problem
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    return flat, lambda p: pj.residuals(TERMS, definition, constants)(unravel(p), batch)


def gradients(problem):
    definition, params, constants, batch = problem
    return pj.value_and_grads(TERMS, definition, constants)(params, batch)[1]


@pytest.mark.slow
def test_sizes_and_cosines_are_those_of_the_flat_gradients(problem):
    flat, residuals = dense(problem)
    expected = {
        name: np.asarray(
            jax.grad(lambda p, name=name: jnp.sum(residuals(p)[name] ** 2) / len(residuals(p)[name]))(flat)
        )
        for name in TERMS
    }
    found = gradients(problem)
    for name, size in d.sizes(found).items():
        g = expected[name]
        np.testing.assert_allclose(size, [np.linalg.norm(g), np.abs(g).max(), np.abs(g).mean(), g.std()], rtol=1e-10)
    norms = [np.linalg.norm(g) for g in expected.values()]
    np.testing.assert_allclose(d.imbalance(found), max(norms) / min(norms), rtol=1e-10)
    units = np.stack([expected[name] / np.linalg.norm(expected[name]) for name in found])
    np.testing.assert_allclose(d.cosines(found), units @ units.T, atol=1e-10)
    np.testing.assert_allclose(d.alignment(found), 2 * np.linalg.norm(units.sum(0) / 3) ** 2 - 1, atol=1e-10)


@pytest.mark.slow
def test_gradients_by_layer_are_those_of_the_matrices(problem):
    found = gradients(problem)
    layers = d.by_layer(found)
    assert len(layers) == sum(leaf.ndim == 2 for leaf in jax.tree.leaves(found["pde"]))
    for term, grads in found.items():
        matrices = [leaf.ravel() for leaf in jax.tree.leaves(grads) if leaf.ndim == 2]
        chex.assert_trees_all_equal([layer[term] for layer in layers.values()], matrices)


def test_stiffness_is_the_largest_eigenvalue_over_the_median_magnitude():
    assert float(d.stiffness(jnp.array([-4.0, 1.0, 2.0, 50.0, -3.0]))) == pytest.approx(50 / 3)


def test_a_vanishing_gradient_has_no_direction():
    found = d.cosines({"a": jnp.array([1.0, 0.0]), "b": jnp.zeros(2)})
    np.testing.assert_array_equal(found, [[1, 0], [0, 0]])
    assert np.isinf(d.imbalance({"a": jnp.ones(2), "b": jnp.zeros(2)}))


@pytest.mark.slow
def test_the_tangent_kernel_is_that_of_the_dense_jacobians(problem):
    definition, params, constants, batch = problem
    flat, residuals = dense(problem)
    rows = {name: np.asarray(jax.jacfwd(lambda p, name=name: residuals(p)[name].ravel())(flat)) for name in TERMS}
    blocks = d.tangent_kernel(TERMS, definition, constants)(params, batch)
    assert set(blocks) == {(s, t) for s in TERMS for t in TERMS}
    for (s, t), block in blocks.items():
        np.testing.assert_allclose(block, rows[s] @ rows[t].T, rtol=1e-6, atol=1e-9)
    for name, spectrum in d.spectra(blocks).items():
        singular = np.linalg.svd(rows[name], compute_uv=False)
        np.testing.assert_allclose(spectrum.eigenvalues[0], singular[0] ** 2, rtol=1e-8)
        np.testing.assert_allclose(spectrum.trace, np.sum(singular**2), rtol=1e-8)
    norms = pj.point_grad_norms(TERMS, definition, constants)(params, batch)
    np.testing.assert_allclose(np.diagonal(blocks["pde", "pde"]), norms["pde"] ** 2, rtol=1e-8)


def test_condition_numbers_do_not_count_rounding():
    spectrum = d.spectra({("t", "t"): jnp.diag(jnp.array([4.0, 1.0, 1e-12], jnp.float32))})["t"]
    assert float(spectrum.condition) == 4.0


@pytest.mark.parametrize("weights", [{"pde": 3.0, "data": 0.5}, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_products_are_those_of_the_dense_hessian_and_gauss_newton_matrix(problem, weights):
    definition, params, constants, batch = problem
    flat, residuals = dense(problem)
    scale = lambda name: (weights or {}).get(name, 1.0)
    loss = lambda p: sum(scale(name) * jnp.sum(r**2) / len(r) for name, r in residuals(p).items())
    hessian = np.asarray(jax.hessian(loss)(flat))
    rows = {name: np.asarray(jax.jacfwd(lambda p, name=name: residuals(p)[name].ravel())(flat)) for name in TERMS}
    gauss_newton = sum(2 * scale(name) * rows[name].T @ rows[name] / len(batch[name]) for name in TERMS)
    h, g, size = d.products(TERMS, definition, params, batch, constants, weights=weights)
    assert size == len(flat)
    eye = jnp.eye(size)
    np.testing.assert_allclose(jax.vmap(jax.jit(h))(eye), hessian, rtol=1e-6, atol=1e-7 * np.abs(hessian).max())
    np.testing.assert_allclose(jax.vmap(jax.jit(g))(eye), gauss_newton, rtol=1e-6, atol=1e-7 * np.abs(hessian).max())


@pytest.mark.slow
def test_lanczos_finds_the_dense_eigenvalues(problem):
    definition, params, constants, batch = problem
    h, g, size = d.products(TERMS, definition, params, batch, constants)
    expected = np.linalg.eigvalsh(np.asarray(jax.vmap(h)(jnp.eye(size))))
    largest = np.abs(expected).max()
    found = np.asarray(d.lanczos(h, size, key=jax.random.key(0), steps=40))
    np.testing.assert_allclose(found[-3:], expected[-3:], rtol=1e-6)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-6 * largest)
    whole = np.asarray(d.lanczos(lambda v: jnp.arange(1.0, 31.0) * v, 30, key=jax.random.key(1), steps=30))
    np.testing.assert_allclose(whole, np.arange(1, 31), rtol=1e-6)
    # G is positive semi-definite of rank 16 + 2 + 6 residuals at most: Lanczos ends early, and says nothing false.
    ritz = np.asarray(d.lanczos(g, size, key=jax.random.key(0), steps=60))
    dense_g = np.linalg.eigvalsh(np.asarray(jax.vmap(g)(jnp.eye(size))))
    np.testing.assert_allclose(ritz[-1], dense_g[-1], rtol=1e-6)
    chex.assert_tree_all_finite(ritz)
    assert ritz[0] >= -1e-8 * ritz[-1]


def test_lanczos_refuses_more_steps_than_rows():
    with pytest.raises(ValueError, match="steps is 4; expected 1 to 3"):
        d.lanczos(lambda v: v, 3, key=jax.random.key(0), steps=4)


def test_the_signal_is_that_of_numpy(x64):
    rows = np.random.default_rng(0).standard_normal((7, 5)) + 1
    found = d.signal_to_noise({"a": jnp.asarray(rows[:, :2]), "b": jnp.asarray(rows[:, 2:].reshape(7, 3, 1))})
    np.testing.assert_allclose(found, np.linalg.norm(rows.mean(0)) / np.linalg.norm(rows.std(0)), rtol=1e-12)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(
        d.signal_to_noise(jnp.asarray(rows), unit=True), np.linalg.norm(unit.mean(0)) / np.linalg.norm(unit.std(0))
    )


def test_phases_are_found_where_they_were_put():
    random = np.random.default_rng(0)
    for onset in (40, 70, 120):
        fitting = np.geomspace(20, 0.5, 25)
        snr = np.concatenate([fitting, np.full(onset - 25, 0.3), np.full(200 - onset, 1.6)])
        found = d.phases(10.0 * np.arange(200), snr * np.exp(0.3 * random.standard_normal(200)))
        assert 150 <= found.diffusion <= 260
        assert abs(found.total_diffusion - 10 * onset) <= 20
        assert found.rise > 3


def test_total_diffusion_may_end_and_looks_may_bounce():
    """The shape of the runs that the paper's authors released: bounces over decades, and signal decays at the end."""
    random = np.random.default_rng(2)
    fitting, diffusion, total = np.geomspace(60, 0.1, 15), np.full(500, 0.02), np.full(800, 2.0)
    snr = np.concatenate([fitting, diffusion, total, np.geomspace(1.0, 3e-3, 1700)])
    bouncing = snr * 10.0 ** random.choice([-1.0, 0.5, 1.0], len(snr), p=[0.4, 0.4, 0.2])
    found = d.phases(100.0 * np.arange(len(snr)), bouncing)
    assert abs(found.total_diffusion - 51_500) <= 1500 and found.rise > 20
    short = np.where((np.arange(len(snr)) > 515) & (np.arange(len(snr)) < 560), snr, np.minimum(snr, 0.02))
    assert d.phases(np.arange(len(snr)), short).total_diffusion is None  # a rise that does not last
    assert d.phases(np.arange(len(snr)), 0.1 * snr).total_diffusion is None  # one that ends below O(1)


def test_noise_alone_is_no_phase():
    random = np.random.default_rng(1)
    false = 0
    for _ in range(100):
        snr = 0.3 * np.exp(0.4 * random.standard_normal(100))
        false += d.phases(np.arange(100.0), snr).total_diffusion is not None
    assert false <= 1
    assert d.phases(np.arange(50.0), np.full(50, 5.0)) == d.Phases(None, None, 1.0)


def test_homogeneity_of_known_distributions(x64):
    r = jax.random.normal(jax.random.key(0), (200_000,))
    np.testing.assert_allclose(d.homogeneity(r), 2 / np.pi, rtol=1e-2)
    np.testing.assert_allclose(d.homogeneity(jnp.zeros(5)), 1.0)
    np.testing.assert_allclose(d.homogeneity(jnp.array([[3.0, 4.0], [5.0, 0.0]])), 1.0)  # of the norms


def test_losses_by_time_are_the_means_over_slices(x64):
    random = np.random.default_rng(0)
    t, r = random.uniform(1, 3, 500), random.standard_normal((500, 2))
    found = d.time_losses(jnp.asarray(r), jnp.asarray(t), interval=(1.0, 3.0), slices=4)
    square = np.sum(r**2, axis=1)
    expected = [square[(t >= 1 + k / 2) & (t < 1.5 + k / 2)].mean() for k in range(4)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isnan(d.time_losses(jnp.ones(2), jnp.zeros(2), interval=(0.0, 1.0), slices=2)[1])


def test_causality_is_violated_when_late_times_are_learnt_first():
    before = jnp.ones(5)
    rising = jnp.geomspace(1e-3, 1.0, 5)
    assert float(d.causality_violation(before, rising)) == 0.0
    assert float(d.causality_violation(before, rising[::-1])) == 1.0
    assert float(d.causality_violation(before, before)) == 0.5
    assert float(d.causality_violation(before.at[2].set(jnp.nan), rising)) == 0.0


def test_the_gap_is_the_ratio_of_means():
    found = d.test_train_ratio({"pde": jnp.array([[1.0, 1.0], [1.0, 1.0]])}, {"pde": jnp.array([[2.0, 0.0]])})
    np.testing.assert_allclose(found["pde"], 2.0, rtol=1e-6)


@pytest.mark.parametrize("network", ["MLP", "ModifiedMLP"])
def test_activations_are_found_in_any_network(network, x64):
    model = getattr(pj.nn, network)(2, "scalar", width=6, depth=3, param_dtype=jnp.float64, rngs=pj.nn.Rngs(0))
    slopes = d.activations(model, jnp.array([0.3, -0.2]))
    chex.assert_shape(slopes, [(6,)] * (3 if network == "MLP" else 5))
    if network == "MLP":
        hidden = jnp.array([0.3, -0.2])
        for layer, slope in zip(model.hidden, slopes, strict=True):
            hidden = jnp.tanh(layer(hidden))
            np.testing.assert_allclose(slope, 1 - hidden**2, rtol=1e-12)


Z = np.array([-30.0, -5.0, -2.0, -0.6, -0.1, 0.3, 1.2, 2.5, 6.0, 40.0])
logistic = scipy.special.expit
normal = lambda z: np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def mish_slope(z):
    w = np.tanh(np.logaddexp(z, 0))
    return w + z * (1 - w**2) * logistic(z)


def gelu_tanh_slope(z):
    a, b = np.sqrt(2 / np.pi), 0.044715
    w = np.tanh(a * (z + b * z**3))
    return 0.5 * (1 + w) + 0.5 * z * (1 - w**2) * a * (1 + 3 * b * z**2)


SLOPES = {  # activation, its slope by hand, and the slope where that is largest (by a search over a fine grid if None)
    "relu": (jax.nn.relu, lambda z: 1.0 * (z > 0), 1.0),
    "leaky relu": (jax.nn.leaky_relu, lambda z: np.where(z > 0, 1, 0.01), 1.0),
    "elu": (jax.nn.elu, lambda z: np.exp(np.minimum(z, 0)), 1.0),
    "celu": (lambda z: jax.nn.celu(z, 2.0), lambda z: np.exp(np.minimum(z, 0) / 2), 1.0),
    "selu": (
        jax.nn.selu,
        lambda z: 1.0507009873554805 * np.where(z > 0, 1, 1.6732632423543772 * np.exp(np.minimum(z, 0))),
        1.0507009873554805 * 1.6732632423543772,
    ),
    "sigmoid": (jax.nn.sigmoid, lambda z: logistic(z) * logistic(-z), 0.25),
    "tanh": (jnp.tanh, lambda z: 1 / np.cosh(z) ** 2, 1.0),
    "steep tanh": (lambda z: jnp.tanh(20 * z), lambda z: 20 / np.cosh(np.minimum(20 * np.abs(z), 300)) ** 2, 20.0),
    "sin": (jnp.sin, np.cos, 1.0),
    "erf": (jax.lax.erf, lambda z: 2 / np.sqrt(np.pi) * np.exp(-(z**2)), 2 / np.sqrt(np.pi)),
    "softsign": (jax.nn.soft_sign, lambda z: 1 / (1 + np.abs(z)) ** 2, 1.0),
    "hard tanh": (jax.nn.hard_tanh, lambda z: 1.0 * (np.abs(z) < 1), 1.0),
    "softplus": (jax.nn.softplus, logistic, 1.0),
    "silu": (jax.nn.silu, lambda z: logistic(z) * (1 + z * logistic(-z)), None),
    "gelu": (lambda z: jax.nn.gelu(z, False), lambda z: scipy.special.ndtr(z) + z * normal(z), None),
    "gelu by tanh": (lambda z: jax.nn.gelu(z, True), gelu_tanh_slope, None),
    "mish": (jax.nn.mish, mish_slope, None),
    "x tanh x": (lambda z: z * jnp.tanh(z), lambda z: np.tanh(z) + z / np.cosh(z) ** 2, None),
    "snake": (lambda z: z + jnp.sin(z) ** 2, lambda z: 1 + np.sin(2 * z), 2.0),
    "bell": (lambda z: jnp.exp(-(z**2)), lambda z: 2 * z * np.exp(-(z**2)), np.sqrt(2 / np.e)),
    # Steeper for ever: over the steepest slope at |z| <= 1.
    "exp": (jnp.exp, lambda z: np.exp(np.minimum(z, 300)), np.e),
    "square": (jnp.square, lambda z: 2 * z, 2.0),
}


def test_the_slope_of_any_activation_is_its_derivative(x64):
    """Up to 3e-4, by which the grid of the library may miss the largest slope."""
    layers = {name: (lambda x, f=f: jnp.sum(f(jnp.asarray(Z) * x[0]))) for name, (f, _, _) in SLOPES.items()}
    found = jax.jit(lambda x: d.activations(lambda x: sum(layer(x) for layer in layers.values()), x))(jnp.ones(1))
    fine = np.linspace(-10, 10, 200_001)
    assert len(found) == len(SLOPES)
    for (name, (_, slope, largest)), share in zip(SLOPES.items(), found, strict=True):
        by_hand = np.abs(slope(Z)) / (np.abs(slope(fine)).max() if largest is None else largest)
        np.testing.assert_allclose(share, np.minimum(by_hand, 1), rtol=3e-4, atol=1e-10, err_msg=name)


def test_activations_are_found_in_what_people_write(x64):
    """Jitted layers, biases, factors, gates, skips; single numbers, and what is linear, do not count."""
    weights = jnp.asarray(np.random.default_rng(0).standard_normal((3, 4, 4)))
    bias = jnp.array([0.0, 100.0, -100.0, 1.0])
    slope = lambda z: 1 / np.cosh(np.asarray(z)) ** 2

    def u(x):
        h = jax.jit(lambda h: jnp.tanh(weights[0] @ h + bias))(x[0] * jnp.ones(4))
        h = h + jnp.tanh(2.0 * (weights[1] @ h))
        gate = jax.nn.sigmoid(weights[2] @ h)
        return jnp.tanh(30.0 * x[0]) * jnp.sum(gate * h + (1 - gate) * 3.0 * x[0])

    first, second, third = jax.jit(lambda x: d.activations(u, x))(jnp.array([0.4]))
    z = weights[0] @ jnp.full(4, 0.4) + bias
    chex.assert_trees_all_close(first, slope(z), atol=1e-12)
    h = jnp.tanh(z)
    chex.assert_trees_all_close(second, slope(2.0 * (weights[1] @ h)), atol=1e-12)
    logistic_of = logistic(np.asarray(weights[2] @ (h + jnp.tanh(2.0 * (weights[1] @ h)))))
    chex.assert_trees_all_close(third, 4 * logistic_of * (1 - logistic_of), atol=1e-12)


@pytest.mark.parametrize("activation", [jax.nn.softplus, jax.nn.silu, jax.nn.gelu, jax.nn.mish, jnp.tanh, jnp.sin])
def test_a_network_as_it_is_born_is_not_saturated(activation):
    model = pj.nn.MLP(2, "scalar", width=32, depth=2, activation=activation, rngs=pj.nn.Rngs(0))
    points = jax.random.uniform(jax.random.key(0), (64, 2), minval=-1.0)
    found = jax.jit(lambda points: [jnp.stack(f(model, points)) for f in (d.saturation, d.dead)])(points)
    chex.assert_shape(found, (2,))
    assert np.max(found) < 0.1


def test_saturated_and_dead_units_are_told_apart():
    u = lambda x: jnp.sum(jnp.tanh(jnp.array([0.1, 30.0, 30.0]) * x[0] + jnp.array([0.0, 0.0, 100.0])))
    points = jnp.array([[0.0], [1.0]])
    assert float(d.saturation(u, points)[0]) == pytest.approx(3 / 6)
    assert float(d.dead(u, points)[0]) == pytest.approx(1 / 3)
    relu = lambda x: jnp.sum(jax.nn.relu(jnp.array([1.0, -1.0]) * x[0]))
    assert float(d.saturation(relu, jnp.ones((1, 1)))[0]) == 0.5
    assert float(d.saturation(shared(u), points)[0]) == pytest.approx(3 / 6)


def test_the_error_by_mode_is_where_it_was_put(x64):
    x = 2 * jnp.pi * jnp.arange(128) / 128
    reference = jnp.stack([jnp.sin(4 * x), jnp.sin(4 * x)])
    error, solution = d.error_by_mode(reference + 1e-3 * jnp.sin(20 * x)[None], reference)
    assert int(jnp.argmax(error)) == 20 and int(jnp.argmax(solution)) == 4
    np.testing.assert_allclose(error[20] / solution[4], 1e-3, rtol=1e-6)
    along_first, _ = d.error_by_mode(reference.T + 1e-3 * jnp.sin(20 * x)[:, None], reference.T, axis=0)
    np.testing.assert_allclose(along_first, error, rtol=1e-10)
    with pytest.raises(ValueError, match=r"shape \(3,\); expected the reference's, \(4,\)"):
        d.error_by_mode(jnp.ones(3), jnp.ones(4))


def test_scales_are_those_computed_by_hand():
    """v = 1 ± x / rms(x) is 2 and 0 at x = 1, √2 in the mean: √2 s = 300, and it does 3s to three times its slope."""
    terms = {"data": lambda u, x: u(x) - 300.0, "slope": lambda u, x: 3 * pj.diff(u, 0)(x)}
    found = d.scales(terms, lambda x: x[0], {name: jnp.ones((2, 1)) for name in terms})
    assert isinstance(found, d.Scales)
    s = 300 / np.sqrt(2)
    np.testing.assert_allclose(found.field, s, rtol=1e-4)
    np.testing.assert_allclose([found.residuals["data"], found.residuals["slope"]], [300.0, 3 * s], rtol=1e-4)
    np.testing.assert_allclose([found.zero["data"], found.zero["slope"]], [300.0, 0.0])


def test_an_exponential_that_overflows_is_no_warning(x64):
    """u'' + e^4u = 2 asks for a field of order one, whatever e^4u is at the larger sizes that are tried."""
    terms = {"pde": lambda u, x: pj.diff(u, 0, 0)(x) + jnp.exp(4 * u(x)) - 2.0}
    found = d.scales(terms, lambda x: x[0], {"pde": jnp.linspace(0.1, 1, 9)[:, None]})
    assert 0.01 < found.field < 10 and np.isfinite(found.residuals["pde"])


def test_a_field_may_be_asked_for_by_a_nonlinear_residual():
    """|u'|² = 4 asks for a slope of 2, of which the slope of v is one."""
    terms = {"eikonal": lambda u, x: pj.diff(u, 0)(x) ** 2 - 4.0}
    found = d.scales(terms, lambda x: x[0], {"eikonal": jnp.ones((3, 1))})
    np.testing.assert_allclose(found.field, 2.0, rtol=1e-4)


def test_a_component_gets_the_size_at_which_it_matters():
    """u_0 = 5 is asked for, and 10 u_1 stands beside u_0."""
    terms = {"data": lambda u, x: u(x)[0] - 5.0, "sum": lambda u, x: u(x)[0] + 10 * u(x)[1]}
    field = lambda x: jnp.stack([x[0], x[0]])
    found = d.scales(terms, field, {name: jnp.ones((2, 1)) for name in terms}, components=2)
    np.testing.assert_allclose(found.field, np.array([5, 0.5]) / np.sqrt(2), rtol=1e-4)


def test_a_condition_at_one_point_asks_for_the_same_size_whatever_the_network(x64):
    """One that is -rms there, so that 1 + u / rms is zero, asked for infinitely much."""
    terms = {"ode": lambda u, t: pj.diff(u, 0)(t) + u(t) ** 3, "start": lambda u, t: u(t) - 2.0}
    t = jnp.linspace(0, 10, 101)[:, None]
    sizes = []
    for phase in np.linspace(0, 2 * np.pi, 9):
        u = lambda t, phase=phase: jnp.sin(3 * t[0] + phase)
        found = d.scales(terms, u, {"ode": t, "start": t[:1]})
        sizes.append([float(found.field), found.residuals["ode"]])
    field, ode = np.transpose(sizes)
    assert field.min() > 1 and field.max() < 2.01 and ode.max() < 10 * ode.min()
