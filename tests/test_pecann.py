"""PECANN against its authors' loop, written in NumPy."""

import jax.numpy as jnp
import numpy as np

import pinnjax as pj


def test_it_follows_the_authors_loop():
    rng = np.random.default_rng(0)
    sequence = [rng.normal(size=(4, 2)).astype(np.float32) * 0.7**k for k in range(12)]  # a vector residual
    sequence[5] = 0.01 * sequence[5]  # progress: nothing moves
    rule = pj.point_weights.pecann(["bc"], every=2, max_penalty=16.0)
    state = rule.init({"pde": jnp.ones(3), "bc": jnp.asarray(sequence[0])})
    multiplier, penalty, eta, held = np.zeros(4), 1.0, 0.0, 0
    for k, r in enumerate(sequence):
        c = (r**2).sum(axis=1)
        norm = np.linalg.norm(c)
        if k % 2 == 0:
            if norm >= 0.25 * eta and norm > 1e-8:
                penalty = min(2 * penalty, 16.0)
                multiplier = multiplier + penalty * c
            else:
                held += 1
            eta = norm
        ones = {"pde": jnp.ones(3), "bc": jnp.ones(4)}
        residuals = {"pde": jnp.ones(3), "bc": jnp.asarray(r)}
        weights, state = rule.update(ones, state, residuals=residuals)
        np.testing.assert_allclose(weights["bc"], multiplier + penalty * c, rtol=1e-5)
        np.testing.assert_array_equal(weights["pde"], np.ones(3))
    assert held >= 1 and penalty == 16.0


def test_the_gradient_is_that_of_the_augmented_lagrangian():
    """mean λ c + ½ μ c² with c = r², by `jax.grad` with λ and μ held."""
    import jax

    x = jnp.array([[0.5], [1.5]])
    residual = lambda a: a * x[:, 0] - 1.0
    rule = pj.point_weights.pecann(["bc"])
    state = rule.init({"bc": residual(0.3)})
    weights, state = rule.update({"bc": jnp.ones(2)}, state, residuals={"bc": residual(0.3)})
    _, grads = pj.value_and_grads({"bc": lambda u, x: u(x) - 1.0}, lambda a, x: a * x[0])(
        jnp.float32(0.3), {"bc": x}, weights
    )
    lagrangian = lambda a: jnp.mean(state.multipliers["bc"] * residual(a) ** 2 + 0.5 * state.penalty * residual(a) ** 4)
    np.testing.assert_allclose(grads["bc"], jax.grad(lagrangian)(0.3), rtol=1e-5)
