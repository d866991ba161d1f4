"""Exported fields: what they compute, where they run, and files that are none."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.deploy import load

from . import poisson

POINTS = jax.random.uniform(jax.random.key(0), (7, 2))


def network(dtype=None):
    return pj.nn.ModifiedMLP(2, "scalar", width=8, depth=2, param_dtype=dtype, rngs=pj.nn.Rngs(0))


WANTED = {"laplacian": lambda u, x: pj.laplacian(u)(x), "gradient": lambda u, x: pj.grad(u)(x)}


@pytest.fixture(scope="module")
def exported():
    return pj.export(network(), 2, derivatives=WANTED)


def test_the_field_and_its_derivatives_for_any_number_of_points(exported):
    field, u = load(exported), network()
    for n in (1, 7):
        found = jax.jit(field)(POINTS[:n])
        assert sorted(found) == ["gradient", "laplacian", "u"]
        for name, function in {"u": lambda u, x: u(x), **WANTED}.items():
            expected = jax.vmap(lambda x, function=function: function(u, x))(POINTS[:n])
            np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5)


def test_a_program_is_lowered_for_every_platform(exported):
    assert jax.export.deserialize(bytearray(exported)).platforms == ("cpu", "cuda", "tpu")


def test_no_training_code_is_needed(exported, tmp_path):
    """In a process that cannot import the package, by jax alone."""
    path, points = tmp_path / "field", tmp_path / "points.npy"
    path.write_bytes(exported)
    np.save(points, POINTS)
    code = (
        "import sys; sys.modules['pinnjax'] = sys.modules['flax'] = None\n"
        "import jax, numpy as np\n"
        f"program = jax.export.deserialize(bytearray(open({str(path)!r}, 'rb').read()))\n"
        f"np.save({str(tmp_path / 'found.npy')!r}, program.call(np.load({str(points)!r}))['u'])"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), jax.vmap(network())(POINTS), rtol=1e-5)


def test_states_pairs_and_fields_are_exported_alike(tmp_path):
    train = pj.train_step(poisson.TERMS, optax.sgd(0.1))
    state = train.init(poisson.model(), poisson.batch())
    points = jnp.linspace(0, 1, 5)[:, None]
    fields = []
    for model in (state, train.model(state), lambda x: train.model(state)(x), (lambda p, x: train.model(state)(x), {})):
        pj.export(model, 1, path=tmp_path / "field")
        fields.append(load(tmp_path / "field")(points)["u"])
    for field in fields:
        np.testing.assert_allclose(field, jax.vmap(train.model(state))(points), rtol=1e-6)


@pytest.mark.parametrize("asked", [jnp.float32, jnp.float64])
def test_a_precision_may_be_asked_for_whatever_the_process_computes_in(asked):
    field = load(pj.export(network(), 2, dtype=asked))
    assert field(POINTS)["u"].dtype == asked


def test_what_coefficients_a_field_has_may_be_asked_for():
    u = pj.nn.WithCoefficients(network(), {"nu": 0.5})
    found = load(pj.export(u, 2, derivatives={"nu": lambda u, x: u.nu}))(POINTS)
    np.testing.assert_allclose(found["nu"], 0.5, rtol=1e-6)


@pytest.mark.parametrize("part", [slice(0, 0), slice(0, 100), slice(0, -1), slice(1, None)])
def test_a_file_that_is_cut_off_is_known(exported, part):
    with pytest.raises(ValueError, match=r"no exported field, or is cut off|is damaged"):
        load(exported[part])


@pytest.mark.parametrize("place", [0, 5, 1000, -60, -20, -1])
def test_one_bit_that_changed_is_known(exported, place):
    damaged = bytearray(exported)
    damaged[place] ^= 1
    with pytest.raises(ValueError, match=r"no exported field|is damaged"):
        load(bytes(damaged))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"in_features": 0}, ValueError, "in_features is 0"),
        ({"in_features": 3}, ValueError, r"a point has shape \(3,\)"),
        ({"derivatives": {"u": lambda u, x: u(x)}}, ValueError, 'a derivative is called "u"'),
        ({"platforms": ["gpu"]}, ValueError, r"platforms are \['gpu'\]; expected some of cpu"),
        ({"platforms": []}, ValueError, r"platforms are \[\]"),
        ({"dtype": jnp.int32}, TypeError, "dtype is the class int32"),
    ],
)
def test_what_cannot_be_exported_is_said(options, error, message):
    with pytest.raises(error, match=message):
        pj.export(network(), **{"in_features": 2, **options})


def test_points_that_do_not_fit_are_named(exported):
    with pytest.raises(ValueError, match=r"points of shape \(7, 1\); expected \(n, 2\)"):
        load(exported)(POINTS[:, :1])
