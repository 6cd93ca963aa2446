"""A batch that kills its process is tried once more in a fresh one, then marked failed; the others are computed."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tmepde.cli import interrupts
from tmepde.cli import sweep as cli_sweep
from tmepde.sweep import pending, store
from tmepde.sweep.executors import watched
from tmepde.sweep.executors.task import run_until_told

#: stands for a worker: stores its batches one by one, does at the bad ones what the variable ACT says
WORKER = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from tmepde.sweep import store
out, act, bad = Path(sys.argv[1]), os.environ["ACT"], os.environ["BAD"].split()
mark, reports = out.with_suffix(".tries"), os.fdopen(int(sys.argv[3]), "w")
if os.environ["ACT"] == "ctrl-c":
    signal.raise_signal(signal.SIGINT)
for line in sys.stdin:
    index = int(line)
    if str(index) in bad:
        with mark.open("a") as file:
            file.write(f"{index} ")
        if act == "die once" and mark.read_text().split().count(str(index)) > 1:
            pass
        elif act.startswith("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        elif act.startswith("exit"):
            os._exit(int(act.split()[1]))
        elif act == "disk":
            print("ends", 5, file=reports, flush=True)
            sys.exit(5)
        elif act == "wait":
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
            print("waiting", flush=True)
            for _ in range(600):  # a signal that comes as a sleep begins is heard at its end
                time.sleep(0.1)
    part = store.rows(out, index)
    store.write(out, part.start, part.stop, {"status": np.full(len(part), store.OK, np.int8)})
    print(index, 0.0, 0, file=reports, flush=True)
"""


@pytest.fixture
def out(tmp_path):
    path = tmp_path / "sweep.zarr"
    arrays = {"status": store.Array((), (), np.int8, {"units": "1"}), "message": store.Array((), (), str, {})}
    store.create(path, 10, 2, arrays, {})
    return path


def run(out, monkeypatch, act, bad="", processes=1):
    monkeypatch.setenv("ACT", act)
    monkeypatch.setenv("BAD", bad)
    lines = []
    result = watched.run(
        out, [0, 1, 2, 3, 4], tell=lines.append, command=(sys.executable, "-c", WORKER), processes=processes
    )
    lines = [line for line in lines if " done in " not in line]
    tries = out.with_suffix(".tries")
    return result, lines, tries.read_text().split() if tries.exists() else []


def test_without_deaths_all_is_done_by_one_process(out, monkeypatch):
    result, lines, _ = run(out, monkeypatch, "")
    assert result.done == [0, 1, 2, 3, 4] and not result.failed and not result.stopped and not lines


def test_ctrl_c_while_a_process_imports_is_heard_when_it_listens(out, monkeypatch):
    """The terminal tells the processes too; those that were importing filled it with tracebacks."""
    result, lines, _ = run(out, monkeypatch, "ctrl-c")
    assert result.done == [0, 1, 2, 3, 4] and not lines
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    signal.raise_signal(signal.SIGINT)
    outcome = run_until_told([0, 1], lambda index: None)
    assert outcome.signal == signal.SIGINT and outcome.left == [0, 1] and outcome.code == 130


def test_a_ctrl_c_that_a_library_swallowed_is_heard_before_batches_begin(out, monkeypatch):
    """One that came in a callback of JAX, while the store was made, did nothing: the sweep went on to its end."""
    monkeypatch.setattr(interrupts, "_heard", [signal.SIGINT])
    with pytest.raises(KeyboardInterrupt):
        cli_sweep._execute(out, [0], cli_sweep.Where(workers=1), None)
    with pytest.raises(KeyboardInterrupt):
        cli_sweep.batch(out, [0])
    assert pending(out) == [0, 1, 2, 3, 4]


def test_killed_once_a_batch_is_done_by_the_next_process(out, monkeypatch):
    result, lines, tries = run(out, monkeypatch, "die once", "2")
    assert result.done == [0, 1, 2, 3, 4] and not result.failed and tries == ["2", "2"]
    assert len(lines) == 1 and "SIGKILL" in lines[0]


def test_killed_twice_a_batch_is_handed_back_and_the_others_are_done(out, monkeypatch):
    result, _, tries = run(out, monkeypatch, "die", "1 4")
    assert result.done == [0, 2, 3] and sorted(result.failed) == [1, 4] and tries == ["1", "1", "4", "4"]
    assert result.failed[1] == "its process was killed by SIGKILL, twice (out of memory?)"
    assert pending(out) == [1, 4] and not result.stopped


