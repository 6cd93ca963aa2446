"""Which cores and which GPU belong to a worker process of this machine, so that workers do not share them.

A slot is a locked file: the system gives the lock back when its process ends, however it ends, and the worker that is
started in its place takes it up. It must be taken before JAX starts, which counts cores and GPUs once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

_taken: dict[str, int] = {}


def gpus() -> tuple[str, ...]:
    """Names of the GPUs that this process may use, for ``CUDA_VISIBLE_DEVICES``; JAX is not started."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(word.strip() for word in chosen.split(",") if word.strip() and word.strip() != "-1")
    if not shutil.which("nvidia-smi"):
        return ()
    try:
        said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(str(i) for i, line in enumerate(said.splitlines()) if line.startswith("GPU "))


def cores() -> tuple[int, ...]:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def shares(count: int) -> list[tuple[int, ...]]:
    """Processors of ``count`` workers: equally many each, so that a program that one compiled suits the others (what is
    left over stays free); where there are fewer than workers, one each, shared."""
    own = cores()
    each = max(1, len(own) // count)
    return [tuple(own[(i * each + k) % len(own)] for k in range(each)) for i in range(count)]


def environment(number: int) -> dict[str, str]:
    """Variables for worker ``number``: where there are several GPUs, the one that it has."""
    devices = gpus()
    own = {"CUDA_VISIBLE_DEVICES": devices[number % len(devices)]} if len(devices) > 1 else {}
    return {**os.environ, **own}


def take(folder: str, count: int, devices: tuple[str, ...]) -> int | None:
    """Take one of ``count`` slots for the life of this process, once; ``None`` if all are taken.

    Args:
        folder: where the slots of one group of workers are kept, on this machine.
        count: workers; slot i has the cores i, i + count, … (shared where there are fewer cores than workers).
        devices: GPUs; slot i has the one numbered i modulo their number.
    """
    if folder in _taken:
        return _taken[folder]
    for i in range(count):
        handle = os.open(Path(folder) / f"slot-{i}", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            continue
        _taken[folder] = i  # the handle stays open, and with it the lock
        _use(i, count, devices)
        return i
    return None


def _use(slot: int, count: int, devices: tuple[str, ...]) -> None:
    own = cores()[slot::count]
    if own and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, own)
    if devices and "jax" not in sys.modules:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
