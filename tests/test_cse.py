import contextlib

import chex
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

import pinnjax as pj
from pinnjax.terms import cse


def count(primitive, function, *arguments):
    return sum(e.primitive.name == primitive for e in jax.make_jaxpr(function)(*arguments).eqns)


def residual(kernel, x):
    u = lambda y: jnp.sum(jnp.tanh(kernel @ y))
    return pj.laplacian(u)(x) + u(x) * pj.diff(u, 0)(x)


KERNEL, POINT = jnp.arange(6.0).reshape(3, 2) / 6, jnp.array([0.3, -0.7])


def test_the_network_runs_once_below_all_derivatives():
    assert count("tanh", residual, KERNEL, POINT) == 4
    assert count("tanh", cse.shared(residual), KERNEL, POINT) == 1
    # kernel @ x, and kernel @ e_0 and kernel @ e_1 for all tangents
    assert count("dot_general", cse.shared(residual), KERNEL, POINT) == 3


def test_values_and_gradients_stay_the_same(x64):
    kernel, point = KERNEL.astype(float), POINT.astype(float)
    np.testing.assert_allclose(cse.shared(residual)(kernel, point), residual(kernel, point), rtol=1e-14)
    expected = jax.grad(residual)(kernel, point)
    np.testing.assert_allclose(jax.grad(cse.shared(residual))(kernel, point), expected, rtol=1e-12, atol=1e-14)


def test_constants_made_anew_are_one_constant_and_different_ones_are_not():
    def scaled(x):
        anew = lambda b: jnp.sin(x * jnp.array([1.0, b]))
        return anew(2.0) + anew(2.0) + anew(3.0)

    x = jnp.ones(2)
    assert count("sin", cse.shared(scaled), x) == 2
    np.testing.assert_allclose(cse.shared(scaled)(x), scaled(x))


def test_only_the_same_operation_on_the_same_operands_is_merged():
    def several(x, y):
        return jnp.sum(x), jnp.sum(x, axis=0), jnp.sum(y), x * 2.0, x * 3.0, jnp.float32(x * 2.0).astype(int), x * 2

    arguments = (jnp.arange(4.0).reshape(2, 2), jnp.ones((2, 2)))
    chex.assert_trees_all_equal(cse.shared(several)(*arguments), several(*arguments))


def test_side_effects_stay(capsys):
    def noisy(x):
        jax.debug.print("seen {}", x)
        jax.debug.print("seen {}", x)
        return x

    jax.block_until_ready(cse.shared(noisy)(jnp.float32(1.0)))
    jax.effects_barrier()
    assert capsys.readouterr().out.count("seen 1.0") == 2


def test_pytrees_pass_through():
    both = cse.shared(lambda p, x: {"a": p["k"] * x, "b": (x, p["k"])})
    found = both({"k": jnp.float32(2.0)}, jnp.float32(3.0))
    assert jax.tree.map(float, found) == {"a": 6.0, "b": (3.0, 2.0)}


def test_functions_inside_functions_are_merged_whole():
    def jitted_twice(x):
        f = jax.jit(lambda y: jnp.exp(jnp.sin(y)))
        return f(x) + f(x) + jax.nn.silu(x)

    x = jnp.float32(0.7)
    np.testing.assert_allclose(cse.shared(jitted_twice)(x), jitted_twice(x), rtol=1e-6)


def same_bits(found, expected):
    """Equal to the last bit: 0.0 is not -0.0; a NaN is a NaN."""
    chex.assert_trees_all_equal_shapes_and_dtypes(found, expected)
    chex.assert_trees_all_equal(found, expected)
    chex.assert_trees_all_equal(jax.tree.map(np.signbit, found), jax.tree.map(np.signbit, expected))


def test_literals_that_print_alike_are_different():
    scaled = lambda u, x: (u(x) * 0.000318314 - u(x) * 0.000318306) * 1e8
    found = pj.residuals({"t": scaled}, lambda a, x: a * x[0])(jnp.float32(1), {"t": jnp.ones((1, 1))})
    np.testing.assert_allclose(found["t"], 0.8, rtol=1e-3)


