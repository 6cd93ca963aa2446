"""Files that are there in full or not at all, also after a crash or a power cut.

A file is written beside its target under a temporary name, flushed to the disk, renamed over the target (atomic), and
the folder is flushed. Transient errors (EIO, ESTALE, EINTR: a network disk that hiccups) are tried again a few times;
everything else, a full disk above all, is one :class:`WriteError` that says where, what was needed and what is free.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

#: how names of unfinished files begin; :func:`sweep_temporaries` removes them
TEMPORARY = ".tmp-"
_TRANSIENT = {errno.EIO, errno.ESTALE, errno.EINTR}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FOLDER = {errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST}
#: limits of the process rather than of the disk, and the option of `ulimit` that raises them
_LIMITS = {errno.EMFILE: "-n", errno.EFBIG: "-f"}
_WAITS = (0.05, 0.2, 0.8)
_TOGETHER = 8
#: bytes of a piece that is worth a write of its own
_GATHER = 2**16
_counter = [0]
_pools: list[ThreadPoolExecutor] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # a fork has none of its parent's threads


class WriteError(OSError):
    """A file could not be written; what was there before is still there."""

    def __init__(self, error: OSError, path: Path, needed: int):
        super().__init__(error.errno, os.strerror(error.errno) if error.errno else str(error), str(path))
        self.path, self.needed, self.free = path, needed, free_bytes(path)

    def __str__(self) -> str:
        if self.errno in _FULL:
            free = "an unknown number of" if self.free is None else f"{self.free:,}"
            return (
                f"{self.path} could not be written: {self.strerror} ({self.needed:,} bytes needed, {free} bytes free). "
                "Make room, then go on with --resume."
            )
        if self.errno == errno.ENOENT and self.path.parent.is_dir():
            return (
                f"{self.path} could not be written: {self.path.parent} takes no files, or loses them at once. Choose "
                "another place, or check the disk and go on with --resume."
            )
        if self.errno == errno.ENOENT:
            return (
                f"{self.path} could not be written, because its folder is gone. If somebody moved it, move it back and "
                "go on with --resume; what was deleted is lost."
            )
        if self.errno in _FOLDER and self.path.is_dir():
            return (
                f"{self.path} could not be written, because a folder is in its place. Move it away, or run "
                "`tmepde repair` on the store, which removes it if it is empty; then go on with --resume."
            )
        if self.errno in _LIMITS:
            return (
                f"{self.path} could not be written: {self.strerror} ({self.needed:,} bytes). Raise the limit "
                f"(`ulimit {_LIMITS[self.errno]}`), then go on with --resume."
            )
        return (
            f"{self.path} could not be written: {self.strerror} ({self.needed:,} bytes). Check the disk and the "
            "permissions, then go on with --resume."
        )


def atomic_write(path: str | os.PathLike[str], content: bytes, sync: bool = True) -> None:
    """Replace ``path`` by ``content`` in one step; a reader sees the old or the new file.

    Args:
        sync: flush file and folder to the disk before returning.

    Raises:
        WriteError: with nothing changed.
    """
    write_files({Path(path): content}, sync)


def write_files(contents: Mapping[Path, bytes], sync: bool = True) -> None:
    """Several files, each replaced in one step, on the disk when this returns. Not atomic as a group.

    Raises:
        WriteError: temporary files are gone then; some of the files may be the new ones.
    """
    temporaries: dict[Path, Path] = {}
    try:
        temporaries |= {path: _temporary(path) for path in contents}

        def put(path: Path) -> None:
            _attempt(lambda: _put(temporaries[path], [contents[path]], sync), path, len(contents[path]))

        _each(put, contents)
        for path, temporary in temporaries.items():
            _attempt(lambda a=temporary, b=path: os.replace(a, b), path, len(contents[path]))  # type: ignore[misc]
        if sync:
            _each(lambda folder: _attempt(lambda: sync_folder(folder), folder, 0), {path.parent for path in contents})
    except BaseException:
        for temporary in temporaries.values():
            _forget(temporary)
        raise


def write_new(path: Path, pieces: Sequence[bytes | memoryview]) -> None:
    """A file that no one looks for yet, on the disk when this returns; half of it may stay if the process is killed.

    One flush of the file and one of its folder, no rename: for content that carries a checksum.

    Raises:
        WriteError: the file is not there then.
    """
    needed = sum(map(len, pieces))
    try:
        _attempt(lambda: _put(path, pieces, True), path, needed)
        _attempt(lambda: sync_folder(path.parent), path, needed)
    except BaseException:
        _forget(path)
        raise


def keep_before(path: Path, copy: Path) -> None:
    """Let ``copy`` be what ``path`` is now, before that is replaced: a second name, or a file of its own where the disk
    has no such thing.

    Raises:
        WriteError: with nothing changed.
    """
    temporary = _temporary(copy)
    try:
        os.link(path, temporary)
        os.replace(temporary, copy)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EXDEV):
            raise WriteError(error, copy, 0) from error
        write_files({copy: path.read_bytes()})
    finally:
        _forget(temporary)  # still there if both were the same already


def _each(act: Callable[[Path], None], paths: Iterable[Path]) -> None:
    """Several at a time: a disk puts flushes that come together into one; the first error is raised when all ended."""
    paths = list(paths)
    if len(paths) < 4:
        for path in paths:
            act(path)
        return

    def some(part: list[Path]) -> None:
        for path in part:
            act(path)

    if not _pools:
        _pools.append(ThreadPoolExecutor(_TOGETHER, thread_name_prefix="tmepde-disk"))
    under_way = [_pools[0].submit(some, paths[k::_TOGETHER]) for k in range(min(_TOGETHER, len(paths)))]
    errors = [error for error in [one.exception() for one in under_way] if error is not None]
    if errors:
        raise errors[0]


def make_folder(path: Path) -> None:
    """The folder and its parents, on the disk.

    Raises:
        WriteError: if it cannot be made.
    """
    make_folders([path])


def make_folders(paths: Iterable[Path]) -> None:
    """Several folders and their parents; what was there before is not touched.

    Raises:
        WriteError: if one cannot be made.
    """
    missing = {p for path in paths for p in (path, *path.parents) if not p.exists()}
    for folder in sorted(missing):  # parents first
        _attempt(lambda f=folder: f.mkdir(exist_ok=True), folder, 0)  # type: ignore[misc]
    _each(lambda f: _attempt(lambda: sync_folder(f), f, 0), {folder.parent for folder in missing})


def replace_folder(partial: Path, target: Path, old: Path, overwrite: bool = True) -> None:
    """Give ``partial`` the name ``target``; what is there gives way in one step and is then removed.

    Raises:
        WriteError: with nothing changed.
    """
    try:
        if target.exists() and overwrite:
            if not exchanged(partial, target):
                _after_another(partial, target, old)
            for gone in (partial, old):
                shutil.rmtree(gone, ignore_errors=True)
        else:
            os.rename(partial, target)
        sync_folder(target.parent)
    except OSError as error:
        raise WriteError(error, target, 0) from error


def exchanged(one: Path, other: Path) -> bool:
    """Swap two names in one step, so that nobody sees neither of them; whether the system could (Linux, mostly)."""
    try:
        swap = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(swap(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


def _after_another(partial: Path, target: Path, old: Path) -> None:
    """Two renames; what was there comes back whatever happens between them, Ctrl-C as well."""
    try:
        os.rename(target, old)
        os.rename(partial, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.rename(old, target)
        raise


def sync_folder(folder: Path) -> None:
    """Make a folder's renames (or a file's content) last; where folders cannot be flushed there is nothing to do."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below ``folder`` to the disk.

    Raises:
        WriteError: if the disk refuses.
    """
    for path in (*folder.rglob("*"), folder):
        _attempt(lambda p=path: sync_folder(p), path, 0)  # type: ignore[misc]


def sweep_temporaries(folder: Path) -> list[Path]:
    """Remove what killed writers left in ``folder`` and below; returns what was removed."""
    found = [p for p in folder.rglob(f"{TEMPORARY}*") if p.is_file()]
    for path in found:
        _forget(path)
    return found


def sweep_partials(target: Path) -> None:
    """Remove what writers of ``target`` left beside it that were killed. For who holds its lock: nobody else writes."""
    for path in [p for p in target.parent.iterdir() if p.name.startswith(f".{target.name}.partial-")]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            _forget(path)


def clear_folders(paths: Iterable[Path]) -> list[Path]:
    """Remove the empty folders that are in the place of files; returns which there were.

    Raises:
        WriteError: for one that holds something.
    """
    found = [path for path in paths if path.is_dir() and not path.is_symlink()]
    for path in found:
        _attempt(path.rmdir, path, 0)
    return found


def free_bytes(path: Path) -> int | None:
    """Bytes free on the disk of ``path``, if that can be known."""
    for place in (path, *path.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None


def _temporary(path: Path) -> Path:
    _counter[0] += 1
    return path.with_name(f"{TEMPORARY}{os.getpid()}-{_counter[0]}-{path.name[:80]}")


def _put(path: Path, pieces: Sequence[bytes | memoryview], sync: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        for content in gathered(pieces):
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def gathered(pieces: Sequence[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Small pieces put together, so that one call takes many; large ones as they are."""
    small: list[bytes | memoryview] = []
    for piece in pieces:
        if len(piece) < _GATHER:
            small.append(piece)
            continue
        yield b"".join(small)
        yield piece
        small = []
    yield b"".join(small)


def _attempt(act: Callable[[], Any], path: Path, needed: int) -> None:
    for wait in (*_WAITS, None):
        try:
            act()
            return
        except OSError as error:
            if error.errno not in _TRANSIENT or wait is None:
                raise WriteError(error, path, needed) from error
            time.sleep(wait)


def _forget(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        pass
