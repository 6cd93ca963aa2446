"""Real small disks: full at any write, read-only from any moment on, as root too; and nothing that crosses disks.

They are mounted for the test (``tmpfs``), which root may do outside of most containers; elsewhere these are skipped.
Numbers in the names are those of the project's list of faults.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import grown
import pytest

from tmepde.io import open_store, root, verify
from tmepde.io.durable import WriteError
from tmepde.io.root import MARK

PAGE = 4096


class Disk:
    """A mounted ``tmpfs`` of some pages."""

    def __init__(self, path: Path, pages: int):
        path.mkdir()
        self.path = path
        options = ["mount", "-t", "tmpfs", "-o", f"size={pages * PAGE}", "none", str(path)]
        try:
            done = subprocess.run(options, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("there is no mount here")
        if done.returncode:
            pytest.skip(f"no disk may be mounted here: {done.stderr.strip()}")

    def remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.path)], check=True)

    def fill(self, free: int) -> Path:
        """A file that leaves so many pages free."""
        ballast = self.path / "ballast"
        there = os.statvfs(self.path)
        os.posix_fallocate(fd := os.open(ballast, os.O_CREAT | os.O_WRONLY), 0, (there.f_bavail - free) * PAGE)
        os.close(fd)
        return ballast

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path):
    found = Disk(tmp_path / "disk", 1024)
    yield found
    found.close()


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A run under way: the first arm at its end, the second after eight of twelve rows."""
    path = tmp_path_factory.mktemp("half") / "run.zarr"
    grown.write(path, until=8)
    return path


def is_whole(path: Path) -> None:
    with open_store(path) as there:
        grown.check_prefix(there, [grown.ROWS] * 2)
    assert verify(path).good


def is_as_committed(path: Path, least: list[int]) -> list[int]:
    """Good, with rows of the reference, no fewer than before and no leftovers."""
    rows = root.read(path)["attributes"][MARK]["rows"]
    assert all(now >= then for now, then in zip(rows, least, strict=True))
    with open_store(path) as there:
        grown.check_prefix(there, rows)
    assert verify(path).good and not verify(path).leftovers
    return rows


def test_05_a_disk_that_fills_up_at_any_page_keeps_the_last_commit(disk, half):
    """From no page free to as many as the rest of the run takes: every write is once the one that fails."""
    failed, path = set(), disk.path / "run.zarr"
    for free in range(400):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(half, path)
        before = root.read(path)["attributes"][MARK]["rows"]
        ballast = disk.fill(free)
        try:
            grown.write(path)
            break
        except OSError as error:
            assert error.errno == errno.ENOSPC
            if isinstance(error, WriteError):  # else the lock had no room
                assert "bytes needed" in str(error) and "Make room" in str(error)
                failed.add(Path(error.filename).suffix or Path(error.filename).name)
        is_as_committed(path, before)
        ballast.unlink()
        if free % 8 == 0:  # room again
            grown.write(path)
            is_whole(path)
    else:
        raise AssertionError("the run never had room enough")
    is_whole(path)
    assert {".row", ".json"} <= failed and any(name.isdigit() for name in failed), failed  # states, root and chunks


def test_05_a_disk_too_small_for_the_first_row_has_nothing_half_made(disk):
    for free in (0, 1, 3, 10):
        ballast = disk.fill(free)
        with pytest.raises(OSError, match="No space left"):
            grown.write(disk.path / "run.zarr")
        ballast.unlink()
        assert not list(disk.path.iterdir())


def test_06_a_disk_that_becomes_read_only_is_said_and_the_run_goes_on_later(disk):
    """For root too: permissions would not stop it."""
    path, rows = disk.path / "run.zarr", []

    def pause():
        rows.append(1)
        if len(rows) == 17:
            disk.remount("ro")

    with pytest.raises(WriteError, match="Read-only file system"):
        grown.write(path, pause)
    assert is_as_committed(path, [0, 0]) == [12, 5]
    with pytest.raises(OSError, match="Read-only file system"):
        grown.write(path)
    with pytest.raises(OSError, match="Read-only file system"):
        grown.write(disk.path / "new.zarr")
    disk.remount("rw")
    grown.write(path)
    is_whole(path)
    assert [p.name for p in disk.path.iterdir()] == ["run.zarr"]


def test_85_the_command_line_refuses_a_read_only_disk_before_it_computes(disk):
    config = disk.path / "a.toml"
    text = 'schema = 1\nname = "a"\n[grid]\nkind = "radial"\nradius = "400 um"\ncells = 8\n'
    config.write_text(text + '[run]\nuntil = "1 hour"\nsave = { every = "1 hour" }\n')
    disk.remount("ro")
    command = [sys.executable, "-m", "tmepde.cli", "run", str(config), "-o", str(disk.path / "a.zarr")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and f"{disk.path} is read-only" in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr


def test_26_nothing_is_renamed_from_another_disk(disk, monkeypatch, tmp_path):
    """Temporary files lie beside what they become, wherever TMPDIR is."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    devices = []

    def wrapped(real):
        def act(source, target, **options):
            devices.append({os.stat(Path(place).parent).st_dev for place in (source, target)})
            return real(source, target, **options)

        return act

    for name in ("replace", "rename", "link"):
        monkeypatch.setattr(os, name, wrapped(getattr(os, name)))
    grown.write(disk.path / "run.zarr")
    assert len(devices) > 100 and all(found == {os.stat(disk.path).st_dev} for found in devices)
    is_whole(disk.path / "run.zarr")


def test_26_an_output_that_is_a_disk_of_its_own_is_refused_in_words(disk):
    """A store appears by one rename, which cannot go across disks."""
    with pytest.raises(WriteError, match=f"{disk.path} could not be written: .*(busy|cross-device)"):
        grown.create(disk.path)
    assert not list(disk.path.iterdir())
    assert not [p for p in disk.path.parent.iterdir() if "partial" in p.name]
