"""When a run ends before its end: signals and a known wall time.

SIGINT, SIGTERM, SIGHUP (a terminal that is closed) and SIGUSR1 (a scheduler's warning) let the steps under way finish,
commit and exit with 130, 143, 129 or 75; a second SIGINT ends at once. While the program is being compiled Python hears
no signal; there is nothing to commit then, and a thread ends the process :data:`PATIENCE` seconds after it. A wall
time, given or SLURM's (``SLURM_JOB_END_TIME``), ends the run in time with 75.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from tmepde._signals import stops
from tmepde.cli import interrupts
from tmepde.cli.exits import HUNG_UP, INTERRUPTED, PREEMPTED, TERMINATED

_CODES = {"SIGINT": INTERRUPTED, "SIGTERM": TERMINATED, "SIGHUP": HUNG_UP, "SIGUSR1": PREEMPTED}
#: seconds before the end of the wall time, for the steps under way and the last commit
MARGIN = 60.0
#: seconds that a compilation may go on after a signal
PATIENCE = 8.0


class Stopping:
    """A context manager that catches signals; called, it says whether to stop.

    Attributes:
        reason: why, in words; empty while there is none.
        code: the exit code that goes with it.
    """

    def __init__(self, walltime: float | None = None):
        self.reason, self.code = "", 0
        self._deadline = _deadline(walltime)
        self._before: dict[Any, Any] = {}
        self._pipe: tuple[int, int] | None = None
        self._computing = threading.Event()

    def __enter__(self) -> Stopping:
        interrupts.heed()
        if threading.current_thread() is threading.main_thread():
            for number in stops():
                self._before[number] = signal.signal(number, self._heard)
            self._pipe = os.pipe()
            os.set_blocking(self._pipe[1], False)
            signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
            threading.Thread(target=self._watch, args=self._pipe[:1], name="tmepde-signals", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._pipe is not None:
            signal.set_wakeup_fd(-1)
            self._computing.set()
            os.close(self._pipe[1])  # ends the thread

    def computing(self) -> None:
        """Compilation is over: from now on signals are heard between steps."""
        self._computing.set()

    def _watch(self, source: int) -> None:
        """Hears signals while the main thread is inside the compiler."""
        codes = {int(number): _CODES[number.name] for number in self._before}
        while heard := os.read(source, 1):
            if heard[0] in codes and not self._computing.wait(PATIENCE):
                os._exit(codes[heard[0]])
        os.close(source)

    def __call__(self) -> bool:
        if not self.reason and self._deadline is not None and time.monotonic() >= self._deadline:
            self.reason, self.code = "the wall time is nearly over", PREEMPTED
        return bool(self.reason)

    def _heard(self, number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.reason and name == "SIGINT":
            raise KeyboardInterrupt
        self.reason, self.code = name, _CODES[name]
        print(
            f"{name}: the steps under way are finished and committed. Once more Ctrl-C ends at once.", file=sys.stderr
        )


def _deadline(walltime: float | None) -> float | None:
    """By the monotonic clock, the margin (at most a tenth) taken off; ``None`` without a limit."""
    left = [] if walltime is None else [walltime]
    try:
        left.append(float(os.environ["SLURM_JOB_END_TIME"]) - time.time())
    except (KeyError, ValueError):
        pass
    if not left:
        return None
    return time.monotonic() + min(left) - min(MARGIN, 0.1 * max(min(left), 0.0))
