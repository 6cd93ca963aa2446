"""Batches in processes of their own that are watched, so that one that is killed takes nobody with it.

The watcher computes nothing; it hands out batches one at a time to as many worker processes as there are shares of the
cores. A batch can end its process: out of memory (the system kills it), or a fault in a library. A fresh process tries
it once more, when no other process is at work; if that dies too, the batch is marked failed and the others go on. A
process that stops because it was told to, or because of the machine (a full disk), says so before it ends, and ends the
watch with its exit code. The code alone says nothing: what a batch runs can end the process with any.

    watcher → worker    numbers of batches on standard input, a line each; the end of it says that there are no more
    worker → watcher    number, seconds and programs compiled so far, a line for each batch that is stored, in a pipe;
                        at last ``ends`` and the exit code, where it ends on purpose
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tmepde._signals import exit_code, stops
from tmepde.sweep import store as stores
from tmepde.sweep.executors import slot
from tmepde.sweep.executors.base import Result

#: times that a batch may take its process with it
TRIES = 2
#: seconds that the start of a process takes (assumed): what is left must take longer for a second one to be worth it
START = 5.0
#: a worker that ends on purpose says so with this word
_ENDS = "ends"
#: starts the process that computes
COMMAND = (sys.executable, "-m", "tmepde.cli.worker")


def run(
    store: Path,
    batches: Sequence[int],
    *,
    processes: int = 1,
    patience: float = 0.0,
    grace: float = 50.0,
    tell: Callable[[str], None] = print,
    command: Sequence[str] = COMMAND,
) -> Result:
    """Run the batches, begun in order.

    Args:
        store: absolute path.
        batches: those that are pending.
        processes: at a time; each has an equal share of the cores, and a GPU to itself where there are several.
        patience: seconds that all but the first process wait; they are not started where the first batch took so
            little that the others would not take as long.
        grace: seconds that a running batch has to end after a signal (:func:`tmepde._signals.stops`).
        tell: called with a line for each batch, and when a process died.
        command: starts a worker; the store, ``grace``, the number of the pipe and the cores are added as arguments.
    """
    watch = _Watch(store, batches, grace, tell, command, patience)
    shares = slot.shares(max(1, min(processes, len(batches))))
    with _passed_on(watch):
        watch.together(list(enumerate(shares)))
        if watch.suspects and not watch.stopping:
            watch.waiting.extend(watch.suspects)
            watch.suspects.clear()
            watch.alone = True
            watch.together([(0, shares[0])])
    return watch.result()


class _Watch:
    """What is left, who is at work, and how it went.

    Attributes:
        waiting: batches that nobody has.
        suspects: batches that took a process with them, to be tried again by a process that is alone.
        told: signals that came.
        live: processes that run.
    """

    def __init__(
        self,
        store: Path,
        batches: Sequence[int],
        grace: float,
        tell: Callable[[str], None],
        command: Sequence[str],
        patience: float,
    ):
        self.store, self.batches, self.tell = store, list(batches), tell
        self.command, self.grace, self.patience = command, grace, patience
        self.waiting, self.suspects = deque(batches), list[int]()
        self.told, self.live = list[int](), list[subprocess.Popen[str]]()
        self.alone, self._code, self._done, self._compiled = False, 0, 0, 0
        self._deaths, self._failed = Counter[int](), dict[int, str]()
        self._error: BaseException | None = None
        self._lock, self._first, self._seconds = threading.Lock(), threading.Event(), 0.0

    @property
    def stopping(self) -> bool:
        """Nothing more is to be begun."""
        return bool(self.told or self._code or self._error)

    def together(self, shares: Sequence[tuple[int, tuple[int, ...]]]) -> None:
        """Workers, one a share of the cores, until all is done; Python takes signals meanwhile."""
        self.alone = self.alone or len(shares) == 1
        threads = [threading.Thread(target=self._guarded, args=share, daemon=True) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():  # a signal that comes as a wait begins is heard at its end
                thread.join(1.0)
        if self._error is not None:
            raise self._error

    def result(self) -> Result:
        """What is stored, what failed, and the exit code where it was stopped."""
        pending = set(stores.pending(self.store))
        found = Result([b for b in self.batches if b not in pending], self._failed, compiled=self._compiled)
        if self.stopping and pending & set(self.batches) - set(self._failed):
            number = self.told[0] if self.told else signal.SIGUSR1
            found.stopped = self._code or exit_code(number)
        return found

    def _guarded(self, number: int, cores: tuple[int, ...]) -> None:
        try:
            if number and self.patience:
                self._first.wait(self.patience)
                if self._first.is_set() and len(self.waiting) * self._seconds < START:
                    return
            self._serve(number, cores)
        except BaseException as error:  # raised by the caller's thread
            self._error = self._error or error
        finally:
            self._first.set()

    def _serve(self, number: int, cores: tuple[int, ...]) -> None:
        """Processes one after another, each until nothing is left or it dies."""
        while (batch := self._take()) is not None:
            code, meant, at = self._process(number, cores, batch)
            if at is None or at not in stores.pending(self.store):
                continue
            if self.stopping or meant is not None:  # told to, or by an error that the other batches would meet too
                self._code = self._code or meant or (0 if self.told else 75)
                return
            self._died(at, f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}")

    def _take(self) -> int | None:
        with self._lock:
            return self.waiting.popleft() if self.waiting and not self.stopping else None

    def _died(self, at: int, how: str) -> None:
        self._deaths[at] += 1
        last = self._deaths[at] == TRIES
        self.tell(f"batch {at}: its process {how}" + ("" if last else "; once more"))
        if last:
            self._failed[at] = f"its process {how}, twice" + (" (out of memory?)" if "killed" in how else "")
        elif self.alone:
            self.waiting.appendleft(at)
        else:
            self.suspects.append(at)

    def _process(self, number: int, cores: tuple[int, ...], batch: int) -> tuple[int, int | None, int | None]:
        """Exit code of one process (-n: killed by signal n), the one it said it would end with, and the batch that it
        had then."""
        reports, end = os.pipe()
        words = [*self.command, str(self.store), str(self.grace), str(end), ",".join(map(str, cores))]
        try:
            with _held_back():
                process = subprocess.Popen(
                    words, stdin=subprocess.PIPE, text=True, pass_fds=(end,), env=slot.environment(number)
                )
        except BaseException:
            os.close(reports)
            raise
        finally:
            os.close(end)
        self.live.append(process)
        if self.told:  # before it was among those that are told
            process.send_signal(self.told[-1])
        at: int | None = batch
        meant: int | None = None
        compiled = 0
        _hand(process, at)
        with os.fdopen(reports) as lines:
            for line in lines:  # they end with the process
                words = line.split()
                if words[0] == _ENDS:
                    meant = int(words[1])
                    continue
                index, seconds, compiled = int(words[0]), float(words[1]), int(words[2])
                self._stored(index, seconds)
                at = self._take()
                _hand(process, at)
        code = process.wait()
        self.live.remove(process)
        with self._lock:
            self._compiled += compiled
        return code, meant, at

    def _stored(self, index: int, seconds: float) -> None:
        with self._lock:
            self._done, self._seconds = self._done + 1, seconds
            left = len(self.batches) - self._done - len(self._failed)
        self._first.set()
        self.tell(f"batch {index} done in {seconds:.1f} s, {left} left")


@contextmanager
def _held_back() -> Iterator[None]:
    """What is started inside hears no Ctrl-C before it listens (:func:`tmepde.sweep.executors.task.run_until_told`): a
    terminal tells all processes, and one that is still importing would end with a traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _hand(process: subprocess.Popen[str], batch: int | None) -> None:
    """Give a process a batch, or tell it that there are no more; if it is dead its code will say so."""
    assert process.stdin is not None
    try:
        if batch is None:
            process.stdin.close()
        else:
            process.stdin.write(f"{batch}\n")
            process.stdin.flush()
    except BrokenPipeError:
        pass


