"""The README's promises: its code runs as a stranger would run it, its commands, links and tables are right."""

import contextlib
import importlib
import io
import pathlib
import re
import runpy
import shlex

import jax
import optax
import pytest

import pinnjax as pj
from pinnjax.cli import catalogue
from pinnjax.cli.main import parser

from . import methods_table

pytestmark = pytest.mark.usefixtures("quick_compilation")

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
CELL = re.compile(r"(?<!\\)\|")  # a bar that is not part of a name
CHOOSER = [
    [cell.strip().replace(r"\|", "|") for cell in CELL.split(line)[1:-1]]
    for line in README.split("| symptom |")[1].split("\n\n")[0].splitlines()[2:]
]
SPAN = re.compile(r"`([^`]+)`")


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What is defined after the first block has run as a file, and the second one behind it."""
    path = tmp_path_factory.mktemp("readme") / "poisson.py"
    path.write_text(BLOCKS[0])
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        found = runpy.run_path(str(path), run_name="__main__")
    exec(compile(BLOCKS[1], "README.md", "exec"), found)
    return found | {"printed": printed.getvalue()}


def test_it_is_short():
    assert len(README.splitlines()) <= 150


def test_its_fifteen_lines_solve_the_equation(names):
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) == 15
    error = float(names["printed"].removeprefix("relative L2 error "))
    assert error < 5e-3
    assert {"grad_norm/bc", "loss/pde", "weight/bc"} <= set(names["history"])


def arguments(change, names):
    """`{argument: value}` of a change that reads `argument=code`."""
    argument, _, code = change.partition("=")
    assert code, f"{change} is not an argument"
    return argument, eval(code, dict(names))


@pytest.mark.slow
@pytest.mark.parametrize("symptom, measure, change", CHOOSER, ids=[row[0] for row in CHOOSER])
def test_what_it_measures_is_measured_and_each_change_of_a_line_trains(symptom, measure, change, names):
    """The step is traced, not compiled: a wrong name, argument or shape fails."""
    measured = SPAN.findall(measure)
    monitors = [eval(code, dict(names)) for code in measured if code.startswith("pj.")]
    changes = SPAN.findall(change)
    assert changes
    for option, value in (arguments(code, names) for code in changes):
        options = {"optimizer": optax.adam(1e-3), "monitors": monitors}
        model = names["model"]
        if option == "inputs":
            model = pj.nn.MLP(
                getattr(value, "features", 1), "scalar", width=4, depth=1, inputs=value, rngs=pj.nn.Rngs(0)
            )
        elif option == "model":
            model = value
        else:
            options[option] = value
        train = pj.train_step(names["terms"], **options)
        batch = names["batch"]
        if option == "sampler":
            batch = {term: batch[term] for term in batch if term not in value.pool(value.init(jax.random.key(0)))}
        state = train.init(model, batch, key=jax.random.key(0) if option == "sampler" else None)
        _, metrics = jax.eval_shape(train.update, state, batch)
        assert {name for name in measured if not name.startswith("pj.")} <= set(metrics), symptom


@pytest.mark.slow
def test_the_doctor_takes_what_the_readme_gives_it(names):
    (code,) = re.findall(r"`print\((pj\.diagnose\(.*?\))\)`", README)
    found = eval(code.removesuffix(")") + ", steps=20)", dict(names))
    assert isinstance(found, pj.Diagnosis)


def test_its_line_for_float64_gives_float64(x64):
    (line,) = re.findall(r"# for float64: (jax\.config\.update\(.*?\))", README)
    jax.config.update("jax_enable_x64", False)
    exec(line)
    train = pj.train_step({"bc": lambda u, x: u(x)}, optax.sgd(0.1))
    batch = {"bc": jax.numpy.zeros((1, 1))}
    state = train.init(pj.nn.MLP(1, "scalar", width=4, depth=1, rngs=pj.nn.Rngs(0)), batch)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state.params)} == {"float64"}


def test_two_lines_do_all_set_up():
    assert "\npip install -e . && pinnjax solve helmholtz\n" in README
    assert '\npip install -e ".[test]" && pytest\n' in README


def test_its_table_of_methods_is_made_of_the_docstrings():
    _, found, _ = methods_table.split(README)
    assert found == methods_table.table(), "run python -m tests.methods_table"


def test_its_commands_are_understood(capsys):
    commands = re.findall(r"`(pinnjax [^`]+)`", README) + re.findall(r"&& (pinnjax .*)\n", README)
    assert len(commands) >= 6
    for command in commands:
        words = shlex.split(command)[1:]
        if words == ["list"] or len(words) > 1:
            options = parser().parse_args(words)
            importlib.import_module(f"pinnjax.cli.{options.module}")
            yours = "mine:equation"  # of the file that `pinnjax new mine` writes
            assert words[0] != "solve" or options.problem in [*catalogue.PROBLEMS, yours], command
        else:
            with pytest.raises(SystemExit, match="0"):
                parser().parse_args([*words, "--help"])
    capsys.readouterr()


def test_its_links_to_files_are_good():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_name_of_pinnjax_in_it_exists():
    for path in set(re.findall(r"\bpj((?:\.\w+)+)", README)):
        found = pj
        for name in path.split(".")[1:]:
            found = getattr(found, name)
