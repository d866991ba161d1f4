"""Every example runs, short, and gets as far as it should in that time."""

import importlib.util
import pathlib

import pytest

FOLDER = pathlib.Path(__file__).parent.parent / "examples"
BOUNDS = {"helmholtz": (300, 2.0), "own_transforms": (1000, 0.1), "own_loop": (600, 0.1)}


def test_every_example_is_listed_here():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(BOUNDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_it_runs(name):
    specification = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    steps, bound = BOUNDS[name]
    assert example.main(steps) < bound