@contextmanager
def _passed_on(watch: _Watch) -> Iterator[None]:
    """While this lasts, what we are told goes to all processes."""

    def hand(number: int, _: object) -> None:
        watch.told.append(number)
        for process in tuple(watch.live):
            process.send_signal(number)

    before: dict[int, Any] = {number: signal.signal(number, hand) for number in stops()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def work(store: Path, batches: Iterator[int], grace: float, reports: int) -> int:
    """What the watched process does; returns its exit code.

    Raises:
        OSError, MemoryError, StoreError: of the machine; the rest stays pending.
        RuntimeError: of code that a config names, which tried to end the process.
    """
    import time

    from tmepde.sweep.counter import Compilations
    from tmepde.sweep.engine import run_batch
    from tmepde.sweep.executors.task import run_until_told, wall_time_ends

    watcher, counter = os.getppid(), Compilations()

    def one(index: int) -> None:
        if os.getppid() != watcher:
            raise InterruptedError("The command that started this process is gone. Go on with --resume.")
        began = time.monotonic()
        try:
            run_batch(store, index)
        except (SystemExit, KeyboardInterrupt) as error:  # no signal comes to this thread
            raise RuntimeError(f"What batch {index} runs raised {type(error).__name__}: {error}") from error
        os.write(reports, f"{index} {time.monotonic() - began:.3f} {counter.programs}\n".encode())

    def leave(code: int) -> None:
        say_end(reports, code)
        os._exit(code)

    return run_until_told(batches, one, grace, wall_time_ends(), tell=_quiet, leave=leave).code


def say_end(reports: int, code: int) -> None:
    """Tell the watcher that this process ends on purpose."""
    with suppress(OSError):  # nobody is left to be told
        os.write(reports, f"{_ENDS} {code}\n".encode())


def _quiet(line: str) -> None:
    """The watcher says what is done; the end of a batch that was dropped is said by its exit code."""
