"""Rewritten residuals are what JAX makes of the residual as it was written; sums of derivatives are carried as one."""

import functools

import chex
import folx
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import strategies as st

import pinnjax as pj
from pinnjax.cli import scoreboard
from pinnjax.cli.bench import derivatives
from pinnjax.terms import bridge, cse
from pinnjax.terms.simplified import simplified
from tests.test_cse import programs, run

WIDTH = 7


def network(kind=pj.nn.MLP, d=2, out="scalar", depth=3, dtype=jnp.float64, **options):
    model = kind(d, out, width=WIDTH, depth=depth, param_dtype=dtype, rngs=nnx.Rngs(0), **options)
    return bridge.split(model)


def of_field(residual, definition, constants):
    return lambda params, x: residual(bridge.field(definition, params, constants), x)


def products(function, *arguments):
    """Matrix products with a square kernel: one for each array that a hidden layer maps."""
    equations = jax.make_jaxpr(function)(*arguments).eqns
    square = lambda e: any(v.aval.shape == (WIDTH, WIDTH) for v in e.invars)
    return sum(e.primitive.name == "dot_general" and square(e) for e in equations)


def d(u, *axes):
    return lambda x: pj.diff(u, *axes)(x)


CARRIED = {  # residuals, and what each layer maps with and without: u, first derivatives, ..., and one sum
    "u_xx + u_yy": (lambda u, x: pj.laplacian(u)(x), 5, 4),
    "c² u_xx - u_tt": (lambda u, x: 4.0 * d(u, 1, 1)(x) - d(u, 0, 0)(x), 5, 4),
    "u_t + u u_x - ν u_xx": (lambda u, x: d(u, 0)(x) + u(x) * d(u, 1)(x) - 0.01 * d(u, 1, 1)(x), 4, 3),
    "u_t + u u_x + u_xxx": (lambda u, x: d(u, 0)(x) + u(x) * d(u, 1)(x) + d(u, 1, 1, 1)(x), 5, 4),
    "∇·(k ∇u)": (lambda u, x: pj.divergence(lambda y: (1 + y[0] * y[1]) * pj.grad(u)(y))(x), 7, 4),
    "Δ²u": (lambda u, x: pj.laplacian(pj.laplacian(u))(x), 17, 12),  # 9 would do: u, 2 u_i, 3 u_ij, 2 Δu_i and ΔΔu
    "u_x² + u_y², nothing to add": (lambda u, x: d(u, 0)(x) ** 2 + d(u, 1)(x) ** 2, 3, 3),
}


@pytest.mark.parametrize("name", CARRIED)
def test_a_layer_maps_one_sum_in_place_of_each_derivative(name, x64):
    residual, before, after = CARRIED[name]
    definition, params, constants = network()
    at, x = of_field(residual, definition, constants), jnp.array([0.3, -0.7])
    assert products(cse.shared(at), params, x) == 2 * before
    assert products(simplified(at), params, x) <= 2 * after
    np.testing.assert_allclose(simplified(at)(params, x), at(params, x), rtol=1e-12)


@pytest.mark.parametrize("activation", [jnp.tanh, jnp.sin, jax.nn.silu, jax.nn.gelu, jax.nn.softplus])
def test_the_laplacian_is_that_of_forward_laplacian_and_of_the_hessian(activation, x64):
    definition, params, constants = network(d=5, activation=activation)
    u, x = bridge.field(definition, params, constants), jnp.linspace(-1, 1, 5)
    found = simplified(of_field(lambda u, x: pj.laplacian(u)(x), definition, constants))(params, x)
    np.testing.assert_allclose(found, jnp.trace(jax.hessian(u)(x)), rtol=1e-12)
    with jax.numpy_rank_promotion("allow"):
        np.testing.assert_allclose(found, folx.forward_laplacian(u)(x).laplacian, rtol=1e-10)


def flops(function, *arguments):
    return jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]


