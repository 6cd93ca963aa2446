"""Batches on workers that die."""

import os
import signal
import threading
import time

import pytest

distributed = pytest.importorskip("distributed", reason="needs tmepde[cluster]")

import dask  # noqa: E402

from tmepde.sweep.executors import dask_batches, slot, stopping  # noqa: E402
from tmepde.sweep.executors.base import Environment  # noqa: E402


@pytest.fixture(scope="module")
def cluster():
    with dask.config.set(dask_batches.SETTINGS):
        with stopping.deaf():
            made = distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address="127.0.0.1:0", host="127.0.0.1"
            )
        with made:
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


def told_to_stop(client, folder, seconds, *signals):
    """What comes of eight batches of some seconds on two workers, when signals come as soon as two have begun."""

    def task(batch):
        (folder / str(batch)).touch()
        time.sleep(seconds)

    def send():
        while len(list(folder.iterdir())) < 2:
            time.sleep(0.05)
        began.append(time.monotonic())
        for number in signals:
            os.kill(os.getpid(), number)
            time.sleep(0.2)

    began = []
    threading.Thread(target=send, daemon=True).start()
    found = stopping.until_told(
        lambda told: dask_batches.run_batches(client, task, range(8), at_once=8, told=told, tell=lambda line: None)
    )
    return found, time.monotonic() - began[0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGUSR1, 75)])
def test_after_a_signal_batches_under_way_end_and_no_other_is_begun(client, tmp_path, number, code):
    found, _ = told_to_stop(client, tmp_path, 1.5, number)
    assert found.stopped == code
    assert len(found.done) == 2
    assert sorted(found.done) == sorted(int(p.name) for p in tmp_path.iterdir())


def test_a_second_signal_ends_at_once(client, tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    found, seconds = told_to_stop(client, tmp_path, 5, signal.SIGTERM, signal.SIGINT)
    assert found.stopped == 143
    assert seconds < 4
    assert signal.getsignal(signal.SIGINT) is handler


def test_batches_that_do_not_end_in_time_are_not_waited_for(client, tmp_path, monkeypatch):
    monkeypatch.setattr(stopping, "GRACE", 0.5)
    found, seconds = told_to_stop(client, tmp_path, 8, signal.SIGUSR1)
    assert found.stopped == 75
    assert not found.done
    assert seconds < 6


def test_workers_do_not_hear_the_terminal(client):
    """It tells all processes of a command, and a worker would end in the middle of its batch."""
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])
    for held in client.run(signal.pthread_sigmask, signal.SIG_BLOCK, []).values():
        assert {signal.SIGINT, signal.SIGHUP, signal.SIGUSR1} <= held


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
