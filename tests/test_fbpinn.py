"""FBPINN: the sum over the windows that reach a point is the sum over all, written here without its code."""

import itertools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.cli.bench import windows as timed
from pinnjax.cli.race import race
from pinnjax.cli.reproduce import Result, fbpinn
from pinnjax.terms import bridge

from .marks import few

LOWER, UPPER = [-1.0, 0.5, 2.0], [2.0, 1.5, 2.5]


def small(d, levels, out_features="scalar", seed=0, width=3, **options):
    low, up = LOWER[:d], UPPER[:d]
    return pj.nn.FBPINN(low, up, out_features, windows=levels, width=width, depth=2, rngs=pj.nn.Rngs(seed), **options)


def points(d, n=7):
    """Random ones in the box, and its corners."""
    low, up = np.array(LOWER[:d]), np.array(UPPER[:d])
    corners = np.array(list(itertools.product(*zip(low, up, strict=True))))
    return jnp.asarray(np.concatenate([np.random.default_rng(0).uniform(low, up, (n, d)), corners]))


def rise(s):
    """From 0 to 1 as s does, with four derivatives zero at both ends: 126 s⁵ - 420 s⁶ + 540 s⁷ - 315 s⁸ + 70 s⁹."""
    s = jnp.clip(s, 0.0, 1.0)
    return s**5 * (126 - 420 * s + 540 * s**2 - 315 * s**3 + 70 * s**4)


def windows_of(x, axis, number, overlap):
    """Value of every window along an axis at x, `(number,)`, and x as each of them sees it."""
    low, up, j = LOWER[axis], UPPER[axis], np.arange(number)
    step = (up - low) / number
    margin = (overlap - 1) / 2 * step
    begins, ends = low + j * step, low + (j + 1) * step
    inner = jnp.where(j == 0, 1.0, rise((x - begins + margin) / (2 * margin)))
    outer = jnp.where(j == number - 1, 0.0, rise((x - ends + margin) / (2 * margin)))
    begins, ends = np.maximum(low, begins - margin), np.minimum(up, ends + margin)
    return inner - outer, 2 * (x - begins) / (ends - begins) - 1


def by_hand(params, x, levels, overlap):
    """The mean over the levels of the sums over all windows; biases and kernels take turns among the leaves."""
    leaves = jax.tree.leaves(params)
    values, seen = [], []
    for level in levels:
        axes = [windows_of(x[i], i, number, overlap) for i, number in enumerate(level)]
        for place in itertools.product(*map(range, level)):
            values.append(math.prod(axes[i][0][j] for i, j in enumerate(place)) / len(levels))
            seen.append(jnp.stack([axes[i][1][j] for i, j in enumerate(place)]))
    h = jnp.stack(seen)
    for bias, kernel in zip(leaves[:-2:2], leaves[1:-2:2], strict=True):
        h = jnp.tanh(jnp.einsum("wi,wio->wo", h, kernel) + bias)
    return jnp.stack(values) @ (jnp.einsum("wi,wio->wo", h, leaves[-1]) + leaves[-2])[:, 0]


CASES = {
    "one axis": (1, [5], 1.9),
    "no window alone": (1, [1, 4], 2.0),
    "a plane": (2, [1, (3, 2)], 1.2),
    "space": (3, [(2, 1, 3)], 1.9),
}


@pytest.mark.parametrize("case", few(list(CASES), "no window alone", rest="exhaustive"))
def test_windows_that_reach_a_point_give_the_sum_over_all(case, x64):
    """Values, derivatives with respect to the point and the parameters; in the box, in its corners and beyond."""
    d, windows, overlap = CASES[case]
    levels = [level if isinstance(level, tuple) else (level,) * d for level in windows]
    definition, params, constants = bridge.split(small(d, windows, overlap=overlap))
    draw = iter(jax.random.split(jax.random.key(1), 20))
    params = jax.tree.map(lambda p: p + 0.3 * jax.random.normal(next(draw), p.shape), params)  # biases start at zero
    inside = points(d)
    outside = jnp.stack([jnp.asarray(LOWER[:d]) - 0.3, jnp.asarray(UPPER[:d]) + 9.0])

    def of(field):
        second = lambda x: jnp.stack([pj.diff(field, i, i)(x) for i in range(d)])
        return jax.vmap(lambda x: (field(x), pj.grad(field)(x), second(x)))(jnp.concatenate([inside, outside]))

    ours = lambda p: of(bridge.field(definition, p, constants))
    theirs = lambda p: of(lambda x: by_hand(p, x, levels, overlap))
    sines = lambda found: sum(jnp.sum(jnp.sin(part)) for part in found)
    both = lambda f: jax.jit(lambda p: (f(p), jax.grad(lambda q: sines(f(q)))(p)))(params)
    (values, gradient), expected = both(ours), both(theirs)
    # Windows bring factors of some 10³ into second derivatives, and the polynomial here loses three digits near s = 1.
    chex.assert_trees_all_close(values, expected[0], rtol=1e-9, atol=1e-8)
    chex.assert_trees_all_close(gradient, expected[1], rtol=1e-9, atol=1e-7)
    chex.assert_trees_all_equal_shapes_and_dtypes(gradient, params)


