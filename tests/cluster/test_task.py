"""Batches one after another in a process that may be told to stop."""

import signal
import subprocess
import sys
import time

import pytest

from tmepde.sweep.executors.task import run_until_told

PROGRAM = """
import sys, time
from tmepde.sweep.executors.task import run_until_told

def batch(n):
    began = time.monotonic()
    while time.monotonic() - began < {length}:  # the interpreter is busy; a compiled program would not even look up
        pass

print("ready", flush=True)
outcome = run_until_told(range(4), batch, grace={grace}, ends={ends})
print("done", outcome.done, "left", outcome.left, flush=True)
sys.exit(outcome.code)
"""


def stopped(number, length, grace, after):
    """What a process says that gets a signal ``after`` seconds into the first of its batches."""
    text = PROGRAM.format(length=length, grace=grace, ends=None)
    child = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "ready\n"
        time.sleep(after)
        began = time.monotonic()
        child.send_signal(number)
        said, _ = child.communicate(timeout=30)
        return child.returncode, said, time.monotonic() - began
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGUSR1, 75), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_batch_that_runs_is_finished_and_no_other_begun(number, code):
    found, said, _ = stopped(number, length=1.0, grace=10.0, after=0.3)
    assert found == code
    assert "done [0] left [1, 2, 3]" in said


def test_batch_that_cannot_end_in_time_is_dropped():
    found, said, took = stopped(signal.SIGUSR1, length=30.0, grace=0.5, after=0.3)
    assert found == 75
    assert "stopped by SIGUSR1, 4 batches left" in said
    assert took < 5.0


def test_all_batches_without_a_signal():
    seen = []
    outcome = run_until_told([3, 1, 2], seen.append, tell=lambda line: None)
    assert (outcome.done, outcome.left, outcome.code, seen) == ([3, 1, 2], [], 0, [3, 1, 2])


def test_no_batch_is_begun_that_would_outlast_the_wall_time():
    outcome = run_until_told(range(5), lambda n: time.sleep(0.4), ends=time.time() + 1.0, tell=lambda line: None)
    assert outcome.code == 75
    assert outcome.done == [0, 1]
    assert outcome.left == [2, 3, 4]


def test_error_of_a_batch_comes_out_and_the_handlers_are_put_back():
    before = signal.getsignal(signal.SIGUSR1)

    def broken(n):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run_until_told([0, 1], broken, tell=lambda line: None)
    assert signal.getsignal(signal.SIGUSR1) is before
