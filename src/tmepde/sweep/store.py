"""The store of a sweep: one zarr (version 3) directory, its metadata written first, its rows batch by batch.

    scenario              N
      PATH …              coordinates: the numbers that vary, by their path in the config, with units
      arm, replicate      coordinates
    scenario              N, in chunks of B = one batch
      status              int8: 0 pending, 1 ok, 2 failed, 3 diverged
      message             how it ended, in a sentence
      wall_time, n_steps, n_rejected, mass_balance_error, members
    (scenario, time)      every observable
    (scenario, time, …)   the fields asked for

A batch writes its chunk of every array, and of ``status`` last: that chunk is the commit. A file is renamed into place
and on disk before the next step, so that a batch that was killed is pending, and two processes that compute the same
batch write the same bytes. Rows are written in whole batches only: parts of a chunk written by two processes would lose
one of them. ``xarray.open_zarr`` reads the store at any time; rows that are pending are NaN.

A small store takes blocks of the disk rather than bytes: coordinates, which never change, are one chunk, and the chunks
of an array lie in its own folder (``tumour_burden/c.3.0``), not in folders of their own.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tmepde.io.durable import atomic_write, make_folder, sweep_partials, sync_folder, sync_tree, write_files
from tmepde.io.lock import Lock
from tmepde.io.root import DamagedError, StoreError

KIND = "sweep"
#: attribute of the root document: SHA-256 of all the rest of it (stores of earlier versions have none)
SEAL = "sweep_checksum"
#: a copy of the root document (stores of earlier versions have none)
COPY = "status/.zarr.json"
PENDING, OK, FAILED, DIVERGED = range(4)
MEANINGS = ("pending", "ok", "failed", "diverged")
#: bytes of a chunk of a field aimed at, within a batch
_CHUNK = 4 * 2**20
#: scenarios of a chunk of a coordinate at most
_COLUMN = 2**20
#: what helps where rows are lost
_MENDED = "Give the command that made it once more with --resume: batches that have lost anything are run again."
#: how a rename fails where something is there already
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


@dataclass(frozen=True)
class Array:
    """One array of a store: ``dims`` after ``scenario``, its type, and attributes."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: Any
    attributes: Mapping[str, Any]
    values: Any = None
    scenario: bool = True


def create(path: Path, count: int, batch: int, arrays: Mapping[str, Array], attributes: Mapping[str, Any]) -> None:
    """Make a store with all its arrays, those with ``values`` filled; it appears whole or not at all.

    Raises:
        FileExistsError: if there is something at ``path``, also where another process has just put it there.
        LockedError: while another process makes a store there.
    """
    taken = FileExistsError(f"{path} exists already. Choose another name, or add --resume to run what is pending.")
    if path.exists():
        raise taken
    path.parent.mkdir(parents=True, exist_ok=True)
    with Lock(path):
        sweep_partials(path)
        _create(path, count, batch, arrays, attributes, taken)