def test_no_more_operations_than_forward_laplacian():
    definition, params, constants = network(pj.nn.ModifiedMLP, dtype=jnp.float32)
    points = jnp.ones((64, 2))
    at = simplified(of_field(lambda u, x: pj.laplacian(u)(x), definition, constants))
    ours = flops(lambda p, x: jax.vmap(lambda x: at(p, x))(x), params, points)
    of = lambda p, x: folx.forward_laplacian(bridge.field(definition, p, constants))(x).laplacian
    with jax.numpy_rank_promotion("allow"):
        assert ours < 1.1 * flops(lambda p, x: jax.vmap(lambda x: of(p, x))(x), params, points)


@pytest.mark.parametrize("name", scoreboard.names())
def test_no_problem_of_the_library_costs_more_operations(name, x64):
    problem = scoreboard.problem(name)
    module = problem.module(pj.nn.MLP)(**{**problem.network, "width": 20, "depth": 3}, rngs=nnx.Rngs(0))
    definition, params, constants = bridge.split(module)
    terms, points = scoreboard.posed(problem)
    term = problem.balance_against
    at, some = of_field(terms[term], definition, constants), jax.tree.map(lambda x: x[:32], points[term])

    def gradient(at):
        loss = lambda p, x: sum(jnp.mean(r**2) for r in jax.tree.leaves(jax.vmap(lambda x: at(p, x))(x)))
        return flops(jax.grad(loss), params, some)

    assert gradient(simplified(at)) <= 1.01 * gradient(cse.shared(at))


FACTORS = [lambda u, x: 1.0, lambda u, x: -0.3, lambda u, x: u(x), lambda u, x: x[0] * x[1], lambda u, x: jnp.exp(u(x))]
KINDS = [pj.nn.MLP, pj.nn.ModifiedMLP, pj.nn.SIREN, pj.nn.PirateNet]
ACTIVATIONS = [jnp.tanh, jnp.sin, jax.nn.silu, jax.nn.gelu, lambda z: jnp.exp(-(z**2)), lambda z: z / (1 + z**2)]
derivative = st.lists(st.integers(0, 1), max_size=4).map(tuple)
monomial = st.tuples(st.sampled_from(FACTORS), derivative)


def residual_of(monomials, squares):
    def residual(u, x):
        linear = sum(factor(u, x) * d(u, *axes)(x) for factor, axes in monomials)
        return linear + sum(d(u, *axes)(x) ** 2 for axes in squares)

    return residual


def check(monomials, squares, kind, activation, out, single, depth):
    with jax.enable_x64(True):
        dtype = jnp.float32 if single else jnp.float64
        options = {} if kind is pj.nn.SIREN else {"activation": activation}
        definition, params, constants = network(kind, out=out, depth=depth, dtype=dtype, **options)
        at = of_field(residual_of(monomials, squares), definition, constants)
        x = jnp.array([0.4, -0.3], dtype)
        value = lambda f, p: jnp.sum(jnp.sin(f(p, x)))
        tolerance = 2e-3 if single else 1e-10
        expected, found = (jax.value_and_grad(functools.partial(value, f))(params) for f in (at, simplified(at)))
        size = 1.0 + jnp.max(jnp.abs(at(params, x)))
        scale = max(float(jnp.max(jnp.abs(g))) for g in jax.tree.leaves(expected[1])) + float(size)
        chex.assert_trees_all_close(found, expected, rtol=tolerance, atol=tolerance * scale)
        assert simplified(at)(params, x).dtype == at(params, x).dtype


residuals = {
    "monomials": st.lists(monomial, min_size=1, max_size=4),
    "squares": st.lists(st.lists(st.integers(0, 1), max_size=2).map(tuple), max_size=2),
    "kind": st.sampled_from(KINDS),
    "activation": st.sampled_from(ACTIVATIONS),
    "out": st.sampled_from(["scalar", 2]),
    "single": st.booleans(),
    "depth": st.integers(1, 3),
}


@hypothesis.settings(deadline=None, max_examples=5)
@hypothesis.given(**residuals)
def test_any_residual_and_its_gradient_stay_the_same(**case):
    check(**case)


