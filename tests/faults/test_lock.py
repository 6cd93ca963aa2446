"""One writer per store: a second one is refused by name, a dead one replaced, a slept one notices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from tmepde.io import lock as locks
from tmepde.io.durable import TEMPORARY
from tmepde.io.lock import Lock, LockedError, lock_path

HOLD = (
    "import sys, time; from tmepde.io.lock import Lock; Lock(sys.argv[1]).acquire(); "
    "print('held', flush=True); time.sleep(60)"
)


def holder(target):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(target)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_is_refused_by_name_and_a_killed_one_replaced(tmp_path):
    target = tmp_path / "a b.zarr"
    process = holder(target)
    try:
        with pytest.raises(LockedError, match=f"process {process.pid} on "):
            Lock(target).acquire()
        os.kill(process.pid, 19)  # stopped, for however long: alive
        old = time.time() - 10 * locks.STALE
        os.utime(lock_path(target), (old, old))
        with pytest.raises(LockedError, match="being written"):
            Lock(target).acquire()
    finally:
        process.kill()
        process.wait()
    with Lock(target) as lock:
        assert lock.taken_over["pid"] == process.pid
        lock.check()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_another_machine_is_stale_by_its_heartbeat_only(tmp_path):
    target = tmp_path / "a.zarr"
    lock_path(target).write_text(json.dumps({"host": "elsewhere", "pid": 1, "start": "5", "token": "x"}))
    with pytest.raises(LockedError, match="process 1 on elsewhere"):
        Lock(target).acquire()
    old = time.time() - locks.STALE - 60
    os.utime(lock_path(target), (old, old))
    with Lock(target):
        pass


def test_who_lost_the_lock_finds_out(tmp_path):
    target = tmp_path / "a.zarr"
    mine = Lock(target)
    mine.acquire()
    lock_path(target).unlink()
    with Lock(target):
        with pytest.raises(LockedError, match="taken over"):
            mine.check()
        mine.release()  # does not take away what is not ours any more
        assert lock_path(target).exists()


def test_a_process_number_used_again_is_not_the_owner(tmp_path):
    target = tmp_path / "a.zarr"
    lock_path(target).write_text(json.dumps({**locks._self(), "start": "1", "token": "x"}))
    with Lock(target) as lock:
        assert lock.taken_over["start"] == "1"


def test_a_disk_without_hard_links_locks_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    with Lock(tmp_path / "a.zarr"):
        with pytest.raises(LockedError):
            Lock(tmp_path / "a.zarr").acquire()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(TEMPORARY)]


def test_a_claim_whose_process_was_killed_is_no_obstacle(tmp_path):
    """Killed while it took over a dead owner's lock: the next one has it at once."""
    target = tmp_path / "a.zarr"
    dead = Lock(target)
    content = json.loads(dead._content()) | {"pid": 2**22 - 3}  # no such process
    lock_path(target).write_text(json.dumps(content))
    claim = lock_path(target).with_name(lock_path(target).name + "-claim")
    claim.write_text(json.dumps(content | {"token": "x"}))
    began = time.monotonic()
    with Lock(target) as lock:
        lock.check()
    assert time.monotonic() - began < 5.0 and not claim.exists()


def test_a_lock_that_this_process_could_not_remove_is_no_obstacle_and_a_held_one_is(tmp_path, monkeypatch):
    target = tmp_path / "a.zarr"
    mine = Lock(target)
    mine.acquire()
    with pytest.raises(LockedError, match=f"process {os.getpid()} on "):
        Lock(target).acquire()
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
        mine.release()
    assert lock_path(target).exists()
    with Lock(target) as lock:
        assert lock.taken_over["token"] == mine.token
