import argparse
import errno
import json
import os
import pathlib
import re
import subprocess
import sys

import jax
import matplotlib.image
import numpy as np
import pytest

from pinnjax.cli import main, pictures, writing
from pinnjax.problems import helmholtz

pytestmark = pytest.mark.usefixtures("quick_compilation")


def test_list_names_everything(capsys):
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for word in ("helmholtz", "M1", "M4", "best", "3.69e-03", "lr_annealing", "self_adaptive", "modified_mlp"):
        assert word in shown
    assert main(["list", "models"]) == 0
    assert "lr_annealing" not in capsys.readouterr().out


def test_solve_writes_a_table_json_and_plots(tmp_path, capsys):
    out = tmp_path / "new" / "plots"
    json_file = tmp_path / "new" / "result.json"
    arguments = ["solve", "helmholtz", "--steps", "40", "--json", str(json_file), "--out", str(out)]
    assert main([*arguments, "--method", "M4"]) == 0
    shown = capsys.readouterr().out
    assert "3.69e-03" in shown
    record = json.loads(json_file.read_text())
    assert {"problem", "method", "steps", "seconds", "relative_l2", "device", "versions"} <= set(record)
    assert (record["problem"], record["method"], record["steps"]) == ("helmholtz", "M4", 40)
    assert f"{record['relative_l2']:.2e}" in shown
    for name in ("field_M4.png", "losses_M4.png", "comparison.png"):
        picture = matplotlib.image.imread(out / name)
        assert picture.std() > 0.05  # something is drawn


@pytest.mark.exhaustive
def test_several_methods_give_a_list_and_one_table(tmp_path, capsys):
    json_file = tmp_path / "all.json"
    assert main(["solve", "helmholtz", "--steps", "3", "--json", str(json_file)]) == 0
    records = json.loads(json_file.read_text())
    assert [record["method"] for record in records] == ["M1", "M4"]
    shown = capsys.readouterr().out
    assert "times smaller than plain (M1)" in shown


def test_the_default_shows_failure_and_cure():
    assert helmholtz.default_methods == ("M1", "M4")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            ["--term-weights", "lr_annealing:variant=paper,every=2", "--model", "modified_mlp"], marks=pytest.mark.slow
        ),
        ["--term-weights", "fixed:bc=100", "--point-weights", "self_adaptive:learning_rate=0.01"],
        pytest.param(
            ["--method", "M4", "--point-weights", "self_adaptive", "--dtype", "float64"], marks=pytest.mark.slow
        ),
    ],
)
@pytest.mark.slow
def test_rules_can_be_combined_freely(options, tmp_path, x64):
    json_file = tmp_path / "result.json"
    assert main(["solve", "helmholtz", "--steps", "5", "--json", str(json_file), *options]) == 0
    record = json.loads(json_file.read_text())
    assert np.isfinite(record["relative_l2"])
    assert record["method"] == ("M4+changes" if "--method" in options else "custom")


@pytest.mark.slow
def test_a_seed_gives_the_same_result_and_another_seed_another(tmp_path):
    found = []
    for seed in ("3", "3", "4"):
        json_file = tmp_path / "result.json"
        main(["solve", "tanh", "--steps", "5", "--seed", seed, "--json", str(json_file)])
        found.append(json.loads(json_file.read_text())["relative_l2"])
    assert found[0] == found[1] != found[2]


@pytest.mark.slow
def test_a_checkpointed_run_goes_on(tmp_path, capsys):
    arguments = ["solve", "helmholtz", "--method", "M1", "--checkpoint", str(tmp_path / "run")]
    main([*arguments, "--steps", "10", "--json", str(tmp_path / "a.json")])
    main([*arguments, "--steps", "20", "--json", str(tmp_path / "b.json")])
    main(["solve", "helmholtz", "--method", "M1", "--steps", "20", "--json", str(tmp_path / "c.json")])
    resumed, whole = (json.loads((tmp_path / f"{name}.json").read_text())["relative_l2"] for name in "bc")
    assert resumed == pytest.approx(whole, rel=1e-5)


