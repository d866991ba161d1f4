import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnjax as pj


def test_points_fill_the_box_uniformly(dtype):
    lower, upper = np.array([-1.0, 2.0, 0.0]), np.array([1.0, 5.0, 0.5])
    x = np.asarray(pj.sampling.box(jax.random.key(0), lower, upper, 40_000))
    assert x.dtype == dtype
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
