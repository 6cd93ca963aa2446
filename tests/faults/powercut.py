"""What a disk may hold after the power went, from a record of what a program asked of it.

    with Recorder(folder) as record:                # everything below ``folder``, by any thread
        ...                                         # write; record.mark("something that must be kept now")
    record.image(count, random, elsewhere)          # the folder as it may be after the first ``count`` operations

The weakest promises that POSIX gives: the content of a file is there once the file was flushed, a name once its folder
was. Of what was not flushed anything may be there: of the names of each folder the first few changes, of each content
nothing, half of it, zeros, or all.
"""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np


class Recorder:
    """A context manager; files are followed by number of their own, since a disk gives its numbers again."""

    CALLS = ("open", "write", "fsync", "close", "replace", "rename", "link", "unlink", "mkdir", "rmdir")

    def __init__(self, folder: Path):
        self.folder = folder
        self.events: list[tuple[Any, ...]] = []
        self._count = itertools.count()
        self._numbers: dict[int, int] = {}
        self._files: dict[int, int] = {}
        self._lock = threading.RLock()
        self.top = self._new(folder)

    def __enter__(self) -> Recorder:
        self._real = {name: getattr(os, name) for name in self.CALLS}
        for name in self.CALLS:
            setattr(os, name, getattr(self, f"_{name}"))
        return self

    def __exit__(self, *_: object) -> None:
        for name, real in self._real.items():
            setattr(os, name, real)

    def mark(self, what: Any) -> None:
        """From here on ``what`` must be kept."""
        with self._lock:
            self.events.append(("mark", what))

    def _new(self, path: Any) -> int:
        number = self._numbers[os.stat(path, follow_symlinks=False).st_ino] = next(self._count)
        return number

    def _of(self, path: Any) -> int | None:
        try:
            return self._numbers.get(os.stat(path, follow_symlinks=False).st_ino)
        except FileNotFoundError:
            return None

    def _where(self, path: Any, folder: int | None = None) -> Path:
        place = Path(os.readlink(f"/proc/self/fd/{folder}")) / path if folder is not None else Path(path)
        return Path(os.path.abspath(place))

    def _name(self, path: Path, number: int | None) -> None:
        """A name is given (or taken away); those of locks are left out, since an image is of another machine."""
        if "lock" not in path.name and self.folder in path.parents:
            self.events.append(("name", self._of(path.parent), path.name, number))

    def _open(self, path: Any, flags: int, *rest: Any, **options: Any) -> int:
        with self._lock:
            new = bool(flags & os.O_CREAT) and not os.path.exists(path)
            descriptor = self._real["open"](path, flags, *rest, **options)
            if self.folder in (where := self._where(path, options.get("dir_fd"))).parents or where == self.folder:
                number = self._new(path) if new else self._numbers.get(os.fstat(descriptor).st_ino)
                if number is not None:
                    self._files[descriptor] = number
                    if flags & os.O_TRUNC:
                        self.events.append(("empty", number))
                    if new:
                        self._name(where, number)
            return descriptor

    def _write(self, descriptor: int, content: Any) -> int:
        with self._lock:
            written = self._real["write"](descriptor, content)
            if descriptor in self._files:
                self.events.append(("write", self._files[descriptor], bytes(content[:written])))
            return written

    def _fsync(self, descriptor: int) -> None:
        self._real["fsync"](descriptor)
        with self._lock:
            if descriptor in self._files:
                self.events.append(("flush", self._files[descriptor]))

    def _close(self, descriptor: int) -> None:
        with self._lock:
            self._files.pop(descriptor, None)
            self._real["close"](descriptor)

    def _moved(self, call: str, source: Any, target: Any) -> None:
        with self._lock:
            source, target = self._where(source), self._where(target)
            assert source.parent == target.parent or call == "link"  # else a change of two folders
            number, same = self._of(source), self._of(source) == self._of(target)
            self._real[call](source, target)
            if same:  # two names of one file: nothing happens
                return
            if call == "link":
                self._name(target, number)
            elif self.folder in target.parents and "lock" not in target.name:
                self.events.append(("move", self._of(target.parent), source.name, target.name, number))

    def _replace(self, source: Any, target: Any) -> None:
        self._moved("replace", source, target)

    def _rename(self, source: Any, target: Any) -> None:
        self._moved("rename", source, target)

    def _link(self, source: Any, target: Any, **_: Any) -> None:
        self._moved("link", source, target)

    def _unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        with self._lock:
            where = self._where(path, dir_fd)
            self._real["unlink"](path, dir_fd=dir_fd)
            self._name(where, None)

    def _rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        with self._lock:
            where = self._where(path, dir_fd)
            self._real["rmdir"](path, dir_fd=dir_fd)
            self._name(where, None)

    def _mkdir(self, path: Any, *rest: Any, **options: Any) -> None:
        with self._lock:
            self._real["mkdir"](path, *rest, **options)
            number = self._new(path)
            self.events.append(("folder", number))
            self._name(self._where(path), number)

    def image(self, count: int, random: np.random.Generator, target: Path) -> list[Any]:
        """Write what may be left after ``count`` operations to the folder ``target``; the marks until then."""
        names: dict[int, dict[str, int]] = {self.top: {}}
        waiting: dict[int, list[tuple[Any, ...]]] = {}
        now: dict[int, bytes] = {}
        flushed: dict[int, bytes] = {}
        marks = []
        for kind, *rest in self.events[:count]:
            match kind:
                case "mark":
                    marks.append(rest[0])
                case "folder":
                    names[rest[0]] = {}
                case "empty":
                    now[rest[0]] = b""
                case "write":
                    now[rest[0]] += rest[1]
                case "name" | "move":
                    waiting.setdefault(rest[0], []).append((kind, *rest[1:]))
                case "flush" if rest[0] in names:
                    _apply(names[rest[0]], waiting.pop(rest[0], []))
                case "flush":
                    flushed[rest[0]] = now.get(rest[0], b"")
        for folder, changes in waiting.items():
            if folder in names:
                _apply(names[folder], changes[: random.integers(len(changes) + 1)])
        _write(names, now, flushed, self.top, target, random)
        return marks


def _apply(folder: dict[str, int], changes: list[tuple[Any, ...]]) -> None:
    for kind, name, *rest in changes:
        if kind == "move":
            folder.pop(name, None)
            folder[rest[0]] = rest[1]
        elif rest[0] is None:
            folder.pop(name, None)
        else:
            folder[name] = rest[0]


def _write(names: Any, now: Any, flushed: Any, folder: int, target: Path, random: np.random.Generator) -> None:
    target.mkdir()
    for name, number in names[folder].items():
        if number in names:
            _write(names, now, flushed, number, target / name, random)
            continue
        content, kept = now.get(number, b""), flushed.get(number)
        if content != kept:
            content = [b"", content[: len(content) // 2], bytes(len(content)), content, kept or b""][random.integers(5)]
        (target / name).write_bytes(content)
