"""What a store from elsewhere must not do: lead out of its folder, or declare what no memory can hold.

Looked at before anything of it is read: a store is a folder of plain files, so links, pipes and devices in it are
refused, and so are metadata whose keys leave the folder or whose shapes and chunks are beyond any sensible result.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from tmepde.io.root import COPY, NAME, StoreError

#: bytes of one metadata file (the resolved config is in there), of one chunk in memory and of one array
LARGEST_METADATA, LARGEST_CHUNK, LARGEST_ARRAY = 2**28, 2**32, 2**52
#: entries of a one-dimensional array: coordinates are read whole when a store is opened
LONGEST = 2**28
_ITEM = {"bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "float16": 2, "float32": 4, "int32": 4, "uint32": 4}


def hazards(store: Path) -> list[str]:
    """Sentences about everything in the folder ``store`` that is refused; empty for an honest one."""
    found = []
    for folder, folders, files in os.walk(store):
        for name in (*folders, *files):
            path = Path(folder) / name
            shown = path.relative_to(store)
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:  # a file that a run is just putting into place
                continue
            if stat.S_ISLNK(mode):
                found.append(f"`{shown}` is a link to {os.readlink(path)}. A store has no links: copy what it means.")
            elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                found.append(f"`{shown}` is neither a file nor a folder. Remove it.")
            elif name == "zarr.json":
                found += _metadata(path, str(shown))
    return found


def refuse_hazards(store: Path) -> None:
    """Raise for a store that is not opened; what has no root document is not looked through: it may be a whole disk.

    Raises:
        StoreError: with the first of :func:`hazards`.
    """
    refused = hazards(store) if any((store / name).exists() for name in (NAME, COPY)) else []
    if refused:
        more = f" ({len(refused)} such problems)" if len(refused) > 1 else ""
        raise StoreError(f"{store} is not opened: {refused[0]}{more}")


def _metadata(path: Path, shown: str) -> list[str]:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return []
    if size > LARGEST_METADATA:
        return [f"`{shown}` has {size / 2**20:.3g} MiB of metadata, at most {LARGEST_METADATA / 2**20:g} are read."]
    try:
        document = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError, OSError):
        return []  # damaged, which is told elsewhere
    if not isinstance(document, dict):
        return []
    found = _array(document, shown)
    consolidated = document.get("consolidated_metadata")
    inner = consolidated.get("metadata") if isinstance(consolidated, dict) else None
    for key, value in inner.items() if isinstance(inner, dict) else ():
        if leaves(str(key)):
            found.append(f"`{shown}` names the array {key!r}, which is outside the store. It cannot be trusted.")
        elif isinstance(value, dict):
            found += _array(value, f"{shown}: {key}")
    return found


def leaves(key: str) -> bool:
    """Whether a key of a store is the path of something outside of it."""
    parts = key.replace("\\", "/").split("/")
    return ".." in parts or key.startswith(("/", "\\", "~")) or "\x00" in key or ":" in parts[0]


def _array(document: dict[str, Any], shown: str) -> list[str]:
    """Shapes and chunks of one array's metadata."""
    if "shape" not in document:
        return []
    grid = document.get("chunk_grid")
    settings = grid.get("configuration") if isinstance(grid, dict) else None
    chunks = settings.get("chunk_shape") if isinstance(settings, dict) else None
    found = []
    item = _ITEM.get(str(document.get("data_type")), 8)
    for label, shape, most in (("shape", document["shape"], LARGEST_ARRAY), ("chunks", chunks, LARGEST_CHUNK)):
        if shape is None:
            continue
        whole = isinstance(shape, list) and all(
            isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape
        )
        if not whole:
            found.append(f"`{shown}` has the {label} {str(shape)[:60]}, which are no numbers of cells.")
            continue
        size = item
        for n in shape:
            size *= n
        if size > most or (label == "shape" and len(shape) == 1 and shape[0] > LONGEST):
            found.append(f"`{shown}` declares the {label} {str(shape)[:60]}, {size / 2**30:.3g} GiB. It is not opened.")
    return found
