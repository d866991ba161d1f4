"""Notebooks: source and executed file say the same, and each asserts its claims. `.ci/run` executes them."""

import json
import pathlib
import re

import pytest

FOLDER = pathlib.Path(__file__).parent.parent / "notebooks"
SOURCES = sorted(FOLDER.glob("*.py"))


def cells(path):
    """`(kind, text)` of each cell of a source in jupytext's percent format."""
    for chunk in path.read_text().split("# %%")[1:]:
        head, _, body = chunk.partition("\n")
        if "[markdown]" in head:
            lines = [line.removeprefix("#").removeprefix(" ") for line in body.strip().splitlines()]
            yield "markdown", "\n".join(lines)
        else:
            yield "code", body.strip()


def test_there_are_notebooks():
    assert len(SOURCES) >= 6


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_source_and_notebook_say_the_same(path):
    notebook = json.loads(path.with_suffix(".ipynb").read_text())
    found = [(cell["cell_type"], "".join(cell["source"]).strip()) for cell in notebook["cells"]]
    assert found == list(cells(path))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_it_was_executed_to_the_end_and_has_pictures(path):
    notebook = json.loads(path.with_suffix(".ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not any(output["output_type"] == "error" for output in outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    assert path.with_suffix(".ipynb").stat().st_size < 600_000


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_it_asks_one_question_and_asserts_its_claims(path):
    kinds = [kind for kind, _ in cells(path)]
    code = "\n".join(text for kind, text in cells(path) if kind == "code")
    words = "\n".join(text for kind, text in cells(path) if kind == "markdown")
    assert kinds.count("code") <= 12
    assert code.count("assert ") >= 3
    assert "?" in words and "## What to change" in words and "Reference" in words


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_its_links_to_files_are_good(path):
    words = "\n".join(text for kind, text in cells(path) if kind == "markdown")
    for target in re.findall(r"\]\(([^)#:]+)\)", words):
        assert (FOLDER / target).exists(), target
