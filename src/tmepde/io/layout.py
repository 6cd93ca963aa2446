"""The shape of a store before it has rows: metadata of every array, and the chunks that never change."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tmepde.io import chunks, parity, root
from tmepde.io.root import FORMAT, MARK, DamagedError

#: characters kept of texts per scenario
_WIDTHS = {"status": 16, "message": 1200}


@dataclass
class Layout:
    """Root document and files of a store without rows.

    Attributes:
        document: the root, its mark included.
        files: by key, the metadata of each array and the chunks that exist from the start.
        mask: cells of the tissue, if not all cells of the grid are; fields are NaN elsewhere.
    """

    document: dict[str, Any]
    files: dict[str, bytes]
    mask: np.ndarray | None = None


def layout(template: xr.Dataset, times: np.ndarray, state: dict[str, Any] | None = None) -> Layout:
    """From a dataset with dimensions ``(scenario, time, …)`` of which time is empty.

    Args:
        template: coordinates, static arrays, and variables with names, types and attributes.
        times: all save times in h.
        state: entries of the mark.
    """
    times = np.asarray(times, np.float64)
    template = template.assign_coords(time=("time", np.zeros(0), dict(template["time"].attrs)))
    for name, width in _WIDTHS.items():
        if name in template:
            template[name] = template[name].astype(f"<U{width}")
    files = written(template, {n: _encoding(str(n), v, len(times)) for n, v in template.variables.items()})
    document = json.loads(files.pop(root.NAME))
    meta = root.arrays(document)["time"]
    chunk = np.full(root.chunk_shape(meta), np.nan)
    chunk[: len(times)] = times
    files[root.chunk_key("time", meta, [0])] = chunks.encode(chunk)
    names = [str(n) for n in template["scenario"].values]
    mark: dict[str, Any] = {"format": FORMAT, "commit": 0, "planned": len(times), "finished": False, "checkpoints": []}
    mark["parity"] = True
    mark |= {"arms": names, "rows": [0] * len(names), "states": ["waiting"] * len(names)} | (state or {})
    document["attributes"] |= {MARK: mark, "committed_rows": list(mark["rows"])}
    files |= parity.files(document, {key: content for key, content in files.items() if not key.endswith(root.NAME)})
    return Layout(document, files, _partial(template["mask"].values) if "mask" in template else None)


def mask_of(path: Path, document: dict[str, Any]) -> np.ndarray | None:
    """The mask of a store that is there: see :class:`Layout`.

    Raises:
        StoreError: if it is damaged.
    """
    meta = root.arrays(document).get("mask")
    if meta is None:
        return None
    chunk = root.chunk_shape(meta)
    found = np.zeros(meta["shape"], meta["data_type"])
    for place in root.chunk_places(meta, None):
        key = root.chunk_key("mask", meta, place)
        part = found[tuple(slice(i * n, (i + 1) * n) for i, n in zip(place, chunk, strict=True))]
        try:
            part[...] = chunks.decode((path / key).read_bytes(), found.dtype, chunk)[tuple(map(slice, part.shape))]
        except (OSError, ValueError) as error:
            raise DamagedError(f"{path} is damaged: the chunk {key}: {error}. Run the scenario again.") from error
    return _partial(found)


def _partial(mask: np.ndarray) -> np.ndarray | None:
    return None if np.all(mask) else np.asarray(mask, bool)


def written(dataset: xr.Dataset, encoding: dict[Any, Any]) -> dict[str, bytes]:
    """What zarr writes for ``dataset``, by key, in memory."""
    from zarr.storage import MemoryStore

    found: dict[str, Any] = {}
    with warnings.catch_warnings():
        # text and consolidated metadata work in version 3 but wait for their place in its specification
        warnings.filterwarnings("ignore", message=".*(Zarr V3 specification|Consolidated metadata|Zarr format 3).*")
        dataset.to_zarr(
            MemoryStore(found),
            mode="w",
            zarr_format=3,
            consolidated=True,
            encoding=encoding,
            write_empty_chunks=True,
        )
    return {key: value.to_bytes() for key, value in found.items()}


def codecs() -> tuple[Any, ...]:
    """Zstandard, then a checksum over what is on the disk."""
    from zarr.codecs import Crc32cCodec, ZstdCodec

    return ZstdCodec(level=chunks.LEVEL), Crc32cCodec()


def _encoding(name: str, variable: Any, planned: int) -> dict[str, Any]:
    one: dict[str, Any] = {"compressors": codecs()}
    if variable.dims:  # no folders for chunks
        one["chunk_key_encoding"] = {"name": "default", "separator": "."}
    item = variable.dtype.itemsize
    dims = tuple(variable.dims)
    if dims == ("time",):
        one["chunks"] = (max(1, planned),)
    elif dims[:2] == ("scenario", "time"):
        space = chunks.space_chunks(variable.shape[2:], item)
        row = int(np.prod(variable.shape[2:], dtype=float)) * item
        one["chunks"] = (1, chunks.rows_per_chunk(row, planned), *space)
    elif dims[:1] == ("scenario",) and name != "scenario":
        one["chunks"] = (1, *(max(1, n) for n in variable.shape[1:]))
    elif dims:
        one["chunks"] = tuple(chunks.space_chunks(variable.shape, item))
    if variable.dtype.kind == "f":
        one["_FillValue"] = np.nan
    return one


def grown(document: dict[str, Any]) -> dict[str, Any]:
    """The document with shapes that cover the committed rows of its mark; the one given is left as it is."""
    rows = document["attributes"][MARK]["rows"]
    metas = dict(root.arrays(document))
    for name, meta in metas.items():
        dims = list(meta.get("dimension_names") or ())
        if "time" in dims:
            place = dims.index("time")
            metas[name] = {**meta, "shape": [*meta["shape"][:place], max(rows), *meta["shape"][place + 1 :]]}
    consolidated = {**document["consolidated_metadata"], "metadata": metas}
    attributes = {**document["attributes"], "committed_rows": list(rows)}
    return {**document, "attributes": attributes, "consolidated_metadata": consolidated}
