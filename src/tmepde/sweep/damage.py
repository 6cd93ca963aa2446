"""What a disk has done to the store of a sweep: chunks that are missing, cut, changed, or of another array.

zarr reads a chunk that is not there as fill values, so that a batch that ended well would silently become NaN. A batch
that has lost anything is made pending again; it is computed to the same bytes. What was written with the store
(coordinates) no batch can write again; it is made of the config that the store holds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tmepde.io import chunks, documents
from tmepde.io.durable import atomic_write, clear_folders, sync_folder
from tmepde.io.root import DamagedError, StoreError
from tmepde.sweep import store


@dataclass
class Damage:
    """``chunks`` looked at; by finished batch what is wrong with the first file that is; the same by file for what was
    written with the store, and for documents: of arrays, of which the root holds a copy, and the copy of the root."""

    chunks: int = 0
    batches: dict[int, str] = field(default_factory=dict)
    fixed: dict[str, str] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return not (self.batches or self.fixed or self.documents)


def look(path: Path) -> Damage:
    """Compare every file of the finished batches, and of the coordinates, with its checksum and the size of its chunk,
    and every document with its copy. Where a document is damaged the chunks are not looked at.

    Raises:
        StoreError: if there is no sweep at ``path``, or its documents are damaged.
    """
    path = Path(path)
    known, head = store.documents(path), store.head(path)
    found = Damage(documents=documents.wrong(path, known))
    if (path / store.COPY).is_file() and store.whole_copy(path) is None:
        found.documents[store.COPY] = "does not match its checksum"
    if found.documents:
        return found
    fixed = {"time", "scenario", *str(head.get("coordinates", "")).split()}
    finished = set(_finished(path, found, chunks.fits(known["status"])))
    for array, document in sorted(known.items()):  # a folder that is none of them is nobody's damage
        fits = chunks.fits(document)
        for index, key in _keys(document):
            name, one = f"{array}/{key}", -1 if array in fixed else index
            if one >= 0 and (one not in finished or array == "status"):
                continue
            found.chunks += 1
            if wrong := chunks.wrong(path / name, fits):
                if one < 0:
                    found.fixed[name] = wrong
                else:
                    found.batches.setdefault(one, f"{name}: {wrong}")
    return found


def mend(path: Path, config: Any = None) -> list[str]:
    """Make batches that have lost something pending, and coordinates and documents as they were.

    Args:
        config: the config of the store, where its files have moved since; else that in the store.

    Returns:
        What was done, in words.

    Raises:
        StoreError: where what is lost cannot be made again: run the sweep again.
    """
    path = Path(path)
    told = _clear(path, (path / "zarr.json", path / store.COPY))
    told += _mend_root(path)
    told += _clear(path, _files(path))
    found = look(path)
    told += [f"{name} is written again from its copy: {wrong}" for name, wrong in found.documents.items()]
    if found.documents:
        documents.restore(path, store.documents(path), found.documents)
        found = look(path)
    told += _mend_fixed(path, found.fixed, config)
    for index in found.batches:
        (path / "status" / f"c.{index}").unlink(missing_ok=True)
    if found.batches:
        sync_folder(path / "status")
    return told + [f"batch {index} is pending again: {wrong}" for index, wrong in sorted(found.batches.items())]


def _files(path: Path) -> Iterator[Path]:
    """Where a store has files; no folder is one of them."""
    for array, document in store.documents(path).items():
        yield path / array / "zarr.json"
        yield from (path / array / key for _, key in _keys(document))


def _clear(path: Path, files: Iterable[Path]) -> list[str]:
    """Remove empty folders in the place of ``files``; in words."""
    return [f"an empty folder in the place of {p.relative_to(path)} is removed" for p in clear_folders(files)]


def _mend_root(path: Path) -> list[str]:
    """Of the root document and its copy, put the one that is whole in the place of the other."""
    whole = store.whole_copy(path)
    try:
        store.head(path)
    except DamagedError:
        if whole is None:
            raise
        atomic_write(path / "zarr.json", whole)
        return ["the root document was damaged and replaced by its copy"]
    if whole is None and (path / store.COPY).is_file():
        atomic_write(path / store.COPY, (path / "zarr.json").read_bytes())
        return ["the copy of the root document was damaged and is written again"]
    return []


def _mend_fixed(path: Path, fixed: Mapping[str, str], config: Any) -> list[str]:
    """Write the arrays again that were written with the store."""
    if not fixed:
        return []
    from tmepde.sweep.engine import coordinates

    names = {file: file.rpartition("/")[0] for file in fixed}
    try:
        made = coordinates(path, config)
        for name in dict.fromkeys(names.values()):
            store.rewrite(path, name, made[name])
    except (StoreError, ValueError, KeyError) as error:
        file, wrong = next(iter(fixed.items()))
        why = f"nothing of that name comes of its config: {error}" if isinstance(error, KeyError) else str(error)
        raise DamagedError(
            f"{path} is damaged ({file}: {wrong}), and cannot be repaired from its config. Run the sweep again, unless "
            f"you can help this: {why}"
        ) from error
    return [f"{file} is made again from the config of the store: {wrong}" for file, wrong in sorted(fixed.items())]


def _finished(path: Path, found: Damage, fits: Callable[[bytes], bool]) -> Iterator[int]:
    """Batches with a status; one that cannot be read counts as damage."""
    import zarr

    array: Any = zarr.open_array(path / "status", mode="r")
    batch = array.chunks[0]
    for index in range(-(-array.shape[0] // batch)):
        file = path / "status" / f"c.{index}"
        if not file.exists():
            continue
        found.chunks += 1
        if wrong := chunks.wrong(file, fits):
            found.batches[index] = f"status/c.{index}: {wrong}"
            continue
        if np.any(np.asarray(array[index * batch : (index + 1) * batch]) != store.PENDING):
            yield index


def _keys(document: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Index along the first axis, and the name, of every chunk of an array."""
    grid = document["chunk_grid"]["configuration"]["chunk_shape"]
    counts = [range(-(-n // size)) for n, size in zip(document["shape"], grid, strict=True)]
    for index in itertools.product(*counts):
        yield (index[0] if index else 0), ".".join(map(str, ("c", *index)))
