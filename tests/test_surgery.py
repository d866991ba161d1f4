"""Surgery against packages that we did not write: frozen numbers, made by `tests/frozen/make_surgery.py`."""

import functools
import itertools
import pathlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinnjax import term_weights

pytestmark = pytest.mark.usefixtures("quick_compilation")

FROZEN = dict(np.load(pathlib.Path(__file__).parent / "frozen" / "surgery.npz"))
SETS = sorted({name.rsplit("/", 1)[0] for name in FROZEN if "/" in name}, key=lambda s: int(s.split("/")[0]))
EQUAL_SCALES = [name for name in SETS if not name.endswith("scaled")]
FULL_RANK = [name for name in SETS if not name.endswith("dependent")]


def direction(rule, gradients):
    """What a rule makes of a `(T, p)` set, split over two leaves."""
    return np.asarray(_compiled(rule, gradients))


@functools.partial(jax.jit, static_argnums=0)
def _compiled(rule, gradients):
    """One program for a rule and a number of terms: make the rule before the loop over the sets."""
    return direction_traced(rule, gradients)


def compare(rule, peer, sets, tolerance=1e-5):
    assert len(sets) >= 50
    update = jax.jit(lambda g: direction_traced(rule, g))
    for name in sets:
        expected = FROZEN[f"{name}/{peer}"]
        found = update(FROZEN[f"{name}/gradients"])
        if peer == "torchjd nash_mtl":  # its bargain is over gradients in units of √‖K‖: the length is another
            expected, found = expected / np.linalg.norm(expected), found / np.linalg.norm(found)
        error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
        assert error <= tolerance, f"{name}: {error:.1e} from {peer}"


def direction_traced(rule, gradients):
    grads = {f"term {i}": {"a": g[:4], "b": g[4:]} for i, g in enumerate(gradients)}
    balanced, _ = rule.update(grads, rule.init(grads))
    total = jax.tree.map(lambda *g: sum(g), *balanced.values())
    return jnp.concatenate([total["a"], total["b"]])


def test_the_sets_are_of_every_kind_and_size():
    assert {name.split("/")[1] for name in SETS} == {"random", "conflicting", "aligned", "scaled", "dependent"}
    assert {len(FROZEN[f"{name}/gradients"]) for name in SETS} == {2, 3, 4, 5, 6}
    print(FROZEN["versions"])


@pytest.mark.parametrize(
    ("rule", "peer", "sets"),
    [
        (term_weights.config, "torchjd config", SETS),
        (term_weights.config, "conflictfree config", SETS),
        # torchjd regularises K itself, which drowns the small gradients of a badly scaled set; quadprog gets cosines.
        (term_weights.upgrad, "torchjd upgrad", EQUAL_SCALES),
        (term_weights.upgrad, "quadprog upgrad", SETS),
        (term_weights.mgda, "quadprog mgda", SETS),
        # For dependent gradients the eigenvalue that is cut as zero is each package's choice, and decides the scale.
        (term_weights.aligned_mtl, "torchjd aligned_mtl", SETS),
        # For dependent gradients IMTL-G is not unique: torchjd takes the pseudo-inverse of K, we that of the cosines.
        (term_weights.imtl_g, "torchjd imtl_g", FULL_RANK),
        (term_weights.imtl_g, "conflictfree imtl_g", FULL_RANK),
        (term_weights.cagrad, "torchjd cagrad", EQUAL_SCALES),
        (term_weights.cagrad, "cvxpy cagrad", SETS),
        # torchjd's sequence of convex programs ends early on two sets, and its Gram matrix drowns small gradients.
        (
            term_weights.nash_mtl,
            "torchjd nash_mtl",
            [s for s in EQUAL_SCALES if s not in ("1/conflicting", "19/dependent")],
        ),
        (term_weights.nash_mtl, "scipy nash_mtl", SETS),
    ],
)
@pytest.mark.slow
def test_it_agrees_with_the_peer(rule, peer, sets, x64):
    compare(rule(), peer, sets)


@pytest.mark.slow
def test_mgda_is_no_longer_than_what_frank_wolfe_finds(x64):
    rule = term_weights.mgda()
    for name in SETS:
        found = direction(rule, FROZEN[f"{name}/gradients"])
        assert np.linalg.norm(found) <= np.linalg.norm(FROZEN[f"{name}/torchjd mgda"]) * (1 + 1e-9)


def outcomes(gradients):
    """Every result that PCGrad can have: each gradient with each order of the others."""
    results = []
    for i, g in enumerate(gradients):
        mine = []
        for order in itertools.permutations([j for j in range(len(gradients)) if j != i]):
            own = g.copy()
            for j in order:
                product = own @ gradients[j]
                if product < 0:
                    own = own - product / (gradients[j] @ gradients[j]) * gradients[j]
            mine.append(own)
        results.append(mine)
    return np.array([sum(choice) for choice in itertools.product(*results)])


@pytest.mark.slow
def test_pcgrad_is_one_of_its_possible_outcomes_as_is_the_peers(x64):
    """The order is random, so for up to four terms all orders are tried, and with two terms there is only one."""
    seen, pcgrad = 0, term_weights.pcgrad(seed=5)
    for name in SETS:
        gradients = FROZEN[f"{name}/gradients"]
        if len(gradients) > 4:
            continue
        possible = outcomes(gradients)
        size = np.linalg.norm(gradients)
        for found in (FROZEN[f"{name}/torchjd pcgrad"], direction(pcgrad, gradients)):
            assert np.linalg.norm(possible - found, axis=1).min() <= 1e-10 * size
        seen += 1
    assert seen >= 40


