"""``python -m tmepde.cli.worker STORE GRACE PIPE CORES``: batches, numbered on standard input, for one who watches."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def main() -> None:
    """Entry point; exits with the codes of :mod:`tmepde.cli.exits`."""
    store, grace, pipe, cores = sys.argv[1:5]
    if cores and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):  # before anything counts them
            os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    from tmepde.cli.exits import guarded
    from tmepde.sweep.executors.watched import say_end, work

    try:
        guarded(lambda: work(Path(store), _given(), float(grace), int(pipe)))
    except SystemExit as stop:  # what nobody knows is raised as it is: a fault of the batch
        say_end(int(pipe), int(stop.code or 0))
        raise


def _given() -> Iterator[int]:
    for line in sys.stdin:
        yield int(line)


if __name__ == "__main__":
    main()
