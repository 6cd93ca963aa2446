"""Files in full or not at all: at every failing call, and with the errors named."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tmepde.io import durable
from tmepde.io.durable import WriteError, atomic_write, sweep_temporaries, write_files


def failing(monkeypatch, name, code, first, last=10**9):
    """Let calls ``first`` to ``last`` of ``os.name`` fail with ``code``."""
    real, calls = getattr(os, name), []

    def wrapped(*arguments, **options):
        calls.append(name)
        if first <= len(calls) <= last:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, wrapped)
    return calls


@pytest.mark.parametrize("name", ["open", "write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_says_what_was_needed(tmp_path, monkeypatch, name):
    path = tmp_path / "a"
    atomic_write(path, b"old")
    with monkeypatch.context() as patch:
        failing(patch, name, errno.ENOSPC, 1)
        with pytest.raises(WriteError, match=r"3 bytes needed, [\d,]+ bytes free"):
            atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_hiccups_are_tried_again_and_a_dead_disk_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(durable, "_WAITS", (0.0, 0.0, 0.0))
    for code in (errno.EIO, errno.ESTALE, errno.EINTR):
        with monkeypatch.context() as patch:
            failing(patch, "fsync", code, 1, 2)
            atomic_write(tmp_path / "a", b"x")
    with monkeypatch.context() as patch:
        calls = failing(patch, "write", errno.EIO, 1)
        with pytest.raises(WriteError, match="Input/output error"):
            atomic_write(tmp_path / "a", b"y")
        assert len(calls) == 4
    with monkeypatch.context() as patch:
        calls = failing(patch, "write", errno.EROFS, 1)
        with pytest.raises(WriteError, match="Read-only"):
            atomic_write(tmp_path / "a", b"y")
        assert len(calls) == 1


def test_short_writes_are_completed_and_leftovers_swept(tmp_path, monkeypatch):
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda d, b: real(d, bytes(b)[:3]))
        write_files({tmp_path / "a": b"0123456789", tmp_path / "b": b""})
    assert (tmp_path / "a").read_bytes() == b"0123456789" and (tmp_path / "b").read_bytes() == b""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / f"{durable.TEMPORARY}1-2-c").write_bytes(b"half")
    assert len(sweep_temporaries(tmp_path)) == 1


@pytest.mark.parametrize("able", [True, False])
def test_a_folder_gives_way_in_one_step(tmp_path, monkeypatch, able):
    """Where names can be swapped there is no instant without a store."""
    if not able:
        monkeypatch.setattr(durable, "exchanged", lambda one, other: False)
    for name in ("new", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(name)
    durable.replace_folder(tmp_path / "new", tmp_path / "there", tmp_path / "old")
    assert [p.name for p in tmp_path.iterdir()] == ["there"] and (tmp_path / "there" / "a").read_text() == "new"


def test_an_interrupt_between_two_renames_brings_back_what_was_there(tmp_path, monkeypatch):
    """The earlier result was left under a hidden name, or removed with it."""
    for name in ("new", "there"):
        (tmp_path / name).mkdir()
    rename, calls = os.rename, []

    def interrupted(one, other):
        calls.append(one)
        if len(calls) == 2:
            raise KeyboardInterrupt
        rename(one, other)

    monkeypatch.setattr(durable, "exchanged", lambda one, other: False)
    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        durable.replace_folder(tmp_path / "new", tmp_path / "there", tmp_path / "old")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "there"]


def test_a_folder_that_is_gone_is_said_to_be(tmp_path):
    with pytest.raises(durable.WriteError, match="because its folder is gone. If somebody moved it, move it back"):
        durable.write_files({tmp_path / "gone" / "a": b"x"})


def test_a_folder_that_takes_no_files_is_not_said_to_be_gone():
    """As /proc, where a new file has no place."""
    told = str(durable.WriteError(FileNotFoundError(2, ""), Path("/proc/a.zarr"), 1))
    assert told.startswith("/proc/a.zarr could not be written: /proc takes no files") and "gone" not in told


@pytest.mark.parametrize(("number", "option"), [(errno.EMFILE, "-n"), (errno.EFBIG, "-f")])
def test_a_limit_of_the_process_is_no_fault_of_the_disk(number, option):
    told = str(durable.WriteError(OSError(number, ""), Path("a.zarr"), 1))
    assert f"`ulimit {option}`" in told and "Check the disk" not in told
