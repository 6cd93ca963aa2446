"""Rows into a store while a run goes on: nothing computed is lost, one writer thread, bounded memory.

:meth:`StoreWriter.put` returns when the row and the state to go on from are on the disk, in one file with a checksum
(:mod:`tmepde.io.checkpoint`). A crash loses what was computed since, which is one save interval at most.

The writer thread then commits: chunks, each in full under its name and on the disk; then the root document, replaced in
one step. Until then nobody sees the rows; whatever happens in between, the store is as after the last commit, and
:meth:`StoreWriter.resume` commits the rows that waited. Each row is committed at once, unless that would take more than
a fiftieth of the time: then those of up to :data:`LONGEST` seconds are committed together, whole chunks first.
"""

from __future__ import annotations

import queue
import shutil
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tmepde.io import checkpoint, chunks, documents, parity, root
from tmepde.io.durable import (
    clear_folders,
    keep_before,
    make_folders,
    replace_folder,
    sweep_partials,
    sweep_temporaries,
    write_files,
    write_new,
)
from tmepde.io.layout import Layout, grown, mask_of
from tmepde.io.lock import Lock
from tmepde.io.root import MARK

#: a commit of c seconds is followed by at least SHARE·c seconds without one, but no more than LONGEST seconds
SHARE, LONGEST = 50.0, 5.0
#: rows that wait for the writer; a run that is faster waits for it
WAITING = 2
#: bytes of rows put into one commit at most
HEAP = 8 * 2**20
_KEPT = 2