def constant(u):
    """The model with networks that are one everywhere."""
    definition, params, constants = bridge.split(u)
    leaves, structure = jax.tree.flatten(params)
    ones = [jnp.full_like(leaf, i == len(leaves) - 2) for i, leaf in enumerate(leaves)]  # the outer bias
    return bridge.field(definition, jax.tree.unflatten(structure, ones), constants)


@pytest.mark.parametrize("overlap", few([1.1, 1.9, 2], 1.9, rest="exhaustive"))
def test_the_windows_add_up_to_one_everywhere(overlap, dtype):
    u = constant(small(2, [1, (4, 3)], overlap=overlap, param_dtype=dtype))
    x = jnp.concatenate([points(2, 200).astype(dtype), jnp.array([[-9.0, 1.0], [2.0, 9.0]], dtype)])
    value, slope = jax.jit(jax.vmap(lambda x: (u(x), pj.grad(u)(x))))(x)
    assert value.dtype == dtype
    rounding = 4 * jnp.finfo(dtype).eps
    np.testing.assert_allclose(value, 1.0, rtol=rounding)
    np.testing.assert_allclose(slope, 0.0, atol=100 * rounding / (overlap - 1))  # windows have slopes up to some 40


@pytest.mark.slow
def test_four_derivatives_are_continuous_where_windows_begin_and_end(x64):
    """A window that is (1 + cos)² over the sum, as the authors', would jump in the fourth."""
    number, overlap, near = 4, 1.6, 1e-7
    u = small(1, [number], overlap=overlap)
    step, margin = (UPPER[0] - LOWER[0]) / number, (overlap - 1) / 2 * (UPPER[0] - LOWER[0]) / number
    edges = jnp.array([LOWER[0] + j * step + side for j in (1, 2, 3) for side in (-margin, margin)])
    for order in range(5):
        f = jax.jit(jax.vmap(lambda x, order=order: pj.diff(u, *[0] * order)(x)))
        left, right = f(edges[:, None] - near), f(edges[:, None] + near)
        size = jnp.max(jnp.abs(f(jnp.linspace(LOWER[0], UPPER[0], 200)[:, None])))
        assert jnp.max(jnp.abs(left - right)) < 1e-4 * size, order  # the next derivative times 2e-7


@pytest.mark.slow
def test_a_level_is_a_model_of_its_own_and_levels_are_averaged():
    whole, first, second = (small(2, windows, "scalar") for windows in ([2, (1, 3)], [2], [(1, 3)]))
    params = bridge.split(whole)[1]
    fields = [
        bridge.field(bridge.split(part)[0], jax.tree.map(lambda p, c=chosen: p[c], params), None)
        for part, chosen in [(first, slice(4)), (second, slice(4, None))]
    ]
    x = points(2).astype(jnp.float32)
    found, *parts = jax.jit(lambda x: [jax.vmap(u)(x) for u in (whole, *fields)])(x)
    np.testing.assert_allclose(found, (parts[0] + parts[1]) / 2, rtol=1e-5, atol=1e-6)


def test_networks_start_differently_and_a_field_may_have_several_components():
    u = small(1, [3], 2)
    kernels = np.asarray(u.networks.hidden[1].kernel[...])
    assert kernels.shape == (3, 3, 3) and len(np.unique(kernels)) == 27
    np.testing.assert_array_equal(u.networks.out.bias[...], np.zeros((3, 2)))
    wide = small(1, [50], width=40).networks.hidden[1].kernel[...]
    np.testing.assert_allclose(np.std(wide), np.sqrt(2 / 80), rtol=0.02)  # Glorot's of one network: 80 000 samples
    chex.assert_shape(u(jnp.array([0.3])), (2,))


@pytest.mark.slow
def test_it_trains_and_a_stored_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    batch = {"ode": jnp.linspace(-1.0, 2.0, 40)[:, None], "ic": jnp.array([[-1.0]])}
    terms = {"ode": lambda u, x: pj.diff(u, 0)(x) - jnp.cos(x[0]), "ic": lambda u, x: u(x)}
    train = pj.train_step(terms, optax.adam(1e-2))
    start = lambda: train.init(small(1, [1, 4]), batch)
    options = {"progress": False, "steps_per_call": 50}
    whole, history = pj.fit(train, start(), batch, steps=300, **options)
    pj.fit(train, start(), batch, steps=100, checkpoint=tmp_path, **options)
    resumed, _ = pj.fit(train, start(), batch, steps=300, checkpoint=tmp_path, **options)
    chex.assert_trees_all_equal(whole.params, resumed.params)
    assert history["loss"][-1] < 1e-2 * history["loss"][0]


