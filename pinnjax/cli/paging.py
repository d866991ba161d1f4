"""`pinnjax page`."""

import argparse
import pathlib

import rich.console

from pinnjax.cli import choosing, pages, writing


def run(options: argparse.Namespace) -> int:
    """Train what a page shows, and write it as one HTML file."""
    make = choosing.look_up("page", options.page, pages.PAGES)
    options.out = f"{options.page}.html" if options.out is None else options.out
    writing.try_places(options, files=("out",))
    page = make(options.quick)
    pathlib.Path(options.out).write_text(pages.written(page), encoding="utf-8")
    console = rich.console.Console()
    for said, (holds, numbers) in page.claims.items():
        word = "[green]holds[/green]" if holds else "[red]does not hold[/red]"
        console.print(f"  {word}  {said}: {numbers}", soft_wrap=True)
    console.print(f"{page.title}: {options.out}", soft_wrap=True)
    return 0
