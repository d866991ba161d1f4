"""Names of terms, equations and points: every rule, sampler and monitor takes a "/", and all equations of a term."""

import chex
import jax
import jax.numpy as jnp
import optax
import pytest

import pinnjax as pj
from pinnjax import sampling, term_weights
from pinnjax.terms import names

from .marks import few
from .test_term_weights_contract import RULES as TERM_RULES

pytestmark = pytest.mark.usefixtures("quick_compilation")

ODE, LEFT = "ode", "bc/left"
MODEL = (lambda p, x: p["w"] @ x + p["b"], {"w": jnp.array([[1.0, 2.0]]), "b": jnp.array([0.5])})
TERMS = {
    ODE: lambda u, x: {"p": u(x)[0] - x[0], "q": u(x)[0] * x[1] - 1.0},
    LEFT: lambda u, x: u(x)[0],
    "weights": lambda u, x: u(x)[0] - 1.0,
}
BATCH = {
    ODE: jax.random.uniform(jax.random.key(0), (6, 2)),
    LEFT: jax.random.uniform(jax.random.key(1), (3, 2)),
    "weights": jax.random.uniform(jax.random.key(2), (4, 2)),
}
RESIDUALS = ["ode/p", "ode/q", LEFT, "weights"]


def trained(batch=BATCH, steps=2, terms=TERMS, **options):
    train = pj.train_step(terms, optax.sgd(1e-3), **options)
    state = train.init(MODEL, batch, key=jax.random.key(0))
    for _ in range(steps):
        state, metrics = train.update(state, batch)
    assert metrics["skipped"] == 0
    return state, metrics


@pytest.mark.parametrize("name", [n for n, case in TERM_RULES.items() if case.reference])
def test_every_reference_may_be_a_term_of_several_equations(name):
    """The weight of each of its equations is 1."""
    rule = TERM_RULES[name].make(ODE)
    grads = {r: {"w": jnp.full((1, 2), 2.0**i), "b": jnp.array([1.0 + i])} for i, r in enumerate(RESIDUALS)}
    losses = {r: jnp.float32(1.0 + i) for i, r in enumerate(RESIDUALS)}
    balanced, _ = jax.jit(lambda g: rule.update(g, rule.init(g), losses=losses))(grads)
    chex.assert_trees_all_equal({r: balanced[r] for r in RESIDUALS[:2]}, {r: grads[r] for r in RESIDUALS[:2]})


@pytest.mark.parametrize(
    "tool",
    [
        term_weights.bounded,
        term_weights.guarded,
        term_weights.smoothed,
        term_weights.normalized,
        term_weights.scheduled,
        term_weights.held,
    ],
)
def test_every_tool_takes_a_term_called_as_the_field_it_edits(tool):
    grads = {"weights": jnp.array([1.0]), "bc": jnp.array([1.0])}
    rule = tool(term_weights.fixed({"weights": 3.0}))
    balanced, _ = rule.update(grads, rule.init(grads))
    chex.assert_trees_all_close(balanced["weights"], 3 * balanced["bc"])  # normalised, 3/2 and 1/2


