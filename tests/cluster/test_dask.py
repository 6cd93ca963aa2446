"""Batches on workers that die."""

import os
import signal
import time

import pytest

distributed = pytest.importorskip("distributed", reason="needs tmepde[cluster]")

import dask  # noqa: E402

from tmepde.sweep.executors import dask_batches, slot  # noqa: E402
from tmepde.sweep.executors.base import Environment  # noqa: E402


@pytest.fixture(scope="module")
def cluster():
    with (
        dask.config.set(dask_batches.SETTINGS),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as made,
    ):
        yield made


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as made:
        yield made


def dying(folder, deaths):
    """A task that kills its process the first ``deaths[batch]`` times, and leaves a mark each time it begins."""

    def task(batch):
        mark = f"{folder}/{batch}"
        with open(mark, "a") as file:
            file.write("x")
        if os.path.getsize(mark) <= deaths.get(batch, 0):
            os.kill(os.getpid(), 9)
        time.sleep(0.05)

    return task


def begun(folder):
    return {int(p.name): len(p.read_text()) for p in folder.iterdir()}


def test_batch_of_a_killed_worker_is_run_again_once_in_a_fresh_process(client, tmp_path):
    found = dask_batches.run_batches(client, dying(tmp_path, {3: 1}), range(8), at_once=2, tell=lambda line: None)
    assert sorted(found.done) == list(range(8))
    assert not found.failed
    assert begun(tmp_path)[3] == 2


def test_batch_that_kills_every_worker_is_marked_failed_and_no_other_is_blamed(client, tmp_path):
    found = dask_batches.run_batches(client, dying(tmp_path, {2: 9}), range(8), at_once=2, tell=lambda line: None)
    assert sorted(found.done) == [0, 1, 3, 4, 5, 6, 7]
    assert list(found.failed) == [2]
    assert "killed 3 times" in found.failed[2]
    assert begun(tmp_path)[2] == 3


def test_batches_that_share_a_worker_with_one_that_kills_it_are_not_blamed(client, tmp_path):
    """Eight at once on two workers: each death takes several with it, most of which have not begun."""
    found = dask_batches.run_batches(client, dying(tmp_path, {2: 9}), range(8), at_once=8, tell=lambda line: None)
    assert sorted(found.done) == [0, 1, 3, 4, 5, 6, 7]
    assert list(found.failed) == [2]


def test_batch_whose_worker_dies_before_anybody_asks_is_done(monkeypatch):
    """What a worker of dask holds is lost with it; the batch's rows are in the store."""
    finished = dask_batches._finished

    def late(client, running):
        ended = finished(client, running)
        if ended:
            alone.scale(0)
            until = time.monotonic() + 30
            while client.scheduler_info()["workers"] and time.monotonic() < until:
                time.sleep(0.05)
        return ended

    monkeypatch.setattr(dask_batches, "_finished", late)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, memory_limit=0, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as alone,
        distributed.Client(alone) as client,
    ):
        found = dask_batches.run_batches(client, abs, [3], at_once=1, tell=lambda line: None)
    assert found.done == [3]


def test_full_disk_ends_the_sweep_and_is_not_blamed_on_a_batch(client):
    def full(batch):
        raise OSError(28, "No space left on device")

    with pytest.raises(Environment, match="No space left on device"):
        dask_batches.run_batches(client, full, range(4), at_once=2, tell=lambda line: None)


def test_cluster_without_workers_is_given_up(tmp_path):
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", host="127.0.0.1") as empty,
        distributed.Client(empty) as client,
        pytest.raises(Environment, match="No worker"),
    ):
        dask_batches.run_batches(client, print, [0], at_once=1, patience=0.5, tell=lambda line: None)


def test_slot_is_given_back_when_its_process_is_killed(client, tmp_path):
    """Two workers hold the two slots; the one that comes in the place of a killed one finds a slot free."""
    folder = str(tmp_path)

    def which(_):
        return slot.take(folder, 2, ("7", "8")), os.environ.get("CUDA_VISIBLE_DEVICES"), os.getpid()

    def held():
        addresses = list(client.scheduler_info()["workers"])
        return [client.submit(which, i, workers=[a], pure=False).result(30) for i, a in enumerate(addresses)]

    before = held()
    assert sorted((s, d) for s, d, _ in before) == [(0, "7"), (1, "8")]
    os.kill(before[0][2], signal.SIGKILL)
    deadline = time.monotonic() + 30
    now = before
    while len(now) < 2 or before[0] in now:
        assert time.monotonic() < deadline
        time.sleep(0.2)
        now = held()
    assert sorted((s, d) for s, d, _ in now) == [(0, "7"), (1, "8")]
