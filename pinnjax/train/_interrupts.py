"""Ctrl-C while a run goes on."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def held_back() -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C back until a call of the program has ended, when nothing is lost; yields whether it came.

    Only Python's own reaction is replaced: where interrupts are ignored or handled by somebody else, they still are.
    """
    came = threading.Event()

    def note(number: int, frame: Any) -> None:
        if came.is_set():
            raise KeyboardInterrupt
        came.set()

    in_main = threading.current_thread() is threading.main_thread()
    ours = in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield came.is_set
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