CHOSEN = {
    "self_adaptive": pj.point_weights.self_adaptive(1.0, terms=[ODE], initial={ODE: 2.0}),
    "residual_attention": pj.point_weights.residual_attention(terms=[ODE]),
    "vrba": pj.point_weights.vrba(terms=[ODE]),
    "brdr": pj.point_weights.brdr(decay=0.5, weights_decay=0.0, eps=1.0, terms=[ODE]),
    "inverse_point_gradients": pj.point_weights.inverse_point_gradients(terms=[ODE]),
    "causal": pj.point_weights.causal([ODE], interval=(0.0, 1.0)),
    "pecann": pj.point_weights.pecann([ODE]),
    "by_position": pj.point_weights.by_position({ODE: lambda x: 1.0 + x[0]}),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_a_terms_name_stands_for_all_its_equations_in_every_point_rule(name):
    train = pj.train_step(TERMS, optax.sgd(0.0), point_weights=CHOSEN[name])
    state = train.init(MODEL, BATCH)
    state, metrics = train.update(state, BATCH)
    state, metrics = train.update(state, BATCH)
    weighed = {r: bool(metrics[f"weighted_loss/{r}"] != metrics[f"loss/{r}"]) for r in RESIDUALS}
    assert weighed == {"ode/p": True, "ode/q": True, LEFT: False, "weights": False}


UNIFORM = lambda key, n: sampling.box(key, [0.0, 0.0], [1.0, 1.0], n)
SAMPLERS = {
    "minibatches": lambda t: sampling.minibatches({t: BATCH[t]}, {t: 2}),
    "importance": lambda t: sampling.importance({t: BATCH[t]}, {t: 5}, every=1),
    "rad": lambda t: sampling.rad(t, UNIFORM, 6, candidates=20, every=1),
    "rar_d": lambda t: sampling.rar_d(t, UNIFORM, 3, capacity=6, candidates=20, every=1),
    "rar_g": lambda t: sampling.rar_g(t, UNIFORM, 3, capacity=6, candidates=20, every=1),
    "r3": lambda t: sampling.r3(t, UNIFORM, 6),
    "growing": lambda t: sampling.growing(
        sampling.rad(t, UNIFORM, 6, candidates=20, every=1), 1.0, axis=0, start=0.0, every=1
    ),
    "resample": lambda t: sampling.resample(lambda key: {t: UNIFORM(key, 5)}),
}


@pytest.mark.parametrize("name", few(SAMPLERS, "importance"))
def test_every_sampler_takes_such_names(name):
    rule = None if name == "resample" else pj.point_weights.residual_attention()
    sampler = sampling.combine(SAMPLERS[name](ODE), SAMPLERS[name](LEFT))
    state, _ = trained({"weights": BATCH["weights"]}, sampler=sampler, point_weights=rule)
    assert set(sampler.pool(state.sampler)) == {ODE, LEFT}


@pytest.mark.slow
def test_every_monitor_takes_such_names():
    monitors = [
        pj.monitors.gradients(),
        pj.monitors.homogeneity(),
        pj.monitors.time_losses(ODE, (0.0, 1.0)),
        pj.monitors.time_losses("ode/q", (0.0, 1.0), slices=3),
        pj.monitors.time_losses(LEFT, (0.0, 1.0)),
        pj.monitors.point_grad_norms(every=1),
        pj.monitors.signal_to_noise(parts=2, every=1),
        pj.monitors.tangent_kernel(every=1),
        pj.monitors.curvature(steps=2, every=1),
        pj.monitors.test_train_ratio({ODE: BATCH[ODE], LEFT: BATCH[LEFT]}, every=1),
    ]
    with pytest.raises(ValueError, match="two metrics are named"):  # of the term and of one of its equations
        trained(monitors=monitors)
    del monitors[3]
    _, metrics = trained(monitors=monitors, steps=1)
    for name in ("time_losses/ode/p", "time_losses/ode/q", "time_losses/bc/left", "test_train_ratio/ode/q", "snr"):
        chex.assert_tree_all_finite(metrics[name]) if "time" not in name else chex.assert_rank(metrics[name], 1)


def test_two_residuals_of_one_name_are_refused():
    terms = {"a/b": lambda u, x: u(x)[0], "a": lambda u, x: {"b": u(x)[0]}}
    batch = {"a/b": BATCH[LEFT], "a": BATCH[LEFT]}
    with pytest.raises(ValueError, match="terms 'a/b' and 'a' both have a residual named 'a/b'"):
        pj.residuals(terms, MODEL[0])(MODEL[1], batch)
    with pytest.raises(ValueError, match="terms 'a/b' and 'a' both have a residual named 'a/b'"):
        pj.value_and_grads(terms, MODEL[0])(MODEL[1], batch)


@pytest.mark.parametrize(
    "returned, said",
    [
        ({}, "returns an empty dict"),
        ({"p/q": 1.0}, "named 'p/q'; expected a non-empty string without \"/\""),
        ({0: 1.0}, "named 0"),
    ],
)
def test_equations_without_a_name_are_refused(returned, said):
    with pytest.raises((ValueError, TypeError), match=said):
        pj.residuals({"ode": lambda u, x: returned}, MODEL[0])(MODEL[1], {"ode": BATCH[ODE]})


def test_a_residual_belongs_to_the_term_before_the_last_slash():
    terms = ["bc", "bc/left", "ns"]
    owners = {r: names.term_of(r, terms) for r in ("bc", "bc/left", "bc/left/u", "bc/right", "ns/mass")}
    assert owners == {"bc": "bc", "bc/left": "bc/left", "bc/left/u": "bc/left", "bc/right": "bc", "ns/mass": "ns"}
    with pytest.raises(ValueError, match="no term has the residual 'ode/p/q'"):
        names.term_of("ode/p/q", ["ode"])


def test_a_sampled_term_leaves_alone_the_memory_of_one_whose_name_begins_with_its_own():
    """The term "bc" is drawn in minibatches; "bc/left" is a term of the batch, and its points stay."""
    terms = {"bc": TERMS[LEFT], "bc/left": TERMS[LEFT]}
    sampler = sampling.minibatches({"bc": BATCH[ODE]}, {"bc": 2})
    state, _ = trained(
        {"bc/left": BATCH[LEFT]},
        terms=terms,
        sampler=sampler,
        point_weights=pj.point_weights.residual_attention(decay=0.0, eta=1.0),
    )
    attention = state.point_weights.rule.attention
    assert attention["bc"].shape == (6,) and attention["bc/left"].shape == (3,)
    assert float(jnp.max(attention["bc/left"])) == 1.0
