"""A store that grows by made-up rows: no solver, so that thousands of faults can be tried. Also a program:

python grown.py STORE [KILL]      begin or go on until all rows are there; die at the KILL-th file operation
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import xarray as xr

from tmepde.io import checkpoint, root
from tmepde.io.layout import layout
from tmepde.io.lock import Lock
from tmepde.io.root import MARK
from tmepde.io.stream import StoreWriter

ARMS, ROWS, CELLS = ("a", "b"), 12, 40
FIELDS = {"oxygen": (CELLS, CELLS), "tumour": (CELLS, CELLS), "burden": (), "plasma": ()}


def row(arm: int, index: int) -> dict[str, np.ndarray]:
    """Row ``index`` of ``arm``: the same in every process."""
    random = np.random.default_rng([arm, index])
    return {name: random.random(shape).astype(np.float32) for name, shape in FIELDS.items()}


def template(fields=None) -> xr.Dataset:
    fields = FIELDS if fields is None else fields
    dims = {0: (), 2: ("y", "x")}
    found = xr.Dataset(coords={"scenario": ("scenario", np.array(ARMS)), "time": ("time", np.zeros(0), {"units": "h"})})
    for name, shape in fields.items():
        empty = np.zeros((len(ARMS), 0, *shape), np.float32)
        found[name] = (("scenario", "time", *dims[len(shape)]), empty, {"units": "1"})
    found["mask"] = (("y", "x"), np.ones((CELLS, CELLS), np.int8))
    found["status"] = ("scenario", np.array(["waiting"] * len(ARMS)))
    found["message"] = ("scenario", np.array([""] * len(ARMS)))
    found["wall_time"] = ("scenario", np.full(len(ARMS), np.nan))
    found.attrs = {"tmepde_version": "0", "config": 'name = "made up"', "title": "made up"}
    return found


def times() -> np.ndarray:
    return 2.0 * np.arange(ROWS)


def create(path: Path) -> None:
    """A store without rows."""
    with Lock(path) as lock:
        StoreWriter.create(path, layout(template(), times()), lock).abort()


def write(path: Path, pause=lambda: None, until: int | None = None, flush: bool = True) -> None:
    """Begin or go on, as a run does.

    Args:
        until: leave after so many rows of the second arm.
        flush: let each row be a commit.
    """
    with Lock(path) as lock:
        if path.exists():
            document = root.read(path)
            if document["attributes"][MARK]["finished"]:
                return
            writer = StoreWriter.resume(path, document, lock)
        else:
            writer = StoreWriter.create(path, layout(template(), times()), lock)
        try:
            for arm in range(len(ARMS)):
                if writer.mark["states"][arm] == "ok":
                    continue
                begin = writer.mark["rows"][arm]
                last = ROWS if until is None or arm == 0 else until
                for index in range(begin, last):
                    if index == begin:
                        writer.state(arm, "running", {"status": "running"})
                    writer.put(arm, index, row(arm, index), {"rows": np.asarray(index + 1)})
                    if flush:
                        writer.flush()
                    pause()
                if last == ROWS:
                    writer.state(arm, "ok", {"status": "ok", "message": "The end.", "wall_time": 1.5 + arm})
            writer.close(until is None)
        except BaseException:
            writer.abort()
            raise


def check_prefix(dataset: xr.Dataset, rows: list[int]) -> None:
    """Committed rows are bit for bit those of the reference, the others NaN."""
    assert list(dataset["time"].values) == list(times()[: max(rows)])
    for arm, count in enumerate(rows):
        for name in FIELDS:
            values = dataset[name][arm].values
            for index in range(count):
                assert np.array_equal(values[index], row(arm, index)[name]), (name, arm, index)
            assert np.isnan(values[count:]).all(), (name, arm)


def kept(path: Path) -> list[int]:
    """Rows of each arm that are on the disk: committed, and waiting for their commit."""
    rows = list(root.read(path)["attributes"][MARK]["rows"])
    for arm, _, _ in checkpoint.waiting(path, rows):
        rows[arm] += 1
    return rows


def checkpoint_rows(path: Path) -> list[int]:
    """Rows of the checkpoints that the root names; each must be good."""
    mark = root.read(path)["attributes"][MARK]
    return [int(checkpoint.unpacked(path / one["file"])["rows"]) for one in mark["checkpoints"]]


def die_at(count: int) -> None:
    """SIGKILL this process at its ``count``-th write, flush, rename or removal."""
    made = [0]

    def wrapped(real):
        def act(*arguments, **options):
            made[0] += 1
            if made[0] == count:
                if real is os_write:  # half of it, then the end
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return act

    os_write = os.write
    for name in ("write", "fsync", "replace", "rename", "unlink", "link", "mkdir"):
        setattr(os, name, wrapped(getattr(os, name)))
    import atexit

    atexit.register(lambda: print(json.dumps(made[0])))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        die_at(int(sys.argv[2]))
    write(Path(sys.argv[1]))
