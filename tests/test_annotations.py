"""Annotations are true: the library runs under jaxtyping and beartype, in a process of its own.

Not in all tests: many of them ask what the library says of a wrong argument, and the annotations would speak first.
"""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
# A little of every space, and fits with all of them.
SOME = [
    *("pinnjax/derivatives", "pinnjax/nn/mlp.py", "pinnjax/sampling/box.py", "pinnjax/sampling/r3.py"),
    *("pinnjax/terms/evaluation.py", "pinnjax/terms/losses.py", "pinnjax/terms/point_gradients.py"),
    *("pinnjax/point_weights", "pinnjax/term_weights/lr_annealing.py", "pinnjax/term_weights/aligned_mtl.py"),
    *("pinnjax/diagnostics/gradients.py", "pinnjax/diagnostics/noise.py", "pinnjax/train/fit.py"),
    "tests/test_names.py::test_every_sampler_takes_such_names[r3]",
    "tests/test_names.py::test_every_monitor_takes_such_names",
]
MANY = [
    *("pinnjax", "tests/test_losses.py", "tests/test_samplers.py"),
    "tests/test_term_weights_contract.py::test_one_term_alone_gives_the_plain_gradient",
]


def run(*arguments):
    command = [sys.executable, "-m", "pytest", "-p", "tests.annotations", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(SOME, id="some", marks=pytest.mark.slow),
        pytest.param(MANY, id="many", marks=pytest.mark.exhaustive),
    ],
)
def test_the_library_takes_and_returns_what_its_annotations_say(chosen):
    found = run("-n0", "--tb=short", *chosen)
    assert found.returncode == 0, found.stdout[-4000:]
    assert " passed" in found.stdout


@pytest.mark.slow
def test_a_wrong_annotation_would_be_found(tmp_path):
    file = tmp_path / "test_wrong.py"
    file.write_text(
        "import jax.numpy as jnp, pytest\n"
        "from pinnjax import diagnostics\n"
        "def test_two_axes_are_not_one():\n"
        "    with pytest.raises(Exception, match='eigenvalues'):\n"
        "        diagnostics.stiffness(jnp.ones((2, 2)))\n"
        "    diagnostics.stiffness(jnp.ones(2))\n"
    )
    found = run("-n0", "--rootdir", str(tmp_path), str(file))
    assert found.returncode == 0, found.stdout[-4000:]
