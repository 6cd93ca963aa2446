"""Processes of ``tmepde`` that start fast, so that hundreds can be killed: forks of one that has only imported things.

    with Zygote(environment) as zygote:
        code, told = zygote.run(["run", "a.toml", "-o", "a.zarr"], kill=120)     # SIGKILL at the 120th file operation
        code, told = zygote.run(["run", "a.toml", "-o", "a.zarr"], after=1.5)    # SIGKILL after 1.5 s
        code, told = zygote.run(["a.zarr"], small=True)                          # of small.py instead
        told["first"], told["last"]                                              # rows: (scenario, index) or None

The parent of the forks has one thread, no device, no array, no traced and no compiled program, which it makes sure of
before every fork: a fork is what ``python -m tmepde.cli`` is once its imports are done, and it ends as that one does.
A fork is a process of its own, with its own number in the lock, and SIGKILL takes it with all its threads.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
#: numpy's and scipy's linear algebra starts its threads when it is imported
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Zygote:
    """The client: a context manager that starts the parent of the forks and ends it."""

    def __init__(self, environment: dict[str, str] | None = None):
        self.environment = environment

    def __enter__(self) -> Zygote:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "zygote.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**(self.environment or os.environ), **ONE_THREAD},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=60)

    def run(
        self, arguments: list[str], kill: int = 10**9, after: float | None = None, small: bool = False
    ) -> tuple[int, dict[str, Any]]:
        """Exit code (−9 if killed) of ``tmepde ARGUMENTS``; ``operations`` on files, ``seconds``, ``stderr``, and the
        ``first`` and ``last`` row that it had computed."""
        assert self.process.stdin is not None and self.process.stdout is not None
        order = {"arguments": arguments, "kill": kill, "after": after, "small": small}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        return told.pop("code"), told


def main() -> None:
    """Import, then fork one process for each order, until there are no more."""
    sys.path.insert(0, str(HERE))
    import grown
    import numcodecs  # noqa: F401
    import small
    import zarr  # noqa: F401

    import tmepde.cli.record
    import tmepde.cli.run
    import tmepde.io.reader
    import tmepde.library
    import tmepde.simulation  # noqa: F401
    from tmepde.cli import main as command
    from tmepde.io.stream import StoreWriter

    rows = Rows(StoreWriter)
    for line in sys.stdin:
        check_clean()
        order = json.loads(line)
        rows.clear()
        came, went = os.pipe()
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            os.close(came)
            become(order, went, grown, small.main if order["small"] else command)
        os.close(went)
        code = wait(child, order["after"])
        with os.fdopen(came, "rb") as pipe:
            said = pipe.read().decode(errors="replace")
        told = {"code": code, "seconds": time.monotonic() - began, "stderr": said, **rows.found()}
        if code >= 0:
            told["operations"] = int(said.strip().splitlines()[-1])
        print(json.dumps(told), flush=True)


class Rows:
    """The first and the last row that a fork has computed, in memory that outlives it: no operation on a file."""

    def __init__(self, writer: Any):
        self.memory = mmap.mmap(-1, 4096)
        real = writer.put

        def put(this: Any, arm: int, index: int, *rest: Any) -> None:
            if not self.memory[0]:
                self.memory[8:24] = struct.pack("<QQ", arm, index)
            self.memory[24:40] = struct.pack("<QQ", arm, index)
            self.memory[0] = 1
            real(this, arm, index, *rest)

        writer.put = put

    def clear(self) -> None:
        self.memory[0] = 0

    def found(self) -> dict[str, Any]:
        if not self.memory[0]:
            return {"first": None, "last": None}
        return {"first": struct.unpack("<QQ", self.memory[8:24]), "last": struct.unpack("<QQ", self.memory[24:40])}


def become(order: dict[str, Any], said: int, grown: Any, command: Any) -> None:
    """In the fork: the command line, with both its streams in a pipe; never returns."""
    for stream in (1, 2):
        os.dup2(said, stream)
    os.close(said)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["tmepde", *order["arguments"]]
    grown.die_at(order["kill"])
    command()
    sys.exit(0)


def wait(child: int, after: float | None) -> int:
    """Exit code of the fork, which is killed ``after`` seconds if it is there then."""
    until = None if after is None else time.monotonic() + after
    while True:
        ended, status = os.waitpid(child, 0 if until is None else os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if until is not None and time.monotonic() >= until:
            os.kill(child, signal.SIGKILL)
            until = None
        time.sleep(0.002)


def check_clean() -> None:
    """Nothing of JAX has begun, and there is nothing that a fork would lose."""
    from jax._src import xla_bridge

    assert not xla_bridge.backends_are_initialized(), "the parent has devices"
    assert len(os.listdir("/proc/self/task")) == 1, "the parent has threads"


if __name__ == "__main__":
    main()
