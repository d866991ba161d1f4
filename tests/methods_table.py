"""The README's table of methods, made of the docstrings' first lines: `python -m tests.methods_table` writes it."""

import itertools
import pathlib
import re

from pinnjax.cli import methods

README = pathlib.Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- methods: python -m tests.methods_table -->\n", "<!-- end of methods -->\n"


def table():
    """Two methods a row, down the left column and then down the right one."""
    lines = ["| | | | |", "|---|---|---|---|"]
    for space, (module, _) in methods.SPACES.items():
        lines.append(f"| **{space}** | `pj.{module.__name__.removeprefix('pinnjax.')}` | | |")
        cells = [f"`{name}` | {summary.removesuffix('.')}" for name, summary in methods.summaries(space).items()]
        half = (len(cells) + 1) // 2
        pairs = itertools.zip_longest(cells[:half], cells[half:], fillvalue=" | ")
        lines += [f"| {left} | {right} |" for left, right in pairs]
    return "\n".join(lines) + "\n"


def split(text):
    """What stands before the table, the table, and what stands after it."""
    before, rest = text.split(BEGIN)
    found, after = rest.split(END)
    return before, found, after


def named(space):
    """The names of a space's methods in the table as it stands in the README."""
    _, found, _ = split(README.read_text())
    rows = found.split(f"**{space}**")[1].split("**")[0]
    return {name for row in rows.splitlines()[1:] for name in re.findall(r"\| `(\w+)` \|", row)}


if __name__ == "__main__":
    before, _, after = split(README.read_text())
    README.write_text(before + BEGIN + table() + END + after)
