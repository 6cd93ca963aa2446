"""The document of every array, ``NAME/zarr.json``, and its copy in the root.

We read the copy, which has a checksum. Readers without consolidated metadata go by the document itself: one that is
lost hides its array from them, one that is changed makes other numbers of its chunks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tmepde.io.durable import make_folders, write_files
from tmepde.io.guard import leaves
from tmepde.io.root import NAME, StoreError


def wrong(path: Path, known: Mapping[str, Any], growing: bool = False) -> dict[str, str]:
    """What is wrong with the documents of a store, by their file.

    Args:
        known: the copy of each, by array.
        growing: the length along ``time`` may be another: while a run goes on, only the copy is kept up.

    Raises:
        StoreError: for a copy of what is outside the store.
    """
    found = {}
    for name, copy in known.items():
        if leaves(name):
            raise StoreError(f"{path} names the array {name!r}, which is outside the store. It cannot be trusted.")
        try:
            document = json.loads((path / name / NAME).read_bytes())
            told = "" if _text(document, growing) == _text(copy, growing) else "changed"
        except FileNotFoundError:
            told = "missing"
        except (OSError, ValueError) as error:
            told = f"not readable ({error})"
        if told:
            found[f"{name}/{NAME}"] = told
    return found


def restore(path: Path, known: Mapping[str, Any], files: Iterable[str]) -> None:
    """Write ``files`` (of :func:`wrong`) again from their copies.

    Raises:
        WriteError: of the disk.
    """
    texts = {path / file: json.dumps(known[Path(file).parent.name], ensure_ascii=False).encode() for file in files}
    make_folders({file.parent for file in texts})
    write_files(texts)


def _text(document: Any, growing: bool) -> str:
    """By which documents are compared; if ``growing``, without the length along ``time``."""
    dims = document.get("dimension_names") if isinstance(document, dict) else None
    if growing and isinstance(dims, list) and isinstance(document.get("shape"), list):
        document = {**document, "shape": [n for n, dim in zip(document["shape"], dims, strict=False) if dim != "time"]}
    return json.dumps(document, sort_keys=True)
