"""The same for several large arrays, on all cores: numpy passes over one array on one core, and lets others go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tmepde._cache import cores

#: bytes together from which on threads are worth their start (some 0.1 ms)
_LARGE = 2**24


def each(function: Callable[[Any], Any], values: Sequence[Any], size: int) -> list[Any]:
    """``function`` of each of ``values``, which are of ``size`` bytes together."""
    workers = min(cores(), len(values))
    if workers < 2 or size < _LARGE:
        return [function(value) for value in values]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, values))
