"""Signals while others compute: the first lets what is under way end, the second ends at once.

A terminal tells all processes of a command. Workers of dask would end in the middle of a batch, so they are made deaf
to it (:func:`deaf`).
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType
from typing import Any

from tmepde._signals import exit_code, stops
from tmepde.sweep.executors.base import Result

#: signals that a terminal or a scheduler sends to every process of a command; SIGTERM is how dask ends its own
_SENT_TO_ALL = ("SIGINT", "SIGHUP", "SIGUSR1")
#: seconds that batches under way have to end
GRACE = 50.0


class Told:
    """A context manager that remembers signals (:func:`tmepde._signals.stops`).

    Attributes:
        signal: the first that came; 0 while there is none.
    """

    def __init__(self) -> None:
        self.signal, self._count, self._since = 0, 0, 0.0
        self._before: dict[Any, Any] = {}

    def __enter__(self) -> Told:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._heard) for number in stops()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return bool(self.signal)

    @property
    def code(self) -> int:
        """The exit code; 0 while there is no signal."""
        return exit_code(self.signal) if self.signal else 0

    @property
    def late(self) -> bool:
        """Whether what is under way has had its time."""
        return bool(self.signal) and time.monotonic() - self._since > GRACE

    def _heard(self, number: int, _: FrameType | None) -> None:
        self._count += 1
        if self._count == 1:
            self.signal, self._since = number, time.monotonic()
            name = signal.Signals(number).name
            print(f"{name}: batches under way have {GRACE:.0f} s to end. Once more ends at once.", file=sys.stderr)
        elif self._count == 2:  # further ones leave the clearing up alone
            raise KeyboardInterrupt


def until_told(run: Callable[[Told], Result]) -> Result:
    """What ``run`` gives, which looks at what it is handed; with the exit code only where it was ended at once."""
    with Told() as told:
        try:
            return run(told)
        except KeyboardInterrupt:
            if not told:
                raise
            return Result(stopped=told.code)


@contextmanager
def deaf() -> Iterator[None]:
    """Threads that are started inside, and processes that those start, do not hear what is sent to all of them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    numbers = [getattr(signal, name) for name in _SENT_TO_ALL]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        resource_tracker.ensure_running()  # of all processes; its start makes this thread hear again
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
