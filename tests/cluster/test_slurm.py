"""Sweeps on a real SLURM: `make test-slurm` sets one up with two nodes and a stand-in GPU each."""

import json
import re
import subprocess
import sys

import pytest
from tiny_sweep import BATCHES, assert_bitwise_equal, until

pytestmark = pytest.mark.slurm

SLURM = ("--slurm", "gres=gpu:1", "--slurm", "memory=1500M", "--slurm", "time=10")


def said(*command, timeout=60):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=timeout).stdout


def queue(job=None):
    """Lines of the queue, tasks one by one: number, state."""
    lines = said("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
    return [line.split() for line in lines if job is None or line.split("_")[0] == job]


def cancel(*words):
    """scancel, which may stay for a while when the job it signals goes back into the queue at once."""
    return subprocess.Popen(["scancel", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(autouse=True)
def nothing_left_in_the_queue():
    yield
    for job in {number.split("_")[0] for number, _ in queue()}:
        subprocess.run(["scancel", job], check=False, timeout=60)
    until(lambda: not queue(), 90)


@pytest.fixture
def array(tiny, tmp_path, tmepde):
    """Submit the tiny sweep; gives the store, and a function that submits (again) and gives the number of the job."""
    store = tmp_path / "array.zarr"

    def submit(*words, **how):
        text = tmepde("sweep", tiny, "-o", store, "--executor", "slurm-array", *SLURM, *words, **how)
        found = re.search(r"submitted as job (\d+)", text)
        return found[1] if found else text

    return store, submit


def done(store, job=None):
    """Batches that the logs say were run, by one job or by all."""
    logs = sorted(store.with_name(f"{store.name}.logs").glob(f"{job or '*'}_*.log"))
    return [int(n) for log in logs for n in re.findall(r"^batch (\d+) done", log.read_text(), re.MULTILINE)]


def counts(tmepde, store, code=0):
    return json.loads(tmepde("sweep", "status", store, "--json", code=code))


def pending(tmepde, store):
    return counts(tmepde, store)["batches_pending"]


def test_array_gives_the_store_of_one_process(array, inline, tmepde):
    store, submit = array
    job = submit()
    until(lambda: not queue(job), 240)
    assert sorted(done(store)) == list(range(BATCHES))
    assert pending(tmepde, store) == 0
    assert_bitwise_equal(store, inline)


def test_each_task_has_a_gpu_and_two_run_side_by_side(array):
    store, submit = array
    job = submit()
    until(lambda: [state for _, state in queue(job)].count("RUNNING") == 2, 30)
    cancel(job)


def test_cancelled_array_is_finished_by_submitting_exactly_the_rest(array, inline, tmepde):
    store, submit = array
    first = submit()
    until(lambda: len(done(store)) >= 2, 120)
    cancel(first)
    until(lambda: not queue(first), 90)
    before = done(store)
    assert 2 <= len(before) < BATCHES
    assert pending(tmepde, store) == BATCHES - len(before)

    second = submit("--resume")
    until(lambda: not queue(second), 240)
    after = done(store, second)
    assert sorted(before + after) == list(range(BATCHES)), "a batch was run twice or not at all"
    assert pending(tmepde, store) == 0
    assert_bitwise_equal(store, inline)


def test_second_submission_beside_a_running_one_is_refused(array):
    store, submit = array
    submit()
    text = submit("--resume", code=6)
    assert "jobs in the queue already" in text


def test_two_executors_on_one_store_do_not_corrupt_it(array, inline, tiny, tmepde, programs):
    """An array and two processes on this machine compute the same batches at the same time."""
    store, submit = array
    job = submit()
    until(lambda: queue(job), 30)
    words = [sys.executable, "-m", "tmepde.cli", "sweep", "batch", str(store), "--all"]
    beside = [subprocess.Popen(words, env=programs, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [p.wait(timeout=240) for p in beside] == [0, 0]
    until(lambda: not queue(job), 240)
    assert pending(tmepde, store) == 0
    assert_bitwise_equal(store, inline)


def test_signal_before_the_wall_time_leaves_the_rest_pending_and_requeues(array, inline, tmepde):
    """USR1, as SLURM sends it before the end: the task stops with 75 and goes back into the queue."""
    store, submit = array
    job = submit("--slurm", f"batches_per_task={BATCHES}")
    until(lambda: len(done(store)) >= 1, 120)
    cancel("--signal=USR1", "--batch", f"{job}_0")
    until(lambda: [state for _, state in queue(job)] == ["PENDING"], 60)
    before = done(store)
    assert 1 <= len(before) < BATCHES
    assert pending(tmepde, store) == BATCHES - len(before)
    cancel(job)  # a requeued job begins two minutes later; submitting again is the same and faster
    until(lambda: not queue(job), 60)
    second = submit("--resume")
    until(lambda: not queue(second), 240)
    assert sorted(before + done(store, second)) == list(range(BATCHES))
    assert_bitwise_equal(store, inline)


@pytest.mark.slow
def test_requeued_task_finishes_by_itself(array, inline, tmepde):
    """The same, waiting for SLURM to begin the task again."""
    store, submit = array
    job = submit("--slurm", f"batches_per_task={BATCHES}")
    until(lambda: len(done(store)) >= 1, 120)
    cancel("--signal=USR1", "--batch", f"{job}_0")
    until(lambda: not queue(job), 400, every=1.0)
    assert sorted(done(store)) == list(range(BATCHES))
    assert_bitwise_equal(store, inline)


def test_killed_task_leaves_its_batch_pending(array, inline, tmepde):
    """kill −9 of one task: the others go on, and its batch is run by the next submission."""
    store, submit = array
    job = submit()
    victim = until(lambda: next((n for n, state in queue(job) if state == "RUNNING"), None), 30)
    cancel("--signal=KILL", "--full", victim)
    until(lambda: not queue(job), 240)
    lost = int(victim.split("_")[1])
    assert sorted([*done(store), lost]) == list(range(BATCHES))
    assert pending(tmepde, store) == 1
    second = submit("--resume")
    until(lambda: not queue(second), 120)
    assert done(store, second) == [lost]
    assert_bitwise_equal(store, inline)


def test_dask_workers_as_jobs_give_the_store_of_one_process(tiny, tmp_path, inline, tmepde):
    pytest.importorskip("dask_jobqueue", reason="needs tmepde[cluster]")
    store = tmp_path / "workers.zarr"
    tmepde("sweep", tiny, "-o", store, "--executor", "slurm-dask", *SLURM)
    assert pending(tmepde, store) == 0
    assert_bitwise_equal(store, inline)


def test_killed_worker_job_is_survived(tiny, tmp_path, inline, tmepde, programs):
    """kill −9 of a dask worker and its nanny: the job is gone, another one comes, its batch is run again."""
    pytest.importorskip("dask_jobqueue", reason="needs tmepde[cluster]")
    store = tmp_path / "killed.zarr"
    words = [sys.executable, "-m", "tmepde.cli", "sweep", str(tiny), "-o", str(store), "--executor", "slurm-dask"]
    driver = subprocess.Popen([*words, *SLURM], env=programs, stdout=subprocess.PIPE, text=True)
    try:
        line = driver.stdout.readline()
        while line and not line.startswith("batch "):
            line = driver.stdout.readline()
        assert line, "the sweep ended before its first batch"
        running = [number for number, state in queue() if state == "RUNNING"]
        cancel("--signal=KILL", "--full", running[0])
        driver.communicate(timeout=240)
        assert driver.returncode == 0
    finally:
        driver.kill()
        driver.wait()
    assert pending(tmepde, store) == 0
    assert_bitwise_equal(store, inline)
