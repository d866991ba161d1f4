"""Surgery at every scale, against the papers' formulas in 150 digits.

A surgery that is added to the contract table and not here fails `test_every_surgery_is_asked`.
"""

import decimal
import functools
import itertools
from decimal import Decimal

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnjax as pj

from . import test_term_weights_contract as contract

pytestmark = pytest.mark.usefixtures("quick_compilation")

PARAMETERS = 7
ORDERS = {2: (0, 12), 3: (-12, 12, 0), 5: (12, 0, -12, 5, -5)}  # of the gradients' lengths, in powers of ten


@pytest.fixture(autouse=True)
def digits():
    with decimal.localcontext() as context:
        context.prec = 150
        yield


def exact(gradients):
    return np.array([[Decimal(float(x)) for x in g] for g in gradients], dtype=object)


def norm(vector):
    return (vector @ vector).sqrt()


def solve(matrix, right):
    """Gaussian elimination with pivots."""
    rows = np.concatenate([matrix, np.asarray(right)[:, None]], axis=1)
    size = len(rows)
    for k in range(size):
        pivot = k + max(range(size - k), key=lambda i: abs(rows[k + i, k]))  # noqa: B023
        rows[[k, pivot]] = rows[[pivot, k]]
        rows[k] = rows[k] / rows[k, k]
        for i in range(size):
            if i != k:
                rows[i] = rows[i] - rows[i, k] * rows[k]
    return rows[:, -1]


def supports(terms):
    return [list(s) for size in range(1, terms + 1) for s in itertools.combinations(range(terms), size)]


def ones(size):
    return np.array([Decimal(1)] * size, dtype=object)


def config(g):
    unit = np.array([x / norm(x) for x in g])
    d = solve(unit @ unit.T, ones(len(g))) @ unit
    return (g @ d).sum() / (d @ d) * d


def imtl_g(g):
    norms = np.array([norm(x) for x in g])
    unit = g / norms[:, None]
    a = solve(unit @ unit.T, ones(len(g))) / norms
    return a @ g / a.sum()


def mgda(g):
    """The point v of the hull with v · g_t >= v · v for all t."""
    for s in supports(len(g)):
        a = solve(g[s] @ g[s].T, ones(len(s)))
        v = a @ g[s] / a.sum()
        if (a / a.sum()).min() >= 0 and (g @ v / (v @ v)).min() >= 1 - Decimal("1e-60"):
            return v
    raise AssertionError("no minimum")


def upgrad(g):
    total = 0 * g[0]
    unit = np.array([x / norm(x) for x in g])
    for i, own in enumerate(g):
        for s in [[], *supports(len(g))]:
            z = -solve(unit[s] @ unit[s].T, unit[s] @ own) if s else ones(1)
            d = own + z @ unit[s] if s else own
            if z.min() >= 0 and (unit @ d).min() >= -Decimal("1e-60") * norm(own):
                total = total + d
                break
        else:
            raise AssertionError(f"no projection of {i}")
    return total / len(g)


def cagrad(g, c=Decimal("0.5")):
    """Equation 4 on each support; w >= 0 and d · g_t >= d · g_s for s in the support prove that it is the maximum."""
    mean = g.sum(axis=0) / len(g)
    far = c * norm(mean)
    for s in supports(len(g)):
        k = g[s] @ g[s].T
        a, h = solve(k, ones(len(s))), solve(k, g[s] @ mean)
        p, z = a @ g[s], h @ g[s]
        quarter = (p @ z) ** 2 - (p @ p) * (z @ z - far * far)
        if quarter < 0:
            continue
        nu = ((p @ z) + quarter.sqrt()) / (p @ p)
        w = nu * a - h
        d = mean + far * (w @ g[s]) / norm(w @ g[s])
        if w.min() >= 0 and (g @ d).min() >= nu - Decimal("1e-60") * abs(nu):
            return d
    raise AssertionError("no maximum")


def aligned_mtl(g):
    """Eigenvalues of the Gram matrix by Jacobi's rotations."""
    terms = len(g)
    k, v = g @ g.T, np.array([[Decimal(int(i == j)) for j in range(terms)] for i in range(terms)], dtype=object)
    for _, (i, j) in itertools.product(range(14), itertools.combinations(range(terms), 2)):
        if k[i, j] == 0:
            continue
        zeta = (k[j, j] - k[i, i]) / (2 * k[i, j])
        t = (1 if zeta >= 0 else -1) / (abs(zeta) + (1 + zeta * zeta).sqrt())
        c = 1 / (1 + t * t).sqrt()
        turn = np.array([[c, t * c], [-t * c, c]], dtype=object)
        k[:, [i, j]], v[:, [i, j]] = k[:, [i, j]] @ turn, v[:, [i, j]] @ turn
        k[[i, j]] = turn.T @ k[[i, j]]
    values = np.array([k[i, i] for i in range(terms)])
    a = v @ (np.array([(values.min() / x).sqrt() for x in values]) * (v.T @ ones(terms) / terms))
    return a @ g


