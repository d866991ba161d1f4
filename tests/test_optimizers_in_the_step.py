"""Every optimiser, and those of optimistix, inside `train_step`: precision, bad points, scan, vmap, one program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnjax as pj
from pinnjax import optimizers
from tests import poisson

pytestmark = pytest.mark.usefixtures("quick_compilation")

optimistix = pytest.importorskip("optimistix")
KEY = jax.random.key(0)
RULES = {
    "spring": lambda: optimizers.spring(),
    "nystrom_natural_gradient, searched": lambda: optimizers.nystrom_natural_gradient(rank=4, key=KEY, decay=0.5),
    "nystrom_natural_gradient, fixed": lambda: optimizers.nystrom_natural_gradient(0.1, rank=4, key=KEY),
    "soap": lambda: optimizers.soap(precondition_every=2),
    "ssbroyden": lambda: optimizers.ssbroyden(),
    "ssbfgs": lambda: optimizers.ssbfgs(),
    "bfgs": lambda: optimizers.bfgs(),
    "gauss_newton": lambda: optimizers.gauss_newton(),
    "optimistix, bfgs": lambda: optimizers.from_optimistix(optimistix.BFGS(1e-8, 1e-8)),
    "optimistix, lm": lambda: optimizers.from_optimistix(optimistix.LevenbergMarquardt(1e-8, 1e-8), residuals=18),
}
# Asked for the same in files of their own, and long to compile.
DEAR = {"ssbroyden", "ssbfgs", "bfgs", "gauss_newton"}
every_rule = pytest.mark.parametrize(
    "rule", [pytest.param(r, marks=[pytest.mark.slow] * (n in DEAR)) for n, r in RULES.items()], ids=RULES
)


def begun(rule, dtype=jnp.float32):
    train, batch = pj.train_step(poisson.SMALL, rule()), poisson.batch(dtype=dtype)
    return train, train.init(poisson.small(dtype), batch), batch


def numbers(tree):
    return [
        np.asarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)
        for leaf in jax.tree.leaves(tree)
    ]


def close(one, other, rtol):
    for a, b in zip(numbers(one), numbers(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


@every_rule
def test_it_descends_in_either_precision_and_forgets_bad_points(rule, dtype):
    """One program for all; a batch with a NaN leaves no trace in parameters and state."""
    train, state, batch = begun(rule, dtype)
    losses = []
    for _ in range(6):
        state, metrics = train.update(state, batch)
        losses.append(metrics["loss"])
    assert losses[-1] < 0.99 * losses[0]
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {dtype}

    after, metrics = train.update(state, batch | {"pde": batch["pde"].at[3].set(jnp.nan)})
    assert after.skipped == state.skipped + 1 and not jnp.isfinite(metrics["loss"])
    for a, b in zip(*map(numbers, ((after.params, after.optimizer), (state.params, state.optimizer))), strict=True):
        np.testing.assert_array_equal(a, b)
    assert train.update(after, batch)[1]["skipped"] == after.skipped
    assert train.update._cache_size() == 1


@pytest.mark.slow
@pytest.mark.parametrize("rule", [r for n, r in RULES.items() if n != "soap"], ids=[n for n in RULES if n != "soap"])
def test_scanned_steps_are_those_of_a_loop_and_seeds_may_be_mapped(rule, x64):
    """To 1e-6: what XLA reorders is rounding, and nine steps carry it on.

    SOAP is asked in `test_soap`: this kernel is (3, 1), and of its first gradient rounding chooses the eigenbasis.
    """
    train, state, batch = begun(rule, jnp.float64)
    other = train.init((state.definition, jax.tree.map(lambda p: p + 0.1, state.params)), batch)
    scanned = jax.jit(lambda s: jax.lax.scan(lambda s, _: (train.update(s, batch)[0], None), s, None, length=9)[0])
    mapped = jax.vmap(scanned)(jax.tree.map(lambda a, b: jnp.stack([a, b]), state, other))
    for i, s in enumerate((state, other)):
        close(jax.tree.map(lambda leaf, i=i: leaf[i], mapped.params), scanned(s).params, 1e-6)
    looped = state
    for _ in range(9):
        looped = train.update(looped, batch)[0]
    close(looped.params, scanned(state).params, 1e-6)


@pytest.mark.slow
@every_rule
def test_a_run_that_is_stored_goes_on_as_if_nothing_had_been(rule, tmp_path):
    train, state, batch = begun(rule)
    whole, _ = pj.fit(train, state, batch, steps=6)
    pj.fit(train, state, batch, steps=3, checkpoint=tmp_path)
    resumed, _ = pj.fit(train, state, batch, steps=6, checkpoint=tmp_path)
    for a, b in zip(numbers(whole), numbers(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