@pytest.mark.slow
def test_pcgrad_draws_a_new_order_in_every_step():
    gradients = jnp.asarray(
        FROZEN[next(s for s in SETS if s.endswith("/conflicting") and int(s.split("/")[0]) > 20) + "/gradients"],
        jnp.float32,
    )
    grads = {f"term {i}": g for i, g in enumerate(gradients)}
    rule = term_weights.pcgrad()
    state, totals = rule.init(grads), []
    for _ in range(12):
        balanced, state = rule.update(grads, state)
        totals.append(np.asarray(sum(balanced.values())))
    assert len(np.unique(np.round(totals, 3), axis=0)) > 1


@pytest.mark.slow
def test_imtl_g_projects_equally_on_every_gradient(x64):
    rule = term_weights.imtl_g()
    for name in FULL_RANK[:20]:
        gradients = FROZEN[f"{name}/gradients"]
        projections = gradients @ direction(rule, gradients) / np.linalg.norm(gradients, axis=1)
        np.testing.assert_allclose(projections, projections[0], rtol=1e-6)


@pytest.mark.slow
def test_badly_scaled_gradients_keep_their_meaning_in_single_precision():
    """Rules that work with cosines agree with double precision although the norms differ by up to 1e6.

    The bound is that of rounding, 6e-8, times the condition number of the cosines, some 1e4 in the worst of these sets.
    """
    rules = [(term_weights.config(), "torchjd config"), (term_weights.upgrad(), "quadprog upgrad")]
    for name in [s for s in SETS if s.endswith("scaled")]:
        gradients = FROZEN[f"{name}/gradients"]
        for rule, peer in rules:
            found = direction(rule, gradients.astype(np.float32))
            expected = FROZEN[f"{name}/{peer}"]
            assert np.linalg.norm(found - expected) <= 1e-2 * np.linalg.norm(expected)


def test_opposite_gradients_stop_config_and_too_many_terms_are_named():
    opposite = np.array([[1.0] * 9, [-1.0] * 9], np.float32)
    np.testing.assert_allclose(direction(term_weights.config(), opposite), np.zeros(9))
    many = {f"term {i}": jnp.ones(2) for i in range(11)}
    with pytest.raises(ValueError, match="11 terms; expected at most 10"):
        term_weights.mgda().update(many, term_weights.mgda().init(many))


@pytest.mark.slow
def test_m_config_follows_the_authors_operator(x64):
    """Five steps, gradients that change, every momentum renewed in each; the authors add 1e-8 to √s as we do.

    Not on linearly dependent gradients, of which conflictfree's least squares makes NaN in its momenta.
    """
    updates = {}
    for name in FULL_RANK:
        gradients = FROZEN[f"{name}/gradients"]
        signs = (-1.0) ** np.arange(len(gradients))[:, None]
        rule, expected = term_weights.m_config(), FROZEN[f"{name}/conflictfree m_config"]
        update = updates.setdefault(len(gradients), jax.jit(rule.update))  # one program for each number of terms
        state = rule.init({f"term {i}": jnp.asarray(g) for i, g in enumerate(gradients)})
        for k in range(5):
            grads = {f"term {i}": jnp.asarray(g) for i, g in enumerate(gradients * (1 + 0.1 * k * signs))}
            balanced, state = update(grads, state)
            found = sum(balanced.values())
            assert np.linalg.norm(found - expected[k]) <= 1e-5 * np.linalg.norm(expected[k]), (name, k)


def test_multiadam_is_the_mean_of_one_adam_a_term():
    rng = np.random.default_rng(0)
    rule, adam = term_weights.multiadam(), optax.scale_by_adam(0.99, 0.99)
    params = {"a": jnp.zeros(3), "b": jnp.zeros((2, 2))}
    state, states = rule.init({"pde": params, "bc": params}), {"pde": adam.init(params), "bc": adam.init(params)}
    for _ in range(4):
        grads = {
            t: jax.tree.map(lambda p, c=c: c * jnp.asarray(rng.normal(size=p.shape), jnp.float32), params)
            for t, c in [("pde", 100.0), ("bc", 0.01)]
        }
        balanced, state = rule.update(grads, state)
        for name in grads:
            step, states[name] = adam.update(grads[name], states[name])
            chex.assert_trees_all_close(balanced[name], optax.tree.scale(0.5, step), rtol=1e-6)


def dual_cone(r, b, variant):
    """DCGD in vectors, as its paper draws it."""
    total, off = r + b, lambda x, y: x - (x @ y) / (y @ y) * y
    if variant == "center":
        c = r / np.linalg.norm(r) + b / np.linalg.norm(b)
        return (c @ total) / (c @ c) * c
    if total @ b >= 0 and total @ r >= 0:
        return total
    if variant == "projection":
        return off(total, b) if total @ b < 0 else off(total, r)
    return (off(total, b) + off(total, r)) / 2


@pytest.mark.parametrize("variant", ["center", "average", "projection"])
@pytest.mark.slow
def test_dcgd_stays_in_the_dual_cone_and_is_the_formula_in_vectors(variant, x64):
    outside, rule = 0, term_weights.dcgd("term 0", variant=variant)
    for name in SETS:
        gradients = FROZEN[f"{name}/gradients"]
        r, b = gradients[0], gradients[1:].sum(axis=0)
        found = direction(rule, gradients)
        np.testing.assert_allclose(found, dual_cone(r, b, variant), rtol=1e-9, atol=1e-12 * np.linalg.norm(gradients))
        lowest = min(found @ r / np.linalg.norm(r), found @ b / np.linalg.norm(b))
        assert lowest >= -1e-12 * np.linalg.norm(gradients)
        outside += (r + b) @ b < 0 or (r + b) @ r < 0
    assert outside >= 10
