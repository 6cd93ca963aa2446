"""Power loss: what was flushed is there, of everything else anything may be; see :mod:`powercut`.

Number 7 of the project's list of faults.
"""

from __future__ import annotations

import shutil

import grown
import numpy as np
import pytest
from powercut import Recorder

from tmepde.io import open_store, root, verify
from tmepde.io.durable import atomic_write
from tmepde.io.root import MARK
from tmepde.io.stream import StoreWriter


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A run from its beginning to its end; after each ``put`` its row must be kept."""
    folder = tmp_path_factory.mktemp("recorded") / "disk"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch, Recorder(folder) as record:
        real = StoreWriter.put

        def put(self, arm, index, *rest):
            real(self, arm, index, *rest)
            record.mark((arm, index + 1))

        patch.setattr(StoreWriter, "put", put)
        grown.write(folder / "run.zarr", flush=False)
        record.mark("finished")
    return record


def cuts(record, count, seed, folder):
    """The power goes at ``count`` instants; how many rows were found, and how often some waited for their commit."""
    random = np.random.default_rng(seed)
    rows, waited = 0, 0
    for k in range(count):
        shutil.rmtree(folder, ignore_errors=True)
        marks = record.image(int(random.integers(len(record.events) + 1)), random, folder)
        path = folder / "run.zarr"
        if not marks and not path.exists():
            continue
        committed, kept = root.read(path)["attributes"][MARK]["rows"], grown.kept(path)
        for arm, least in [m for m in marks if m != "finished"]:
            assert kept[arm] >= least, (marks[-1], kept)
        assert "finished" not in marks or committed == [grown.ROWS] * 2
        assert verify(path).good
        with open_store(path) as there:
            grown.check_prefix(there, committed)
        rows, waited = rows + sum(kept), waited + (kept != committed)
        if k % 5 == 0 or "finished" in marks:
            grown.write(path)
            with open_store(path) as there:
                grown.check_prefix(there, [grown.ROWS] * 2)
            assert verify(path).good
    return rows, waited


def test_07_a_row_is_kept_from_the_moment_that_put_returns(recorded, tmp_path):
    rows, waited = cuts(recorded, 40, 1, tmp_path / "disk")
    assert rows > 200 and waited > 5


@pytest.mark.slow
def test_07_a_thousand_power_cuts_lose_no_row(recorded, tmp_path):
    rows, waited = cuts(recorded, 1000, 2, tmp_path / "disk")
    assert rows > 5000 and waited > 100


@pytest.mark.parametrize("sync", [True, False])
def test_the_model_of_the_disk_loses_what_was_not_flushed(tmp_path, sync):
    """Else the tests above would show nothing."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with Recorder(folder) as record:
        atomic_write(folder / "a", b"1" * 100, sync)
        record.mark("written")
    random, found = np.random.default_rng(0), set()
    for k in range(30):
        assert record.image(len(record.events), random, tmp_path / str(k)) == ["written"]
        file = tmp_path / str(k) / "a"
        found.add(file.read_bytes() if file.exists() else None)
    assert found == {b"1" * 100} if sync else len(found) > 3
