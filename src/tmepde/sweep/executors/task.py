"""Batches one after another in this process, until all are done or the machine says stop.

The batches run in a thread, so that the main thread, which is the one that Python wakes for signals, is never inside a
compiled program. Told to stop, it lets the batch that is running end if it can within ``grace`` seconds, and begins no
other. A batch that cannot is dropped, together with the process: it leaves the store as a killed process would, with
the batch pending.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tmepde._signals import exit_code, stops

#: exit codes: in :mod:`tmepde.cli.exits` the same
PREEMPTED = 75


@dataclass
class Outcome:
    """What became of the batches."""

    done: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    signal: int = 0
    error: BaseException | None = None

    @property
    def code(self) -> int:
        """0 all done, 75 stopped by USR1 or before the end of the wall time, 128 + n stopped by signal n."""
        if not self.left:
            return 0
        return exit_code(self.signal) if self.signal else PREEMPTED


def run_until_told(
    batches: Iterable[int],
    run: Callable[[int], object],
    grace: float = 50.0,
    ends: float | None = None,
    tell: Callable[[str], None] | None = None,
    leave: Callable[[int], object] = os._exit,
) -> Outcome:
    """Run ``run(batch)`` for each, in order, until a signal (:func:`tmepde._signals.stops`).

    Args:
        batches: numbers of the batches, all at once or as they come.
        run: computes and stores one of them; it must leave it pending when killed.
        grace: seconds that a running batch has after a signal. Then the process exits with the code, at once.
        ends: Unix time at which the machine is taken away; no batch is begun that would not end before it, going by
            the longest so far.
        tell: called with a line after each batch.
        leave: ends the process, with the code, where a batch does not end within ``grace``.

    Raises:
        BaseException: what ``run`` raised.
    """
    outcome = Outcome(left=list(batches) if isinstance(batches, Sequence) else [])
    stop = threading.Event()
    tell = tell or (lambda line: print(line, flush=True))

    def work() -> None:
        longest = 0.0
        for batch in batches:
            if batch not in outcome.left:  # it has just come
                outcome.left.append(batch)
            if stop.is_set() or (ends is not None and time.time() + 1.2 * longest >= ends):
                return
            began = time.monotonic()
            try:
                run(batch)
            except BaseException as error:  # handed to the caller's thread
                outcome.error = error
                return
            longest = max(longest, time.monotonic() - began)
            outcome.left.remove(batch)
            outcome.done.append(batch)
            tell(f"batch {batch} done in {time.monotonic() - began:.1f} s, {len(outcome.left)} left")

    def told(number: int, _: object) -> None:
        outcome.signal = outcome.signal or number
        stop.set()

    before: dict[int, Any] = {number: signal.signal(number, told) for number in stops()}
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, before)  # one that was held back since the process began comes now
    try:
        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        while worker.is_alive() and not stop.is_set():
            worker.join(0.2)
        worker.join(grace if stop.is_set() else None)
        if worker.is_alive():
            tell(f"stopped by {signal.Signals(outcome.signal).name}, {len(outcome.left)} batches left")
            sys.stdout.flush()
            sys.stderr.flush()
            leave(outcome.code)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if outcome.error is not None:
        raise outcome.error
    return outcome


def wall_time_ends() -> float | None:
    """When SLURM takes the machine away, as Unix time, where it says so."""
    text = os.environ.get("SLURM_JOB_END_TIME", "")
    return float(text) if text.isdigit() else None
