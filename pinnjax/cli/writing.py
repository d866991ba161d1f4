"""Where the command line writes: places are tried before a run, and no result is lost where one fails after it."""

import argparse
import contextlib
import json
import os
import pathlib
import stat
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any


def try_places(options: argparse.Namespace, *, files: Sequence[str] = (), folders: Sequence[str] = ()) -> None:
    """Make the folders that these options need, and write a little into each place; ValueError names the first bad one.

    Args:
        options: of the command line.
        files: names of options that are files to write.
        folders: names of options that are folders to write into.
    """
    for name in (*files, *folders):
        place = getattr(options, name)
        if place is None:
            continue
        if not place:
            raise ValueError(f"--{name} is empty; expected a {'file' if name in files else 'folder'} to write")
        with _blamed(name, place):
            path = pathlib.Path(place).absolute()
            if name in folders:
                path.mkdir(parents=True, exist_ok=True)
                _try_folder(path)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                _try_file(path)


class Results:
    """What a run writes along its way: a failure is kept for the end, since it must not end the run.

    Attributes:
        failures: a sentence each.
    """

    def __init__(self) -> None:
        self.failures: list[str] = []

    @contextlib.contextmanager
    def write(self, option: str, place: str) -> Iterator[None]:
        """Note that a place cannot be written."""
        try:
            with _blamed(option, place):
                yield
        except ValueError as error:
            self.failures += [] if str(error) in self.failures else [str(error)]

    def end(self, record: Any) -> None:
        """Print the results where writing failed, and raise what failed."""
        if self.failures:
            print(json.dumps(record, indent=2, default=float))
            raise ValueError("; ".join(self.failures) + "; the results are on standard output")


def write_json(place: str, record: Any) -> None:
    """Write a record as JSON; a regular file whole or not at all."""
    text, path = json.dumps(record, indent=2, default=float) + "\n", pathlib.Path(place)
    if path.exists() and not path.is_file():  # /dev/stdout
        path.write_text(text)
        return
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def reason(error: OSError) -> str:
    """Why, in the system's words."""
    if isinstance(error, FileExistsError):
        return "there is a file where a folder is wanted"
    return error.strerror or str(error)


@contextlib.contextmanager
def _blamed(option: str, place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(f"--{option} {place} cannot be written: {reason(error)}") from error


def _try_folder(path: pathlib.Path) -> None:
    with tempfile.TemporaryFile(dir=path) as file:
        file.write(bytes(4096))


def _try_file(path: pathlib.Path) -> None:
    if not path.exists():
        _try_folder(path.parent)
        path.touch()  # a name that is too long
        path.unlink()
        return
    if path.is_dir():
        raise IsADirectoryError(0, "it is a folder")
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
            os.write(descriptor, b"\n")  # /dev/full
    finally:
        os.close(descriptor)
    if path.is_file():
        _try_folder(path.parent)
