import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnjax as pj


def test_points_fill_the_box_uniformly(dtype):
    lower, upper = np.array([-1.0, 2.0, 0.0]), np.array([1.0, 5.0, 0.5])
    x = np.asarray(pj.sampling.box(jax.random.key(0), lower, upper, 40_000))
    chex.assert_type(x, dtype)
    assert (x >= lower).all()
    assert (x <= upper).all()
    np.testing.assert_allclose(x.mean(0), (lower + upper) / 2, atol=0.02 * (upper - lower).max())
    np.testing.assert_allclose(x.var(0), (upper - lower) ** 2 / 12, rtol=0.03)


def test_faces_get_equal_numbers_and_lie_on_the_boundary():
    lower, upper = np.array([-1.0, 2.0, 0.0]), np.array([1.0, 5.0, 0.5])
    x = np.asarray(pj.sampling.box_faces(jax.random.key(0), lower, upper, 500)).reshape(3, 2, 500, 3)
    for axis in range(3):
        np.testing.assert_array_equal(x[axis, 0, :, axis], lower[axis])
        np.testing.assert_array_equal(x[axis, 1, :, axis], upper[axis])
        others = [i for i in range(3) if i != axis]
        np.testing.assert_allclose(x[axis, 0][:, others].mean(0), ((lower + upper) / 2)[others], atol=0.2)


def test_corners_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"corners of shapes \(2,\) and \(1,\); expected \(d,\) twice"):
        pj.sampling.box(jax.random.key(0), [0.0, 0.0], [1.0], 3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: pj.sampling.box(0, [0.0], [1.0], 3),
            r"box: key is 0; expected a random key such as jax.random.key\(0\)",
        ),
        (lambda: pj.sampling.box_faces(None, [0.0], [1.0], 3), "box_faces: key is None; expected a random key"),
        (lambda: pj.sampling.r2([0.0], [1.0], 3, key=7), "r2: key is 7; expected a random key"),
        (lambda: pj.sampling.box(jax.random.key(0), [0.0], [1.0], 0), "box: n is 0; expected an integer >= 1"),
        (
            lambda: pj.sampling.box(jax.random.key(0), [0.0], [1.0], 1e3),
            "box: n is 1000.0; expected an integer >= 1",
        ),
        (lambda: pj.sampling.box_faces(jax.random.key(0), [0.0], [1.0], -1), "box_faces: n is -1; expected an integer"),
        (lambda: pj.sampling.quasi("sobol", [0.0], [1.0], 0), "quasi: n is 0; expected an integer >= 1"),
        (lambda: pj.sampling.r2([0.0], [1.0], 2.0), "r2: n is 2.0; expected an integer >= 1"),
        (lambda: pj.sampling.grid([0.0], [1.0], (2.5,)), "in shape .* is 2.5; expected an integer >= 1"),
        (lambda: pj.sampling.grid([0.0], [1.0], 4), "grid: shape is 4; expected 1 whole numbers >= 1"),
        (lambda: pj.sampling.grid([1.0], [0.0], (4,)), r"corners \[1.0\] and \[0.0\]; expected finite, none lower"),
        (lambda: pj.sampling.box(jax.random.key(0), [0.0], [jnp.nan], 3), "expected finite, none lower"),
        (lambda: pj.sampling.box(jax.random.key(0), ["a"], [1.0], 3), "expected d numbers each"),
        (
            lambda: pj.sampling.box(jax.random.key(0), 0.0, 1.0, 3),
            r"corners of shapes \(\) and \(\); expected \(d,\) twice",
        ),
        (
            lambda: pj.sampling.box(jax.random.key(0), [0.0], [1.0], 3, jnp.int32),
            "dtype is .*; expected a floating dtype",
        ),
    ],
)
def test_bad_requests_are_named(make, words):
    with pytest.raises((TypeError, ValueError), match=words):
        make()


def test_corners_may_be_traced_integers_or_lists_and_no_point_leaves_the_box():
    draw = jax.jit(lambda low, high: pj.sampling.box(jax.random.key(0), low, high, 5))
    chex.assert_trees_all_close(draw(jnp.zeros(2), jnp.ones(2)), pj.sampling.box(jax.random.key(0), [0, 0], (1, 1), 5))
    low, high = jnp.array([-1e6, 1e4]), jnp.array([0.04, 1e4 + 0.3])  # both lengths are rounded in single precision
    x = pj.sampling.box(jax.random.key(0), low, high, 50_000)
    assert bool(jnp.all((x >= low[None]) & (x <= high[None])))


def test_resampling_gives_new_points_in_every_step_and_the_same_for_the_same_key():
    sampler = pj.sampling.resample(lambda key: {"pde": jax.random.uniform(key, (4, 1))})

    def three(seed):
        state, found = sampler.init(jax.random.key(seed)), []
        for _ in range(3):
            drawn, state = sampler.update(state, residuals=None)
            found.append(drawn.points["pde"])
        return jnp.stack(found)

    np.testing.assert_array_equal(three(0), three(0))
    assert len(np.unique(np.asarray(three(0)))) == 12
    assert not np.array_equal(three(0), three(1))
