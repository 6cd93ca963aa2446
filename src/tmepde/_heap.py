"""Memory that arrays have given back stays with the process, so that the next call need not ask the system for it.

The GNU C library returns large blocks to the system as soon as they are freed and asks for new ones, whose pages the
system clears and maps one by one on first touch. A program of XLA takes one such block for everything between its
arguments and its results: a step of ten fields of 100³ cells on two cores spent a third of its time on that, a solve of
160³ cells 40 %. It is switched on when the package is imported: threads that JAX has started before allocate from heaps
of their own, which hold no large blocks.

One heap for all threads is what large arrays need. Many small blocks make threads wait for each other at its lock: a
tenth of a run of 64² cells, a fifth of a batch of them, and twice its time where a compilation has left its holes in
the heap. Threads that are started after a small grid was made (:func:`suit_heaps`), those of JAX among them where
nothing has called it yet, therefore have heaps of their own.

What stays is bounded by :data:`KEPT`. Nothing is done where another C library is used, where the user has set
``GLIBC_TUNABLES`` or one of the ``MALLOC_…`` variables, or with ``TMEPDE_HEAP=off``. What a compiler leaves behind is
given back (:func:`return_memory`).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os

from tmepde._cache import cores

#: bytes that are kept at most, and up to which a block is one that is kept
KEPT = 2**30
#: parameters of mallopt (malloc.h)
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
#: cores up to which all threads share one heap: the others' heaps do not hold large blocks
_FEW = 8
#: cells from which a grid is large, and heaps a core as the C library has them
_LARGE, _HEAPS = 2**19, 8
_OFF = ("off", "0", "no", "false")


@functools.cache
def keep_memory() -> str:
    """Switch this on, once per process, and say in a word what holds."""
    if said := _left_alone():
        return said
    try:
        library = ctypes.CDLL(None)
        if not hasattr(library, "gnu_get_libc_version"):
            return "off, another C library"
        settings = [(_MMAP_THRESHOLD, KEPT), (_TRIM_THRESHOLD, KEPT)]
        settings += [(_ARENA_MAX, 1)] if cores() <= _FEW else []
        done = [library.mallopt(which, value) for which, value in settings]
    except (OSError, AttributeError, TypeError):
        return "off, another C library"
    return f"up to {KEPT // 2**20} MiB" if all(done) else "off, refused by the C library"


def suit_heaps(cells: int) -> None:
    """Let threads that are started from now on have heaps of their own, where a grid is small.

    The C library looks up its limit once, when a thread first asks for memory: later it changes nothing.
    """
    if cells < _LARGE and not _left_alone():
        _let_heaps()


@functools.cache
def _let_heaps() -> None:
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _HEAPS * cores())


def _left_alone() -> str:
    """Why nothing is to be done, or an empty text."""
    if os.environ.get("TMEPDE_HEAP", "").lower() in _OFF:
        return "off"
    if "malloc" in os.environ.get("GLIBC_TUNABLES", "") or any(name.startswith("MALLOC_") for name in os.environ):
        return "left to the settings of the C library in the environment"
    return ""


def return_memory() -> bool:
    """Return to the system what is free now; whether the C library can.

    For after a compilation, which leaves its freed memory in pieces all over the heap: 1.2 of 1.9 GB after that of the
    reference model (24 species on 64² cells).
    """
    try:
        library = ctypes.CDLL(None)
        return hasattr(library, "malloc_trim") and library.malloc_trim(0) in (0, 1)
    except (OSError, AttributeError, TypeError):
        return False
