"""The README's promises: its code runs, its two lines are there, its links point at files."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_its_python_runs_from_top_to_bottom():
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) >= 3
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert float(names["error"]) < 0.05


def test_two_lines_do_all_set_up():
    assert "pip install -e . && pinnjax solve helmholtz\n" in README
    assert 'pip install -e ".[test]" && pytest\n' in README


def test_its_links_to_files_are_good():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