@pytest.mark.slow
def test_bench_prints_ratios_and_writes_json(tmp_path, capsys, monkeypatch):
    from pinnjax.cli.bench import step

    monkeypatch.setattr(step, "WORKLOADS", {"W0": step.WORKLOADS["W1"]._replace(points={"pde": 8, "bc": 2}, steps=3)})
    assert main(["bench", "step", "--rounds", "2", "--json", str(tmp_path / "bench.json")]) == 0
    shown = capsys.readouterr().out
    assert "ratio" in shown
    timings = json.loads((tmp_path / "bench.json").read_text())["workloads"]["W0"]
    assert timings["plain"]["ratio"] == 1.0
    assert all(t["step"] > 0 and t["compile"] > 0 for t in timings.values())
    assert all(t["memory"] > 0 for name, t in timings.items() if "loop" not in name)


@pytest.mark.slow
def test_compiled_programs_are_kept_and_read(tmp_path):
    code = (
        "import sys, jax\n"
        "from pinnjax.cli import main\n"
        "hits = []\n"
        "jax.monitoring.register_event_listener(lambda e, **_: hits.append(e) if e.endswith('/cache_hits') else None)\n"
        f"assert main(['--cache', {str(tmp_path / 'programs')!r}, 'solve', 'harmonic', '--steps', '3']) == 0\n"
        "print('hits', len(hits))"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    run = lambda: subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, timeout=300
    )
    first, second = (int(run().stdout.split()[-1]) for _ in range(2))
    assert any((tmp_path / "programs").iterdir()) and second > first + 2


def test_a_cache_that_is_no_folder_is_one_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["--cache", "", "list"]) == 2
    assert "--cache is empty; expected a folder" in capsys.readouterr().err
    assert main(["--cache", str(tmp_path / "file"), "list"]) == 2
    assert "File exists" in capsys.readouterr().err


@pytest.mark.slow
def test_bench_shows_how_steps_grow(tmp_path, monkeypatch, capsys):
    from pinnjax.cli.bench import scaling

    monkeypatch.setattr(scaling, "SIZES", {"points": (16, 32), "terms": (1, 2)})
    monkeypatch.setattr(scaling, "MEMORY", 0)
    monkeypatch.setattr(scaling, "CALL", 100)
    files = tmp_path / "bench.json", tmp_path / "scaling.png"
    arguments = ["bench", "scaling", "--rounds", "1", "--json", str(files[0]), "--plot", str(files[1])]
    assert main(arguments) == 0
    assert "not run" in capsys.readouterr().out  # by hand it would need more memory than it may have
    found = json.loads(files[0].read_text())["workloads"]
    assert list(found["points"]) == ["points 16", "points 32"] and files[1].stat().st_size > 0
    row = found["terms"]["terms 2"]
    assert row["step"] > 0 and 0 < row["share"] < 2 and row["memory_by_hand"] > 0
    monkeypatch.setattr(scaling, "MEMORY", 2**30)
    assert scaling._measured("points", 16, 1, 1e9).by_hand > 0
    assert len(scaling.workload("terms", 4).batch) == 4
    assert main(["bench", "step", "--plot", str(files[1])]) == 2
    assert "--plot: there is no picture of step; expected one of scaling" in capsys.readouterr().err


