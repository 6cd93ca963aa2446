"""Real runs, killed, stopped and resumed by the command line: the results are those of a run that nobody disturbed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from zygote import Zygote

from tmepde.io import open_store, root, verify
from tmepde.io.root import MARK

CONFIG = """\
schema = 1
name = "killed"
[grid]
kind = "radial"
radius = "400 um"
cells = 64
[interventions.car_t]
kind = "cell_infusion"
dose = { kind = "bolus", at = "1 hour", amount = "1e8 cells" }
[arms]
"none" = []
"CAR-T" = ["car_t"]
[run]
until = "240 hour"
save = { every = "4 hour" }
"""


def command(folder, out, *options):
    return [sys.executable, "-m", "tmepde.cli", *arguments(folder, out, *options)]


def arguments(folder, out, *options):
    return ["run", str(folder / "killed.toml"), "-o", str(out), "-q", *options]


def tmepde(folder, out, *options):
    return subprocess.run(command(folder, out, *options), capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def zygote():
    with Zygote() as found:
        yield found


@pytest.fixture(scope="module")
def reference(tmp_path_factory, zygote):
    """A folder with the config, a run to its end, and what it took: file operations and seconds."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "killed.toml").write_text(CONFIG)
    for _ in range(2):  # the second has its programs at hand, as all after it
        code, told = zygote.run(arguments(folder, folder / "whole.zarr", "--overwrite"))
        assert code == 0, told["stderr"]
    with open_store(folder / "whole.zarr") as there:
        return folder, told, there.load()


def same(path, reference, whole):
    """Committed rows equal the reference bit by bit; with ``whole`` all of them, and the outcome too."""
    rows = root.read(path)["attributes"][MARK]["rows"]
    with open_store(path) as there:
        there.load()
    if whole:
        assert rows == [reference.sizes["time"]] * 2
        assert list(there["status"].values) == ["ok", "ok"]
    for name, variable in reference.data_vars.items():
        if variable.dims[:2] == ("scenario", "time"):
            for arm, count in enumerate(rows):
                ours, theirs = there[name].values[arm, :count], variable.values[arm, :count]
                assert ours.tobytes() == theirs.tobytes(), (name, arm)
        elif whole and (name.startswith(("budget_", "n_")) or name == "mass_balance_error"):
            assert np.array_equal(there[name].values, variable.values, equal_nan=True), name
    return rows


def kills(zygote, reference, count, seed):
    """Runs that are killed ``count`` times and more, most inside their writing: until more than half of ``count`` kills
    met a store, and one met rows in it; then one to its end. What was met."""
    folder, whole_run, whole = reference
    random = np.random.default_rng(seed)
    path, met = folder / f"run{seed}.zarr", {"kills": 0, "stores": 0, "through": 0, "most rows": 0}
    before = [0, 0]
    while met["kills"] < count or met["stores"] <= count / 2 or met["most rows"] == 0:
        assert met["kills"] < 4 * count + 8, met  # kills that meet nothing show nothing
        if random.random() < 0.75:
            part = 4 if path.exists() else 1  # a whole run must get past the making of its store
            how = {"kill": int(random.integers(1, whole_run["operations"] // part))}
        else:
            how = {"after": float(random.uniform(0.2, 1.0)) * whole_run["seconds"]}
        code, told = zygote.run(arguments(folder, path, "--resume"), **how)
        assert code in (0, -signal.SIGKILL), told["stderr"]
        met["kills"] += code != 0
        if path.exists():
            met["stores"] += code != 0
            assert verify(path).good
            rows = same(path, whole, whole=code == 0)
            assert all(now >= then for now, then in zip(rows, before, strict=True)), (rows, before)
            before = rows
            met["most rows"] = max(met["most rows"], sum(rows) if code else 0)
        if code == 0:
            met["through"] += 1
            shutil.rmtree(path)
            before = [0, 0]
    final = tmepde(folder, path, "--resume")  # not a fork
    assert final.returncode == 0, final.stderr
    same(path, whole, whole=True)
    print(met)
    return met


def test_a_killed_run_goes_on_to_the_same_bits(zygote, reference):
    kills(zygote, reference, 2, 5)


@pytest.mark.slow
@pytest.mark.parametrize("count", [20, 200])
def test_a_run_killed_again_and_again_goes_on_to_the_same_bits(zygote, reference, count):
    assert kills(zygote, reference, count, count)["through"] > 0


@pytest.mark.slow
def test_a_run_killed_by_the_clock_loses_at_most_what_was_not_committed(reference):
    folder, _, whole = reference
    random = np.random.default_rng(7)
    path = folder / "clock.zarr"
    for _ in range(10):
        process = subprocess.Popen(command(folder, path, "--resume"), stderr=subprocess.PIPE)
        time.sleep(float(random.uniform(3.0, 12.0)))
        process.kill()
        process.wait()
        if path.exists():
            same(path, whole, whole=False)
    assert tmepde(folder, path, "--resume").returncode == 0
    same(path, whole, whole=True)


@pytest.mark.slow
@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGUSR1", 75)])
def test_a_signal_commits_and_says_so(reference, name, code):
    folder, _, whole = reference
    path = folder / f"{name}.zarr"
    long = ["--set", 'run.until="4000 hour"', "--set", "run.rtol=1e-5"]
    process = subprocess.Popen(command(folder, path, *long), stderr=subprocess.PIPE, text=True)
    while not path.exists() and process.poll() is None:
        time.sleep(0.02)
    for options in ((), ("--resume",), ("--overwrite",)):
        second = tmepde(folder, path, *options, *long)
        assert second.returncode == 6 and f"process {process.pid} on " in second.stderr
    os.kill(process.pid, getattr(signal, name))
    told = process.communicate(timeout=60)[1]
    assert process.returncode == code and "--resume" in told, told
    assert verify(path).good
    changed = tmepde(folder, path, "--resume")
    assert changed.returncode == 2 and "until" in changed.stderr