def test_float64_literals_that_differ_in_the_last_bit_are_different(x64):
    one_more = float(np.nextafter(1.0, 2.0))
    f = lambda x: x * one_more - x * 1.0
    assert cse.shared(f)(jnp.float64(1.0)) == np.finfo(np.float64).eps


def test_zeros_of_either_sign_and_numbers_of_another_type_are_different():
    def f(x):
        return x / (x * 0.0), x / (x * -0.0), x + np.float32(0.0), x + np.float32(-0.0)

    same_bits(cse.shared(f)(jnp.float32(-0.0)), f(jnp.float32(-0.0)))
    same_bits(cse.shared(f)(jnp.float32(1.0)), f(jnp.float32(1.0)))
    g = lambda x: (jnp.full((), 1, x.dtype) * x, jnp.full((), 1.0) * x, jnp.full((), True) * x, x**1, x**1.0)
    same_bits(cse.shared(g)(jnp.int32(3)), g(jnp.int32(3)))


def test_a_strong_constant_does_not_stand_for_a_weak_one():
    weak, strong = jnp.broadcast_to(jnp.asarray(2.0), (2,)), jnp.full(2, np.float32(2))
    assert weak.weak_type and not strong.weak_type
    f = lambda x: (x * strong, strong, weak, x.astype(jnp.bfloat16) * weak, x.astype(jnp.bfloat16) * strong)
    found, expected = cse.shared(f)(jnp.ones(2)), f(jnp.ones(2))
    same_bits(found, expected)
    assert [v.weak_type for v in found] == [v.weak_type for v in expected]


@pytest.mark.parametrize("size", [3, 4000])
def test_constants_that_print_alike_are_different(size):
    """Above a certain size they are compared by identity."""
    a = np.full(size, 0.000318314, np.float32)
    b = np.full(size, 0.000318306, np.float32)
    f = lambda x: (x * a - x * b) * 1e8
    same_bits(cse.shared(f)(jnp.ones(size)), f(jnp.ones(size)))


@pytest.mark.parametrize("jitted", [False, True])
def test_random_keys_in_the_closure_work(jitted):
    key, other = jax.random.key(3), jax.random.key(4)
    old = jax.random.PRNGKey(3)
    f = lambda x: x + jax.random.normal(key) - jax.random.normal(other) + jax.random.normal(old)
    evaluate = jax.jit(cse.shared(f)) if jitted else cse.shared(f)
    np.testing.assert_allclose(evaluate(jnp.float32(1.0)), f(jnp.float32(1.0)), rtol=1e-6)


def test_the_same_draw_is_made_once_and_other_draws_are_not_mixed_up():
    f = lambda x: [x + jax.random.normal(jax.random.key(seed), (2,)) for seed in (0, 1, 0)]
    same_bits(cse.shared(f)(jnp.ones(2)), f(jnp.ones(2)))
    assert len(jax.make_jaxpr(cse.shared(f))(jnp.ones(2)).eqns) < len(jax.make_jaxpr(f)(jnp.ones(2)).eqns)


def test_draws_from_the_devices_own_generator_stay_two():
    draw = lambda x: jax.lax.rng_uniform(jnp.float32(0), x, (2,))
    f = lambda x: (draw(x), draw(x), jax.jit(draw)(x), jax.jit(draw)(x))
    program = str(jax.make_jaxpr(cse.shared(f))(jnp.float32(1.0)))
    assert program.count("jit[") == 2
    assert count("rng_uniform", cse.shared(f), jnp.float32(1.0)) == 2


def test_a_draw_under_another_setting_is_another():
    def f(x):
        key = jax.random.key(0)
        with jax.threefry_partitionable(True):
            a = jax.random.bits(key, (4,))
        with jax.threefry_partitionable(False):
            b = jax.random.bits(key, (4,))
        return a, b, x

    same_bits(cse.shared(f)(jnp.ones(1)), f(jnp.ones(1)))


def test_an_output_that_the_first_equation_drops_may_be_used_by_the_second():
    f = lambda x: (jax.lax.top_k(x, 2)[0], jax.lax.top_k(x, 2)[1], jnp.linalg.eigh(jnp.outer(x, x))[0])
    x = jnp.array([3.0, 1.0, 2.0])
    same_bits(cse.shared(f)(x), f(x))
    assert count("top_k", cse.shared(f), x) == 1


