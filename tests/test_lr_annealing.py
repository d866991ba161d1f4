"""Every variant against its formula by hand, on two terms and two parameters."""

import chex
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj

# Two layers: a kernel and a bias, then a kernel. Over the kernels, max |pde| = 8, and the means of |bc| are 1 and 3.
PDE = {
    "first": {"kernel": jnp.array([[3.0], [-8.0]]), "bias": jnp.array([90.0])},
    "second": {"kernel": jnp.array([[-2.0]])},
}
BC = {
    "first": {"kernel": jnp.array([[0.5], [1.5]]), "bias": jnp.array([-20.0])},
    "second": {"kernel": jnp.array([[3.0]])},
}
GRADS = {"pde": PDE, "bc": BC}


def weights_after(steps, **options):
    balancer = pj.term_weights.lr_annealing("pde", **options)
    state = balancer.init(GRADS)
    for _ in range(steps):
        balanced, state = balancer.update(GRADS, state)
    chex.assert_trees_all_close(balanced["pde"], PDE, rtol=1e-7)
    chex.assert_trees_all_close(balanced["bc"], optax.tree.scale(state.weights["bc"], BC), rtol=1e-6)
    assert state.weights["pde"] == 1.0
    return float(state.weights["bc"])


def test_released_takes_kernels_only_the_mean_of_layer_means_and_the_weighted_gradient():
    first = 0.9 * 1 + 0.1 * 8 / 2  # mean of layer means (1 + 3) / 2; the 90 and the 20 are biases
    assert weights_after(1) == pytest.approx(first)
    assert weights_after(10) == pytest.approx(first)  # every 10 steps
    second = 0.9 * first + 0.1 * 8 / (first * 2)
    assert weights_after(11) == pytest.approx(second)
    assert weights_after(20) == pytest.approx(second)


@pytest.mark.slow
def test_released_settles_at_the_square_root_of_the_plain_ratio():
    assert weights_after(400, every=1) == pytest.approx(np.sqrt(8 / 2), rel=1e-4)


def test_cavity_takes_the_largest_ratio_within_a_layer():
    first = 0.9 + 0.1 * max(8 / 1, 2 / 3)
    assert weights_after(1, variant="cavity") == pytest.approx(first)
    assert weights_after(11, variant="cavity") == pytest.approx(0.9 * first + 0.1 * 8 / first)


def test_paper_takes_all_leaves_unweighted_and_moves_by_nine_tenths():
    target = 90 / ((1 + 20 + 3) / 3)  # mean over leaves of each leaf's mean
    first = 0.1 * 1 + 0.9 * target
    assert weights_after(1, variant="paper") == pytest.approx(first)
    assert weights_after(2, variant="paper") == pytest.approx(0.1 * first + 0.9 * target)


def test_mean_divides_means_over_all_parameters():
    target = (3 + 8 + 90 + 2) / (0.5 + 1.5 + 20 + 3)
    assert weights_after(1, variant="mean") == pytest.approx(0.9 + 0.1 * target)


def test_norm_divides_norms():
    target = np.sqrt((9 + 64 + 8100 + 4) / (0.25 + 2.25 + 400 + 9))
    assert weights_after(1, variant="norm") == pytest.approx(0.9 + 0.1 * target)


def test_rate_and_every_can_be_chosen():
    assert weights_after(1, variant="norm", decay=1.0) == 1.0
    assert weights_after(3, variant="paper", decay=0.0, every=7) == pytest.approx(90 / 8)
