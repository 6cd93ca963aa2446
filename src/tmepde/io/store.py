"""Datasets on disk: one zarr (version 3) directory, written whole or not at all.

The store is built in a hidden directory beside the target and renamed when complete, so that nobody ever sees half a
result. Chunks carry a CRC-32C; the root carries how many chunk files and bytes belong to each array. A damaged or
incomplete store is therefore an error here, not a field of fill values. ``xarray.open_zarr`` reads it without tmepde.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tmepde.io.guard import hazards

MANIFEST = "store_manifest"
#: bytes per chunk aimed at; one chunk never spans two scenarios
CHUNK = 4 * 2**20


class StoreError(ValueError):
    """The store is missing, foreign, incomplete or damaged; the message says which and what to do."""


def write_store(dataset: xr.Dataset, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Write ``dataset`` to the directory ``path`` and return it.

    Args:
        dataset: from :func:`tmepde.io.to_dataset` or :func:`tmepde.io.combine_arms`.
        path: usually ends in ``.zarr``; parent folders are made.
        overwrite: replace a store that is there. Nothing but a store is ever replaced.

    Raises:
        FileExistsError: if ``path`` exists and may not be replaced.
    """
    target = Path(path)
    _check_target(target, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    token = uuid.uuid4().hex[:8]
    partial = target.with_name(f".{target.name}.partial-{token}")
    try:
        with warnings.catch_warnings():
            # text and consolidated metadata work in version 3 but wait for their place in its specification
            warnings.filterwarnings("ignore", message=".*(Zarr V3 specification|Consolidated metadata).*")
            dataset.to_zarr(partial, mode="w", zarr_format=3, consolidated=True, encoding=_encoding(dataset))
        _seal(partial)
        _replace(partial, target, target.with_name(f".{target.name}.old-{token}"))
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def open_store(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a store lazily, after checking that it is one of ours and complete.

    Raises:
        StoreError: if it is not there, not a zarr store, of other software, incomplete or damaged.
    """
    target = Path(path)
    refused = hazards(target) if target.is_dir() else []
    if refused:
        more = f" ({len(refused)} such problems)" if len(refused) > 1 else ""
        raise StoreError(f"{target} is not opened: {refused[0]}{more}")
    attributes = _root_attributes(target)
    if "tmepde_version" not in attributes:
        raise StoreError(
            f"{target} is a zarr store but was not written by tmepde (it has no attribute `tmepde_version`). "
            "Open it with xarray.open_zarr."
        )
    _check_complete(target, attributes)
    try:
        consolidated = "consolidated_metadata" in json.loads((target / "zarr.json").read_text("utf-8"))
        dataset = xr.open_zarr(target, consolidated=consolidated, chunks=None)
    except Exception as error:
        raise StoreError(f"{target} is damaged: {type(error).__name__}: {error} Run the scenario again.") from error
    dataset.attrs.pop(MANIFEST, None)
    return dataset


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.exists():
        blocking = next((p for p in target.parents if p.exists()), None)
        if blocking is not None and not blocking.is_dir():
            raise FileExistsError(f"`path` {target} lies inside {blocking}, which is a file. Choose another place.")
        return
    if not overwrite:
        raise FileExistsError(
            f"`path` must not exist yet, but {target} does. Choose another name or allow overwriting."
        )
    is_store = (target / "zarr.json").is_file() or (target.is_dir() and not any(target.iterdir()))
    if not is_store:
        raise FileExistsError(f"`path` {target} is no zarr store, so it is not replaced. Choose another name.")


def _encoding(dataset: xr.Dataset) -> dict[str, Any]:
    """Zstandard, then a checksum over what is on disk; chunks of a few MiB, whole in space where that fits."""
    from zarr.codecs import Crc32cCodec, ZstdCodec

    encoding: dict[str, Any] = {}
    for name, variable in dataset.variables.items():
        if variable.dtype.kind not in "fiub":
            continue
        one: dict[str, Any] = {"compressors": (ZstdCodec(level=3), Crc32cCodec())}
        if variable.ndim:
            one["chunks"] = _chunks(variable)
        if variable.dtype.kind == "f":
            one["_FillValue"] = np.nan
        encoding[str(name)] = one
    return encoding


def _chunks(variable: Any) -> tuple[int, ...]:
    sizes = [1 if dim == "scenario" else n for dim, n in zip(variable.dims, variable.shape, strict=True)]
    for k in range(len(sizes)):
        while np.prod(sizes, dtype=float) * variable.dtype.itemsize > CHUNK and sizes[k] > 1:
            sizes[k] = -(-sizes[k] // 2)
    return tuple(max(1, s) for s in sizes)


def _census(path: Path) -> dict[str, list[int]]:
    """Chunk files and their bytes per array."""
    count: dict[str, list[int]] = {}
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name != "zarr.json":
            entry = count.setdefault(file.relative_to(path).parts[0], [0, 0])
            entry[0] += 1
            entry[1] += file.stat().st_size
    return count


def _seal(path: Path) -> None:
    """Write the census into the root; this is the last thing that happens before the store gets its name."""
    root = path / "zarr.json"
    document = json.loads(root.read_text("utf-8"))
    arrays = {p.parent.name for p in path.glob("*/zarr.json")}
    document.setdefault("attributes", {})[MANIFEST] = {"arrays": sorted(arrays), "files": _census(path)}
    root.write_text(json.dumps(document, indent=1, ensure_ascii=False), "utf-8")


def _replace(partial: Path, target: Path, old: Path) -> None:
    if target.exists():
        os.rename(target, old)
        try:
            os.rename(partial, target)
        except OSError:
            os.rename(old, target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(partial, target)


def _root_attributes(target: Path) -> dict[str, Any]:
    if not target.exists():
        raise StoreError(f"There is no store at {target}. Check the path, or run a scenario first.")
    if not target.is_dir() or not (target / "zarr.json").is_file():
        raise StoreError(f"{target} is not a zarr store (no `zarr.json`). Give the folder that `tmepde run` wrote.")
    try:
        return dict(json.loads((target / "zarr.json").read_text("utf-8")).get("attributes", {}))
    except (ValueError, AttributeError, TypeError, OSError) as error:
        raise StoreError(
            f"{target} is damaged: `zarr.json` is not readable ({error}). Run the scenario again."
        ) from error


def _check_complete(target: Path, attributes: dict[str, Any]) -> None:
    manifest = attributes.get(MANIFEST)
    if not isinstance(manifest, dict):
        raise StoreError(f"{target} is incomplete: writing it did not finish. Run the scenario again.")
    found = _census(target)
    wrong = [name for name in manifest["arrays"] if not (target / name / "zarr.json").is_file()]
    wrong += [name for name, entry in manifest["files"].items() if found.get(name) != list(entry)]
    if wrong:
        names = ", ".join(sorted(set(wrong)))
        raise StoreError(f"{target} is truncated or was changed: files of {names} are missing or have another size.")
