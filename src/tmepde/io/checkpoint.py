"""Checkpoints: named arrays in one file with a SHA-256, nothing in it to execute."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tmepde.io.root import StoreError

FOLDER = ".checkpoints"
_HEAD = b"tmepde checkpoint 1\n"


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Head, SHA-256 of the rest, arrays as an uncompressed npz."""
    body = io.BytesIO()
    flat: dict[str, Any] = {name: np.asarray(values) for name, values in arrays.items()}
    np.savez(body, **flat)
    content = body.getvalue()
    return _HEAD + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def unpacked(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint.

    Raises:
        StoreError: if it is missing or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"The checkpoint {path} cannot be read: {error.strerror}.") from error
    start = len(_HEAD) + 65
    body = content[start:]
    if content[: len(_HEAD)] != _HEAD or content[len(_HEAD) : start - 1] != hashlib.sha256(body).hexdigest().encode():
        raise StoreError(f"The checkpoint {path} is damaged: it does not match its checksum.")
    with np.load(io.BytesIO(body), allow_pickle=False) as found:
        return {name: found[name] for name in found.files}