class StoreWriter:
    """Writes the rows of one scenario after the other.

    Args:
        path: the store; made by :meth:`create`, or there already (:meth:`resume`).
        document: its root document.
        lock: held by the caller for as long as this writes.
        mask: cells of the tissue, if not all are; fields become NaN elsewhere.
        waiting: rows to begin with, which are on the disk.
    """

    def __init__(
        self,
        path: Path,
        document: dict[str, Any],
        lock: Lock,
        mask: np.ndarray | None = None,
        waiting: list[Any] | None = None,
    ):
        self.path, self.lock = Path(path), lock
        self._mask = mask
        self._document = document
        self._queue: queue.Queue[Any] = queue.Queue(WAITING)
        self._error: BaseException | None = None
        #: (scenario, index, values by variable, whether a checkpoint was written with it)
        self._heap: list[tuple[int, int, dict[str, np.ndarray], bool]] = [(*row, True) for row in waiting or ()]
        self._folders: set[Path] = set()
        self._tails: dict[str, np.ndarray] = {}
        self._tail_of = -1
        self._next = 0.0
        self.commits, self.seconds, self.bytes = 0, 0.0, 0
        self._thread = threading.Thread(target=self._serve, name="tmepde-writer", daemon=True)
        self._thread.start()

    @classmethod
    def create(cls, path: Path, plan: Layout, lock: Lock, overwrite: bool = False) -> StoreWriter:
        """A store without rows at ``path``, complete from its first moment. What processes left that were killed while
        they made one is removed: nobody else writes here while the lock is held."""
        path = Path(path)
        sweep_partials(path)
        token = uuid.uuid4().hex[:8]
        partial = path.with_name(f".{path.name}.partial-{token}")
        try:
            make_folders({(partial / key).parent for key in plan.files} | {partial / checkpoint.FOLDER})
            write_files({partial / key: content for key, content in plan.files.items()})
            write_files({partial / root.NAME: root.sealed(grown(plan.document))})
            replace_folder(partial, path, path.with_name(f".{path.name}.old-{token}"), overwrite)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return cls(path, plan.document, lock, plan.mask)

    @classmethod
    def resume(cls, path: Path, document: dict[str, Any], lock: Lock) -> StoreWriter:
        """Go on with a store: what a killed run left is removed, rows that waited for their commit are committed."""
        sweep_temporaries(path)
        states = path / checkpoint.FOLDER
        clear_folders(states.iterdir() if states.is_dir() else ())
        rows = checkpoint.waiting(path, document["attributes"][MARK]["rows"])
        writer = cls(path, document, lock, mask_of(path, document), rows)
        try:
            writer.flush()
            writer._drop_checkpoints(whole=True)
        except BaseException:
            writer.abort()
            raise
        return writer

    @property
    def mark(self) -> dict[str, Any]:
        """What was committed."""
        return dict(self._document["attributes"][MARK])

    def put(self, arm: int, index: int, values: Mapping[str, np.ndarray], snapshot: Mapping[str, Any] | None) -> None:
        """Hand over row ``index`` of scenario ``arm``; it is on the disk when this returns, with ``snapshot``.

        Waits while the writer is behind. Without a snapshot there is nothing to go on from: the row waits in memory.
        Arrays that are also in the snapshot are written once; none may be changed from here on.

        Raises:
            WriteError, LockedError: what went wrong, here or in the writer; the store is as after its last commit.
        """
        if snapshot is not None:
            self._complain()
            self.lock.check()
            self._make_folders({self.path / checkpoint.FOLDER})
            row = {checkpoint.ROW + name: v for name, v in values.items()}
            write_new(self.path / checkpoint.row_file(arm, index + 1), checkpoint.packed({**snapshot, **row}))
        self._send(("row", arm, index, dict(values), snapshot is not None))

    def state(self, arm: int, state: str, outcome: Mapping[str, Any] | None = None, snapshot: Any = None) -> None:
        """Commit what is waiting, then say how scenario ``arm`` stands; ``outcome``: its values by variable."""
        self._send(("state", arm, state, dict(outcome or {}), snapshot))

    def cut(self, arm: int, rows: int) -> None:
        """Take back the rows of scenario ``arm`` from row ``rows`` on."""
        self._send(("cut", arm, rows))
        self.flush()

    def flush(self) -> None:
        """Return when everything handed over is committed."""
        done = threading.Event()
        self._send(("flush", done))
        while not done.wait(0.1):
            self._complain()
        self._complain()

    def close(self, finished: bool, note: str = "") -> None:
        """Commit what is waiting; ``finished`` gives up the checkpoints. ``note`` goes into the history."""
        self._send(("close", finished, note))
        self._thread.join()
        self._complain()

    def abort(self) -> None:
        """End the writer without committing more than is under way."""
        self._error = self._error or RuntimeError("aborted")
        try:
            self._queue.put_nowait(("abort",))
        except queue.Full:
            pass
        self._thread.join(timeout=10.0)

    def _send(self, message: tuple[Any, ...]) -> None:
        while True:
            self._complain()
            try:
                self._queue.put(message, timeout=0.2)
                return
            except queue.Full:
                continue

    def _complain(self) -> None:
        if self._error is not None:
            raise self._error

    # -- in the writer's thread ----------------------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            while self._error is None:
                try:
                    message = self._queue.get(timeout=self._patience())
                except queue.Empty:
                    self._commit(chunks_only=True)
                    continue
                if not self._handle(message):
                    return
        except BaseException as error:
            self._error = error

    def _patience(self) -> float | None:
        return max(0.0, self._next - time.monotonic()) if self._heap else 0.2

    def _handle(self, message: tuple[Any, ...]) -> bool:
        kind = message[0]
        if kind == "row":
            self._heap.append(message[1:])
            heap = sum(v.nbytes for _, _, values, _ in self._heap for v in values.values())
            if time.monotonic() >= self._next or heap > HEAP:
                self._commit(chunks_only=True)
            return True
        if kind == "abort":
            return False
        self._commit()
        if kind == "flush":
            message[1].set()
        elif kind == "state":
            self._commit_state(*message[1:])
        elif kind == "cut":
            found = [one for one in self.mark["checkpoints"] if one["arm"] != message[1] or one["rows"] <= message[2]]
            self._replace({}, found, {"rows": {message[1]: message[2]}})
            self._drop_checkpoints(whole=True)
            self._tail_of = -1
        elif kind == "close":
            self._finish(*message[1:])
        return kind != "close"

    def _commit(self, chunks_only: bool = False) -> None:
        """All rows that wait, scenario by scenario; with ``chunks_only`` those that begin a chunk of the largest array
        wait for those that fill it up, if others can be committed."""
        began = time.monotonic()
        heap, self._heap = self._heap, []
        for arm in dict.fromkeys(row[0] for row in heap):
            rows = [row for row in heap if row[0] == arm]
            rest = (rows[-1][1] + 1) % self._length
            if chunks_only and heap[-1][0] == arm and 0 < rest < len(rows):
                self._heap = rows[len(rows) - rest :]
                rows = rows[: len(rows) - rest]
            self._commit_rows(arm, rows)
        if heap:
            spent = time.monotonic() - began
            self._next = time.monotonic() + min(SHARE * spent, LONGEST)
            self.commits, self.seconds = self.commits + 1, self.seconds + spent

    @property
    def _length(self) -> int:
        """Rows in a chunk of the largest array."""
        shapes = [root.chunk_shape(meta) for meta in root.arrays(self._document).values() if root.by_row(meta)]
        return int(max(shapes, key=np.prod)[1]) if shapes else 1

    def _commit_rows(self, arm: int, rows: list[Any]) -> None:
        mark = self._document["attributes"][MARK]
        first, count = rows[0][1], len(rows)
        if [row[1] for row in rows] != list(range(first, first + count)) or first != mark["rows"][arm]:
            raise RuntimeError(f"rows {[row[1] for row in rows]} do not follow the committed {mark['rows'][arm]}")
        contents: dict[str, bytes] = {}
        for name in [n for n, meta in root.arrays(self._document).items() if root.by_row(meta)]:
            block = np.stack([np.asarray(row[2][name]) for row in rows])
            if self._mask is not None and block.shape[1:] == self._mask.shape:
                block[:, ~self._mask] = np.nan
            contents |= self._array(name, arm, first, block)
        found = [
            {"arm": arm, "rows": row[1] + 1, "file": checkpoint.row_file(arm, row[1] + 1)} for row in rows if row[3]
        ]
        contents |= self._parity(contents)
        self._replace(contents, [*mark["checkpoints"], *found], {"rows": {arm: first + count}})

    def _array(self, name: str, arm: int, first: int, block: np.ndarray) -> dict[str, bytes]:
        """The chunks of one array that new rows fall into; the last one is kept, for the rows to come."""
        meta = root.arrays(self._document)[name]
        chunk = root.chunk_shape(meta)
        length = chunk[1]
        start = first - first % length
        if first > start:
            block = np.concatenate([self._tail(name, arm, start, first, block), block])
        out = {}
        for place, values in chunks.pieces(block[None], chunk):
            key = root.chunk_key(name, meta, [arm, start // length + place[1], *place[2:]])
            out[key] = chunks.encode(values)
        rest = len(block) % length
        self._tail_of = arm
        self._tails[name] = block[len(block) - rest :].copy()
        return out

    def _tail(self, name: str, arm: int, start: int, first: int, block: np.ndarray) -> np.ndarray:
        kept = self._tails.get(name) if self._tail_of == arm else None
        if kept is not None and len(kept) == first - start:
            return kept
        from tmepde.io.store import open_store

        with open_store(self.path) as there:  # after a resume
            return np.asarray(there[name][arm, start:first].values, block.dtype)

    def _commit_state(self, arm: int, state: str, outcome: dict[str, Any], snapshot: Any) -> None:
        """How a scenario stands: its own small chunks, then the root."""
        contents: dict[str, bytes] = {}
        for name, value in outcome.items():
            meta = root.arrays(self._document)[name]
            values = np.asarray(value, _dtype(meta)).reshape(root.chunk_shape(meta))
            key = root.chunk_key(name, meta, [arm, *[0] * (values.ndim - 1)])
            contents[key] = chunks.encode(values)
        mark = self._document["attributes"][MARK]
        found, rows, state_file = list(mark["checkpoints"]), mark["rows"][arm], {}
        if snapshot is not None:
            file = f"{checkpoint.FOLDER}/{arm:04d}-{rows:06d}-{mark['commit'] + 1:08d}.ckpt"
            state_file = {file: b"".join(checkpoint.packed(snapshot))}
            found.append({"arm": arm, "rows": rows, "file": file})
        self._replace(contents | self._parity(contents, arm) | state_file, found, {"states": {arm: state}})

    def _parity(self, contents: dict[str, bytes], arm: int | None = None) -> dict[str, bytes]:
        """The files of the groups of ``contents``; of the outcome of scenario ``arm`` the rest is on the disk."""
        if not self._document["attributes"][MARK].get("parity"):  # a store of an earlier version
            return {}
        if arm is not None:
            keys = parity.outcome_keys(self._document, arm)
            try:
                contents = {key: contents.get(key) or (self.path / key).read_bytes() for key in keys}
            except OSError:  # lost, which is said where it is read
                return {}
        return parity.files(self._document, contents)

    def _replace(self, contents: dict[str, bytes], found: list[dict[str, Any]], changes: dict[str, Any]) -> None:
        """The commit itself."""
        self.lock.check()
        self._make_folders({(self.path / key).parent for key in contents})
        write_files({self.path / key: content for key, content in contents.items()})
        mark = self.mark
        for key, entries in changes.items():
            mark[key] = [entries.get(arm, value) for arm, value in enumerate(mark[key])]
        mark["checkpoints"], mark["commit"] = found[-_KEPT:], mark["commit"] + 1
        self.write_root(mark)
        self.bytes += sum(map(len, contents.values()))
        self._drop_checkpoints()

    def _make_folders(self, folders: set[Path]) -> None:
        """Those that this writer has not seen yet."""
        make_folders(folders - self._folders)
        self._folders |= folders

    def write_root(self, mark: dict[str, Any], history: str = "") -> None:
        """Replace the root document by one with another mark."""
        self.lock.check()
        attributes = {**self._document["attributes"], MARK: mark}
        if history:
            attributes["history"] = "\n".join(filter(None, [attributes.get("history"), history]))
        document = grown({**self._document, "attributes": attributes})
        keep_before(self.path / root.NAME, self.path / root.COPY)
        write_files({self.path / root.NAME: root.sealed(document)})
        self._document = document

    def _drop_checkpoints(self, whole: bool = False) -> None:
        """Those that the root does not name; of rows that are not committed yet only with ``whole``."""
        mark = self._document["attributes"][MARK]
        kept = {Path(one["file"]).name for one in mark["checkpoints"]}
        folder = self.path / checkpoint.FOLDER
        for file in folder.iterdir() if folder.is_dir() else ():
            if file.name in kept or file.suffix not in (".ckpt", ".row"):
                continue
            if file.suffix == ".row" and not whole:
                arm, rows = checkpoint.row_of(file)
                if rows > mark["rows"][arm]:
                    continue
            file.unlink(missing_ok=True)

    def _finish(self, finished: bool, note: str) -> None:
        mark = self.mark
        mark["finished"], mark["commit"] = finished, mark["commit"] + 1
        if finished:
            mark["checkpoints"] = []
        # readers without consolidated metadata look at the shapes of the start until now; of a finished store they fit
        metas = root.arrays(grown(self._document))
        grows = [f"{n}/{root.NAME}" for n, meta in metas.items() if "time" in (meta.get("dimension_names") or ())]
        documents.restore(self.path, metas, grows)
        self.write_root(mark, note)
        write_files({self.path / root.COPY: root.sealed(self._document)})
        self._drop_checkpoints()
        if finished:
            shutil.rmtree(self.path / checkpoint.FOLDER, ignore_errors=True)


def _dtype(meta: dict[str, Any]) -> np.dtype:
    kind = meta["data_type"]
    if isinstance(kind, dict):  # text of a fixed width
        return np.dtype(f"<U{kind['configuration']['length_bytes'] // 4}")
    return np.dtype(kind)
