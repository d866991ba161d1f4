"""Several processes that train together, as on several machines: the end is that of one."""

import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = pathlib.Path(__file__).parent / "one_process.py"


def together(processes, tmp_path):
    """What the first of so many processes found, and what each of them said."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    folder, output = tmp_path / f"run {processes}", tmp_path / f"end {processes}.npz"
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parent.parent), "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    runs = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), *map(str, (number, processes, port, folder, output))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        for number in range(processes)
    ]
    said = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0] * processes, said
    with np.load(output) as found:
        return dict(found), said


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.exhaustive)])
def test_processes_train_as_one(processes, tmp_path):
    """With a checkpoint that all of them write and read, and an end that only one of them asks for."""
    (one, _), (many, said) = together(1, tmp_path), together(processes, tmp_path)
    assert set(one) == set(many)
    for name in one:
        np.testing.assert_allclose(many[name], one[name], rtol=1e-6, atol=1e-10, err_msg=name)
    assert ["resumed at step" in text for text in said] == [True] + [False] * (processes - 1)
