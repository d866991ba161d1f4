"""Stored references: `{t, x, u, error}` in one compressed file each."""

import pathlib

import numpy as np

from pinnjax.problems.references import etdrk4

FOLDER = pathlib.Path(__file__).parent


def make_allen_cahn(modes: int = 4096, steps: int = 10) -> dict[str, np.ndarray]:
    """Allen-Cahn at 101 times and 257 places; its error is the relative L2 distance to half the modes and steps."""
    u, coarse = etdrk4.allen_cahn(modes, steps), etdrk4.allen_cahn(modes // 2, steps // 2)
    error = np.linalg.norm(u - coarse) / np.linalg.norm(u)
    return {"t": np.linspace(0, 1, u.shape[0]), "x": np.linspace(-1, 1, u.shape[1]), "u": u, "error": np.array(error)}


MAKERS = {"allen_cahn": make_allen_cahn}


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
