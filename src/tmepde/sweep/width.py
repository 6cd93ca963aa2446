"""How many scenarios make a batch, how many are mapped into one program, and how many run at a time, when nobody says.

A batch is what is stored, what is lost when its process dies, and what is run again. It is as wide as the largest of

    mapped     1 on a processor; on a GPU members until 4 million cells (assumed to fill it), as far as its memory goes
    cores      8 members a core, at least 16, so that cores wait little for the last member
    files      a batch writes a file of every array, which takes whole blocks of the disk: 1.5 kB of them a scenario

but the files do not widen it beyond ten minutes of one core (or of the GPU), by a cost that is assumed: a scenario that
takes minutes can afford its blocks. Results of a batch stay within 64 MiB, and a sweep has 8 batches where it is large
enough, so that a stop loses little. The batches are then evened out, and their number is a multiple of the cores.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from tmepde._memory import available, estimate

_PER_CORE, _LEAST, _MOST = 8, 16, 1024
_FILLED = 2**22
_BYTES = 64 * 2**20
_SHARE = 0.6
_BATCHES = 8
#: bytes of a process that has loaded JAX, a config and a compiled program, besides its members
PROCESS = 0.7 * 2**30
#: bytes of a block of a disk (what ext4, xfs and most others take at least for a file), and of blocks a scenario
_BLOCK, _OVERHEAD = 4096, 1536
#: seconds of a batch up to which files widen it
_LONG = 600.0
#: seconds per cell, field and step, by platform (measured: 21 fields on 64² cells on one core, 22 on an H200), and
#: steps of a scenario (assumed)
_COST = {"cpu": 5e-8, "gpu": 1.2e-9}
_STEPS = 400


class Width(NamedTuple):
    """Scenarios of a batch, and how many of them are mapped into one program on a GPU."""

    batch: int
    mapped: int


def chosen(scenario: Any, precision: str, row_bytes: float, files: int, count: int) -> Width:
    """The widths of a sweep.

    Args:
        scenario: one of them.
        row_bytes: what the store keeps of one.
        files: arrays that every batch writes.
        count: scenarios of the sweep.
    """
    import jax

    device = jax.devices()[0]
    on_cpu = device.platform == "cpu"
    mapped = max(1, min(-(-_FILLED // _cells(scenario)), _MOST))
    if not on_cpu:
        room = (device.memory_stats() or {}).get("bytes_limit", 8 * 2**30)
        mapped = max(1, min(mapped, int(_SHARE * room / member_bytes(scenario, precision))))
    plain, at_once = (max(_LEAST, _PER_CORE * cores()), cores()) if on_cpu else (mapped, 1)
    size = max(plain, min(-(-files * _BLOCK // _OVERHEAD), int(_LONG / _seconds(scenario, device.platform))))
    size = min(size, max(at_once, -(-count // _BATCHES)))
    size = int(np.clip(_BYTES // max(row_bytes, 1.0), 1, min(size, _MOST)))
    if on_cpu:
        return Width(size := evened(count, size, cores()), min(size, mapped))
    mapped = min(size, mapped)
    return Width(-(-size // mapped) * mapped, mapped)  # whole programs


def evened(count: int, size: int, processes: int) -> int:
    """At most ``size`` scenarios a batch, in batches of nearly equal size; as many for each process where they have
    more than one."""
    number = -(-count // size)
    if number > processes:
        number = -(-number // processes) * processes
    return max(1, -(-count // number))


def threads(scenario: Any, precision: str) -> int | None:
    """Members that run at a time on a processor; ``None`` on a GPU."""
    from tmepde.layout import platform  # it imports JAX, which `sweep status` does without

    if platform() != "cpu":
        return None
    room = available()
    fits = cores() if room is None else int(_SHARE * room / member_bytes(scenario, precision))
    return max(1, min(cores(), fits))


def processes(batches: int, member: float | None) -> int:
    """Processes that share the cores: one a core and at most one a batch, as far as memory goes.

    Together they run one member a core. Where not even that fits, one process alone, which runs as many as fit.

    Args:
        batches: that are left.
        member: bytes that one member takes while it runs; ``None`` where that is not known.
    """
    wanted, room = max(1, min(batches, cores())), available()
    if room is None or member is None or wanted == 1:
        return wanted
    return int(max(1, min(wanted, (_SHARE * room - cores() * member) // PROCESS)))


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cells(scenario: Any) -> int:
    return int(np.prod(scenario.model.grid.shape))


def _seconds(scenario: Any, platform: str) -> float:
    fields = sum(s.kind != "compartment" for s in scenario.system.species.values())
    return _COST.get(platform, _COST["gpu"]) * _STEPS * _cells(scenario) * max(fields, 1)


def member_bytes(scenario: Any, precision: str) -> float:
    """Bytes that a member takes while it runs, by the estimate."""
    return max(1.0, estimate(dict(scenario.system.species), scenario.model.grid.shape, precision))