def test_mutable_arrays_are_never_merged():
    def f(x):
        a, b = jax.new_ref(x), jax.new_ref(x)
        before = a[...]
        a[...] += 1.0
        return before, a[...], b[...]

    assert jax.tree.map(float, cse.shared(f)(jnp.float32(1.0))) == (1.0, 2.0, 1.0)


def test_loops_and_branches_with_other_constants_are_different():
    def f(x):
        step = lambda c: lambda i, v: v * c
        loops = [jax.lax.fori_loop(0, 3, step(c), x) for c in (0.000318314, 0.000318306, 0.000318314)]
        branches = [jax.lax.cond(x > 0, lambda v, c=c: v + c, lambda v: v, x) for c in (0.0, -0.0, 1e-30)]
        return loops, branches

    for x in (1.0, -0.0):
        same_bits(cse.shared(f)(jnp.float32(x)), f(jnp.float32(x)))


def test_parameters_that_are_equal_to_python_but_not_to_the_program_are_different():
    """1 == 1.0 == True and 0.0 == -0.0, and their hashes are the same."""
    times = jax.extend.core.Primitive("times_parameter")
    times.def_impl(lambda x, *, by: jnp.asarray(np.copysign(1.0, by) * (2 if isinstance(by, bool) else 1)) * x)
    times.def_abstract_eval(lambda x, *, by: x)
    f = lambda x: [times.bind(x, by=by) for by in (0.0, -0.0, 1, True, 1.0)]
    same_bits(cse.shared(f)(jnp.float32(1.0)), f(jnp.float32(1.0)))


FAMILIES = [  # numbers that print alike, or that are equal to Python
    [1.0, float(np.nextafter(np.float32(1), np.float32(2))), float(np.nextafter(1.0, 2.0)), 1, True],
    [0.0, -0.0, 1e-30, -1e-30, 0, False],
    [0.000318314, 0.000318306, 0.00031831],
    [1.41, 1.412, 1.414],
    [np.nan, -np.nan, np.inf, -np.inf, 3.4e38],
]
KINDS = [
    lambda v: v,
    lambda v: np.asarray(v, np.float32)[()],
    lambda v: np.asarray(v, np.float64)[()],
    lambda v: jnp.asarray(v, float),
    lambda v: np.array([v, v, 2.0], np.float32),
]
UNARY = [jnp.negative, jnp.sin, lambda x: 1 / x, lambda x: x**2, lambda x: x**2.0, lambda x: jnp.cumsum(x)]
BINARY = [jnp.multiply, jnp.divide, jnp.subtract, jnp.maximum]


@st.composite
def programs(draw):
    """A list of operations on earlier results and on literals, each of which is almost another one."""
    literal = st.tuples(st.sampled_from(draw(st.sampled_from(FAMILIES))), st.sampled_from(KINDS))
    earlier = st.integers(0, 1)
    line = st.one_of(
        st.tuples(st.sampled_from(BINARY), earlier, literal),
        st.tuples(st.sampled_from(BINARY), earlier, st.integers(0, 9)),
        st.tuples(st.sampled_from(UNARY), earlier),
    )
    return draw(st.lists(line, min_size=4, max_size=12))


def run(program, x):
    values = [x]
    for operation, first, *rest in program:
        others = [values[o % len(values)] if isinstance(o, int) else o[1](o[0]) for o in rest]
        values.append(operation(values[first % len(values)], *others))
    return values


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(programs(), st.sampled_from([np.float32, np.float64]), st.sampled_from([None, 0, 2]))
def test_any_program_computes_the_same_bits_when_shared(program, dtype, precision):
    options = np.printoptions(precision=precision, suppress=True) if precision is not None else contextlib.nullcontext()
    with jax.enable_x64(dtype == np.float64), options:
        x = jnp.asarray([-0.0, 0.7, -3.0], dtype)
        f = lambda x: run(program, x)
        same_bits(cse.shared(f)(x), f(x))
