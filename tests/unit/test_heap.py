"""Memory that stays with the process: pages are asked for once, unless that is switched off."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, resource
from tmepde._heap import keep_memory
said = keep_memory()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.malloc.argtypes = [ctypes.c_size_t]
library.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]

def touch():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = library.malloc(2**26)
    library.memset(block, 1, 2**26)
    library.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

touch()
print(said, touch(), sep="|")
"""


def faults(**settings: str) -> tuple[str, int]:
    """What :func:`keep_memory` says, and the pages mapped for the second of two blocks of 64 MB."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_") and k != "GLIBC_TUNABLES"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**clean, **settings}, capture_output=True, text=True, check=True
    )
    said, count = done.stdout.strip().split("|")
    return said, int(count)


@pytest.mark.skipif(os.confstr("CS_GNU_LIBC_VERSION") is None, reason="needs the GNU C library")
def test_a_freed_block_is_there_for_the_next_call():
    """The 16,384 pages of a block are mapped once; with the setting of the user, or none, for every block."""
    said, kept = faults()
    assert said == "up to 1024 MiB" and kept < 100
    said, without = faults(TMEPDE_HEAP="off")
    assert said == "off" and without > 10 * max(kept, 1)
    said, _ = faults(MALLOC_TOP_PAD_="131072")
    assert "environment" in said


PIECES = """
from tmepde._heap import keep_memory, return_memory
keep_memory()

def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

blocks = [b"x" * 100_000 for _ in range(2000)]
blocks = blocks[::10]
before = resident()
print(return_memory(), before - resident())
"""


@pytest.mark.skipif(
    os.confstr("CS_GNU_LIBC_VERSION") is None or not os.path.exists("/proc/self/status"),
    reason="needs the GNU C library on Linux",
)
def test_what_is_free_between_blocks_goes_back_to_the_system():
    """Nine of ten blocks of 100 kB are freed, of 200 MB in all: 180 MB are given back, but for parts of pages."""
    done = subprocess.run([sys.executable, "-c", PIECES], capture_output=True, text=True, check=True)
    could, returned = done.stdout.split()
    assert could == "True" and int(returned) > 150_000
