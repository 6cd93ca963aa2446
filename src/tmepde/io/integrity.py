"""Whether a store is what was written, and what to save of one that is not."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tmepde.io import checkpoint, chunks, documents, parity, root
from tmepde.io.durable import clear_folders, make_folders, sweep_temporaries, write_files
from tmepde.io.guard import refuse_hazards
from tmepde.io.layout import grown
from tmepde.io.lock import Lock
from tmepde.io.root import MARK, DamagedError, StoreError
from tmepde.io.stream import StoreWriter


@dataclass
class Finding:
    """What :func:`verify` found.

    Attributes:
        path: the store.
        finished: whether its run has ended.
        rows: committed rows by scenario; empty for a store written from memory.
        chunks: chunks that were read.
        checkpoints: by file, ``"good"`` or what is wrong.
        damaged: by chunk, what is wrong.
        documents: by document of an array, of which the root holds a copy, what is wrong.
        waiting: rows by scenario that a killed run computed and did not commit: ``--resume`` or :func:`repair` does.
        leftovers: files that a killed writer left; harmless.
    """

    path: str
    finished: bool = False
    rows: dict[str, int] = field(default_factory=dict)
    chunks: int = 0
    checkpoints: dict[str, str] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every chunk, document and checkpoint is as written."""
        return not self.damaged and not self.documents and all(v == "good" for v in self.checkpoints.values())


def verify(path: str | os.PathLike[str]) -> Finding:
    """Read every chunk and checkpoint of a store and compare them with their checksums, where a run has ended also with
    those that were committed at their places, and the document of every array with its copy in the root.

    Raises:
        StoreError: if the root document is missing or damaged, or there are links in the store.
    """
    target = Path(path)
    refuse_hazards(target)
    document = root.read(target)
    mark = document["attributes"].get(MARK)
    if document["attributes"].get("tmepde_kind") == "sweep":
        raise StoreError(f"{target} is the store of a sweep. Use `tmepde verify`, or `tmepde.sweep.damage.look`.")
    if mark is None:
        raise StoreError(f"{target} was written before stores had checksums of everything. Open it with `open_store`.")
    finding = Finding(str(target), finished=bool(mark.get("finished")))
    finding.documents = documents.wrong(target, root.arrays(document), growing=not finding.finished)
    if mark.get("rows") is not None:
        finding.rows = dict(zip(mark["arms"], mark["rows"], strict=True))
        for arm, _, _ in checkpoint.waiting(target, mark["rows"]):
            name = mark["arms"][arm]
            finding.waiting[name] = finding.waiting.get(name, 0) + 1
    metas = root.arrays(document)
    looked = [(key, chunks.wrong(target / key, chunks.fits(metas[name]))) for name, key in root.implied(document)]
    looked += [(file, parity.wrong(target / file)) for file in _parities(document)]
    finding.chunks, finding.damaged = len(looked), {key: wrong for key, wrong in looked if wrong}
    for file in _parities(document) if finding.finished else ():  # a crash inside a commit leaves what does not fit
        if file not in finding.damaged:
            finding.damaged |= dict.fromkeys(parity.foreign(target, file), "is a chunk of another place or time")
    for one in mark.get("checkpoints", ()):
        try:
            checkpoint.unpacked(target / one["file"])
            finding.checkpoints[one["file"]] = "good"
        except StoreError as error:
            if finding.finished or one in _checkpoints(target):  # else a run has gone on and dropped it
                finding.checkpoints[one["file"]] = str(error)
    finding.leftovers = sorted(str(p.relative_to(target)) for p in target.rglob(".tmp-*") if p.is_file())
    return finding


def repair(path: str | os.PathLike[str]) -> list[str]:
    """Make of a store what is good of it; what was lost and found, in words.

    A damaged root document is replaced by its copy, which is one commit older while a run goes on; those of arrays are
    written again from the root. A damaged chunk is made again from those it was committed with
    (:mod:`tmepde.io.parity`). Where that cannot be, every scenario is cut before its first damaged row, damaged
    checkpoints and leftovers are dropped. Rows that a killed run had computed are committed, damaged ones again if
    their checkpoints are there. The run can go on (``--resume``).

    Raises:
        StoreError: where what is lost is not rows (coordinates, masks, root and copy): run the scenario again.
        LockedError: if a run is writing the store.
    """
    target = Path(path)
    with Lock(target) as lock:
        told = _clear(target, (target / root.NAME, target / root.COPY))
        told += _restore_root(target)
        told += _clear(target, _files(target))
        found = verify(target)
        document = copy.deepcopy(root.read(target))
        mark = document["attributes"][MARK]
        told += [f"{len(found.leftovers)} unfinished files removed"] if found.leftovers else []
        if found.documents:
            documents.restore(target, root.arrays(document), found.documents)
            told += [f"{file} is written again from its copy: {wrong}" for file, wrong in found.documents.items()]
        bad = {file for file, state in found.checkpoints.items() if state != "good"}
        if found.damaged or bad:
            if mark.get("rows") is None and found.damaged:
                raise DamagedError(
                    f"{target} cannot be repaired: it was written whole, and {', '.join(sorted(found.damaged))} are "
                    "damaged. Write it again."
                )
            told += _restore(target, document, found.damaged)
            told += _cut(document, found.damaged)
            told += [f"checkpoint {file} is damaged and was dropped" for file in sorted(bad)]
            mark["checkpoints"] = [one for one in mark["checkpoints"] if one["file"] not in bad]
            mark["commit"] += 1
            lock.check()
            document = grown(document)
            write_files({target / root.NAME: root.sealed(document)})
        sweep_temporaries(target)
        told += _remove_uncommitted(target, document)
        told += _commit_waiting(target, document, lock)
    return told


