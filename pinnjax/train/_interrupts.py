"""Ctrl-C, and the signal that a machine is wanted back, while a run goes on."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

TERMINATED = 128 + signal.SIGTERM  # the exit code of a run that was asked to end, as shells have it


class Interrupts:
    """What came since the run began; true of it when called: whether the run is to end after this call."""

    def __init__(self, agreed: Callable[[bool], bool]) -> None:
        self.came: set[int] = set()
        self.agreed = agreed

    def __call__(self) -> bool:
        """Whether one came."""
        return self.agreed(bool(self.came))

    def terminated(self) -> bool:
        """Whether the process is to end."""
        return self.agreed(signal.SIGTERM in self.came)


@contextlib.contextmanager
def held_back(terminations: bool, agreed: Callable[[bool], bool]) -> Iterator[Interrupts]:
    """Hold Ctrl-C back until a call of the program has ended, when nothing is lost; yields whether it came.

    Only Python's own reactions are replaced: where signals are ignored or handled by somebody else, they still are.

    Args:
        terminations: hold SIGTERM back, too, which a run does that has somewhere to save.
        agreed: whether a flag is up in any process of the run.
    """
    interrupts = Interrupts(agreed)

    def note(number: int, frame: Any) -> None:
        if number == signal.SIGINT and number in interrupts.came:
            raise KeyboardInterrupt
        interrupts.came.add(number)

    in_main = threading.current_thread() is threading.main_thread()
    own = {signal.SIGINT: signal.default_int_handler} | ({signal.SIGTERM: signal.SIG_DFL} if terminations else {})
    ours = {number: usual for number, usual in own.items() if in_main and signal.getsignal(number) is usual}
    for number in ours:
        signal.signal(number, note)
    try:
        yield interrupts
    finally:
        for number, usual in ours.items():
            signal.signal(number, usual)
