"""The root document of a store, ``zarr.json``: the commit record.

Replacing it is what makes rows visible. It is an ordinary zarr group with consolidated metadata, whose shapes cover
committed rows only, and one attribute more, ``tmepde_store``: what was committed, and a SHA-256 of the whole document.
Every chunk that the shapes (and, per scenario, the committed rows) imply must be there.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

MARK = "tmepde_store"
FORMAT = 2
NAME = "zarr.json"
#: the root document of the commit before, of a finished store the same one, for `tmepde repair`
COPY = "time/.zarr.json"


class StoreError(ValueError):
    """The store is missing, foreign, incomplete or damaged; the message says which and what to do."""


class DamagedError(StoreError):
    """The store was one of ours, and is not as it was written."""


def sealed(document: dict[str, Any]) -> bytes:
    """The document as bytes, with its checksum."""
    mark = {**document["attributes"][MARK], "checksum": _checksum(document)}
    attributes = {**document["attributes"], MARK: mark}
    return json.dumps({**document, "attributes": attributes}, ensure_ascii=False).encode()


def read(target: Path, name: str = NAME) -> dict[str, Any]:
    """The root document of a store, checked as far as it can be; ``name`` may be that of its copy.

    Raises:
        StoreError: if it is missing, foreign or damaged.
    """
    if not target.exists():
        raise StoreError(f"There is no store at {target}. Check the path, or run a scenario first.")
    remedy = (
        f"Run `tmepde repair {target}`" if (target / COPY).is_file() else "Write it again with the command that made it"
    )
    if not target.is_dir() or not (target / name).is_file():
        if (target / COPY).is_file():
            raise DamagedError(f"{target} is damaged: `{name}` is missing. {remedy}.")
        raise StoreError(f"{target} is not a zarr store (no `{NAME}`). Give the folder that `tmepde run` wrote.")
    try:
        document = json.loads((target / name).read_bytes())
        attributes = dict(document.get("attributes", {}))
    except (ValueError, AttributeError, TypeError, OSError) as error:
        raise DamagedError(f"{target} is damaged: `{name}` is not readable ({error}). {remedy}.") from error
    mark = attributes.get(MARK)
    if isinstance(mark, dict):
        if mark.get("format") == FORMAT and mark.get("checksum") != _checksum(document):
            raise DamagedError(
                f"{target} is damaged: `{name}` does not match its checksum, so that nothing says which rows are "
                f"whole. {remedy}, or restore that file from a backup."
            )
        if mark.get("format") != FORMAT:
            raise StoreError(
                f"{target} has store format {mark.get('format')!r}, but this version of tmepde reads {FORMAT}. "
                "Install the version that wrote it."
            )
    elif (target / COPY).is_file():  # ours had one
        raise DamagedError(f"{target} is damaged: `{name}` lacks its mark. {remedy}.")
    elif "tmepde_version" not in attributes:
        raise StoreError(
            f"{target} is a zarr store but was not written by tmepde (it has no attribute `tmepde_version`). "
            "Open it with xarray.open_zarr."
        )
    return document


def _checksum(document: dict[str, Any]) -> str:
    mark = {**document["attributes"][MARK], "checksum": ""}
    plain = {**document, "attributes": {**document["attributes"], MARK: mark}}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def arrays(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Metadata by array."""
    return dict(document["consolidated_metadata"]["metadata"])


def chunk_shape(meta: dict[str, Any]) -> list[int]:
    """Shape of a chunk."""
    return list(meta["chunk_grid"]["configuration"]["chunk_shape"])


def by_row(meta: dict[str, Any]) -> bool:
    """Whether the array grows with the rows of each scenario."""
    return list(meta.get("dimension_names") or ())[:2] == ["scenario", "time"]


def implied(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(array, key) of every chunk that must exist."""
    rows = document["attributes"][MARK].get("rows")
    for name, meta in arrays(document).items():
        for place in chunk_places(meta, rows if by_row(meta) else None):
            yield name, chunk_key(name, meta, place)


def chunk_places(meta: dict[str, Any], rows: list[int] | None) -> Iterator[tuple[int, ...]]:
    """Places of the chunks of one array; with ``rows``, up to the committed row of every scenario."""
    chunk = chunk_shape(meta)
    counts = [-(-n // c) for n, c in zip(meta["shape"], chunk, strict=True)]
    for place in itertools.product(*map(range, counts)):
        if rows is None or place[1] * chunk[1] < rows[place[0]]:
            yield place


def chunk_key(name: str, meta: dict[str, Any], place: Iterable[int]) -> str:
    """The file of a chunk: ``name/c.0.3`` in the folder of its array, or ``name/c/0/3`` in folders of its own."""
    return f"{name}/" + _separator(meta).join(["c", *map(str, place)])


def chunk_place(meta: dict[str, Any], key: str) -> tuple[int, ...]:
    """The inverse of :func:`chunk_key`."""
    return tuple(int(i) for i in key.partition("/")[2].split(_separator(meta))[1:])


def _separator(meta: dict[str, Any]) -> str:
    return str(meta["chunk_key_encoding"].get("configuration", {}).get("separator", "/"))
