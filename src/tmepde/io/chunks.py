"""Chunks as bytes: little-endian values, Zstandard, CRC-32C, as zarr's own codecs write them; and how long they are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

#: bytes of a chunk in space and time at most
LARGEST = 4 * 2**20
#: a tail chunk is written again with every commit: of large rows only few are put together, of small ones this much
_TAIL, _FEW, _FEW_BYTES = 64 * 2**10, 4, 512 * 2**10
#: level 3 takes twice the time for 1 % of the bytes (fields of the main job)
LEVEL = 1


def encode(values: np.ndarray) -> bytes:
    """One chunk, of the full chunk shape."""
    import numcodecs

    plain = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    return sealed(bytes(numcodecs.Zstd(level=LEVEL).encode(plain.tobytes())))


def sealed(content: bytes) -> bytes:
    """With its CRC-32C at the end."""
    import google_crc32c

    return content + np.uint32(google_crc32c.value(content)).astype("<u4").tobytes()


def decode(content: bytes, dtype: Any, shape: Sequence[int]) -> np.ndarray:
    """The inverse of :func:`encode`.

    Raises:
        ValueError: if the checksum does not match.
    """
    import numcodecs

    if not intact(content):
        raise ValueError("the checksum does not match")
    raw = bytes(numcodecs.Zstd().decode(content[:-4]))
    return np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).reshape(shape).astype(dtype)


def intact(content: bytes) -> bool:
    """Whether the CRC-32C at the end is that of what is before it."""
    import google_crc32c

    stored = np.frombuffer(content[-4:], "<u4") if len(content) >= 4 else np.zeros(0, "<u4")
    return bool(len(stored) == 1 and int(stored[0]) == google_crc32c.value(content[:-4]))


def wrong(file: Path, fits: Callable[[bytes], bool] = lambda _: True) -> str:
    """What is wrong with the file of a chunk; empty where nothing is.

    Args:
        fits: whether what has a good checksum can be a chunk of its array.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return str(error.strerror)
    if not intact(content):
        return "does not match its checksum"
    return "" if fits(content) else "is a chunk of another array"


def fits(meta: Mapping[str, Any]) -> Callable[[bytes], bool]:
    """Whether a chunk holds as many values as those of the array with the document ``meta``."""
    count = math.prod(meta["chunk_grid"]["configuration"]["chunk_shape"])
    kind = meta["data_type"]
    if kind == "string":
        return lambda content: texts(content) == count
    item = kind["configuration"]["length_bytes"] if isinstance(kind, Mapping) else np.dtype(kind).itemsize
    return lambda content: size(content) == count * int(item)


def size(content: bytes) -> int:
    """Bytes of the values of a chunk, as its Zstandard frame says (RFC 8878, 3.1.1.1); -1 where it does not.

    Much faster than to unpack it.
    """
    if len(content) < 9 or content[:4] != b"\x28\xb5\x2f\xfd":
        return -1
    flags = content[4]
    alone = flags >> 5 & 1  # no size of a window comes first
    length = (alone, 2, 4, 8)[flags >> 6]
    start = 6 - alone + (0, 1, 2, 4)[flags & 3]
    found = int.from_bytes(content[start : start + length], "little") + (256 if length == 2 else 0)
    return found if length else -1


def texts(content: bytes) -> int:
    """Strings of a chunk; -1 where it holds something else."""
    import numcodecs

    try:
        return len(numcodecs.VLenUTF8().decode(numcodecs.Zstd().decode(content[:-4])))
    except (ValueError, RuntimeError):
        return -1


def rows_per_chunk(row: int, planned: int) -> int:
    """How many rows of ``row`` bytes make a chunk: scalars all, small fields 64 kB, large ones up to four."""
    row = max(1, row)
    return max(1, min(planned, max(_TAIL // row, min(_FEW, _FEW_BYTES // row))))


def space_chunks(shape: Sequence[int], itemsize: int) -> list[int]:
    """Halved along the first axes until a chunk of one row is at most 4 MiB."""
    sizes = list(shape)
    for k in range(len(sizes)):
        while np.prod(sizes, dtype=float) * itemsize > LARGEST and sizes[k] > 1:
            sizes[k] = -(-sizes[k] // 2)
    return [max(1, s) for s in sizes]


def pieces(block: np.ndarray, chunk: Sequence[int]) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """(place, values) of the chunks of ``block``, those at the edge filled up with the fill value."""
    counts = [-(-n // c) for n, c in zip(block.shape, chunk, strict=True)]
    for place in itertools.product(*map(range, counts)):
        part = block[tuple(slice(i * c, (i + 1) * c) for i, c in zip(place, chunk, strict=True))]
        if part.shape != tuple(chunk):
            full = np.full(tuple(chunk), fill_of(block.dtype), block.dtype)
            full[tuple(map(slice, part.shape))] = part
            part = full
        yield place, part


def fill_of(dtype: np.dtype) -> Any:
    """What stands where there is nothing."""
    return np.nan if dtype.kind == "f" else (np.zeros((), dtype))
