"""The command line: `pinnjax list`, `pinnjax solve PROBLEM`, `pinnjax bench WHAT`."""

from pinnjax.cli.main import main

__all__ = ["main"]
