"""Whether two cores share their last level of cache, told by the bandwidth of the memory.

Processors of many cores have several last-level caches, each with its own way to the memory, and a scheduler, or the
host of a virtual machine, may put two threads on cores of one or of two, and change that every few seconds:

    together  what one core has written, the other reads from the cache; both share one way to the memory
    apart     it comes from the other end of the processor; each has a way of its own, twice the bandwidth in all

Two cores of an EPYC (family 26), measured: 48 and 90 GB/s, and runs that hand small arrays from core to core take twice
as long apart. No counter of the system tells which it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tmepde._cache import cores

#: bandwidth of two cores over that of one, above which they do not share their way to the memory (measured: 0.95 to 1.2
#: together, 1.8 to 2.2 apart)
_APART = 1.5


def bandwidths(threads: int) -> tuple[float, float]:
    """GB/s of a sum of two arrays by one thread, and by ``threads`` at a time together."""
    command = [sys.executable, str(Path(__file__).with_name("summing.py")), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    one, every = json.loads(done.stdout)
    return one, every


def placement() -> str:
    """``"together"`` or ``"apart"`` for two cores at this moment; an empty text for any other number of cores."""
    if cores() != 2:
        return ""
    one, both = bandwidths(2)
    return "apart" if both > _APART * one else "together"
