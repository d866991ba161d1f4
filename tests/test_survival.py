"""What a run survives: kills, signals, damaged files, a full disk; and the end is that of a run that nothing befell."""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax.train import _format, checkpoint

from . import poisson

PROGRAM = pathlib.Path(__file__).parent / "long_run.py"
STEPS = 200


def started(folder, output, every, largest=0):
    arguments = [sys.executable, str(PROGRAM), str(folder), str(output), str(every), str(STEPS), str(largest)]
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parent.parent), "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finished(folder, output, every=20, largest=0):
    """A run to its end: what it made, and what it said."""
    run = started(folder, output, every, largest)
    _, said = run.communicate(timeout=300)
    assert run.returncode == 0, said
    with np.load(output) as made:
        return dict(made), said


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing befell."""
    return finished("-", tmp_path_factory.mktemp("whole") / "end.npz")[0]


def the_same(found, expected):
    assert set(found) == set(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def killed(tmp_path, kills, every, number=signal.SIGKILL, seed=0):
    """Kill a run so often, at random moments after it has begun to train, and let it finish."""
    moments = random.Random(seed)
    folder, output = tmp_path / "run", tmp_path / "end.npz"
    for _ in range(kills):
        run = started(folder, output, every)
        assert run.stdout.readline() == "call\n"
        time.sleep(moments.uniform(0.0, 0.4))
        run.send_signal(number)
        run.communicate(timeout=120)
        assert run.returncode in (0, -number, 128 + number)
    return finished(folder, output, every)[0]


@pytest.mark.slow
def test_a_run_that_is_killed_now_and_then_ends_as_one_that_is_not(whole, tmp_path):
    the_same(killed(tmp_path, kills=3, every=20), whole)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("kills", "every"), [(100, 20), (20, 5)], ids=["at random moments", "while it writes"])
def test_a_hundred_kills(whole, tmp_path, kills, every):
    """Calls take 10 ms and a checkpoint 100: one after each call is written most of the time."""
    the_same(killed(tmp_path, kills, every, seed=1), whole)


@pytest.mark.slow
def test_a_run_that_is_asked_to_end_saves_and_says_so_with_its_exit_code(whole, tmp_path):
    """The checkpoint that is due after a million steps is written at once."""
    folder, output = tmp_path / "run", tmp_path / "end.npz"
    run = started(folder, output, every=10**6)
    assert run.stdout.readline() == "call\n"
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=120)
    assert run.returncode == 143 and not output.exists()
    made, said = finished(folder, output)
    assert "resumed at step" in said
    the_same(made, whole)


@pytest.mark.slow
def test_a_full_disk_costs_the_checkpoint_and_not_the_run(whole, tmp_path):
    """Files of more than 64 bytes cannot be written; when there is room again, the run goes on from what there is."""
    folder, output = tmp_path / "run", tmp_path / "end.npz"
    made, said = finished(folder, output, largest=64)
    assert "could not be written" in said
    the_same(made, whole)
    the_same(finished(folder, output)[0], whole)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with checkpoints after 5, 10 and 15 steps, and the state and history of the run after 20."""
    folder = tmp_path_factory.mktemp("saved")
    train, start = small()
    pj.fit(train, start, poisson.batch(), steps=15, steps_per_call=5, checkpoint=folder, checkpoint_every=5)
    return folder, pj.fit(train, start, poisson.batch(), steps=20, steps_per_call=5)


def small():
    train = pj.train_step(poisson.SMALL, optax.adam(1e-2))
    return train, train.init(poisson.small(), poisson.batch())


def files_of(folder, step):
    return sorted(path for path in (folder / str(step)).rglob("*") if path.is_file())


def goes_on(folder):
    train, start = small()
    return pj.fit(train, start, poisson.batch(), steps=20, steps_per_call=5, checkpoint=folder)


def equal(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore:the checkpoint of step 15")
@pytest.mark.parametrize("how", ["a bit changed", "cut off", "empty", "gone"])
def test_a_damaged_file_is_known_and_the_checkpoint_before_it_read(saved, tmp_path, how, recwarn):
    """Each file in turn: the end is the same, with a warning where the file mattered."""
    folder, expected = saved
    warned = 0
    names = [path.relative_to(folder) for path in files_of(folder, 15)]
    for i, name in enumerate(names):
        copy = tmp_path / str(i)
        shutil.copytree(folder, copy)
        content = bytearray((copy / name).read_bytes())
        if how == "gone":
            (copy / name).unlink()
        elif content:
            middle = len(content) // 2
            content[middle] ^= 1
            (copy / name).write_bytes({"a bit changed": content, "cut off": content[:middle], "empty": b""}[how])
        equal(goes_on(copy), expected)
        warned += len(recwarn)
        recwarn.clear()
    assert warned >= len(names) // 3


def test_where_no_checkpoint_is_whole_it_is_said(saved, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(saved[0], folder)
    for step in (5, 10, 15):
        for path in files_of(folder, step):
            path.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(ValueError, match=r"no checkpoint in .* is whole; expected one of \[15, 10, 5\]"),
    ):
        goes_on(folder)


def test_one_of_another_format_is_refused(saved, monkeypatch):
    monkeypatch.setattr(_format, "FORMAT", 99)
    with pytest.raises(ValueError, match="written by another version; expected format 99"):
        goes_on(saved[0])


def test_parameters_alone_have_names_that_stay(saved):
    """The documented layout: `.params` and the path of a leaf, which another program reads."""
    _, leaves, _, _ = checkpoint._read(saved[0])
    assert {name for name in leaves if name.startswith(".params")} == {".params['kernel']", ".params['out']"}
