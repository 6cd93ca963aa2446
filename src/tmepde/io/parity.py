"""One damaged chunk of a group can be had again: the exclusive or of the others and of a file beside them.

Chunks that are committed together are a group: those of one place in space and time of all arrays with as many rows to
a chunk; the outcome of one scenario; all that never changes. Of each group there is one file, ``time/.parity/GROUP``:
the length of a table, the table (bytes and checksum of each chunk, by its key; JSON), the exclusive or of the chunks,
each filled up with zeros to the longest, and a CRC-32C. It costs one chunk in as many as there are arrays, and says
nothing where two chunks of a group are damaged. Readers never look at it. A crash inside a commit may leave chunks that
do not fit to it (until the resume); what comes out is therefore compared with the checksum of the chunk. The table
tells a sound chunk of another place from that which belongs there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tmepde.io import chunks, root

#: in the folder of an array, where zarr does not look for others
FOLDER = "time/.parity"
_LENGTH = 8


def group(name: str, meta: dict[str, Any], place: Iterable[int]) -> str:
    """The file of the group of a chunk."""
    if root.by_row(meta):
        return f"{FOLDER}/rows{root.chunk_shape(meta)[1]}." + ".".join(map(str, place))
    if list(meta.get("dimension_names") or ())[:1] == ["scenario"] and name != "scenario":
        return f"{FOLDER}/scenario.{next(iter(place))}"
    return f"{FOLDER}/fixed"


def groups(document: dict[str, Any]) -> dict[str, list[str]]:
    """Keys of the chunks of each group that the committed shapes imply."""
    found: dict[str, list[str]] = {}
    metas = root.arrays(document)
    for name, key in root.implied(document):
        found.setdefault(group(name, metas[name], root.chunk_place(metas[name], key)), []).append(key)
    return found


def files(document: dict[str, Any], contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of the groups of ``contents``, chunks by key; whole groups are given."""
    metas, parts = root.arrays(document), dict[str, dict[str, bytes]]()
    for key, content in contents.items():
        name = key.partition("/")[0]
        parts.setdefault(group(name, metas[name], root.chunk_place(metas[name], key)), {})[key] = content
    return {file: _packed(part) for file, part in parts.items()}


def outcome_keys(document: dict[str, Any], arm: int) -> list[str]:
    """Keys of the chunks that say how scenario ``arm`` stands."""
    metas = root.arrays(document)
    return [
        root.chunk_key(name, meta, place)
        for name, meta in metas.items()
        if not root.by_row(meta)
        for place in root.chunk_places(meta, None)
        if group(name, meta, place) == f"{FOLDER}/scenario.{arm}"
    ]


def wrong(file: Path) -> str:
    """What is wrong with the file of a group; empty where nothing is."""
    return chunks.wrong(file) or ("" if _opened(file) else "is none of its kind")


def restored(target: Path, file: str, key: str) -> bytes | None:
    """The chunk ``key`` from the file of its group and the other chunks; ``None`` where that cannot be had."""
    opened = _opened(target / file)
    if opened is None:
        return None
    content, table, begin = opened
    others = [_read(target / other) for other in table if other != key]
    if key not in table or any(other is None for other in others):
        return None
    found = _xor([content[begin:-4], *[other for other in others if other is not None]])[: table[key][0]]
    return found if chunks.intact(found) else None


def foreign(target: Path, file: str) -> list[str]:
    """Keys of the chunks of a group that are sound and not what was committed there: those of another place."""
    opened = _opened(target / file)
    table = {} if opened is None else opened[1]
    found = ((key, known, _read(target / key)) for key, known in table.items())
    return [key for key, known, chunk in found if chunk is not None and known != _marks(chunk)[: len(known)]]


def _marks(chunk: bytes) -> list[int]:
    """By which a chunk is known: its bytes and its checksum."""
    return [len(chunk), int.from_bytes(chunk[-4:], "little")]


def _table(content: bytes) -> tuple[dict[str, list[int]], int]:
    """What each chunk of a group is known by (of older stores the bytes alone), and where the exclusive or begins."""
    begin = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    table = json.loads(content[_LENGTH:begin])
    return {key: known if isinstance(known, list) else [known] for key, known in table.items()}, begin


def _opened(path: Path) -> tuple[bytes, dict[str, list[int]], int] | None:
    """The file of a group with its table and where the exclusive or begins; ``None`` for any other file."""
    content = _read(path)
    try:
        return None if content is None else (content, *_table(content))
    except (ValueError, AttributeError, TypeError):  # a chunk, or the file of something else
        return None


def _read(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if chunks.intact(content) else None


def _xor(parts: Iterable[bytes]) -> bytes:
    parts = list(parts)
    found = np.zeros(max(map(len, parts)), np.uint8)
    for part in parts:
        found[: len(part)] ^= np.frombuffer(part, np.uint8)
    return found.tobytes()


def _packed(part: Mapping[str, bytes]) -> bytes:
    text = json.dumps({key: _marks(content) for key, content in sorted(part.items())}).encode()
    return chunks.sealed(len(text).to_bytes(_LENGTH, "little") + text + _xor(part.values()))
