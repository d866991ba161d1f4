"""SOAP: against the authors' way of computing it, in numpy; against Adam; and what rotations do."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinnjax.optimizers import soap

pytestmark = pytest.mark.usefixtures("quick_compilation")

SHAPES = {"matrix": (3, 2), "vector": (4,), "tensor": (2, 3, 2), "long": (5, 2), "number": ()}
LONGEST = 4


def gradients(steps):
    rng = np.random.default_rng(0)
    return [{name: rng.normal(size=shape) for name, shape in SHAPES.items()} for _ in range(steps)]


def turned(x, bases, back=False):
    """`project` and `project_back` of the authors' code: every axis once to the end, so that the order is the old."""
    for q in bases:
        x = np.moveaxis(x, 0, -1) if q is None else np.tensordot(x, q, axes=(0, 1 if back else 0))
    return x


def authors(gs, rate, b1, b2, beta, eps, every, decay=0.0):
    """A transcription of `SOAP.step` to numpy for one array: the mean is kept in the eigenbasis, and turned with it."""
    shape = gs[0].shape
    used = [len(shape) > 1 and size <= LONGEST for size in shape]
    factors = [np.zeros((size, size)) if u else None for size, u in zip(shape, used, strict=True)]
    mean, square, bases, step, weights = np.zeros(shape), np.zeros(shape), None, 0, []
    w = np.ones(shape)
    for g in gs:
        if bases is not None:
            step += 1
            projected = turned(g, bases)
            mean = b1 * mean + (1 - b1) * projected
            square = b2 * square + (1 - b2) * projected**2
            size = rate * np.sqrt(1 - b2**step) / (1 - b1**step)
            w = w - size * turned(mean / (np.sqrt(square) + eps), bases, back=True) - rate * decay * w
            mean = turned(mean, bases, back=True)
        for axis, factor in enumerate(factors):
            if factor is not None:
                unfolded = np.moveaxis(g, axis, 0).reshape(shape[axis], -1)
                factors[axis] = beta * factor + (1 - beta) * unfolded @ unfolded.T
        if bases is None:
            bases = [None if f is None else np.linalg.eigh(f)[1][:, ::-1] for f in factors]
        elif step % every == 0:
            for axis, f in enumerate(factors):
                if f is not None:
                    order = np.argsort(-np.diag(bases[axis].T @ f @ bases[axis]))
                    square = np.take(square, order, axis)
                    bases[axis] = np.linalg.qr(f @ bases[axis][:, order])[0]
        mean = turned(mean, bases)
        weights.append(w)
    return weights


@pytest.mark.parametrize("beta", [None, 0.5])
def test_thirty_steps_are_those_of_the_authors_code(x64, beta):
    """Matrices, vectors, tensors, and an axis that is too long; the refresh comes every four steps."""
    gs = gradients(30)
    optimizer = soap(0.1, 0.9, 0.8, shampoo_beta=beta, eps=1e-3, precondition_every=4, max_dimension=LONGEST)
    params = {name: jnp.ones(shape) for name, shape in SHAPES.items()}
    state, update = optimizer.init(params), jax.jit(optimizer.update)
    expected = {
        name: authors([g[name] for g in gs], 0.1, 0.9, 0.8, 0.8 if beta is None else beta, 1e-3, 4) for name in SHAPES
    }
    for i, g in enumerate(gs):
        updates, state = update(jax.tree.map(jnp.asarray, g), state, params)
        params = optax.apply_updates(params, updates)
        for name in SHAPES:
            np.testing.assert_allclose(params[name], expected[name][i], rtol=1e-9, atol=1e-9, err_msg=f"{name} {i}")


def test_vectors_have_adam_from_the_second_gradient_on(x64):
    gs = [jnp.asarray(g["vector"]) for g in gradients(6)]
    mine, adam = soap(0.1, eps=0.0), optax.adam(0.1, 0.95, 0.95, eps=0.0)
    one, other = mine.init(gs[0]), adam.init(gs[0])
    mine, adam = jax.jit(mine.update), jax.jit(adam.update)
    first, one = mine(gs[0], one)
    np.testing.assert_array_equal(first, 0)
    for g in gs[1:]:
        found, one = mine(g, one)
        expected, other = adam(g, other)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_turned_gradients_give_turned_updates(x64):
    """What Adam does not have: the updates do not depend on the coordinates of a layer's inputs and outputs."""
    left, right = (np.linalg.qr(np.random.default_rng(i).normal(size=(3, 3)))[0] for i in (1, 2))
    optimizer = soap(0.1, precondition_every=2)
    one = other = optimizer.init(jnp.zeros((3, 3)))
    update = jax.jit(optimizer.update)
    for i in range(8):
        g = np.random.default_rng(10 + i).normal(size=(3, 3))
        plain, one = update(jnp.asarray(g), one)
        rotated, other = update(jnp.asarray(left @ g @ right), other)
        np.testing.assert_allclose(rotated, left @ plain @ right, rtol=1e-8, atol=1e-10)


def test_scanned_and_mapped_steps_are_those_of_a_loop(x64):
    gs = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9, 3, 3)))
    optimizer = soap(0.1, precondition_every=2)
    start, update = optimizer.init(gs[0, 0]), jax.jit(optimizer.update)
    scanned = lambda seed: jax.lax.scan(lambda s, g: optimizer.update(g, s)[::-1], start, seed)[1]
    mapped = jax.jit(jax.vmap(scanned))(gs)
    for i in range(2):
        state = start
        for j in range(9):
            found, state = update(gs[i, j], state)
            np.testing.assert_allclose(mapped[i, j], found, rtol=1e-8, atol=1e-12)


def test_a_layer_whose_inputs_are_correlated_is_fitted_sooner_than_by_adam():
    """min |XW - Y|² with inputs that are nearly one direction, turned: a hundredth of Adam's loss at the same rate."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    x = jnp.asarray(rng.normal(size=(64, 6)) * np.logspace(0, -2, 6) @ turn, jnp.float32)
    y = x @ jnp.asarray(rng.normal(size=(6, 4)), jnp.float32)
    loss = lambda w: jnp.mean((x @ w - y) ** 2)

    def reached(optimizer):
        def step(carry, _):
            w, state = carry
            updates, state = optimizer.update(jax.grad(loss)(w), state, w)
            return (optax.apply_updates(w, updates), state), None

        w = jnp.zeros((6, 4))
        return float(loss(jax.lax.scan(step, (w, optimizer.init(w)), None, length=500)[0][0]))

    rate = optax.cosine_decay_schedule(3e-2, 500)
    assert reached(soap(rate)) < 0.01 * reached(optax.adam(rate, 0.95, 0.95))


def test_weight_decay_is_adamws():
    params = {"w": jnp.full((2, 2), 3.0)}
    optimizer = soap(0.1, weight_decay=0.5)
    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update({"w": jnp.zeros((2, 2))}, state, params)
    np.testing.assert_allclose(updates["w"], -0.1 * 0.5 * 3.0, rtol=1e-6)


def test_half_precision_is_averaged_in_single():
    params = {"w": jnp.ones((2, 2), jnp.bfloat16)}
    optimizer = soap(0.1)
    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update(params, state, params)
    assert updates["w"].dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(state[0].factors)} == {jnp.dtype(jnp.float32)}


def test_errors_say_what_was_expected():
    with pytest.raises(ValueError, match=r"soap: b1 is 1.5; expected a number in \[0, 1\]"):
        soap(b1=1.5)
    with pytest.raises(ValueError, match="soap: precondition_every is 0"):
        soap(precondition_every=0)
