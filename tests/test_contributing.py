"""CONTRIBUTING is true: its drawing is that of the imports, and its lists name the files that know a method."""

import pathlib
import pkgutil
import re

import pytest

from . import test_catalogue as catalogue
from .test_imports import drawing

ROOT = pathlib.Path(__file__).parent.parent
PAGE = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
CHANGELOG = (ROOT / ".github" / "CHANGELOG.md").read_text()
# What each list adds: the method that it tells to look at, and all of its kind.
KINDS = {
    "balancer": ("softadapt", catalogue.TERM_RULES),
    "point rule": ("residual_attention", catalogue.POINT_RULES),
    "optimiser": ("gauss_newton", catalogue.OPTIMIZERS),
    "problem": ("kdv", catalogue.PROBLEMS),
    "diagnostic": ("homogeneity", catalogue.MONITORS),
}
PLACES = r"`((?:pinnjax|tests|examples|notebooks|\.github|\.ci)/[\w./<>]*|README\.md|CITATION\.cff)`"
WORDS = {"notes"}  # quoted, and neither a path nor a name in a file


def steps(kind):
    """The numbered list, as text."""
    return re.split(f"## Add an? {kind}\n", PAGE)[1].split("\n## ")[0]


def files(text, example):
    """Files and folders that are named in it, those of the example for those of the new method."""
    return {path.replace("<name>", example) for path in re.findall(PLACES, text)}


def words(path):
    return set(re.findall(r"\w+", path.read_text())) if path.is_file() else set()


def test_it_draws_the_imports_as_they_are():
    assert f"```text\n{drawing()}\n```" in PAGE, f"expected in CONTRIBUTING:\n{drawing()}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_path_and_name_in_its_lists_exists(kind):
    """A name that is quoted, `RULES` or `TERM_WEIGHTS`, is one in a file that is named."""
    example, _ = KINDS[kind]
    named = files(steps(kind), example)
    assert not {path for path in named if not (ROOT / path).exists()}
    known = set().union(*(words(ROOT / path) for path in named))
    quoted = set(re.findall(r"`(\w+)`", steps(kind)))
    assert example in quoted
    assert quoted <= known | WORDS, quoted - known


def test_every_other_path_in_it_exists():
    assert not {path for path in files(PAGE, "<name>") if "<" not in path and not (ROOT / path).exists()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_that_lists_all_of_a_kind_is_in_its_list(kind):
    example, methods = KINDS[kind]
    everywhere = [*(ROOT / "pinnjax").rglob("*.py"), *(ROOT / "tests").glob("*.py"), *ROOT.glob("*.*")]
    complete = {str(path.relative_to(ROOT)) for path in everywhere if methods <= words(path)}
    assert complete, "nothing lists them"
    assert complete <= files(steps(kind), example), complete - files(steps(kind), example)


def test_the_new_names_in_the_changelog_are_there():
    rows = re.findall(r"^\| .* \| (.*) \|$", CHANGELOG, flags=re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`((?:pj|pinnjax)\.[\w.]+)`", row)}
    assert len(names) > 10
    for name in names:
        pkgutil.resolve_name(re.sub(r"^pj\.", "pinnjax.", name))


def test_the_workflow_runs_the_gate_and_the_readmes_test_line_and_commits_are_linted_as_there():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    gate = (ROOT / ".ci" / "run").read_text()
    assert "- run: .ci/run\n" in workflow
    line = 'pip install -e ".[test]" && pytest\n'
    assert f"- run: {line}" in workflow and line in (ROOT / "README.md").read_text()
    hooks = re.findall(r"entry: (ruff \w+|mypy)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert hooks == ["ruff check", "ruff format", "mypy"]
    assert all(re.search(rf"^{hook}\b", gate, flags=re.MULTILINE) for hook in hooks)
