"""The lid-driven cavity: refinement, its equations by finite differences, and published figures of others."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from pinnjax.problems import _corner_flow
from pinnjax.problems.cavity import stream
from pinnjax.problems.references import _corners, cavity, load

# Ghia, Ghia & Shin 1982, tables I and II: u at x = 1/2, v at y = 1/2, on a grid of 129². Without the walls, and without
# v at x = 0.9063 for Re = 400, which is a misprint (-0.23827, where the neighbours are -0.22847 and -0.44993).
GHIA_Y = [0.9766, 0.9688, 0.9609, 0.9531, 0.8516, 0.7344, 0.6172, 0.5, 0.4531, 0.2813, 0.1719, 0.1016]
GHIA_Y += [0.0703, 0.0625, 0.0547]
GHIA_X = [0.9688, 0.9609, 0.9531, 0.9453, 0.9063, 0.8594, 0.8047, 0.5, 0.2344, 0.2266, 0.1563, 0.0938]
GHIA_X += [0.0781, 0.0703, 0.0625]
GHIA_U = {
    100: "0.84123 0.78871 0.73722 0.68717 0.23151 0.00332 -0.13641 -0.20581 -0.21090 -0.15662 -0.10150 -0.06434 "
    "-0.04775 -0.04192 -0.03717",
    400: "0.75837 0.68439 0.61756 0.55892 0.29093 0.16256 0.02135 -0.11477 -0.17119 -0.32726 -0.24299 -0.14612 "
    "-0.10338 -0.09266 -0.08186",
    1000: "0.65928 0.57492 0.51117 0.46604 0.33304 0.18719 0.05702 -0.06080 -0.10648 -0.27805 -0.38289 -0.29730 "
    "-0.22220 -0.20196 -0.18109",
}
GHIA_V = {
    100: "-0.05906 -0.07391 -0.08864 -0.10313 -0.16914 -0.22445 -0.24533 0.05454 0.17527 0.17507 0.16077 0.12317 "
    "0.10890 0.10091 0.09233",
    400: "-0.12146 -0.15663 -0.19254 -0.22847 nan -0.44993 -0.38598 0.05186 0.30174 0.30203 0.28124 0.22965 "
    "0.20920 0.19713 0.18360",
    1000: "-0.21388 -0.27669 -0.33714 -0.39188 -0.51550 -0.42665 -0.31966 0.02526 0.32235 0.33075 0.37095 0.32627 "
    "0.30353 0.29012 0.27485",
}
x = np.linspace(0, 1, 100)
X, Y = (side.ravel() for side in np.meshgrid(x, x, indexing="ij"))


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def speed(flow):
    return np.hypot(*flow(X, Y)[1:3])


def centre_lines(flow):
    """min u and where on x = 1/2; max and min v and where on y = 1/2; min ψ and where."""
    one = lambda i, a, b: float(flow(np.atleast_1d(a), np.atleast_1d(b))[i, 0])
    lowest = lambda f, *bounds: scipy.optimize.minimize_scalar(f, bounds=bounds, options={"xatol": 1e-9})
    u_min = lowest(lambda s: one(1, 0.5, s), 0.05, 0.6)
    v_max = lowest(lambda s: -one(2, s, 0.5), 0.05, 0.4)
    v_min = lowest(lambda s: one(2, s, 0.5), 0.7, 0.98)
    options = {"xatol": 1e-8, "fatol": 1e-13}
    psi = scipy.optimize.minimize(lambda z: one(0, *z), (0.55, 0.6), method="Nelder-Mead", options=options)
    return {
        "u_min": (u_min.fun, u_min.x),
        "v_max": (-v_max.fun, v_max.x),
        "v_min": (v_min.fun, v_min.x),
        "psi": (psi.fun, *psi.x),
    }


def assert_published(found, value, *place, atol):
    assert abs(found[0] - value) < atol
    np.testing.assert_allclose(found[1:], place, atol=1e-4)  # four digits published


def residuals(flow, x, y, h=2e-3):
    """Momentum (2, m) and continuity (m,), by central differences of fourth order of u, v and p."""
    shifts = [[flow(x + k * h * a, y + k * h * b)[1:] for k in (-2, -1, 0, 1, 2)] for a, b in ((1, 0), (0, 1))]
    (fx, fxx), (fy, fyy) = (
        (
            (f[0] - 8 * f[1] + 8 * f[3] - f[4]) / (12 * h),
            (-f[0] + 16 * f[1] - 30 * f[2] + 16 * f[3] - f[4]) / (12 * h**2),
        )
        for f in shifts
    )
    u, v, _ = shifts[0][2]
    momentum = u * fx[:2] + v * fy[:2] + np.stack([fx[2], fy[2]]) - (fxx + fyy)[:2] / flow.reynolds
    return momentum, fx[0] + fy[1]


@pytest.fixture(scope="module")
def fine():
    return cavity.solve(100.0, 48)


@pytest.mark.slow
def test_the_speed_converges_like_the_sixth_power_of_the_modes_and_the_stored_file_is_what_it_converges_to(fine):
    stored = load("cavity")
    chex.assert_shape(stored["u"], (100, 100, 2))
    np.testing.assert_array_equal(stored["x"], x)
    np.testing.assert_array_equal(stored["y"], x)
    assert float(stored["reynolds"]) == 100
    assert float(stored["error"]) < 5e-8
    assert float(stored["pressure_error"]) < 5e-6
    expected = np.linalg.norm(stored["u"].reshape(-1, 2), axis=1)
    errors = [relative(speed(cavity.solve(100.0, n)), expected) for n in (12, 24)] + [relative(speed(fine), expected)]
    assert errors[0] > 2**5 * errors[1] > 2**10 * errors[2]  # measured: 1e-3, 1.6e-5, 1.3e-7
    assert errors[2] < 5e-7
    _, u, v, p = fine(X, Y)
    assert relative(u, stored["u"][..., 0].ravel()) < 5e-7
    assert relative(v, stored["u"][..., 1].ravel()) < 5e-7
    finite = np.isfinite(p)
    assert np.sum(~finite) == 2
    assert relative(p[finite], stored["p"].ravel()[finite]) < 3e-5  # measured: 1e-5


@pytest.mark.slow
def test_momentum_and_mass_are_conserved_inside(fine):
    """The rest is that of the third derivatives of ψ, which converge two orders slower than the velocity."""
    x, y = np.random.default_rng(0).uniform(0.1, 0.9, (2, 200))
    norms = []
    for flow in (cavity.solve(100.0, 16), cavity.solve(100.0, 32), fine):
        momentum, mass = residuals(flow, x, y)
        norms.append(np.sqrt(np.mean(momentum**2)))
        assert np.max(np.abs(mass)) < 1e-6  # of the differences: h⁴
    assert norms[0] > 2**4 * norms[1]
    assert norms[1] > 1.5**4 * norms[2]
    assert norms[2] < 3e-5  # the pressure gradient is of size one


@pytest.mark.slow
def test_the_walls_are_at_rest_and_the_lid_moves(fine):
    t = np.linspace(0, 1, 33)
    for x, y in ((0 * t[:-1], t[:-1]), (0 * t[:-1] + 1, t[:-1]), (t, 0 * t)):
        np.testing.assert_allclose(fine(x, y)[:3], 0, atol=1e-10)
    psi, u, v, p = fine(t, 0 * t + 1)
    np.testing.assert_allclose([psi, u - 1, v], 0, atol=1e-10)
    np.testing.assert_array_equal(np.isnan(p), (t == 0) | (t == 1))
    np.testing.assert_allclose(fine(np.array([0.5]), np.array([0.5]))[3], 0, atol=1e-14)


@pytest.mark.parametrize("corner", [0, 1])
def test_the_corners_are_those_of_the_paint_scraper(fine, corner):
    """ψ = r (θ cos θ + a θ sin θ - a² sin θ) / (a² - 1), a = π/2, of Taylor and Batchelor; the rest is as Re r²."""
    a, theta = np.pi / 2, np.linspace(0.1, 1.4, 9)
    g = (theta * np.cos(theta) + a * theta * np.sin(theta) - a**2 * np.sin(theta)) / (a**2 - 1)
    differences = []
    for r in (1e-3, 1e-4):
        along = r * np.cos(theta)
        psi = fine(1 - along if corner else along, 1 - r * np.sin(theta))[0]
        differences.append(np.max(np.abs(psi / r - g)))
    assert differences[0] < 1e-3
    assert 8 < differences[0] / differences[1] < 12


@pytest.mark.slow
def test_the_corner_flow_of_the_networks_is_slow_flow_and_holds_the_lid_and_the_walls(x64, quick_compilation):
    """Δu / Re = ∇p and continuity, by automatic differentiation; u = 1 on the lid from either corner."""
    lift = lambda x: _corner_flow.uvp(x, 100.0)
    many = lambda f: jax.jit(jax.vmap(f))
    points = jnp.array([[0.3, 0.6], [0.05, 0.97], [0.9, 0.9], [0.999, 0.998]])
    jacobian, hessian = many(jax.jacfwd(lift))(points), many(jax.jacfwd(jax.jacfwd(lift)))(points)
    spread = jnp.trace(hessian[:, :2], axis1=-2, axis2=-1) / 100
    np.testing.assert_allclose(spread, jacobian[:, 2], rtol=1e-9)
    np.testing.assert_allclose(jacobian[:, 0, 0] + jacobian[:, 1, 1], 0, atol=1e-9)
    u, v, p = stream(lambda x: _corner_flow.psi_p(x, 100.0))
    np.testing.assert_allclose(many(lambda x: jnp.stack([u(x), v(x), p(x)]))(points), many(lift)(points))
    lid = jnp.linspace(0, 1, 11)
    np.testing.assert_allclose(many(lift)(jnp.stack([lid, 0 * lid + 1], axis=1))[:, 0], 2, rtol=1e-5)
    # Down the left wall the left corner's flow is at rest: what moves there is the right corner's, smoothly.
    wall = many(lift)(jnp.stack([0 * lid, 1 - 1e-3 * (1 + lid)], axis=1))
    np.testing.assert_allclose(wall[:, :2], jnp.array([[1.0, 0.0]] * 11), atol=1e-2)


@pytest.mark.parametrize("corner", [0, 1])
def test_what_the_corner_flow_leaves_of_the_pressure_is_mild(fine, corner, x64):
    """In the reference p is as 1/r there, 20 at r = 1e-3. What is left is some -log r, as inertia makes it."""
    r = np.array([1e-2, 1e-3])
    x, y = (1 - r if corner else r), 1 - r
    lift = jax.vmap(lambda x: _corner_flow.uvp(x, 100.0))(jnp.stack([x, y], axis=1))
    p = fine(x, y)[3]
    assert np.all(np.abs(p * r) > 0.014)
    assert np.all(np.abs(p - lift[:, 2]) < 1)


@pytest.mark.slow
def test_the_terms_of_inertia_in_the_corners_pay(monkeypatch):
    expected = np.linalg.norm(load("cavity")["u"].reshape(-1, 2), axis=1)
    errors = []
    for terms in (1, 2, 3):
        monkeypatch.setattr(_corners, "TERMS", terms)
        _corners.expansion.cache_clear()
        errors.append(relative(speed(cavity.solve(100.0, 24)), expected))
    monkeypatch.undo()
    _corners.expansion.cache_clear()
    assert errors[0] > 3 * errors[1] > 6 * errors[2]  # measured: 2.7e-4, 5.2e-5, 1.6e-5


def test_the_flow_without_inertia_is_symmetric():
    """u(1 - x) = u(x) for Stokes flow; the asymmetry is proportional to Re."""
    asymmetry = []
    for reynolds in (0.01, 1.0):
        u = cavity.solve(reynolds, 12)(X, Y)[1].reshape(100, 100)
        asymmetry.append(np.max(np.abs(u - u[::-1])))
    np.testing.assert_allclose(asymmetry[1] / asymmetry[0], 100, rtol=1e-3)


def test_too_few_modes_are_reported():
    with pytest.raises(RuntimeError, match=r"Re = 1000\.0 with 6 modes"):
        cavity.solve(1000.0, 6)


@pytest.mark.parametrize(
    ("reynolds", "modes", "tolerance"),
    [(100, 32, 0.01), *(pytest.param(*case, marks=pytest.mark.slow) for case in [(400, 32, 0.01), (1000, 40, 0.02)])],
)
def test_the_centre_lines_are_those_of_ghia(reynolds, modes, tolerance):
    """Their own error is the tolerance: it has the same size against the figures of Botella & Peyret below."""
    flow = cavity.solve(float(reynolds), modes)
    y, x = np.array(GHIA_Y), np.array(GHIA_X)
    u, v = (np.array(table[reynolds].split(), float) for table in (GHIA_U, GHIA_V))
    np.testing.assert_allclose(flow(0 * y + 0.5, y)[1], u, atol=tolerance)
    np.testing.assert_allclose(flow(x, 0 * x + 0.5)[2][~np.isnan(v)], v[~np.isnan(v)], atol=tolerance)


def test_the_extrema_at_100_are_those_of_botella_and_peyret(fine):
    """Seven digits published; their lid moves the other way, which mirrors x and turns the signs."""
    found = centre_lines(fine)
    assert_published(found["u_min"], -0.2140424, 0.4581, atol=1e-7)
    assert_published(found["v_max"], 0.1795728, 1 - 0.7630, atol=1e-7)
    assert_published(found["v_min"], -0.2538030, 1 - 0.1896, atol=1e-7)


@pytest.mark.exhaustive
def test_velocity_and_pressure_at_1000_are_those_of_botella_and_peyret():
    """Their tables 7 to 9, with 160² modes; ours err by 1e-5 of the speed, most of it at the lid and in its corners."""
    flow = cavity.solve(1000.0, 64)
    found = centre_lines(flow)
    assert_published(found["psi"], -0.1189366, 1 - 0.4692, 0.5652, atol=1e-7)
    assert_published(found["u_min"], -0.3885698, 0.1717, atol=2e-7)
    assert_published(found["v_max"], 0.3769447, 1 - 0.8422, atol=2e-7)
    assert_published(found["v_min"], -0.5270771, 1 - 0.0908, atol=2e-7)
    y = np.array([0.8516, 0.7344, 0.6172, 0.5, 0.4531, 0.2813, 0.1719, 0.1016, 0.0703, 0.0625, 0.0547, 0.0])
    u = [0.3372212, 0.1886747, 0.0570178, -0.0620561, -0.1081999, -0.2803696, -0.3885691, -0.3004561, -0.2228955]
    u += [-0.2023300, -0.1812881, 0.0]
    p = [0.034910, 0.012122, -0.000827, 0.0, 0.004434, 0.040377, 0.081925, 0.104187, 0.108566, 0.109200, 0.109689]
    p += [0.110591]
    values = flow(0 * y + 0.5, y)
    np.testing.assert_allclose(values[1], u, atol=5e-7)
    np.testing.assert_allclose(values[3], p, atol=3e-6)
