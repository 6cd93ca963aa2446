"""Clocks that jump, processes that are stopped, disks that are slow, and the end of a job that is known beforehand.

Numbers in the names are those of the project's list of faults.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import grown
import numpy as np
import pytest
from small import go, made

from tmepde.cli.exits import PREEMPTED
from tmepde.cli.stopping import MARGIN, Stopping
from tmepde.io import lock as locks
from tmepde.io import open_store, root, stream, verify
from tmepde.io.layout import layout
from tmepde.io.lock import Lock, LockedError, lock_path
from tmepde.io.root import MARK
from tmepde.io.stream import StoreWriter

CONFIG = """\
schema = 1
name = "long"
[grid]
kind = "radial"
radius = "400 um"
cells = 64
[run]
until = "100000 hour"
save = { every = "4 hour" }
"""


def is_whole(path):
    with open_store(path) as there:
        grown.check_prefix(there, [grown.ROWS] * 2)
    assert verify(path).good


# -- 4: the end of the wall time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("left, margin", [(3600.0, MARGIN), (100.0, 10.0)])
def test_04_the_scheduler_says_when_the_job_ends_and_a_jump_of_the_clock_does_not_move_it(monkeypatch, left, margin):
    now, monotonic = 1.7e9, [50.0]
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(time, "monotonic", lambda: monotonic[0])
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(now + left)))
    stopping = Stopping()
    monkeypatch.setattr(time, "time", lambda: now + 1e6)
    assert not stopping()
    monotonic[0] += left - margin - 1.0
    assert not stopping()
    monotonic[0] += 1.0
    assert stopping() and stopping.code == PREEMPTED == 75
    monkeypatch.setattr(time, "time", lambda: now)
    assert Stopping(walltime=5.0)._deadline == monotonic[0] + 4.5  # the earlier of both


@pytest.mark.slow
def test_04_a_run_stops_itself_before_the_job_ends_and_goes_on_in_the_next(tmp_path):
    (tmp_path / "long.toml").write_text(CONFIG)
    path, rows = tmp_path / "long.zarr", 0
    command = [
        sys.executable,
        "-m",
        "tmepde.cli",
        "run",
        str(tmp_path / "long.toml"),
        "-o",
        str(path),
        "-q",
        "--resume",
    ]
    for seconds in (120, 30):  # the first compiles
        end = time.time() + seconds
        environment = {**os.environ, "SLURM_JOB_END_TIME": str(int(end))}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=seconds + 60)
        assert time.time() < end
        assert done.returncode == 75 and "the wall time is nearly over" in done.stderr, done.stderr
        now = root.read(path)["attributes"][MARK]["rows"][0]
        assert verify(path).good and now > rows
        rows = now


# -- 16: clocks --------------------------------------------------------------------------------------------------------


def test_16_a_clock_that_jumps_changes_no_bit_and_no_order(tmp_path, monkeypatch):
    """Years back and forth at every look; the files are of no time at all when the run goes on."""
    build = made(8.0)
    go(build, tmp_path / "a.zarr")
    jumps = itertools.cycle([0.0, 4e8, -4e8, 3600.0, -3600.0])
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    asked = []
    go(build, tmp_path / "b.zarr", lambda: asked.append(1) or len(asked) > 9)
    stopped = root.read(tmp_path / "b.zarr")
    assert "stopped" in stopped["attributes"][MARK]["states"]
    for place in sorted((tmp_path / "b.zarr").rglob("*"), reverse=True):  # what is newer is older
        os.utime(place, (next(jumps) + 1e9,) * 2)
    go(build, tmp_path / "b.zarr", document=stopped)
    with open_store(tmp_path / "a.zarr") as a, open_store(tmp_path / "b.zarr") as b:
        for name in set(a.variables) - {"wall_time", "compile_time"}:
            assert a[name].values.tobytes() == b[name].values.tobytes(), name
        stamp = b.attrs["history"].split()[0]
        assert stamp.endswith(("Z", "+00:00")), stamp


def test_16_a_lock_from_the_future_is_neither_stale_nor_for_ever(tmp_path, monkeypatch):
    """By the clock of the disk, that its owner also beats by: a jump of our own clock changes nothing."""
    target = tmp_path / "a.zarr"
    lock_path(target).write_text('{"host": "elsewhere", "pid": 1, "start": "5", "token": "x"}')
    real = time.time
    for jump in (1e8, -1e8):
        monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
        with pytest.raises(LockedError):
            Lock(target).acquire()
    os.utime(lock_path(target), (real() + 3600.0,) * 2)
    with pytest.raises(LockedError):
        Lock(target).acquire()
    os.utime(lock_path(target), (real() - locks.STALE - 1.0,) * 2)
    with Lock(target):
        pass


# -- 17: slow and stuttering disks -------------------------------------------------------------------------------------


def test_17_a_slow_disk_holds_the_run_back_and_memory_is_bounded(tmp_path, monkeypatch):
    """Flushes of 30 ms, rows at once: never more rows in memory than the queue and the heap hold."""
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: time.sleep(0.03) or real(descriptor))
    monkeypatch.setattr(stream, "HEAP", 2**20)
    cells, rows = 256, 24  # of 256 kB
    monkeypatch.setattr(grown, "CELLS", cells)
    base, path = {"oxygen": (cells, cells)}, tmp_path / "run.zarr"
    block = np.random.default_rng(0).random((cells, cells), np.float32)
    with Lock(path) as lock:
        writer = StoreWriter.create(path, layout(grown.template(base), np.arange(float(rows))), lock)
        most = 0
        for k in range(rows):
            writer.put(0, k, {"oxygen": block + np.float32(k)}, {"rows": np.asarray(k + 1)})
            most = max(most, k + 1 - writer.mark["rows"][0])
        writer.close(True)
    assert 1 < most <= stream.HEAP // block.nbytes + 1 + stream.WAITING + 1  # heap, the one that fills it, queue, ours
    with open_store(path) as there:
        assert all(np.array_equal(there["oxygen"].values[0, k], block + np.float32(k)) for k in range(rows))


def test_17_a_disk_that_stutters_and_has_no_links_gives_the_same_store(tmp_path, monkeypatch):
    """A stale handle or an I/O error at every ninth call, as network disks have them; the call after it works."""
    calls = itertools.count(1)

    def wrapped(real):
        def act(*arguments, **options):
            k = next(calls)
            if k % 9 == 0:
                code = errno.ESTALE if k % 2 else errno.EIO
                raise OSError(code, os.strerror(code))
            return real(*arguments, **options)

        return act

    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, "no hard links here")

    monkeypatch.setattr("tmepde.io.durable._WAITS", (0.001,) * 3)
    monkeypatch.setattr(os, "link", refuse)
    with monkeypatch.context() as patch:
        for name in ("write", "fsync", "replace"):
            patch.setattr(os, name, wrapped(getattr(os, name)))
        grown.write(tmp_path / "run.zarr")
    assert next(calls) > 200
    is_whole(tmp_path / "run.zarr")
    shutil.rmtree(tmp_path / "run.zarr")
    assert not list(tmp_path.iterdir())


# -- 22: stopped for long ----------------------------------------------------------------------------------------------


def test_22_a_writer_that_was_stopped_keeps_its_lock_and_goes_on(tmp_path):
    """SIGSTOP, ten hours (by the time of its last heartbeat), SIGCONT: as a laptop that was closed."""
    path = tmp_path / "run.zarr"
    process = subprocess.Popen(
        [sys.executable, str(Path(grown.__file__)), str(path)], stderr=subprocess.PIPE, text=True
    )
    try:
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGSTOP)
        before = root.read(path)["attributes"][MARK]
        assert not before["finished"]
        beat = time.time() - 36_000.0
        os.utime(lock_path(path), (beat, beat))
        with pytest.raises(LockedError, match=f"process {process.pid} on "):
            grown.write(path)
        with open_store(path) as there:
            grown.check_prefix(there, before["rows"])
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(timeout=60) == 0, process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    is_whole(path)
    assert not lock_path(path).exists()