@pytest.mark.slow
def test_bench_puts_seeds_at_once_beside_one_after_the_other(monkeypatch):
    from pinnjax.cli.bench import seeds

    monkeypatch.setattr(seeds, "SEEDS", 3)
    small = seeds.SMALL["harmonic, 3x32"]._replace(width=4, depth=2, points={"pde": 5, "ic": 1}, steps=2)
    programs = seeds._programs(small)
    (slow, argument), (fast, same) = programs.values()
    assert list(programs) == ["3 seeds, one after the other", "3 seeds at once"] and same[0] is argument[0]
    for one, other in zip(jax.tree.leaves(slow(argument)), jax.tree.leaves(fast(argument)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(seeds, "SMALL", {"small": small})
    assert seeds.run(1)["small"]["3 seeds at once"].step > 0


@pytest.mark.slow
def test_bench_compares_numbers_of_devices(tmp_path, monkeypatch):
    from pinnjax.cli.bench import devices

    monkeypatch.setattr(devices, "STEPS", 2)
    monkeypatch.setattr(devices, "available", lambda: 2)
    assert main(["bench", "devices", "--rounds", "1", "--json", str(tmp_path / "bench.json")]) == 0
    timings = json.loads((tmp_path / "bench.json").read_text())["workloads"]["W2"]
    assert list(timings) == ["1 device", "2 devices"]
    assert timings["1 device"]["ratio"] == 1.0 and timings["2 devices"]["step"] > 0


@pytest.mark.slow
def test_a_network_can_be_chosen_where_a_coefficient_is_unknown(tmp_path):
    file = tmp_path / "result.json"
    assert main(["solve", "inverse_burgers", "--model", "mlp", "--steps", "2", "--json", str(file)]) == 0
    assert np.isfinite(json.loads(file.read_text())["relative_l2"])


@pytest.mark.slow
def test_diagnose_names_the_pathology_and_the_change(tmp_path, capsys):
    json_file = tmp_path / "new" / "found.json"
    assert main(["diagnose", "harmonic", "--steps", "500", "--strict", "--json", str(json_file)]) == 1
    shown = capsys.readouterr().out
    for word in ("loss-balance crisis", "term_weights=pj.", "Perdikaris", "Not measured"):
        assert word in shown, word
    record = json.loads(json_file.read_text())
    assert record["pathology"] == "loss-balance crisis"
    assert any(check["found"] and check["value"] > check["threshold"] for check in record["checks"])


@pytest.mark.slow
def test_diagnose_takes_your_own_factory(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine_for_the_doctor.py").write_text(
        "import jax.numpy as jnp\n"
        "import pinnjax as pj\n"
        "def sound():\n"
        "    model = pj.nn.MLP(1, 'scalar', width=16, depth=2, rngs=pj.nn.Rngs(0))\n"
        "    points = jnp.linspace(-1, 1, 40)[:, None]\n"
        "    return {'terms': {'data': lambda u, x: u(x) - jnp.sin(x[0])}, 'model': model, 'batch': {'data': points}}\n"
        "def wrong():\n"
        "    return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["diagnose", "mine_for_the_doctor:sound", "--steps", "300", "--strict"]) == 0
    assert "No pathology in 300 steps" in capsys.readouterr().out
    for target, message in [
        ("mine_for_the_doctor:wrong", "returned a int; expected a pinnjax.problems.Problem or the arguments"),
        ("mine_for_the_doctor:missing", "expected module:factory"),
        ("no_such_module:sound", "expected module:factory"),
        ("harmonik", "did you mean 'harmonic'"),
    ]:
        assert main(["diagnose", target]) == 2
        assert message in capsys.readouterr().err


MINE = """
import jax, jax.numpy as jnp, numpy as np, optax
import pinnjax as pj
from pinnjax.problems import Problem

T = np.linspace(0, 1, 9)[:, None]
POINTS = {"ode": T, "ic": T[:1]}
TERMS = {"ode": lambda u, t: {"rate": pj.diff(u, 0)(t) + u(t)}, "ic": lambda u, t: u(t) - 1.0}
SMALL = {"in_features": 1, "out_features": "scalar", "width": 4, "depth": 1}

def decay():
    return Problem(TERMS, POINTS, lambda t: jnp.exp(-t[0]), network=SMALL)

def unknown():
    return Problem(TERMS, lambda key: {"ode": jax.random.uniform(key, (9, 1)), "ic": jnp.zeros((1, 1))}, network=SMALL)

def arguments(**more):
    model = pj.nn.MLP(**SMALL, rngs=pj.nn.Rngs(0))
    return {"terms": TERMS, "model": model, "batch": POINTS, "optimizer": optax.sgd(1e-2), **more}

def drawn():
    sampler = pj.sampling.resample(lambda key: {"ode": jax.random.uniform(key, (9, 1))})
    return arguments(batch={"ic": POINTS["ic"]}, sampler=sampler, exact=lambda t: jnp.exp(-t[0]), steps=3)

def rolled():
    return Problem(TERMS, lambda key, points, dtype: POINTS)

def needs(something):
    return something

def incomplete():
    return arguments(batch=None)
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with a module of factories."""
    (tmp_path / "mine_to_race.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_race_takes_your_own_factory(mine, capsys):
    rules = ["--term-weights", "none,lr_annealing", "--point-weights", "residual_attention"]
    arguments = ["race", "mine_to_race:decay", "--steps", "4", "--seeds", "2", "--json", "race.json", "--out", "."]
    assert main([*arguments, *rules]) == 0
    assert "relative L2 error: decay" in capsys.readouterr().out
    record = json.loads(pathlib.Path("race.json").read_text())
    assert record["problem"] == "decay" and len(record["outcomes"]) == 2
    assert all(len(outcome["relative_l2"]) == 2 for outcome in record["outcomes"].values())
    for name in ("race_decay", "masks_decay_ode_rate", "masks_decay_ic"):
        assert matplotlib.image.imread(f"{name}.png").std() > 0.02, name


@pytest.mark.exhaustive
def test_without_a_reference_losses_are_raced_and_nothing_is_called_an_error(mine, capsys):
    once = ["mine_to_race:unknown", "--method", "plain", "--steps", "3", "--out", "."]
    assert main(["race", *once, "--json", "race.json"]) == 0
    shown = capsys.readouterr().out
    assert "sum of the losses at fresh points" in " ".join(shown.split())
    assert "relative L2" not in shown and "nan" not in shown.lower()
    outcome = json.loads(pathlib.Path("race.json").read_text())["outcomes"]["plain"]
    assert "relative_l2" not in outcome and np.isfinite(outcome["fresh_loss"]).all()
    assert main(["solve", *once, "--json", "solved.json"]) == 0
    shown = capsys.readouterr().out
    assert "relative L2" not in shown and "nan" not in shown.lower()
    record = json.loads(pathlib.Path("solved.json").read_text())
    assert "relative_l2" not in record and np.isfinite(record["fresh_loss"])


@pytest.mark.slow
def test_points_that_are_always_the_same_show_the_doctor_no_gap(mine, capsys):
    assert main(["diagnose", "mine_to_race:decay", "--steps", "4"]) == 0
    assert "train/test gap: no fresh points were given" in " ".join(capsys.readouterr().out.split())


@pytest.mark.exhaustive
def test_the_arguments_of_diagnose_can_be_raced(mine, capsys):
    assert main(["race", "mine_to_race:arguments", "--steps", "3", "--json", "race.json"]) == 0
    assert "1 seed, 3 steps" in capsys.readouterr().out
    outcomes = json.loads(pathlib.Path("race.json").read_text())["outcomes"]
    assert list(outcomes) == ["given", "balanced"] and len(outcomes["given"]["train_loss"]) == 1
    assert main(["race", "mine_to_race:drawn", "--seeds", "2", "--json", "race.json"]) == 0
    given = json.loads(pathlib.Path("race.json").read_text())["outcomes"]["given"]
    assert given["steps"][-1] == 3 and len(set(given["relative_l2"])) == 2  # other points, one network


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("mine_to_race:needs", "raises TypeError: needs() missing 1 required positional argument"),
        ("mine_to_race:rolled", "raises ValueError: Problem: points are missing; expected {term: number}"),
        ("mine_to_race:incomplete", "returned no points; expected batch={term: points}, or a sampler"),
        ("mine_to_race:T", "returned a ndarray; expected a pinnjax.problems.Problem or the arguments"),
        ("mine_to_race:POINTS", "returned a dict of ['ic', 'ode']; expected the arguments of pinnjax.diagnose"),
        ("mine_to_race:nothing", "expected module:factory"),
        ("mine_to_rase:decay", "No module named 'mine_to_rase'; expected module:factory"),
        ("decai", "problem is 'decai'; expected one of"),
    ],
)
def test_a_factory_that_is_none_is_one_sentence(target, message, mine, capsys):
    for command in ("race", "solve"):
        assert main([command, target]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and message in err, err


def test_seeds_that_would_be_alike_are_refused(mine, capsys):
    assert main(["race", "mine_to_race:arguments", "--seeds", "4"]) == 2
    assert "seeds is 4, but mine_to_race:arguments returns one model and its points" in capsys.readouterr().err


@pytest.fixture
def places(tmp_path):
    """Where nothing can be written, by what is said of it."""
    (tmp_path / "file").touch()
    return {
        "/proc/nowhere/x": "No such file or directory",
        str(tmp_path / "file" / "x"): "folder|directory",
        "/dev/full": "No space left on device|folder is wanted|Not a directory",
        str(tmp_path): "it is a folder",
        str(tmp_path / "file"): "folder is wanted|Not a directory",
        str(tmp_path / ("a" * 300)): "File name too long",
        "": "is empty",
    }


@pytest.mark.parametrize(
    ("command", "option"),
    [
        *((["solve", "tanh"], option) for option in ("--json", "--report", "--out", "--checkpoint")),
        *((["race", "tanh"], option) for option in ("--json", "--out")),
        (["diagnose", "tanh"], "--json"),
        (["bench", "step"], "--json"),
        (["reproduce", "tanh", "--quick"], "--out"),
        (["page", "loss_weights"], "--out"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_sentence_before_any_training(command, option, places, capsys):
    for place, why in places.items():
        a_file = option in ("--json", "--report") or command[0] == "page"
        fits = os.path.isfile if a_file else os.path.isdir
        if fits(place):
            continue
        assert main([*command, option, place]) == 2, place
        out, err = capsys.readouterr()
        assert re.fullmatch(f"pinnjax: {option} [^\n]*({why})[^\n]*\n", err), err
        assert out == ""


def test_what_can_be_written_is_left_as_it_was_by_the_look(tmp_path):
    old = tmp_path / "old.json"
    old.write_text("old")
    for place in (old, tmp_path / "new" / "x.json"):
        writing.try_places(argparse.Namespace(json=str(place)), files=("json",))
    assert old.read_text() == "old" and list((tmp_path / "new").iterdir()) == []


def full(*arguments, **options):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("command", "module", "writer"),
    [
        pytest.param(
            ["solve", "tanh", "--method", "plain", "--steps", "2", "--json"],
            writing,
            "write_json",
            marks=pytest.mark.slow,
        ),
        (["solve", "tanh", "--method", "plain", "--steps", "2", "--out"], pictures, "draw"),
        (["race", "tanh", "--term-weights", "none", "--steps", "2", "--seeds", "1", "--json"], writing, "write_json"),
        pytest.param(["diagnose", "tanh", "--steps", "2", "--json"], writing, "write_json", marks=pytest.mark.slow),
    ],
)
def test_a_disk_that_fills_up_in_a_run_loses_no_result(command, module, writer, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, writer, full)
    assert main([*command, str(tmp_path / "x")]) == 2
    out, err = capsys.readouterr()
    assert re.fullmatch("pinnjax: [^\n]*No space left on device; the results are on standard output\n", err)
    record = json.loads(out[out.index("\n{") :])
    assert {"solve": "relative_l2", "race": "outcomes", "diagnose": "checks"}[command[0]] in record


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("--term-weights=lr_annealing:every=two", "cannot be used here"),
        ("--term-weights=fixed:bc=1", "unknown terms"),
        ("--term-weights=fixed:data=abc", "abc"),
        ("--term-weights=ntk:nope=1", "does not take these options, nope=1"),
        ("--term-weights=ntk:every", "expected option=value"),
        ("--term-weights=", "expected"),
        ("--point-weights=causal:time=5", "does not take these options, time=5"),
        ("--point-weights=causal:epsilon=abc", "cannot be used here"),
        ("--point-weights=vrba:potential=3", "expected one of"),
        ("--seed=1000000000000000000000", "expected an integer of 32 bits"),
    ],
)
@pytest.mark.parametrize("command", ["solve", "race"])
def test_a_bad_option_is_one_sentence(command, rule, message, capsys):
    if command == "race" and rule.startswith("--seed"):
        return
    assert main([command, "tanh", "--steps", "2", rule]) == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and message in err, err
