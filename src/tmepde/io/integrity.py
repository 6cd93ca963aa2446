"""Whether a store is what was written, and what to save of one that is not."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tmepde.io import checkpoint, chunks, root
from tmepde.io.durable import sweep_temporaries, write_files
from tmepde.io.layout import grown
from tmepde.io.lock import Lock
from tmepde.io.root import MARK, StoreError


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
        leftovers: files that a killed writer left; harmless.
    """

    path: str
    finished: bool = False
    rows: dict[str, int] = field(default_factory=dict)
    chunks: int = 0
    checkpoints: dict[str, str] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every chunk and checkpoint is as written."""
        return not self.damaged and all(v == "good" for v in self.checkpoints.values())


def verify(path: str | os.PathLike[str]) -> Finding:
    """Read every chunk and checkpoint of a store and compare them with their checksums.

    Raises:
        StoreError: if the root document is missing or damaged.
    """
    target = Path(path)
    document = root.read(target)
    mark = document["attributes"].get(MARK)
    if mark is None:
        raise StoreError(f"{target} was written before stores had checksums of everything. Open it with `open_store`.")
    finding = Finding(str(target), finished=bool(mark.get("finished")))
    if mark.get("rows") is not None:
        finding.rows = dict(zip(mark["arms"], mark["rows"], strict=True))
    for _, key in root.implied(document):
        finding.chunks += 1
        wrong = _wrong(target / key)
        if wrong:
            finding.damaged[key] = wrong
    for one in mark.get("checkpoints", ()):
        try:
            checkpoint.unpacked(target / one["file"])
            finding.checkpoints[one["file"]] = "good"
        except StoreError as error:
            finding.checkpoints[one["file"]] = str(error)
    finding.leftovers = sorted(str(p.relative_to(target)) for p in target.rglob(".tmp-*") if p.is_file())
    return finding


def _wrong(file: Path) -> str:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return str(error.strerror)
    return "" if chunks.intact(content) else "does not match its checksum"


def repair(path: str | os.PathLike[str]) -> list[str]:
    """Cut every scenario before its first damaged row, drop damaged checkpoints and leftovers; what was lost, in words.

    Fields of the rows that stay are as committed. The run can go on from the last good checkpoint (``--resume``).

    Raises:
        StoreError: where what is damaged is not rows (coordinates, masks, the root document): run the scenario again.
        LockedError: if a run is writing the store.
    """
    target = Path(path)
    with Lock(target) as lock:
        found = verify(target)
        document = copy.deepcopy(root.read(target))
        mark = document["attributes"][MARK]
        told = [f"{len(found.leftovers)} unfinished files removed"] if found.leftovers else []
        if not found.good:
            if mark.get("rows") is None and found.damaged:
                raise StoreError(
                    f"{target} cannot be repaired: it was written whole, and {', '.join(sorted(found.damaged))} are "
                    "damaged. Write it again."
                )
            told += _cut(document, found.damaged)
            bad = {file for file, state in found.checkpoints.items() if state != "good"}
            told += [f"checkpoint {file} is damaged and was dropped" for file in sorted(bad)]
            mark["checkpoints"] = [one for one in mark["checkpoints"] if one["file"] not in bad]
            mark["commit"] += 1
            lock.check()
            document = grown(document)
            write_files({target / root.NAME: root.sealed(document)})
        sweep_temporaries(target)
        told += _remove_uncommitted(target, document)
    return told


def _cut(document: dict[str, Any], damaged: dict[str, str]) -> list[str]:
    """Fewer rows, so that no damaged chunk is implied."""
    mark, metas = document["attributes"][MARK], root.arrays(document)
    fixed = [key for key in damaged if not root.by_row(metas[key.partition("/")[0]])]
    if fixed:
        raise StoreError(
            f"The store cannot be repaired: {', '.join(sorted(fixed))} belong to no single row. Run the scenario again."
        )
    told = []
    for key in damaged:
        name, _, place = key.partition("/c/")
        arm, chunk = (int(i) for i in place.split("/")[:2])
        good = chunk * root.chunk_shape(metas[name])[1]
        if good < mark["rows"][arm]:
            told.append(f"{mark['arms'][arm]}: rows {good} to {mark['rows'][arm] - 1} are lost ({key} is damaged)")
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
        folder = target / name / "c"
        for file in folder.rglob("*") if root.by_row(meta) and folder.is_dir() else ():
            if file.is_file() and str(file.relative_to(target)) not in implied:
                file.unlink(missing_ok=True)
                told += 1
    return [f"{told} chunks that were never committed removed"] if told else []
