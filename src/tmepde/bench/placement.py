"""Whether two cores share their last level of cache, told by the bandwidth of the memory.

Processors of many cores have several last-level caches, each with its own way to the memory, and a scheduler, or the
host of a virtual machine, may put two threads on cores of one or of two, and change that every few seconds:

    together  what one core has written, the other reads from the cache; both share one way to the memory
    apart     it comes from the other end of the processor; each has a way of its own, twice the bandwidth in all

Two cores of an EPYC (family 26), measured: 48 and 90 GB/s, and runs that hand small arrays from core to core take twice
as long apart. No counter of the system tells which it is.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tmepde._cache import cores

#: float32 numbers of each of three arrays: beyond any cache that two cores share
_NUMBERS = 2**23
#: seconds that are counted: some tens of passes
_SECONDS = 0.05
#: bandwidth of two cores over that of one, above which they do not share their way to the memory (measured: 0.95 to 1.2
#: together, 1.8 to 2.2 apart)
_APART = 1.5


def bandwidths(threads: int) -> tuple[float, float]:
    """GB/s of a sum of two arrays by one thread, and by ``threads`` at a time together."""
    arrays = [[np.ones(_NUMBERS, np.float32) for _ in range(3)] for _ in range(threads)]
    size = 1e-9 * 3 * arrays[0][0].nbytes
    with ThreadPoolExecutor(threads) as pool:

        def rate(count: int) -> float:
            begin = threading.Barrier(count)

            def work(own: list[np.ndarray]) -> float:
                a, b, into = own
                begin.wait()
                began, passes = time.perf_counter(), 0
                while (took := time.perf_counter() - began) < _SECONDS:
                    np.add(a, b, out=into)  # other threads go on meanwhile
                    passes += 1
                return size * passes / took

            return sum(pool.map(work, arrays[:count]))

        rate(threads)  # pages are mapped
        return rate(1), rate(threads)


def placement() -> str:
    """``"together"`` or ``"apart"`` for two cores at this moment; an empty text for any other number of cores."""
    if cores() != 2:
        return ""
    one, both = bandwidths(2)
    return "apart" if both > _APART * one else "together"
