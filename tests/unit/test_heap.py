"""Memory that stays with the process: pages are asked for once, unless that is switched off."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tmepde._cache import cores

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


HEAPS = """
import ctypes, sys, tempfile
import tmepde as tme
library = ctypes.CDLL(None)
library.fdopen.restype = ctypes.c_void_p
library.fdopen.argtypes = [ctypes.c_int, ctypes.c_char_p]
library.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
library.fflush.argtypes = [ctypes.c_void_p]
tme.Grid.line(1.0, int(sys.argv[1]))
import jax
jax.numpy.ones(3).block_until_ready()
with tempfile.TemporaryFile() as file:
    stream = library.fdopen(file.fileno(), b"w")
    library.malloc_info(0, stream)
    library.fflush(stream)
    file.seek(0)
    print(file.read().count(b"<heap nr="))
"""


@pytest.mark.skipif(os.confstr("CS_GNU_LIBC_VERSION") is None, reason="needs the GNU C library")
@pytest.mark.skipif(cores() > 8, reason="there each thread has its heap anyway")
@pytest.mark.parametrize(("cells", "shared"), [(100, False), (2**19, True)])
def test_threads_share_one_heap_where_arrays_are_large(cells: int, shared: bool):
    """Small blocks of many threads must not wait at the lock of one heap; large ones need the heap that holds them."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_") and k != "GLIBC_TUNABLES"}
    done = subprocess.run(
        [sys.executable, "-c", HEAPS, str(cells)], env=clean, capture_output=True, text=True, check=True
    )
    assert (int(done.stdout) == 1) == shared