@pytest.mark.parametrize("code", [0, 9])
def test_a_library_that_ends_the_process_fails_its_batch_alone(out, monkeypatch, code):
    """The command ended with that code and without a word, and the other batches stayed pending; with a code that our
    own ends have it still did."""
    result, lines, tries = run(out, monkeypatch, f"exit {code}", "1")
    assert result.done == [0, 2, 3, 4] and not result.stopped and tries == ["1", "1"]
    assert result.failed == {1: f"its process ended with code {code}, twice"}
    assert lines[0] == f"batch 1: its process ended with code {code}; once more"


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("OSError(28, 'full')", 5, "ends 5\n"),
        ("SystemExit(0)", 1, ""),
    ],
)
def test_a_worker_says_that_it_ends_on_purpose_and_of_what_its_batch_does_nothing(tmp_path, fault, code, said):
    found, word = worker(tmp_path, f"raise {fault}")
    assert (found, word) == (code, said)


def test_a_worker_that_drops_its_batch_after_a_signal_says_so(tmp_path):
    assert worker(tmp_path, "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)") == (143, "ends 143\n")


def worker(tmp_path, act):
    """Code and last words of a worker whose only batch does ``act``."""
    program = f"""import os, signal, sys, time
import tmepde.sweep.engine as engine
from tmepde.cli.worker import main
def run_batch(store, index):
    {act}
engine.run_batch = run_batch
main()"""
    reports, end = os.pipe()
    words = [sys.executable, "-c", program, str(tmp_path), "0.5", str(end), ""]
    done = subprocess.run(words, input="0\n", text=True, pass_fds=(end,), capture_output=True, timeout=60, check=False)
    os.close(end)
    with os.fdopen(reports) as lines:
        return done.returncode, lines.read()


def test_an_error_of_the_machine_ends_the_watch_with_its_code(out, monkeypatch):
    result, _, _ = run(out, monkeypatch, "disk", "3")
    assert result.stopped == 5 and result.done == [0, 1, 2] and not result.failed


def test_what_the_watcher_is_told_reaches_the_worker(out, monkeypatch):
    code = f"""import sys
from pathlib import Path
from tmepde.sweep.executors import watched
from tmepde.sweep.executors.task import run_until_told
result = watched.run(Path({str(out)!r}), [0, 1, 2, 3, 4], tell=lambda line: None,
                     command=(sys.executable, "-c", {WORKER!r}))
print(result.done, result.stopped)"""
    environment = {**os.environ, "ACT": "wait", "BAD": "1"}
    watcher = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    assert watcher.stdout.readline() == "waiting\n"
    began = time.monotonic()
    watcher.send_signal(signal.SIGTERM)
    said, _ = watcher.communicate(timeout=30)
    assert said == "[0] 143\n" and time.monotonic() - began < 20.0


def test_with_two_processes_a_batch_that_kills_is_tried_again_alone_and_the_others_are_done(out, monkeypatch):
    result, lines, tries = run(out, monkeypatch, "die", "1 2", processes=2)
    assert result.done == [0, 3, 4] and sorted(result.failed) == [1, 2] and not result.stopped
    assert sorted(tries[:2]) == ["1", "2"] and sorted(tries[2:]) == ["1", "2"] and len(lines) == 4


def test_an_error_of_the_machine_in_one_of_two_processes_ends_the_watch(out, monkeypatch):
    result, _, tries = run(out, monkeypatch, "disk", "1", processes=2)
    assert result.stopped == 5 and not result.failed and tries == ["1"] and 1 in pending(out)


def test_shares_of_the_cores_are_equal(monkeypatch):
    from tmepde.sweep.executors import slot

    monkeypatch.setattr(slot, "cores", lambda: (0, 1, 2, 3, 4))
    assert slot.shares(1) == [(0, 1, 2, 3, 4)] and slot.shares(2) == [(0, 1), (2, 3)]
    assert slot.shares(7) == [(0,), (1,), (2,), (3,), (4,), (0,), (1,)]


@pytest.mark.slow
def test_one_process_and_two_fill_the_same_store_and_compile_once(tmp_path):
    """Three batches of one structure by real workers, with a folder of programs that is empty at first."""
    from test_sweep import TINY, same

    config, kept = tmp_path / "tiny.toml", {**os.environ, "JAX_PLATFORMS": "cpu"}
    config.write_text(TINY)
    for workers in ("2", "1"):
        words = ["sweep", str(config), "-o", str(tmp_path / f"{workers}.zarr"), "--workers", workers]
        kept["TMEPDE_CACHE"] = str(tmp_path / f"programs-{workers}")
        command = [sys.executable, "-m", "tmepde.cli", *words]
        said = subprocess.run(command, capture_output=True, text=True, env=kept, timeout=240, check=False)
        assert said.returncode == 0, said.stderr
        assert "1 program(s) compiled" in said.stdout, said.stdout
    same(tmp_path / "2.zarr", tmp_path / "1.zarr")
