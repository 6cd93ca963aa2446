"""Real small disks: full at any write, read-only from any moment on, as root too; and nothing that crosses disks.

They are mounted for the test (``tmpfs``), which root may do outside of most containers; elsewhere these are skipped.
Numbers in the names are those of the project's list of faults.
"""

from __future__ import annotations

import contextlib
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
        """A file that leaves so many pages free, whoever else writes at the time."""
        ballast = self.path / "ballast"
        descriptor = os.open(ballast, os.O_CREAT | os.O_WRONLY)
        size = 0
        while (more := os.statvfs(self.path).f_bavail - free) > 0:
            with contextlib.suppress(OSError):  # others took some of it in between
                os.posix_fallocate(descriptor, size * PAGE, more * PAGE)
                size += more
        os.close(descriptor)
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


@pytest.mark.slow
def test_05_a_disk_that_is_full_from_any_write_on_keeps_the_last_commit(disk, half, monkeypatch):
    """Someone else takes the last page just before the first, second, third … write of the run."""
    real, made, failed, path = os.write, [0], set(), disk.path / "run.zarr"

    def fills_up_at(count):
        made[0] = 0

        def write(descriptor, content):
            made[0] += 1
            if made[0] == count:
                disk.fill(0)
            return real(descriptor, content)

        monkeypatch.setattr(os, "write", write)

    shutil.copytree(half, path)
    before = root.read(path)["attributes"][MARK]["rows"]
    fills_up_at(10**9)
    grown.write(path)
    total = made[0]
    assert total > 30
    for count in range(1, total + 1):
        shutil.rmtree(path)
        shutil.copytree(half, path)
        fills_up_at(count)
        with pytest.raises(
            WriteError, match=r"No space left on device \([\d,]+ bytes needed, 0 bytes free\). Make"
        ) as told:
            grown.write(path)
        file = Path(told.value.filename)
        failed.add("chunk" if file.name.startswith("c.") else file.suffix)
        is_as_committed(path, before)
        (disk.path / "ballast").unlink()
        if count % 8 == 0 or count == total:  # room again
            grown.write(path)
            is_whole(path)
    assert failed >= {".row", ".json", "chunk"}, failed


def test_05_a_lock_without_room_is_said(disk, half):
    shutil.copytree(half, disk.path / "run.zarr")
    disk.fill(0)
    with pytest.raises(WriteError, match="run.zarr.lock could not be written: No space left"):
        grown.write(disk.path / "run.zarr")
    is_as_committed(disk.path / "run.zarr", [12, 8])


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


@pytest.mark.parametrize("name", ["run", "sweep"])
def test_85_the_command_line_refuses_a_read_only_disk_before_it_computes(disk, name):
    config = disk.path / "a.toml"
    text = 'schema = 1\nname = "a"\n[grid]\nkind = "radial"\nradius = "400 um"\ncells = 8\n'
    text += '[run]\nuntil = "1 hour"\nsave = { every = "1 hour" }\n'
    config.write_text(text + ('[sweep.grid]\n"run.rtol" = [1e-3, 1e-4]\n' if name == "sweep" else ""))
    disk.remount("ro")
    command = [sys.executable, "-m", "tmepde.cli", name, str(config), "-o", str(disk.path / "a.zarr")]
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
