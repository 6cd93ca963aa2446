"""Checkpoints: named arrays in one file with a SHA-256, nothing in it to execute.

A file holds the state to go on from and the row that was saved with it (names that begin with ``row/``). It is on the
disk before the run computes anything new, so that a row is kept even if its commit never comes: see
:mod:`tmepde.io.stream`. As bytes: a line that names the format, a line with the SHA-256 of all that follows, the length
of the table, the table (name, type, shape and place of each array; JSON), and the values one after the other,
little-endian. One array under two names, as most fields of a row and of the state are, is written once.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tmepde.io.durable import gathered
from tmepde.io.root import DamagedError, StoreError

FOLDER = ".checkpoints"
ROW = "row/"
_HEAD = b"tmepde checkpoint 3\n"
#: before: the values without their places, in the order of the table; before that: an uncompressed npz
_IN_ORDER, _NPZ = b"tmepde checkpoint 2\n", b"tmepde checkpoint 1\n"
_DIGEST = 65


def packed(arrays: Mapping[str, Any]) -> list[bytes | memoryview]:
    """The file in pieces, the values not copied."""
    table: list[tuple[str, str, tuple[int, ...], int]] = []
    pieces: list[bytes | memoryview] = []
    known: dict[int, tuple[str, tuple[int, ...], int]] = {}
    end = 0
    for name, given in arrays.items():
        if id(given) not in known:
            values = np.asarray(given)
            values = np.asarray(values, values.dtype.newbyteorder("<"), order="C")
            if values.dtype.hasobject:
                raise TypeError(f"`arrays` must hold numbers, but {name!r} has {values.dtype}. Leave it out.")
            known[id(given)] = values.dtype.str, values.shape, end
            pieces.append(values.reshape(-1).view(np.uint8).data)
            end += values.nbytes
        table.append((name, *known[id(given)]))
    text = json.dumps(table).encode()
    body = [len(text).to_bytes(8, "little") + text, *pieces]
    digest = hashlib.sha256()
    for piece in gathered(body):
        digest.update(piece)
    return [_HEAD + digest.hexdigest().encode() + b"\n", *body]


def unpacked(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint, its row included.

    Raises:
        StoreError: if it is missing or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedError(f"The checkpoint {path} cannot be read: {error.strerror}.") from error
    head, start = content[: len(_HEAD)], len(_HEAD) + _DIGEST
    body = memoryview(content)[start:]
    good = content[len(_HEAD) : start - 1] == hashlib.sha256(body).hexdigest().encode()
    if head not in (_HEAD, _IN_ORDER, _NPZ) or not good:
        raise DamagedError(f"The checkpoint {path} is damaged: it does not match its checksum.")
    if head == _NPZ:
        with np.load(io.BytesIO(body), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    return dict(_values(body))


def _values(body: memoryview) -> Iterator[tuple[str, np.ndarray]]:
    begin = 8 + int.from_bytes(body[:8], "little")
    end = begin
    for name, kind, shape, *place in json.loads(bytes(body[8:begin])):
        dtype = np.dtype(kind)
        start = begin + place[0] if place else end
        end = start + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        values = np.frombuffer(body[start:end], dtype).reshape(shape)
        yield name, values.astype(dtype.newbyteorder("="))


def snapshot(path: Path) -> dict[str, np.ndarray]:
    """The state to go on from.

    Raises:
        StoreError: if it is missing or damaged.
    """
    return {name: values for name, values in unpacked(path).items() if not name.startswith(ROW)}


def row_file(arm: int, rows: int) -> str:
    """The checkpoint that was written with row ``rows`` − 1 of a scenario, by its place in the store."""
    return f"{FOLDER}/{arm:04d}-{rows:06d}.row"


def row_of(file: str | os.PathLike[str]) -> tuple[int, int]:
    """The inverse of :func:`row_file`: scenario and number of rows."""
    arm, rows = Path(file).name.removesuffix(".row").split("-")
    return int(arm), int(rows)


def waiting(target: Path, document_rows: list[int]) -> list[tuple[int, int, dict[str, np.ndarray]]]:
    """Rows that are on the disk but in no commit, as (scenario, index, values): those that follow the committed ones.

    The last file of a killed run may be half written; it and what is behind it do not count.
    """
    found = []
    for arm, committed in enumerate(document_rows):
        rows = committed + 1
        while (target / row_file(arm, rows)).is_file():
            try:
                arrays = unpacked(target / row_file(arm, rows))
            except StoreError:
                break
            values = {name.removeprefix(ROW): v for name, v in arrays.items() if name.startswith(ROW)}
            found.append((arm, rows - 1, values))
            rows += 1
    return found
