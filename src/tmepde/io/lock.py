"""One writer per store: a lock file beside it that says who writes.

The file is made with a hard link, which is atomic on network disks too, and holds host, process, its start and a token.
The owner touches it every half minute. A lock is stale, and taken over, if its process is dead (same machine) or if it
has not been touched for a quarter of an hour (another machine; by the clock of the file server, so that clocks need not
agree). A process that was stopped for long on its own machine keeps its lock; one whose lock was taken over finds that
out before its next commit (:meth:`Lock.check`) and ends.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from tmepde.io.durable import WriteError

HEARTBEAT = 30.0
STALE = 900.0
_CLAIM = 60.0
#: tokens of the locks that this process holds
_held: set[str] = set()


class LockedError(RuntimeError):
    """Another process writes this store, or took it over."""


def lock_path(target: str | os.PathLike[str]) -> Path:
    """The lock file of the store ``target``: hidden, beside it."""
    target = Path(os.path.abspath(target))
    return target.with_name(f".{target.name}.lock")


class Lock:
    """The right to write ``target``; a context manager.

    Raises:
        LockedError: naming host and process, at once, if somebody else has it.
        WriteError: if the lock file cannot be made.
    """

    def __init__(self, target: str | os.PathLike[str]):
        self.target, self.path = Path(target), lock_path(target)
        self.token = uuid.uuid4().hex
        self.held = False
        self.taken_over: dict[str, Any] | None = None
        self._stop = threading.Event()

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock, from a dead owner too."""
        _held.add(self.token)
        try:
            self._acquire()
        except BaseException:
            _held.discard(self.token)
            raise
        self.held = True
        self._stop.clear()
        threading.Thread(target=self._beat, name="tmepde-lock", daemon=True).start()

    def _acquire(self) -> None:
        for _ in range(200):
            if self._link(self.path):
                break
            owner = _read(self.path)
            if owner is None:  # released just now, or being written on a disk without hard links
                time.sleep(0.05)
                continue
            if not _stale(self.path, owner):
                raise LockedError(_sentence(self.target, owner))
            if self._take_over(owner):
                self.taken_over = owner
                break
            time.sleep(0.05)
        else:
            raise LockedError(f"{self.path} could not be taken. Remove it if no run writes {self.target}.")

    def check(self) -> None:
        """Before anything is committed: is the lock still ours?

        Raises:
            LockedError: if another process took it over while this one slept.
        """
        owner = _read(self.path)
        if not self.held or owner is None or owner.get("token") != self.token:
            self.held = False
            self._stop.set()
            who = "" if owner is None else f" by process {owner.get('pid')} on {owner.get('host')}"
            raise LockedError(f"The lock of {self.target} was taken over{who} while this process did not answer.")

    def release(self) -> None:
        """Give it back; nothing happens if it is not ours any more. On a disk that is read-only by now the file stays,
        and is stale."""
        self._stop.set()
        _held.discard(self.token)
        owner = _read(self.path) if self.held else None
        if owner is not None and owner.get("token") == self.token:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
        self.held = False

    def _content(self) -> bytes:
        return json.dumps({**_self(), "token": self.token, "target": str(self.target)}).encode()

    def _link(self, path: Path) -> bool:
        """Make ``path`` with our content if it does not exist."""
        temporary = path.with_name(f".tmp-{os.getpid()}-{uuid.uuid4().hex[:8]}-lock")
        try:
            temporary.write_bytes(self._content())
            os.link(temporary, path)
            return True
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
                raise WriteError(error, path, len(self._content())) from error
            return self._exclusive(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _exclusive(self, path: Path) -> bool:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        try:
            os.write(descriptor, self._content())
        finally:
            os.close(descriptor)
        return True

    def _take_over(self, owner: dict[str, Any]) -> bool:
        """Replace the lock of a dead owner; a claim keeps two from doing it at once."""
        claim = self.path.with_name(self.path.name + "-claim")
        if not self._link(claim):
            holder = _read(claim)
            if holder and (_dead(holder) or _age(claim) > _CLAIM):  # killed while it took over
                claim.unlink(missing_ok=True)
            return False
        try:
            now = _read(self.path)
            if now is None or now.get("token") != owner.get("token"):
                return False
            self.path.unlink(missing_ok=True)
            return self._link(self.path)
        finally:
            claim.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            try:
                owner = _read(self.path)
                if owner is None or owner.get("token") != self.token:
                    return  # check() will say so
                os.utime(self.path)
            except OSError:
                continue


def refuse_locked(target: str | os.PathLike[str]) -> None:
    """Nothing, unless somebody is writing ``target``.

    Raises:
        LockedError: naming host and process.
    """
    path = lock_path(target)
    owner = _read(path) if path.parent.is_dir() else None
    if owner is not None and os.access(path.parent, os.W_OK) and not _stale(path, owner):
        raise LockedError(_sentence(Path(target), owner))


def _self() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "boot": _boot(),
        "space": _space(),
        "pid": os.getpid(),
        "start": _start(os.getpid()),
    }


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _space() -> int:
    """The namespace of process numbers: two containers of one host name may have the same numbers."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def _start(pid: int) -> str:
    """When a process started, in ticks since the boot; empty where that is not known."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _alive(pid: int, start: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not start or not _start(pid) or _start(pid) == start


def _read(path: Path) -> dict[str, Any] | None:
    """What the lock says; empty if it is damaged, ``None`` if it is not there."""
    try:
        found = json.loads(path.read_bytes())
        return found if isinstance(found, dict) else {}
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}


def _stale(path: Path, owner: dict[str, Any]) -> bool:
    dead = _dead(owner)
    return _age(path) > (STALE if owner else 5.0) if dead is None else dead


def _dead(owner: dict[str, Any]) -> bool | None:
    """Whether the process of ``owner`` is gone; ``None`` where it is of another machine and cannot be asked."""
    here = _self()
    if owner.get("host") != here["host"] or owner.get("space") != here["space"]:
        return None
    if not isinstance(owner.get("pid"), int):
        return None
    if owner["pid"] == here["pid"] and owner.get("start") == here["start"] and owner.get("boot") == here["boot"]:
        return owner.get("token") not in _held  # of this process, which could not remove it
    return owner.get("boot") != here["boot"] or not _alive(owner["pid"], str(owner.get("start", "")))


def _age(path: Path) -> float:
    """Seconds since ``path`` was touched, by the clock of its disk."""
    probe = path.with_name(f".tmp-{os.getpid()}-{uuid.uuid4().hex[:8]}-clock")
    try:
        probe.write_bytes(b"")
        return probe.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
    finally:
        probe.unlink(missing_ok=True)


def _sentence(target: Path, owner: dict[str, Any]) -> str:
    who = f"process {owner.get('pid', '?')} on {owner.get('host', 'an unknown host')}"
    return f"{target} is being written by {who}. Wait until it ends, or choose another output."