def _create(
    path: Path,
    count: int,
    batch: int,
    arrays: Mapping[str, Array],
    attributes: Mapping[str, Any],
    taken: FileExistsError,
) -> None:
    import zarr

    partial = path.with_name(f".{path.name}.partial-{uuid.uuid4().hex[:8]}")
    coordinates = [n for n, a in arrays.items() if a.attributes.get("coordinate") and n not in ("time", "scenario")]
    head = {**attributes, "tmepde_kind": KIND, "batch": batch, "coordinates": " ".join(coordinates)}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*(Zarr V3 specification|Consolidated metadata).*")
            root = zarr.create_group(partial, attributes=head, zarr_format=3)
            for name, array in arrays.items():
                _create_array(root, name, array, count, batch)
            zarr.consolidate_metadata(partial)
        _seal(partial / "zarr.json")
        shutil.copyfile(partial / "zarr.json", partial / COPY)
        sync_tree(partial)
        try:
            os.rename(partial, path)
        except OSError as error:
            raise taken if error.errno in _TAKEN else error from None
        sync_folder(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _create_array(root: Any, name: str, array: Array, count: int, batch: int) -> None:
    from zarr.codecs import Crc32cCodec, ZstdCodec

    attributes = {k: v for k, v in array.attributes.items() if k != "coordinate"}
    shape = (count, *array.shape) if array.scenario else array.shape
    chunks = shape
    if array.scenario:
        chunks = _chunks(batch, array) if array.values is None else (min(count, _COLUMN), *array.shape)
    kind = np.dtype(array.dtype).kind
    fill: Any = "" if kind in "OUT" else np.nan if kind == "f" else 0
    if kind == "f":
        attributes["_FillValue"] = _encoded_nan(array.dtype)
    made = root.create_array(
        name=name,
        shape=shape,
        dtype=str if kind in "OUT" else array.dtype,
        chunks=tuple(max(1, c) for c in chunks),
        compressors=(ZstdCodec(level=3), Crc32cCodec()),
        chunk_key_encoding={"name": "default", "separator": "."},
        fill_value=fill,
        dimension_names=("scenario", *array.dims) if array.scenario else array.dims,
        attributes=attributes,
        config={"write_empty_chunks": True},
    )
    if array.values is not None:
        made[...] = np.asarray(array.values, dtype=object if kind in "OUT" else array.dtype)


def _encoded_nan(dtype: Any) -> str:
    """NaN as xarray writes a fill value of version 3: the bytes of a float64 in base 64."""
    import base64

    return base64.standard_b64encode(np.array(np.nan, "<f8").tobytes()).decode()


def _chunks(batch: int, array: Array) -> tuple[int, ...]:
    """A batch of rows; space is cut until a chunk of one row is small."""
    sizes = list(array.shape)
    for k in range(len(sizes)):
        while np.prod(sizes, dtype=float) * np.dtype(array.dtype).itemsize > _CHUNK and sizes[k] > 1:
            sizes[k] = -(-sizes[k] // 2)
    return (batch, *sizes)


def head(path: Path) -> dict[str, Any]:
    """The attributes of a sweep store, read without JAX or xarray.

    Raises:
        StoreError: if there is none, or it is something else.
    """
    remedy = f"Run `tmepde repair {path}`." if (path / COPY).is_file() else "Run the sweep again."
    try:
        document = json.loads((path / "zarr.json").read_text("utf-8"))
        attributes = dict(document["attributes"])
        if attributes.get(SEAL, "") and attributes[SEAL] != _checksum(document):
            raise DamagedError(f"{path} is damaged: `zarr.json` does not match its checksum. {remedy}")
    except StoreError:
        raise
    except FileNotFoundError:
        if not path.is_dir() or not any(path.iterdir()):
            raise StoreError(f"There is no store at {path}. Check the path, or start the sweep first.") from None
        kind = DamagedError if (path / COPY).is_file() else StoreError
        raise kind(f"{path} is no sweep, or is damaged: it has no `zarr.json`. {remedy}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{path} is damaged: `zarr.json` is not readable ({error}). {remedy}") from error
    if attributes.get("tmepde_kind") != KIND and (path / COPY).is_file():
        raise DamagedError(f"{path} is damaged: `zarr.json` does not say what it is of. {remedy}")
    if attributes.get("tmepde_kind") != KIND:
        raise StoreError(f"{path} is not the store of a sweep. Give the folder that `tmepde sweep` wrote.")
    return attributes


def documents(path: Path) -> dict[str, dict[str, Any]]:
    """The document of every array, as the sealed root holds it.

    Raises:
        StoreError: if it is damaged.
    """
    head(path)
    try:
        return dict(json.loads((path / "zarr.json").read_text("utf-8"))["consolidated_metadata"]["metadata"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{path} is damaged: `zarr.json` names no arrays ({error}). Run the sweep again.") from error


def amend(path: Path, **changes: Any) -> None:
    """Change attributes of a store, in one step.

    Raises:
        StoreError: if it is damaged.
        WriteError: with nothing changed.
    """
    if all(head(path).get(name) == value for name, value in changes.items()):
        return
    document = json.loads((path / "zarr.json").read_text("utf-8"))
    document["attributes"] |= changes
    for name in ("zarr.json", COPY):
        atomic_write(path / name, _sealed(document))


def whole_copy(path: Path) -> bytes | None:
    """The copy of the root document, if it is there and whole."""
    try:
        content = (path / COPY).read_bytes()
        document = json.loads(content)
        return content if document["attributes"][SEAL] == _checksum(document) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _seal(file: Path) -> None:
    """Put a checksum of the whole document into it."""
    file.write_bytes(_sealed(json.loads(file.read_text("utf-8"))))


def _sealed(document: dict[str, Any]) -> bytes:
    document["attributes"][SEAL] = _checksum(document)
    return json.dumps(document, ensure_ascii=False).encode()


def _checksum(document: dict[str, Any]) -> str:
    plain = {**document, "attributes": {k: v for k, v in document["attributes"].items() if k != SEAL}}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def statuses(path: Path) -> np.ndarray:
    """``status`` of every scenario.

    Raises:
        StoreError: for a damaged store.
    """
    head(path)
    return _read(path, "status")


def messages(path: Path) -> np.ndarray:
    """``message`` of every scenario."""
    return _read(path, "message")


def _read(path: Path, name: str) -> np.ndarray:
    import zarr

    try:
        array: Any = zarr.open_array(path / name, mode="r")
        return np.asarray(array[:])
    except Exception as error:
        raise DamagedError(f"{path} is damaged: `{name}` cannot be read ({error}). {_MENDED}") from error


def write(path: Path, start: int, stop: int, columns: Mapping[str, Any]) -> None:
    """Write rows ``start:stop`` of every array in ``columns``; they are on the disk before ``status`` is begun.

    Raises:
        WriteError: of the disk; the rows then keep the status that they had.
        ValueError: unless the rows are exactly one batch, and chunks of every array are: two processes must never share
            one.
    """
    batch, count = int(head(path)["batch"]), scenarios(path)
    if start % batch or stop != min(start + batch, count) or not 0 <= start < stop:
        raise ValueError(
            f"Rows must be one whole batch of {batch}, but {start}:{stop} of {count} were given. Write "
            f"{start // batch * batch}:{min((start // batch + 1) * batch, count)}."
        )
    data: dict[Path, bytes] = {}
    for name in columns:
        if name != "status":
            data |= _encoded(path, name, slice(start, stop), columns[name], batch)
    _put(data)
    _put(_encoded(path, "status", slice(start, stop), columns["status"], batch))


def rewrite(path: Path, name: str, array: Array) -> None:
    """Write an array once more that was written with the store.

    Raises:
        WriteError: of the disk.
        ValueError: if the store holds none of this name, or one of another shape.
    """
    document = documents(path).get(name)
    shape = None if document is None else tuple(document["shape"])
    values = np.asarray(array.values, object if np.dtype(array.dtype).kind in "OUT" else array.dtype)
    if shape != values.shape:
        raise ValueError(
            f"`array` must have the shape of {name!r} in the store, {shape}, but has the shape {values.shape}. "
            "Run the sweep again."
        )
    _put(_encoded(path, name, slice(None), values))


def _encoded(path: Path, name: str, rows: slice, values: Any, batch: int | None = None) -> dict[Path, bytes]:
    """Files of rows of an array, as zarr writes them: compressed, with a checksum. Chunks must be of ``batch`` rows."""
    import zarr
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    document = default_buffer_prototype().buffer.from_bytes((path / name / "zarr.json").read_bytes())
    kept: dict[str, Any] = {"zarr.json": document}
    with zarr.config.set({"array.write_empty_chunks": True}):  # read when an array is opened; what is missing is lost
        array: Any = zarr.open_array(MemoryStore(kept), mode="r+")
    if batch is not None and array.chunks[0] != batch:
        raise ValueError(
            f"`columns` must be arrays in chunks of one batch, {batch} rows, but {name!r} has chunks of "
            f"{array.chunks[0]}: it was written with the store and cannot be changed. Leave it out."
        )
    array[rows] = values if isinstance(values, np.ndarray) else np.asarray(values)
    return {path / name / key: one.to_bytes() for key, one in kept.items() if key != "zarr.json"}


def _put(files: Mapping[Path, bytes]) -> None:
    for folder in {file.parent for file in files}:
        make_folder(folder)
    write_files(files)


def scenarios(path: Path) -> int:
    """Scenarios of the sweep.

    Raises:
        StoreError: if there is none, or it is damaged or something else.
    """
    head(path)
    try:
        document = json.loads((path / "status" / "zarr.json").read_text("utf-8"))
        return int(document["shape"][0])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DamagedError(f"{path} is damaged: `status` is not readable ({error}). {_MENDED}") from error


def batches(path: Path) -> int:
    """Batches of the sweep."""
    return -(-scenarios(path) // int(head(path)["batch"]))


def rows(path: Path, index: int) -> range:
    """Scenarios of a batch.

    Raises:
        ValueError: for a batch that is not there.
    """
    batch, count = int(head(path)["batch"]), scenarios(path)
    if not 0 <= index < -(-count // batch):
        raise ValueError(
            f"Batches are numbered 0 to {-(-count // batch) - 1}, but {index} was given. See sweep status."
        )
    return range(index * batch, min((index + 1) * batch, count))


def pending(path: Path) -> list[int]:
    """Batches with a scenario that has not been run."""
    found, batch = statuses(path), int(head(path)["batch"])
    return sorted({int(i) // batch for i in np.flatnonzero(found == PENDING)})


def unsuccessful(path: Path) -> list[int]:
    """Batches with a scenario that failed or diverged."""
    found, batch = statuses(path), int(head(path)["batch"])
    return sorted({int(i) // batch for i in np.flatnonzero(found > OK)})


def forget(path: Path, chosen: Sequence[int]) -> None:
    """Make whole batches pending again."""
    for index in chosen:
        part = rows(path, index)
        write(path, part.start, part.stop, {"status": np.zeros(len(part), np.int8)})