def nash_mtl(g):
    norms = np.array([norm(x) for x in g])
    unit = g / norms[:, None]
    c, y = unit @ unit.T, ones(len(g))
    for _ in range(300):
        slope = c @ y - 1 / y
        step = solve(c + np.diag(1 / y**2), slope)
        decrement = max(slope @ step, Decimal(0)).sqrt()
        y = y - step / (1 + (decrement if decrement > Decimal("0.25") else 0))
        if decrement < Decimal("1e-50"):
            return (y / norms) @ g
    raise AssertionError("no bargain")


def pcgrad(g):
    """All that its random orders may give."""
    results = []
    for i, own in enumerate(g):
        mine = []
        for order in itertools.permutations([j for j in range(len(g)) if j != i]):
            left = own
            for j in order:
                left = left - min(left @ g[j] / (g[j] @ g[j]), Decimal(0)) * g[j]
            mine.append(left)
        results.append(mine)
    return [sum(choice) for choice in itertools.product(*results)]


def dcgd(variant, g):
    r, b = g[0], g[1:].sum(axis=0)
    total, off = r + b, lambda x, y: x - (x @ y) / (y @ y) * y
    if variant == "center":
        c = r / norm(r) + b / norm(b)
        return (c @ total) / (c @ c) * c
    if total @ b >= 0 and total @ r >= 0:
        return total
    if variant == "projection":
        return off(total, b) if total @ b < 0 else off(total, r)
    return (off(total, b) + off(total, r)) / 2


ORACLES = {
    "config": config,
    "imtl_g": imtl_g,
    "mgda": mgda,
    "upgrad": upgrad,
    "cagrad": cagrad,
    "aligned_mtl": aligned_mtl,
    "nash_mtl": nash_mtl,
    "pcgrad": pcgrad,
    "dcgd center": functools.partial(dcgd, "center"),
    "dcgd average": functools.partial(dcgd, "average"),
    "dcgd projection": functools.partial(dcgd, "projection"),
}
surgery = pytest.mark.parametrize("name", ORACLES)


def programs(name):
    """One program for each number of terms and each precision: the total of what a rule makes of `(T, p)` gradients."""
    rule = contract.RULES[name].make("term 0")

    @jax.jit
    def total(gradients):
        grads = {f"term {i}": {"a": g[:3], "b": g[3:]} for i, g in enumerate(gradients)}
        balanced, state = rule.update(grads, rule.init(grads))
        whole = jax.tree.map(lambda *g: sum(g[1:], g[0]), *balanced.values())
        return jnp.concatenate([whole["a"], whole["b"]]), sum(state.held.values())

    return total


def directions(kind, terms, angle, rng):
    """Unit vectors of a kind, `(T, p)`."""
    g = rng.normal(size=(terms, PARAMETERS))
    if kind == "orthogonal":
        g = np.linalg.qr(g.T)[0].T
    elif kind == "nearly parallel":
        g = np.ones(PARAMETERS) + angle * g
    elif kind == "nearly opposite":
        g = (-1.0) ** np.arange(terms)[:, None] * np.ones(PARAMETERS) + angle * g
    elif kind == "conflicting":
        g = g - 1.2 * g.mean(axis=0)
    return g / np.linalg.norm(g, axis=1, keepdims=True)


def condition(gradients):
    """1 / the shortest vector that combinations of unit gradients can leave, also of the sum of the conditions."""
    unit = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    return 1 / np.linalg.svd(unit, compute_uv=False)[-1]


def check(name, total, gradients, dtype):
    found, held = total(gradients)
    chex.assert_tree_all_finite(found)
    assert held == 0
    expected = ORACLES[name](exact(gradients))
    expected = expected if isinstance(expected, list) else [expected]
    error = min(norm(exact([found])[0] - e) / norm(e) for e in expected)
    bound = 100 * float(np.finfo(dtype).eps) * condition(gradients.astype(np.float64))
    assert error <= bound, f"{name} {len(gradients)} terms: {float(error):.1e}, bound {bound:.1e}\n{gradients!r}"


@surgery
def test_it_is_the_papers_formula_at_every_scale_and_angle(name, dtype):
    """The bound is rounding times the condition number of the directions, and does not know the lengths."""
    total, rng = programs(name), np.random.default_rng(0)
    angles = (1e-1, 1e-3) if dtype == np.float32 else (1e-3, 1e-7)
    for terms, orders in ORDERS.items():
        if name == "pcgrad" and terms > 3:
            continue
        for kind in ("generic", "orthogonal", "nearly parallel", "nearly opposite", "conflicting"):
            for overall, angle in itertools.product((1e-20, 1.0, 1e20), angles if "nearly" in kind else (0,)):
                unit = directions(kind, terms, angle, rng)
                for lengths in (np.zeros(terms), rng.permutation(orders), rng.uniform(-3, 3, size=terms)):
                    gradients = (unit * 10.0 ** lengths[:, None] * overall).astype(dtype)
                    check(name, total, gradients, dtype)


def test_every_surgery_is_asked():
    surgeries = {n for n, case in contract.RULES.items() if case.scalar and not case.positive}
    assert surgeries == set(ORACLES)
