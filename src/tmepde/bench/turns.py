"""How often something is timed."""

from __future__ import annotations

import time
from collections.abc import Iterator

#: seconds that the timings of what is short go on for at least: three calls of 20 ms found 23 ms where fifty found 16
_LEAST = 1.0
#: turns at most
_MOST = 100


def turns(repeats: int) -> Iterator[int]:
    """``repeats`` turns; where they are several and over within a second, more until then. For all programs alike."""
    began = time.perf_counter()
    turn = 0
    while turn < repeats or (1 < repeats and turn < _MOST and time.perf_counter() - began < _LEAST):
        yield turn
        turn += 1
