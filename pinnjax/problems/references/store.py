"""Stored references, one compressed file each: coordinates, the solution `u`, and its own `error` by refinement."""

import pathlib
from collections.abc import Callable

import numpy as np

from pinnjax.problems.references import cavity, etdrk4, gray_scott

FOLDER = pathlib.Path(__file__).parent


def make_allen_cahn(modes: int = 4096, steps: int = 10) -> dict[str, np.ndarray]:
    """Allen-Cahn at 101 times and 257 places; its error is the relative L2 distance to half the modes and steps."""
    return _one_dimensional(etdrk4.allen_cahn, (-1.0, 1.0), modes, steps)


def make_kdv(modes: int = 512, steps: int = 160) -> dict[str, np.ndarray]:
    """Korteweg-de Vries, as `make_allen_cahn`."""
    return _one_dimensional(etdrk4.kdv, (-1.0, 1.0), modes, steps)


def make_kuramoto_sivashinsky(modes: int = 512, steps: int = 320) -> dict[str, np.ndarray]:
    """Kuramoto-Sivashinsky, as `make_allen_cahn`; chaos makes 1e-9 of rounding, however many steps."""
    return _one_dimensional(etdrk4.kuramoto_sivashinsky, (0.0, 2 * np.pi), modes, steps)


def make_gray_scott(modes: int = 144, steps: int = 2400) -> dict[str, np.ndarray]:
    """Gray-Scott at 11 times and 48² places; its error is the distance to 5/6 of the modes and half the steps.

    The coarse grid shares every other place. Takes two minutes.
    """
    u, coarse = gray_scott.gray_scott(modes, steps), gray_scott.gray_scott(modes * 5 // 6, steps // 2, points=24)
    error = np.linalg.norm(u[:, ::2, ::2] - coarse) / np.linalg.norm(coarse)
    return {"t": np.linspace(0, 2, len(u)), "x": gray_scott.places(48)[:, 0, 0], "u": u, "error": np.array(error)}


def make_cavity(reynolds: float = 100.0, modes: int = 80) -> dict[str, np.ndarray]:
    """Lid-driven cavity on 100² places `[x, y]`: velocity u (100, 100, 2), pressure p (100, 100), zero at the centre.

    In the corners of the lid u is the lid's, (1, 0), and p, infinite there, is nan. `error` is the relative L2 distance
    of the speed to 4/5 of the modes, `pressure_error` that of p without the corners. Takes a minute and 2 GB.
    """
    x = np.linspace(0, 1, 100)
    places = [side.ravel() for side in np.meshgrid(x, x, indexing="ij")]
    (_, *u, p), (_, *coarse, coarse_p) = (cavity.solve(reynolds, n)(*places) for n in (modes, modes * 4 // 5))
    speed, finite = np.hypot(*u), np.isfinite(p)
    return {
        "x": x,
        "y": x,
        "u": np.stack(u, axis=-1).reshape(100, 100, 2),
        "p": p.reshape(100, 100),
        "reynolds": np.array(reynolds),
        "error": np.array(np.linalg.norm(speed - np.hypot(*coarse)) / np.linalg.norm(speed)),
        "pressure_error": np.array(np.linalg.norm((p - coarse_p)[finite]) / np.linalg.norm(p[finite])),
    }


MAKERS = {
    "allen_cahn": make_allen_cahn,
    "cavity": make_cavity,
    "gray_scott": make_gray_scott,
    "kdv": make_kdv,
    "kuramoto_sivashinsky": make_kuramoto_sivashinsky,
}


def load(name: str) -> dict[str, np.ndarray]:
    """A stored reference."""
    with np.load(FOLDER / f"{name}.npz") as file:
        return dict(file)


def make() -> None:
    """Make and store all of them."""
    for name, maker in MAKERS.items():
        arrays = maker()
        np.savez_compressed(str(FOLDER / f"{name}.npz"), allow_pickle=False, **arrays)
        print(f"{name}: {arrays['u'].shape}, own error {float(arrays['error']):.1e}")


def _one_dimensional(
    solver: Callable[[int, int], np.ndarray], interval: tuple[float, float], modes: int, steps: int
) -> dict[str, np.ndarray]:
    u, coarse = solver(modes, steps), solver(modes // 2, steps // 2)
    error = np.linalg.norm(u - coarse) / np.linalg.norm(u)
    return {
        "t": np.linspace(0, 1, u.shape[0]),
        "x": np.linspace(*interval, u.shape[1]),
        "u": u,
        "error": np.array(error),
    }
