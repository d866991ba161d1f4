"""Every example runs, short, and gets as far as it should in that time."""

import importlib.util
import pathlib

import pytest

from .marks import few

FOLDER = pathlib.Path(__file__).parent.parent / "examples"
# Steps, and some 1.5 times the error that they reach, which is less than the untrained network's and that of u = 0 or
# of a solution that stays at its start.
BOUNDS = {
    "logged": (1000, 0.1),
    "own_loop": (600, 0.1),
}
# The same for those that take longer; the first three at the gate, the others each week.
SLOW = {
    "tanh": (1000, 0.09),
    "own_transforms": (1000, 0.1),
    "ensemble": (400, 0.1),
    "many_devices": (600, 0.9),
    "advection": (600, 0.67),
    "allen_cahn": (500, 0.52),
    "burgers": (1500, 0.5),
    "cavity": (300, 0.68),
    "convection_diffusion": (5000, 0.02),
    "gray_scott": (2500, 0.26),
    "harmonic": (3000, 0.05),
    "helmholtz": (800, 0.9),
    "inverse_burgers": (500, 3.6),
    "inverse_diffusion": (400, 0.1),
    "acoustic": (1000, 0.02),
    "kdv": (400, 0.12),
    "klein_gordon": (1500, 0.48),
    "kuramoto_sivashinsky": (800, 0.07),
    "poisson": (1000, 0.26),
    "reaction": (1500, 0.26),
    "schroedinger": (600, 0.6),
    "wave": (500, 0.26),
}


AT_THE_GATE = [*BOUNDS, *list(SLOW)[:3]]


@pytest.mark.slow
@pytest.mark.parametrize("name", few([*BOUNDS, *SLOW], *AT_THE_GATE, rest="exhaustive"))
def test_it_runs(name):
    specification = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    steps, bound = (BOUNDS | SLOW)[name]
    assert example.main(steps) < bound
