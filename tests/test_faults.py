"""Injected faults and policies: whatever breaks, a run ends in a finite state, counted and said."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax import optimizers, point_weights, sampling, term_weights
from pinnjax.train.faults import Faults

from . import poisson

KEY = jax.random.key(2)
BATCH = {"pde": jnp.linspace(0.05, 0.95, 16)[:, None], "bc": jnp.array([[0.0], [1.0]])}
POLE = BATCH["pde"][3, 0]
CALL, STEPS = 5, 100


def square(u, x):
    return u(x) - x[0] ** 2


def root(u, x):
    """Finite as long as the field does not fall far below zero."""
    return jnp.sqrt(0.3 + u(x)) - 0.3**0.5


def kink(u, x):
    """Finite, but at one point without a gradient."""
    return jnp.sqrt(jnp.abs(u(x) * (x[0] - POLE)))


def pole(u, x):
    """Not finite at one point."""
    return u(x) - x[0] ** 2 + jnp.where(x[0] == POLE, jnp.inf, 0.0)


def huge(u, x):
    return 1e25 * u(x)


def poisoned(at):
    """An optimiser whose updates are not finite in one step."""

    def update(updates, count, params=None):
        wrong = jnp.where(count == at, jnp.nan, 1.0)
        return jax.tree.map(lambda g: g * wrong.astype(g.dtype), updates), count + 1

    return optax.chain(optax.sgd(1e-2), optax.GradientTransformation(lambda params: jnp.zeros((), int), update))


def never_finite():
    return optax.chain(optax.sgd(1e-2), optax.stateless(lambda g, p: jax.tree.map(lambda leaf: leaf * jnp.inf, g)))


def broken_points(key):
    """One of the points in a draw of three is where a residual has its pole."""
    place = jnp.where(jax.random.bernoulli(key, 0.3), POLE, 0.5)
    return {"pde": BATCH["pde"].at[3, 0].set(place), "bc": BATCH["bc"]}


def step(residual, optimizer=None, **options):
    terms = {"pde": residual, "bc": poisson.bc}
    return pj.train_step(terms, optax.sgd(1e-2) if optimizer is None else optimizer, **options)


# What breaks, and whether training goes on by itself: a step that is not taken is enough, or nothing can be done.
FAULTS = {
    "one point of a term": (lambda: step(pole), False),
    "a term that overflows": (lambda: step(huge), False),
    "a gradient that is not finite": (lambda: step(kink), False),
    "a field that leaves where residuals are finite": (lambda: step(root, optax.sgd(8.0)), None),
    "a rate at which the loss explodes": (lambda: step(square, optax.sgd(3.0)), None),
    "an update, and the same again": (lambda: step(square, poisoned(20)), False),
    "every update": (lambda: step(square, never_finite()), False),
    "points now and then": (lambda: step(pole, sampler=sampling.resample(broken_points)), True),
    "the same under a balancer": (
        lambda: step(pole, sampler=sampling.resample(broken_points), term_weights=term_weights.gradnorm()),
        True,
    ),
    "the same under surgery": (
        lambda: step(pole, sampler=sampling.resample(broken_points), term_weights=term_weights.pcgrad()),
        True,
    ),
    "the same under point weights": (
        lambda: step(
            pole,
            sampler=sampling.resample(broken_points),
            point_weights=point_weights.by_position({"pde": lambda x: 1 + x[0]}),
        ),
        True,
    ),
    "the same in a search": (
        lambda: step(pole, optimizers.ssbroyden(), sampler=sampling.resample(broken_points, every=2)),
        True,
    ),
    "the same in Gauss-Newton": (
        lambda: step(pole, optimizers.gauss_newton(), sampler=sampling.resample(broken_points, every=2)),
        True,
    ),
    "in chunks": (lambda: step(pole, sampler=sampling.resample(broken_points), chunk=4), True),
    "on four devices": (lambda: step(pole, sampler=sampling.resample(broken_points)), True),
    "in one of three seeds": (lambda: step(root, optax.sgd(8.0)), None),
}


def begun(name, train):
    apply, params = poisson.small()
    batch = None if train.parts.sampler is not None else BATCH
    params = jax.tree.map(jnp.abs, params)
    if name == "in one of three seeds":
        scaled = lambda scale: jax.tree.map(lambda p: p * scale, params)
        return jax.vmap(lambda scale: train.init((apply, scaled(scale)), batch))(jnp.array([1.0, 1.1, 1.2])), batch
    return train.init((apply, params), batch, key=KEY), batch


@pytest.mark.filterwarnings("ignore:fit.*(rolled back|stopped after)")
@pytest.mark.parametrize("then", ["stop", "raise", "roll_back"])
@pytest.mark.parametrize("name", FAULTS)
def test_whatever_breaks_ends_in_a_finite_state_counted_and_said(name, then, tmp_path, recwarn):
    make, harmless = FAULTS[name]
    train = make()
    state, batch = begun(name, train)
    mesh = jax.make_mesh((4,), ("points",)) if name == "on four devices" else None
    patience = 50 if name.startswith("the same in") else 10  # a search that has converged takes no steps either
    policy = Faults(then, patience=patience, explodes=100.0)
    options = {"steps": STEPS, "steps_per_call": CALL, "progress": False, "faults": policy, "mesh": mesh}
    said = ""
    try:
        state, history = pj.fit(train, state, batch, checkpoint=tmp_path, **options)
    except FloatingPointError as error:
        assert then == "raise"
        said = str(error)
        history = None
        state = pj.checkpoint.restore(tmp_path, state).state  # nothing is lost
    said += " ".join(str(warning.message) for warning in recwarn)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(state.params))
    skipped, counts = np.sum(state.skipped), sum(np.sum(c) for c in state.nonfinite.values())
    explodes = name == "a rate at which the loss explodes"
    assert skipped > 0 or explodes
    if harmless:
        assert "stopped" not in said and "not finite" not in said and np.all(np.asarray(state.step) == STEPS)
        assert 0 < skipped < STEPS
    elif harmless is False:  # patience is over, and it is said which term it was
        assert "not finite" in said or "no step lowered the loss" in said
        assert counts == 0 if "update" in name else "'pde'" in said
        assert np.all(np.asarray(state.step) < STEPS)
    elif then == "roll_back":
        assert "rolled back to the state of step" in said
        assert np.min(state.pace) < 1.0 and np.max(history["rolled_back"]) >= 1
        assert np.all(np.isfinite(history["loss"][-1])) and np.max(history["loss"][-1]) < 1.0
        if name == "in one of three seeds":
            assert history["rolled_back"].shape == (STEPS, 3)
    elif not explodes:
        assert "not finite (terms ['pde'])" in said


@pytest.mark.filterwarnings("ignore:fit.*stopped after")
def test_a_rollback_ends_after_so_many_times():
    train = step(pole)
    state, batch = begun("", train)
    with pytest.warns(UserWarning, match="rolled back"):
        state, history = pj.fit(
            train, state, batch, steps=STEPS, steps_per_call=CALL, faults=Faults("roll_back", patience=5, times=2)
        )
    assert history["rolled_back"][-1] == 2 and state.pace == 0.25 and len(history["step"]) < STEPS


def test_without_a_fault_the_policy_changes_nothing():
    train = step(square)
    state, batch = begun("", train)
    ended = [
        pj.fit(train, state, batch, steps=20, steps_per_call=CALL, faults=policy)[0]
        for policy in (None, Faults("roll_back"), Faults("raise"))
    ]
    for other in ended[1:]:
        chex.assert_trees_all_equal(ended[0], other)


def raising(u, x):
    raise RuntimeError("a mistake in the residual")


def test_a_residual_that_raises_while_it_is_traced_is_heard():
    train = step(raising)
    with pytest.raises(RuntimeError, match="a mistake in the residual"):
        train.init(poisson.small(), BATCH)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"then": "hope"}, "then is 'hope'; expected \"stop\""),
        ({"patience": 0}, "patience is 0"),
        ({"shrink": 2.0}, "shrink is 2"),
        ({"explodes": 0.5}, "explodes is 0.5"),
        ({"times": 0}, "times is 0"),
    ],
)
def test_a_policy_out_of_range_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        Faults(**options)
