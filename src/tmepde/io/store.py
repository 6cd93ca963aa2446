"""Datasets on disk: one zarr (version 3) directory of which readers see what was committed, and nothing else.

Chunks carry a CRC-32C, the root document a checksum of itself, and every chunk that its shapes imply must be there. A
damaged or incomplete store is therefore an error here, not a field of fill values. ``xarray.open_zarr`` reads it
without tmepde. Runs write through :mod:`tmepde.io.stream`; :func:`write_store` writes a dataset in memory, whole or not
at all: in a hidden directory beside the target, renamed when complete.
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

from tmepde.io import root
from tmepde.io.chunks import space_chunks
from tmepde.io.durable import make_folder, replace_folder, sync_tree
from tmepde.io.guard import refuse_hazards
from tmepde.io.layout import codecs
from tmepde.io.root import FORMAT, MARK, DamagedError, StoreError

__all__ = ["StoreError", "open_store", "write_store"]

#: of stores written before version 2 of the format: chunk files and bytes per array
MANIFEST = "store_manifest"


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
    make_folder(target.parent)
    token = uuid.uuid4().hex[:8]
    partial = target.with_name(f".{target.name}.partial-{token}")
    try:
        with warnings.catch_warnings():
            # text and consolidated metadata work in version 3 but wait for their place in its specification
            warnings.filterwarnings("ignore", message=".*(Zarr V3 specification|Consolidated metadata).*")
            encoding = _encoding(dataset)
            dataset.to_zarr(
                partial, mode="w", zarr_format=3, consolidated=True, encoding=encoding, write_empty_chunks=True
            )
        _seal(partial)
        sync_tree(partial)
        replace_folder(partial, target, target.with_name(f".{target.name}.old-{token}"))
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def open_store(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a store lazily, after checking that it is one of ours and complete.

    Raises:
        StoreError: if it is not there, not a zarr store, of other software, incomplete or damaged.
    """
    target = Path(path)
    refuse_hazards(target)
    document = root.read(target)
    mark = document["attributes"].get(MARK)
    if mark is None:
        _check_complete(target, document["attributes"])
        return _open_plain(target, document)
    missing = [key for _, key in root.implied(document) if not (target / key).is_file()]
    wrong = _miscounted(target, mark)
    if missing or wrong:
        which = wrong or sorted({key.partition("/")[0] for key in missing})
        raise DamagedError(
            f"{target} is truncated or was changed: files of {', '.join(which)} are missing or have another size. "
            f"Run `tmepde repair {target}`."
        )
    from tmepde.io.reader import CommittedStore

    try:
        dataset = xr.open_zarr(CommittedStore(target.absolute(), document), consolidated=True, chunks=None)
    except StoreError:
        raise
    except Exception as error:
        raise DamagedError(f"{target} is damaged: {type(error).__name__}: {error} Run the scenario again.") from error
    dataset.attrs.pop(MARK, None)
    return dataset


def open_rows(path: str | os.PathLike[str]) -> xr.Dataset:
    """:func:`open_store` for what shows results.

    Raises:
        StoreError: also where no row is committed yet.
    """
    dataset = open_store(path)
    if dataset.sizes.get("time", 1) == 0:
        raise StoreError(
            f"{path} holds no rows: 0 are committed. Go on with `tmepde run CONFIG -o {path} --resume`; `tmepde repair "
            f"{path}` commits rows that a killed run computed."
        )
    return dataset


def _open_plain(target: Path, document: dict[str, Any]) -> xr.Dataset:
    """A store of the first format, which has no checksum of its root."""
    try:
        dataset = xr.open_zarr(target, consolidated="consolidated_metadata" in document, chunks=None)
    except Exception as error:
        raise DamagedError(
            f"{target} is damaged: {type(error).__name__}: {error} Write it again with the command that made it."
        ) from error
    dataset.attrs.pop(MANIFEST, None)
    return dataset


def _miscounted(target: Path, mark: dict[str, Any]) -> list[str]:
    """Arrays whose files are not as many or as long as when the store was written whole."""
    census = mark.get("files")
    if census is None:
        return []
    found = _census(target)
    return sorted(name for name, entry in census.items() if found.get(name) != list(entry))


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
    """Chunks of a few MiB, whole in space where that fits, with checksums; none spans two scenarios."""
    encoding: dict[str, Any] = {}
    for name, variable in dataset.variables.items():
        if variable.dtype.kind not in "fiubU":
            continue
        one: dict[str, Any] = {"compressors": codecs()}
        if variable.ndim:
            sizes = [1 if dim == "scenario" else n for dim, n in zip(variable.dims, variable.shape, strict=True)]
            one["chunks"] = tuple(space_chunks(sizes, variable.dtype.itemsize))
        if variable.dtype.kind == "f":
            one["_FillValue"] = np.nan
        encoding[str(name)] = one
    return encoding


def _census(path: Path) -> dict[str, list[int]]:
    """Chunk files and their bytes per array."""
    count: dict[str, list[int]] = {}
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name not in (root.NAME, Path(root.COPY).name):
            entry = count.setdefault(file.relative_to(path).parts[0], [0, 0])
            entry[0] += 1
            entry[1] += file.stat().st_size
    return count


def _seal(path: Path) -> None:
    """Write census and checksum into the root; this is the last thing that happens before the store gets its name."""
    document = json.loads((path / root.NAME).read_bytes())
    document.setdefault("attributes", {})[MARK] = {"format": FORMAT, "finished": True, "files": _census(path)}
    for name in (root.NAME, root.COPY):
        if (path / name).parent.is_dir():
            (path / name).write_bytes(root.sealed(document))


def _check_complete(target: Path, attributes: dict[str, Any]) -> None:
    manifest = attributes.get(MANIFEST)
    if not isinstance(manifest, dict) and attributes.get("tmepde_kind") == "sweep":
        raise StoreError(
            f"{target} is the store of a sweep, but that of a run is needed. xarray.open_zarr opens it as it is, and "
            "`tmepde sweep report` shows it."
        )
    if not isinstance(manifest, dict):
        raise StoreError(f"{target} is incomplete: writing it did not finish. Run the scenario again.")
    found = _census(target)
    wrong = [name for name in manifest["arrays"] if not (target / name / "zarr.json").is_file()]
    wrong += [name for name, entry in manifest["files"].items() if found.get(name) != list(entry)]
    if wrong:
        names = ", ".join(sorted(set(wrong)))
        raise DamagedError(f"{target} is truncated or was changed: files of {names} are missing or have another size.")
