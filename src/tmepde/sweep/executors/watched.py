"""Batches in a process of their own that is watched, so that one that is killed takes nobody with it.

A batch can end its process: out of memory (the system kills it), or a fault in a library. The watcher holds nothing and
computes nothing; it starts a fresh process, which tries the batch once more. If that dies at the same batch, the batch
is marked failed and the next fresh process goes on behind it. A process that stops because it was told to, or because
of the machine (a full disk), ends the watch with its exit code.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tmepde.sweep import store as stores
from tmepde.sweep.executors.base import Result

#: times that a batch may take its process with it
TRIES = 2
#: starts the process that computes
COMMAND = (sys.executable, "-m", "tmepde.cli.worker")
_TOLD = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)


def run(
    store: Path,
    batches: Sequence[int],
    *,
    grace: float = 50.0,
    tell: Callable[[str], None] = print,
    command: Sequence[str] = COMMAND,
) -> Result:
    """Run the batches, in order.

    Args:
        store: absolute path.
        batches: those that are pending.
        grace: seconds that a running batch has to end after SIGUSR1, SIGTERM or SIGINT.
        tell: called with a line when a process died.
        command: starts a process that reads the numbers of its batches, and obeys ``grace`` and the store as arguments.
    """
    result, deaths, left = Result(), Counter[int](), list(batches)
    while left:
        code, told = _process([*command, str(store), str(grace)], left)
        pending = set(stores.pending(store))
        result.done += [b for b in left if b not in pending]
        left = [b for b in left if b in pending]
        if not left:
            break
        if told or code >= 0:  # it stopped by itself: told to, or by an error that the other batches would meet too
            result.stopped = code if code > 0 else 128 - code if code < 0 else 75
            break
        at, name = left[0], signal.Signals(-code).name
        deaths[at] += 1
        tell(f"batch {at}: its process was killed by {name}" + ("" if deaths[at] == TRIES else "; once more"))
        if deaths[at] == TRIES:
            result.failed[at] = f"its process was killed twice, by {name} (out of memory?)"
            left.remove(at)
    return result


def _process(words: Sequence[str], batches: Sequence[int]) -> tuple[int, bool]:
    """Exit code of one process (-n: killed by signal n), and whether somebody told us to stop meanwhile."""
    process = subprocess.Popen(words, stdin=subprocess.PIPE, text=True)
    with _passed_on(process) as told:
        try:
            assert process.stdin is not None
            process.stdin.write(" ".join(map(str, batches)))
            process.stdin.close()
        except BrokenPipeError:
            pass  # it died at its start, which its code says
        while True:
            try:
                return process.wait(), bool(told)
            except KeyboardInterrupt:
                continue


@contextmanager
def _passed_on(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """While this lasts, what we are told goes to ``process``."""
    told: list[int] = []

    def hand(number: int, _: object) -> None:
        told.append(number)
        process.send_signal(number)

    before: dict[int, Any] = {number: signal.signal(number, hand) for number in _TOLD}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def work(store: Path, batches: Sequence[int], grace: float) -> int:
    """What the watched process does; returns its exit code.

    Raises:
        OSError, MemoryError, StoreError: of the machine; the rest stays pending.
    """
    from tmepde.sweep.engine import run_batch
    from tmepde.sweep.executors.task import run_until_told, wall_time_ends

    watcher = os.getppid()

    def one(index: int) -> None:
        if os.getppid() != watcher:
            raise InterruptedError("The command that started this process is gone. Go on with --resume.")
        run_batch(store, index)

    return run_until_told(batches, one, grace, wall_time_ends()).code