def flops(number, points=200):
    """Of a compiled step of Adam."""
    model = pj.nn.FBPINN([0.0], [1.0], "scalar", windows=[number], width=8, depth=2, rngs=pj.nn.Rngs(0))
    batch = {"pde": jnp.linspace(0.0, 1.0, points)[:, None]}
    train = pj.train_step({"pde": lambda u, x: pj.diff(u, 0, 0)(x) - 1.0}, optax.adam(1e-3))
    state = train.init(model, batch)
    return jax.jit(train.update).lower(state, batch).compile().cost_analysis()["flops"]


@pytest.mark.slow
def test_the_work_of_a_step_does_not_grow_with_the_number_of_windows():
    """Sixteen times as many: all windows at every point would be up to sixteen times the work."""
    assert 0.7 < flops(64) / flops(4) < 1.3


def test_the_bench_puts_a_network_of_as_many_parameters_beside_the_most_windows():
    size = lambda make: sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(lambda: bridge.split(make())[1])))
    one = lambda: pj.nn.MLP(1, "scalar", **timed.AS_MANY, rngs=pj.nn.Rngs(0))
    assert timed.NUMBERS[1][-1] == timed.NUMBERS[2][-1] ** 2
    assert abs(size(one) / size(lambda: timed.model(1, timed.NUMBERS[1][-1])) - 1) < 0.01


BAD = {
    "an empty box": ({"upper": [-1.0]}, ValueError, "expected two corners"),
    "corners of two lengths": ({"upper": [1.0, 2.0]}, ValueError, "expected two corners"),
    "no level": ({"windows": []}, ValueError, "a level each"),
    "a bare number": ({"windows": 16}, ValueError, "windows is 16; expected a level each"),
    "text": ({"windows": "16"}, ValueError, "windows is '16'; expected a level each"),
    "no window": ({"windows": [0]}, ValueError, "a number of windows is 0; expected an integer >= 1"),
    "half a window": ({"windows": [1, 2.5]}, ValueError, "a number of windows is 2.5"),
    "two axes of one": (
        {"windows": [(2, 2)]},
        ValueError,
        r"the level \(2, 2\); expected one number, or one for each of 1",
    ),
    "windows that only touch": ({"overlap": 1.0}, ValueError, r"overlap is 1.0; expected a number in \(1, 2\]"),
    "three windows at a point": ({"overlap": 2.1}, ValueError, r"overlap is 2.1; expected a number in \(1, 2\]"),
    "no width": ({"width": 0}, ValueError, "width is 0"),
    "no depth": ({"depth": 0}, ValueError, "depth is 0"),
    "no outputs": ({"out_features": 0}, ValueError, "out_features is 0"),
    "an activation by name": ({"activation": "tanh"}, TypeError, "activation is 'tanh'"),
    "whole numbers": ({"param_dtype": int}, TypeError, "param_dtype is"),
    "a seed": ({"rngs": 0}, TypeError, "rngs is 0"),
}


@pytest.mark.parametrize("wrong", BAD)
def test_bad_arguments_are_said_at_once(wrong):
    changed, kind, said = BAD[wrong]
    given = {"lower": [-1.0], "upper": [1.0], "out_features": "scalar", "windows": [2], "rngs": pj.nn.Rngs(0)} | changed
    with pytest.raises(kind, match=said):
        pj.nn.FBPINN(**given)


def result(error, seconds=1.0):
    return Result({"relative_l2": np.full((1, 3), error)}, np.array([1]), seconds, {})


def test_every_claim_of_the_study_can_fail():
    good = {label: result(1e-3) if "windows" in label else result(1.0, 2.0) for label in fbpinn.STUDY.runs}
    claims = fbpinn.claims(good)
    assert all(claims.values()) and len(claims) == 2 * len(fbpinn.GAINS)
    for name in fbpinn.GAINS:
        for worse in (result(0.2), result(1e-3, 9.0)):
            failed = [c for c, holds in fbpinn.claims(good | {f"{name}, windows": worse}).items() if not holds]
            assert len(failed) == 1 and failed[0].startswith(name)


@pytest.mark.slow
def test_windows_have_a_tenth_of_one_networks_error_on_a_wave_of_high_frequency():
    """The equation u' = cos 15x in equal steps, by networks of as many parameters."""
    many, one = fbpinn.PAIRS["cos 15x"]
    recipes = {"many": many.recipe, "one": one.recipe}
    outcomes = race(many.problem, recipes, steps=1500, progress=False)
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(outcomes[name].states.params)) for name in recipes]
    assert abs(sizes[0] / sizes[1] - 1) < 0.05
    assert outcomes["many"].errors[0] < 0.1 * outcomes["one"].errors[0]