def _files(target: Path) -> list[Path]:
    """Where a store has files; no folder is one of them."""
    document = root.read(target)
    if MARK not in document["attributes"]:  # of a sweep or of an early version, which is told where it is read
        return []
    keys = [key for _, key in root.implied(document)] + list(_parities(document))
    keys += [f"{name}/{root.NAME}" for name in root.arrays(document)]
    states = target / checkpoint.FOLDER
    return [*(target / key for key in keys), *(states.iterdir() if states.is_dir() else ())]


def _clear(target: Path, files: Iterable[Path]) -> list[str]:
    """Remove empty folders in the place of ``files``; in words."""
    return [f"an empty folder in the place of {p.relative_to(target)} is removed" for p in clear_folders(files)]


def _checkpoints(target: Path) -> list[dict[str, Any]]:
    """Those that the root document names now."""
    return list(root.read(target)["attributes"][MARK].get("checkpoints", ()))


def _restore_root(target: Path) -> list[str]:
    """Nothing if the root document is good; else its copy in its place, if that is."""
    try:
        root.read(target)
        return []
    except StoreError as error:
        if not (target / root.COPY).is_file():
            raise
        try:
            copied = root.read(target, root.COPY)
        except StoreError:
            raise DamagedError(f"{error} Its copy is damaged too: run the scenario again.") from None
    write_files({target / root.NAME: root.sealed(copied)})
    rows = copied["attributes"][MARK].get("rows")
    return ["the root document was damaged and replaced by its copy" + (f", with rows {rows}" if rows else "")]


def _commit_waiting(target: Path, document: dict[str, Any], lock: Lock) -> list[str]:
    """Rows that follow the committed ones, from their checkpoints."""
    mark = document["attributes"][MARK]
    if mark.get("rows") is None or mark["finished"] or not checkpoint.waiting(target, mark["rows"]):
        return []
    writer = StoreWriter.resume(target, document, lock)
    writer.close(False)
    rows = writer.mark["rows"]
    return [
        f"{name}: rows {before} to {now - 1} are committed from their checkpoints"
        for name, before, now in zip(mark["arms"], mark["rows"], rows, strict=True)
        if now > before
    ]


def _parities(document: dict[str, Any]) -> dict[str, list[str]]:
    """The files of parity that must be there, and the chunks of each."""
    return parity.groups(document) if document["attributes"][MARK].get("parity") else {}


def _restore(target: Path, document: dict[str, Any], damaged: dict[str, str]) -> list[str]:
    """Chunks and files of parity made again, which are then out of ``damaged``."""
    groups = _parities(document)
    again: dict[Path, bytes] = {}
    told = []
    for file, keys in groups.items():
        lost = [key for key in keys if key in damaged]
        content = parity.restored(target, file, lost[0]) if len(lost) == 1 and file not in damaged else None
        if content is not None:
            again[target / lost[0]] = content
            told.append(f"{lost[0]} was damaged and is restored from the chunks beside it, bit by bit")
            del damaged[lost[0]]
        if damaged.pop(file, None) and not lost:
            again |= {
                target / name: text
                for name, text in parity.files(document, {key: (target / key).read_bytes() for key in keys}).items()
            }
            told.append(f"{file} was damaged and is made again")
    make_folders({path.parent for path in again})
    write_files(again)
    return told


def _cut(document: dict[str, Any], damaged: dict[str, str]) -> list[str]:
    """Fewer rows, so that no damaged chunk is implied."""
    mark, metas = document["attributes"][MARK], root.arrays(document)
    fixed = [key for key in damaged if not root.by_row(metas[key.partition("/")[0]])]
    if fixed:
        raise DamagedError(
            f"The store cannot be repaired: {', '.join(sorted(fixed))} belong to no single row. Run the scenario again."
        )
    told = []
    for key in damaged:
        meta = metas[key.partition("/")[0]]
        arm, chunk = root.chunk_place(meta, key)[:2]
        good = chunk * root.chunk_shape(meta)[1]
        if good < mark["rows"][arm]:
            told.append(f"{mark['arms'][arm]}: rows {good} to {mark['rows'][arm] - 1} are cut off ({key} is damaged)")
            mark["rows"][arm], mark["states"][arm], mark["finished"] = good, "damaged", False
    mark["checkpoints"] = [one for one in mark["checkpoints"] if one["rows"] <= mark["rows"][one["arm"]]]
    return told


def _remove_uncommitted(target: Path, document: dict[str, Any]) -> list[str]:
    """Chunk files that the committed shapes do not imply."""
    if document["attributes"][MARK].get("rows") is None:
        return []
    implied = {key for _, key in root.implied(document)}
    told = 0
    for name, meta in root.arrays(document).items():
        for file in (target / name).rglob("*") if root.by_row(meta) else ():
            if file.is_file() and file.name != root.NAME and str(file.relative_to(target)) not in implied:
                file.unlink(missing_ok=True)
                told += 1
    for file in (target / parity.FOLDER).glob("rows*"):
        if str(file.relative_to(target)) not in _parities(document):
            file.unlink(missing_ok=True)
    return [f"{told} chunks that were never committed removed"] if told else []
