"""Make `surgery.npz`: random gradient sets, and what independent packages make of them.

Run once, in an environment of its own (`pip install torch "torchjd[full]" conflictfree quadprog scipy`):

    python tests/frozen/make_surgery.py

The tests of pinnjax only read the numbers. Packages and versions are stored beside them.
"""

import importlib.metadata
import pathlib

import cvxpy
import numpy as np
import quadprog
import scipy.optimize
import torch
from conflictfree.grad_operator import ConFIG_update, IMTLGOperator
from conflictfree.momentum_operator import PseudoMomentumOperator
from torchjd._linalg._dual_cone import QuadprogProjector
from torchjd.aggregation import IMTLG, MGDA, AlignedMTL, CAGrad, ConFIG, NashMTL, PCGrad, UPGrad

SIZE = 9  # parameters
KINDS = ("random", "conflicting", "aligned", "scaled", "dependent")
PER_KIND = 15
TIGHT = {"tol_gap_abs": 1e-14, "tol_gap_rel": 1e-14, "tol_feas": 1e-14}  # for the interior-point solver


def gradients(kind, terms, rng):
    """A `(terms, SIZE)` set of gradients."""
    g = rng.normal(size=(terms, SIZE))
    if kind == "conflicting":
        g = g - 1.5 * g.mean(axis=0)
    elif kind == "aligned":
        g = g + 3 * rng.normal(size=SIZE)
    elif kind == "scaled":
        g = g * 10.0 ** rng.uniform(-3, 3, size=(terms, 1))
    elif kind == "dependent":  # the last is a positive combination of the others, so a common direction still exists
        g[-1] = rng.uniform(0.2, 1, size=terms - 1) @ g[:-1]
    return g


def cosines(g):
    """Cosines of the rows, 1e-13 of the identity added since quadprog needs it, and their norms."""
    norms = np.linalg.norm(g, axis=1)
    return (g @ g.T) / np.outer(norms, norms) + 1e-13 * np.eye(len(g)), norms


def shortest_in_hull(g):
    """MGDA by quadprog, in y = a ‖g‖ so that scales do not matter: min yᵀ C y, Σ y / ‖g‖ = 1, y >= 0."""
    c, norms = cosines(g)
    b = norms.min() / norms
    constraints = np.hstack([b[:, None], np.eye(len(g))])
    bounds = np.concatenate([[1.0], np.zeros(len(g))])
    y = quadprog.solve_qp(c, np.zeros(len(g)), constraints, bounds, meq=1)[0] * norms.min()
    return (y / norms) @ g


def mean_projection(g):
    """UPGrad by quadprog, in y = v ‖g‖: for each i, min yᵀ C y, y >= ‖g_i‖ e_i."""
    c, norms = cosines(g)
    identity = np.eye(len(g))
    found = [norms[i] * quadprog.solve_qp(c, np.zeros(len(g)), identity, identity[i])[0] for i in range(len(g))]
    return (np.mean(found, axis=0) / norms) @ g


def bargain(g):
    """Nash-MTL by scipy: the root of C y = 1 / y in z = log y, y = α ‖g‖."""
    c, norms = cosines(g)
    slope = lambda z: (c @ np.exp(z)) * np.exp(z) - 1  # of ½ yᵀ C y - Σ log y
    near = scipy.optimize.minimize(lambda z: np.exp(z) @ c @ np.exp(z) / 2 - z.sum(), np.zeros(len(g)), jac=slope)
    root = scipy.optimize.root(slope, near.x, tol=1e-15)
    assert np.abs(root.fun).max() < 1e-9, (root.fun, g)
    return (np.exp(root.x) / norms) @ g


def conflict_averse(g, c=0.5):
    """CAGrad by cvxpy, as its primal: max_d min_t d · g_t in the ball, with rows of unit length to the solver."""
    mean = g.mean(axis=0)
    scale = np.linalg.norm(mean)
    d, worst = cvxpy.Variable(g.shape[1]), cvxpy.Variable()
    constraints = [(g / scale) @ d >= worst, cvxpy.norm(d - mean / scale) <= c]
    problem = cvxpy.Problem(cvxpy.Maximize(worst), constraints)
    problem.solve(cvxpy.CLARABEL, **TIGHT)
    return d.value * scale


def tight_cagrad(g):
    """torchjd's CAGrad, its solver told to go on to rounding: by default it stops some 1e-4 away."""
    solve = cvxpy.Problem.solve
    cvxpy.Problem.solve = lambda problem, solver: solve(problem, solver, **TIGHT)
    try:
        return CAGrad(c=0.5, norm_eps=1e-10)(g)
    finally:
        cvxpy.Problem.solve = solve


def momentum_sequence(g, steps=5):
    """M-ConFIG over a few steps of gradients that change, all momenta renewed in each."""
    operator = PseudoMomentumOperator(len(g))
    return np.stack(
        [
            operator.calculate_gradient(
                list(range(len(g))), [torch.tensor(row * (1 + 0.1 * k * (-1) ** i)) for i, row in enumerate(g)]
            ).numpy()
            for k in range(steps)
        ]
    )


def main():
    rng = np.random.default_rng(0)
    torch.set_default_dtype(torch.float64)
    peers = {
        "torchjd config": ConFIG(),
        "torchjd imtl_g": IMTLG(),
        "torchjd aligned_mtl": AlignedMTL(),
        "torchjd upgrad": UPGrad(projector=QuadprogProjector(norm_eps=0.0, reg_eps=1e-13)),
        "torchjd mgda": MGDA(epsilon=1e-12, max_iters=20_000),
        "torchjd pcgrad": PCGrad(),
        "torchjd cagrad": tight_cagrad,
        "torchjd nash_mtl": lambda g: NashMTL(len(g), max_norm=0.0, optim_niter=100)(g),
        "cvxpy cagrad": lambda g: torch.tensor(conflict_averse(g.numpy())),
        "scipy nash_mtl": lambda g: torch.tensor(bargain(g.numpy())),
        "conflictfree m_config": lambda g: torch.tensor(momentum_sequence(g.numpy())),
        "conflictfree config": ConFIG_update,
        "conflictfree imtl_g": IMTLGOperator().calculate_gradient,
        "quadprog mgda": lambda g: torch.tensor(shortest_in_hull(g.numpy())),
        "quadprog upgrad": lambda g: torch.tensor(mean_projection(g.numpy())),
    }
    arrays = {}
    for i in range(PER_KIND * len(KINDS)):
        kind, terms = KINDS[i % len(KINDS)], 2 + i // len(KINDS) % 5
        g = gradients(kind, terms, rng)
        arrays[f"{i}/{kind}/gradients"] = g
        for name, peer in peers.items():
            arrays[f"{i}/{kind}/{name}"] = peer(torch.tensor(g)).numpy()
    packages = ("torch", "torchjd", "conflictfree", "quadprog", "cvxpy", "scipy", "numpy")
    arrays["versions"] = np.array([f"{name} {importlib.metadata.version(name)}" for name in packages])
    np.savez_compressed(pathlib.Path(__file__).with_name("surgery.npz"), **arrays)


if __name__ == "__main__":
    main()
