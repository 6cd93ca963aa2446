"""How many scenarios make a batch, and how many of them run at a time, when nobody says.

A batch is what is lost when its process dies, and what is mapped into one program on a GPU.

    processor   8 members a core, so that cores wait little for the last member; at least 16
    GPU         members until 4 million cells (assumed to fill it), as far as its memory goes

On both, results of a batch stay within 64 MiB, and a sweep has 8 batches where it is large enough, so that a stop loses
little. Members take the memory that :mod:`tmepde._memory` estimates; six tenths of what there is are given to them.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tmepde._memory import estimate, installed

_PER_CORE, _LEAST, _MOST = 8, 16, 1024
_FILLED = 2**22
_BYTES = 64 * 2**20
_SHARE = 0.6
_BATCHES = 8


def chosen(scenario: Any, precision: str, row_bytes: float, count: int) -> int:
    """Scenarios of a batch.

    Args:
        scenario: one of them.
        row_bytes: what the store keeps of one.
        count: scenarios of the sweep.
    """
    import jax

    device = jax.devices()[0]
    if device.platform == "cpu":
        size, at_once = max(_LEAST, _PER_CORE * cores()), cores()
    else:
        room = (device.memory_stats() or {}).get("bytes_limit", 8 * 2**30)
        fits = int(_SHARE * room / _bytes(scenario, precision))
        size, at_once = max(1, min(fits, -(-_FILLED // _cells(scenario)))), 1
    size = min(size, max(at_once, -(-count // _BATCHES)))
    return int(np.clip(_BYTES // max(row_bytes, 1.0), 1, min(size, _MOST)))


def threads(scenario: Any, precision: str) -> int | None:
    """Members that run at a time on a processor; ``None`` on a GPU."""
    from tmepde.layout import platform  # it imports JAX, which `sweep status` does without

    if platform() != "cpu":
        return None
    room = installed()
    fits = cores() if room is None else int(_SHARE * room / _bytes(scenario, precision))
    return max(1, min(cores(), fits))


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cells(scenario: Any) -> int:
    return int(np.prod(scenario.model.grid.shape))


def _bytes(scenario: Any, precision: str) -> float:
    return max(1.0, estimate(dict(scenario.system.species), scenario.model.grid.shape, precision))
