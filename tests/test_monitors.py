"""Monitors measure in the step what the diagnostics measure outside it, when they are due, and change nothing."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax import diagnostics as d
from pinnjax import monitors
from pinnjax.terms import chunks
from tests import poisson

pytestmark = pytest.mark.usefixtures("quick_compilation")
BATCH = poisson.batch() | {"data": jnp.array([[0.2], [0.7], [0.9]])}
TERMS = poisson.SMALL | {"data": lambda u, x: jnp.stack([u(x) - x[0], 2 * u(x)])}
FRESH = {"pde": jnp.linspace(0.03, 0.97, 9)[:, None]}
GRID = jnp.linspace(0.0, 1.0, 16, endpoint=False)[:, None]
REFERENCE = jnp.sin(2 * jnp.pi * GRID[:, 0])


MONITORS = {
    "gradients": lambda every: monitors.gradients(every=every),
    "homogeneity": lambda every: monitors.homogeneity(every=every),
    "time_losses": lambda every: monitors.time_losses("pde", (0.0, 1.0), slices=4, every=every),
    "saturation": lambda every: monitors.saturation(term="pde", every=every),
    "point_grad_norms": lambda every: monitors.point_grad_norms(every=every),
    "signal_to_noise": lambda every: monitors.signal_to_noise(parts=4, every=every),
    "tangent_kernel": lambda every: monitors.tangent_kernel(points=8, every=every),
    "curvature": lambda every: monitors.curvature(points=8, steps=6, every=every),
    "test_train_ratio": lambda every: monitors.test_train_ratio(FRESH, every=every),
    "error_by_mode": lambda every: monitors.error_by_mode(GRID, REFERENCE, (16,), every=every),
}


def everything(every):
    return [make(every) for make in MONITORS.values()]


def started(**options):
    train = pj.train_step(TERMS, optax.adam(1e-2), term_weights=pj.term_weights.fixed({"bc": 10.0}), **options)
    return train, train.init(poisson.model(), BATCH)


@pytest.mark.slow
def test_every_monitor_measures_what_its_diagnostic_does():
    train, state = started(monitors=everything(1))
    _, metrics = train.update(state, BATCH)
    parts = (TERMS, state.definition, state.constants)
    residuals = pj.residuals(*parts)(state.params, BATCH)
    _, grads = pj.value_and_grads(*parts)(state.params, BATCH)
    close = lambda name, expected: np.testing.assert_allclose(metrics[name], expected, rtol=2e-4, atol=1e-6)
    for term, size in d.sizes(grads).items():
        close(f"grad_norm/{term}", size.norm)
        close(f"grad_max/{term}", size.largest)
        close(f"grad_mean/{term}", size.mean)
        close(f"grad_std/{term}", size.deviation)
        close(f"homogeneity/{term}", d.homogeneity(residuals[term]))
    close("imbalance", d.imbalance(grads))
    close("alignment", d.alignment(grads))
    names = list(grads)
    close("cosine/bc|data", d.cosines(grads)[names.index("bc"), names.index("data")])
    close("time_losses/pde", d.time_losses(residuals["pde"], BATCH["pde"][:, 0], interval=(0.0, 1.0), slices=4))
    u = train.model(state)
    close("saturation", d.saturation(u, BATCH["pde"]))
    close("dead", d.dead(u, BATCH["pde"]))
    norms = pj.point_grad_norms(*parts)(state.params, BATCH)["data"]
    close("point_grad_norm/data", [norms.min(), jnp.median(norms), norms.max()])
    few = {t: chunks.some(p, 8) for t, p in BATCH.items()}
    spectrum = d.spectra(d.tangent_kernel(*parts)(state.params, few))["pde"]
    close("ntk_trace/pde", spectrum.trace)
    np.testing.assert_allclose(metrics["ntk_eigenvalues/pde"][0], spectrum.eigenvalues[0], rtol=1e-3)
    weights = {"pde": 1.0, "bc": 10.0, "data": 1.0}
    _, outer, size = d.products(*parts[:2], state.params, few, parts[2], weights=weights)
    ritz = d.lanczos(outer, size, key=jax.random.key(0), steps=6)
    np.testing.assert_allclose(metrics["gauss_newton"], ritz, rtol=1e-3, atol=1e-5 * float(ritz[-1]))
    close(
        "test_train_ratio/pde",
        d.test_train_ratio(
            {"pde": residuals["pde"]}, pj.residuals(*parts)(state.params, FRESH | {t: BATCH[t] for t in ("bc", "data")})
        )["pde"],
    )
    close("error_by_mode", d.error_by_mode(jax.vmap(u)(GRID), REFERENCE)[0])


@pytest.mark.slow
def test_the_signal_is_that_of_the_weighted_gradient_over_parts_of_the_batch():
    train, state = started(monitors=[monitors.signal_to_noise(parts=4, every=1)])
    _, metrics = train.update(state, BATCH)
    evaluate = pj.value_and_grads(TERMS, state.definition, state.constants)
    rows = []
    for i in range(4):  # the boundary and the data have fewer points than parts: every part has them all
        _, grads = evaluate(state.params, BATCH | {"pde": BATCH["pde"][i::4]})
        flat = {t: jax.flatten_util.ravel_pytree(g)[0] for t, g in grads.items()}
        rows.append(flat["pde"] + 10 * flat["bc"] + flat["data"])
    rows = np.stack(rows)
    expected = np.linalg.norm(rows.mean(0)) / np.linalg.norm(rows.std(0))
    np.testing.assert_allclose(metrics["snr"], expected, rtol=1e-3)


@pytest.mark.slow
def test_monitors_measure_when_they_are_due_and_change_nothing_but_rounding():
    train, state = started(monitors=everything(4))
    after, history = pj.fit(train, state, BATCH, steps=12, steps_per_call=6, progress=False)
    plain, begun = started()
    expected, bare = pj.fit(plain, begun, BATCH, steps=12, steps_per_call=6, progress=False)
    chex.assert_trees_all_close({name: history[name] for name in bare}, bare, rtol=1e-4)
    chex.assert_trees_all_close(after.params, expected.params, rtol=1e-4, atol=1e-6)
    for name in set(history) - set(bare):
        due = np.isfinite(history[name].reshape(12, -1)).all(axis=1)
        assert list(history["step"][due]) == [4, 8, 12], name
    _, recorded = pj.fit(train, state, BATCH, steps=12, steps_per_call=6, record_every=4, progress=False)
    chex.assert_tree_all_finite(recorded["snr"])
    chex.assert_shape(recorded["ntk_eigenvalues/pde"], (3, 8))


@pytest.mark.slow
def test_a_monitor_of_ones_own_sees_the_field_and_its_points():
    mean = pj.Monitor(lambda seen: {"mean_u": jnp.mean(jax.vmap(seen.field())(seen.points["pde"]))}, every=2)
    train, state = started(monitors=[mean])
    _, history = pj.fit(train, state, BATCH, steps=4, steps_per_call=4, progress=False)
    assert list(np.isfinite(history["mean_u"])) == [False, True, False, True]
    first, _ = train.update(state, BATCH)
    np.testing.assert_allclose(history["mean_u"][1], jnp.mean(jax.vmap(train.model(first))(BATCH["pde"])), rtol=1e-5)


@pytest.mark.parametrize("name", ["loss/pde", "imbalance"])
def test_a_name_that_is_taken_is_refused(name):
    train, state = started(monitors=[monitors.gradients(), pj.Monitor(lambda seen: {name: jnp.zeros(())})])
    with pytest.raises(ValueError, match=f"two metrics are named .*{name}"):
        train.update(state, BATCH)


def test_what_is_no_monitor_is_refused():
    with pytest.raises(TypeError, match=r"expected a list of pinnjax\.Monitor"):
        started(monitors=[lambda seen: {}])
    with pytest.raises(ValueError, match="every"):
        started(monitors=[monitors.gradients(every=0)])


@pytest.mark.slow
def test_monitors_run_over_seeds():
    train, state = started(monitors=[monitors.gradients(every=2)])
    many = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), state)
    after, metrics = jax.vmap(lambda s: train.update(s, BATCH))(many)
    assert np.isnan(metrics["imbalance"]).all()
    _, metrics = jax.vmap(lambda s: train.update(s, BATCH))(after)
    chex.assert_tree_all_finite(metrics["imbalance"])
