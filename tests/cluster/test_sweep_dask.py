"""Sweeps on worker processes of this machine, some of which are killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_sweep import BATCHES, assert_bitwise_equal, until

pytest.importorskip("distributed", reason="needs tmepde[cluster]")
pytestmark = pytest.mark.slow


@pytest.fixture
def sweep(tiny, tmp_path, programs):
    """Start the tiny sweep on two workers; gives the store, and a function that starts it."""
    store = tmp_path / "dask.zarr"
    started = []

    def start(*words):
        command = [sys.executable, "-m", "tmepde.cli", "sweep", str(tiny), "-o", str(store), *words]
        log = open(tmp_path / f"log-{len(started)}", "w+")  # noqa: SIM115
        child = subprocess.Popen(
            [*command, "--executor", "dask", "--workers", "2"], env=programs, stdout=log, stderr=subprocess.STDOUT
        )
        started.append((child, log))
        return child, lambda: Path(log.name).read_text()

    yield store, start
    for child, log in started:
        child.kill()
        child.wait()
        log.close()


def done(text):
    return [line for line in text.splitlines() if line.startswith("batch ") and " done" in line]


def workers(driver):
    """Processes below the driver that have JAX loaded, that is, workers that run batches."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == driver and "libjax" in (entry / "maps").read_text():
                found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return found


def pending(tmepde, store):
    return json.loads(tmepde("sweep", "status", store, "--json"))["batches_pending"]


def test_killed_worker_is_survived(sweep, inline, tmepde):
    store, start = sweep
    child, said = start()
    os.kill(until(lambda: workers(child.pid))[0], signal.SIGKILL)
    assert child.wait(timeout=240) == 0, said()
    assert len(done(said())) == BATCHES
    assert_bitwise_equal(store, inline)


def test_killed_driver_takes_its_workers_with_it_and_resume_runs_the_rest(sweep, inline, tmepde):
    store, start = sweep
    child, said = start()
    until(lambda: len(done(said())) >= 2)
    found = workers(child.pid)
    child.kill()
    child.wait()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in found), 30)
    left = pending(tmepde, store)
    assert 0 < left <= BATCHES - 2
    again, said = start("--resume")
    assert again.wait(timeout=240) == 0, said()
    assert len(done(said())) == left
    assert_bitwise_equal(store, inline)


def test_workers_of_a_running_scheduler_are_used(tiny, tmp_path, inline, tmepde, programs):
    distributed = pytest.importorskip("distributed")
    store = tmp_path / "elsewhere.zarr"
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as cluster:
        tmepde("sweep", tiny, "-o", store, "--executor", "dask", "--scheduler", cluster.scheduler_address)
    assert_bitwise_equal(store, inline)
