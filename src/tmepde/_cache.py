"""Compiled programs are kept on disk, so that the second run of a study starts at once.

A folder that the user has chosen (``JAX_COMPILATION_CACHE_DIR`` or ``jax_compilation_cache_dir``) is left alone.
Otherwise programs that took longer than a second to compile go into ``tmepde/programs-<hash>`` in the user's cache
folder (``TMEPDE_CACHE``, else ``XDG_CACHE_HOME``, else ``~/.cache``). The hash stands for the processor, the cores this
process may use, and the versions of Python, JAX and this package: a program compiled for one processor may not run on
another, and one compiled in a job of one core keeps to one core wherever it runs (JAX itself does not tell them apart).
``TMEPDE_CACHE=off`` keeps nothing.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tmepde._version import __version__

#: bytes above which the oldest programs are removed
LARGEST = 2 * 1024**3
#: files that are locked while something is compiled, shared by what has the same remainder
_LOCKS, _LOCK = 64, ".lock"
#: seconds after which one who waits for another's compilation says so, and after which it goes on without (the longest
#: compilation measured took 67 s); seconds between two looks
TOLD, PATIENCE, _POLL = 60.0, 900.0, 0.2


def folder() -> Path | None:
    """Where programs would be kept by this package; ``None`` when switched off."""
    chosen = os.environ.get("TMEPDE_CACHE", "")
    if chosen.lower() in ("off", "0", "no", "false"):
        return None
    if chosen:
        return Path(chosen).expanduser() / f"programs-{_fingerprint()}"
    home = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(home) if home else Path.home() / ".cache"
    except RuntimeError:  # no home folder
        return None
    return base / "tmepde" / f"programs-{_fingerprint()}"


def cores() -> int:
    """Cores that this process may use (those of its job, where a cluster or ``taskset`` has given it some)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _fingerprint() -> str:
    import jaxlib

    features = ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "flags", "Features", "CPU part")):
                features += line
            elif features and not line:
                break
    known = (platform.machine(), platform.processor(), features, str(cores()), sys.version, jaxlib.__version__)
    return hashlib.sha256("\n".join((*known, __version__)).encode()).hexdigest()[:12]


def shared() -> bool:
    """Whether processes find each other's programs, as far as that can be known without JAX."""
    return folder() is not None or bool(os.environ.get("JAX_COMPILATION_CACHE_DIR"))


@contextlib.contextmanager
def compiled_once(key: str) -> Iterator[Callable[[], None]]:
    """Keep other processes of this machine from compiling what ``key`` stands for at the same time.

    They wait until the function that this yields is called (the program is on the disk then), the block ends, or the
    process dies. One that has waited for :data:`TOLD` seconds says for what, and after :data:`PATIENCE` it compiles for
    itself: the other may be stopped, or on a disk whose locks outlive it. Where nothing is kept on disk, or files
    cannot be locked, nobody waits.
    """
    import jax

    keep_programs()
    settings: Any = jax.config
    place = Path(str(settings.jax_compilation_cache_dir or ""))
    if not settings.jax_compilation_cache_dir or not place.is_dir():
        yield lambda: None
        return
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, ImportError):
            import fcntl

            name = int(hashlib.sha256(key.encode()).hexdigest(), 16) % _LOCKS
            file = place / f"compiling-{name}{_LOCK}"
            handle = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
            stack.callback(os.close, handle)  # and with it the lock
            _wait(lambda: fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB), file)
        yield stack.close


def _wait(take: Callable[[], None], file: Path) -> None:
    """Until ``take`` raises no BlockingIOError, or patience is at an end."""
    began, told = time.monotonic(), False
    while True:
        try:
            return take()
        except BlockingIOError:
            waited = time.monotonic() - began
        if waited > PATIENCE:
            warnings.warn(
                f"Another process has been compiling the same program for {PATIENCE:.0f} s ({file} is locked). It is "
                "compiled here now as well. If that process hangs, end it; `fuser` names it.",
                stacklevel=4,
            )
            return None
        if waited > TOLD and not told:
            told = True
            print(
                f"waiting for the process that compiles the same program ({file} is locked), {PATIENCE:.0f} s at most; "
                "set TMEPDE_CACHE=off to compile at once",
                file=sys.stderr,
                flush=True,
            )
        time.sleep(_POLL)


@functools.cache
def keep_programs() -> str:
    """Switch the cache on, once per process, and say in a word or a path what holds.

    Safe with read-only homes (nothing is kept then) and with many processes at a time: one that meets an entry half
    written, or cut short by a full disk, warns and compiles for itself. Delete the folder to be rid of such an entry.
    """
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    settings: Any = jax.config
    given = settings.jax_compilation_cache_dir
    if given:
        return f"{given} (chosen by the user)"
    if not settings.jax_enable_compilation_cache:
        return "off (jax_enable_compilation_cache)"
    place = folder()
    if place is None:
        return "off"
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not os.access(place, os.W_OK):
            return _without(f"off, {place} is read-only")
        _prune(place)
    except OSError as error:
        return _without(f"off, {place} cannot be used ({error.strerror})")
    jax.config.update("jax_compilation_cache_dir", str(place))
    compilation_cache.reset_cache()  # something compiled before has fixed that there is none
    return str(place)


def _without(reason: str) -> str:
    """Warn (once, as :func:`keep_programs` is asked once) that every run compiles anew, and say why."""
    warnings.warn(
        f"Compiled programs are not kept: {reason.removeprefix('off, ')}. Set TMEPDE_CACHE to a folder, or to off.",
        stacklevel=3,
    )
    return reason


def _prune(place: Path) -> None:
    """Remove the oldest programs until all fit into :data:`LARGEST`; another process may be doing the same."""
    entries = []
    for path in place.iterdir():
        with contextlib.suppress(OSError):
            if path.suffix == _LOCK:
                continue
            found = path.stat()
            entries.append((found.st_mtime, found.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries, key=lambda entry: entry[0]):
        if total <= LARGEST:
            return
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size