@pytest.mark.slow
@hypothesis.settings(deadline=None, max_examples=15)
@hypothesis.given(**residuals)
def test_any_residual_and_its_gradient_stay_the_same_some(**case):
    check(**case)


@pytest.mark.exhaustive
@hypothesis.settings(deadline=None, max_examples=300)
@hypothesis.given(**residuals)
def test_any_residual_and_its_gradient_stay_the_same_many(**case):
    check(**case)


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(programs())
def test_any_program_stays_the_same(program):
    x = jnp.asarray([-0.5, 0.7, -3.0], jnp.float32)
    f = lambda x: run(program, x)
    chex.assert_trees_all_close(simplified(f)(x), f(x), rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("x", [1.0, jnp.nan, jnp.inf])
def test_a_difference_of_the_same_is_what_it_was(x):
    kernel, point = jnp.eye(3), jnp.full(3, x)
    f = lambda x: (jnp.sin(x) - jnp.sin(x), kernel @ x - kernel @ x + kernel @ (2.0 * x), kernel @ x + kernel @ x)
    chex.assert_trees_all_close(simplified(f)(point), f(point))


def test_sums_of_many_steps_stay_short():
    """Each partial sum is an output of its own: none is written out as all that came before."""

    def steps(x):
        total, seen = x, []
        for k in range(300):
            total = total + jnp.sin(k * x)
            seen.append(total)
        return jnp.stack(seen)

    equations = jax.make_jaxpr(simplified(steps))(jnp.ones(3)).eqns
    assert len(equations) < 1000
    np.testing.assert_allclose(simplified(steps)(jnp.ones(3)), steps(jnp.ones(3)), rtol=1e-5)


def test_what_has_an_order_keeps_it(capsys):
    def noisy(a, b):
        jax.debug.print("first {}", a[0])
        found = KERNEL @ a + KERNEL @ b
        jax.debug.print("second {}", found[0])
        return found

    KERNEL = jnp.eye(3)
    jax.block_until_ready(simplified(noisy)(jnp.ones(3), jnp.ones(3)))
    jax.effects_barrier()
    assert capsys.readouterr().out == "first 1.0\nsecond 2.0\n"


def test_custom_rules_stay():
    """A function with a derivative of its own is not opened up."""
    safe = jax.custom_jvp(jnp.sqrt)
    safe.defjvp(lambda primals, tangents: (jnp.sqrt(primals[0]), 7.0 * tangents[0]))
    f = lambda x: jnp.sum(safe(x) + safe(x) * x)
    assert jax.grad(simplified(f))(jnp.array([0.0])) == jax.grad(f)(jnp.array([0.0]))


def test_entries_of_stacks_and_of_products_of_stacks_are_found():
    def f(x):
        stack = jnp.stack([jnp.sin(x), jnp.cos(x), x])
        both = jnp.concatenate([2.0 * stack, stack[::-1]])
        return both[1], (x[0] * stack)[2], both[2:4], jnp.stack([stack, stack], -1)[..., 1][0], both[::2]

    x = jnp.array([0.3, 0.5])
    chex.assert_trees_all_close(simplified(f)(x), f(x), rtol=1e-6)
    only = lambda x: jnp.stack([jnp.sin(x), jnp.cos(x)])[1]
    assert "sin" not in {e.primitive.name for e in jax.make_jaxpr(jax.jit(simplified(only)))(x).eqns}


@pytest.mark.parametrize("name", derivatives.WORKLOADS)
def test_a_bench_compares_one_equation_with_itself(name, x64):
    equation = derivatives.WORKLOADS[name]
    definition, params, constants = network(d=equation.d, out=equation.outputs)
    u, x = bridge.field(definition, params, constants), jnp.linspace(-0.5, 0.7, equation.d)
    found = simplified(of_field(equation.residual, definition, constants))(params, x)
    chex.assert_trees_all_close(found, equation.by_hand(u, x), rtol=1e-9, atol=1e-12)
