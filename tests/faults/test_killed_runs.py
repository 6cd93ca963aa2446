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
from grown import kept
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
#: three fields, one of them carried by taxis: it starts three times as fast
PUBLISHED = """\
schema = 1
name = "killed"
[grid]
extent = ["1 mm"]
cells = [64]
[model]
kind = "anderson_chaplain_1998"
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


def undisturbed(folder, zygote, config):
    """A folder with the config, a run to its end, and what it took: file operations and seconds."""
    (folder / "killed.toml").write_text(config)
    for _ in range(2):  # the second has its programs at hand, as all after it
        code, told = zygote.run(arguments(folder, folder / "whole.zarr", "--overwrite"))
        assert code == 0, told["stderr"]
    with open_store(folder / "whole.zarr") as there:
        return folder, told, there.load()


@pytest.fixture(scope="module")
def reference(tmp_path_factory, zygote):
    return undisturbed(tmp_path_factory.mktemp("killed"), zygote, CONFIG)


def same(path, reference, whole):
    """Committed rows equal the reference bit by bit; with ``whole`` all of them, and the outcome too."""
    rows = root.read(path)["attributes"][MARK]["rows"]
    with open_store(path) as there:
        there.load()
    if whole:
        assert rows == [reference.sizes["time"]] * reference.sizes["scenario"]
        assert set(there["status"].values) == {"ok"}
    for name, variable in reference.data_vars.items():
        if variable.dims[:2] == ("scenario", "time"):
            for arm, count in enumerate(rows):
                ours, theirs = there[name].values[arm, :count], variable.values[arm, :count]
                assert ours.tobytes() == theirs.tobytes(), (name, arm)
        elif whole and (name.startswith(("budget_", "n_")) or name == "mass_balance_error"):
            assert np.array_equal(there[name].values, variable.values, equal_nan=True), name
    return rows


class Killed:
    """Runs that are killed ``count`` times and more, most inside their writing: until more than half of ``count`` kills
    met a store, and one met rows in it; then one to its end.

    Attributes:
        met: kills; those that met a store; the most rows in one; runs that got through; kills that lost a row that was
            computed; kills that met rows which waited for their commit.
    """

    def __init__(self, zygote, reference, path, arguments, small=False):
        self.zygote, self.path, self.arguments, self.small = zygote, path, arguments, small
        self.told, self.whole = reference
        self.nothing = [0] * self.whole.sizes["scenario"]
        self.met = dict.fromkeys(("kills", "stores", "most rows", "through", "lost a row", "rows waited"), 0)

    def go(self, count, seed, needed=()):
        """``needed``: what must have been met once more."""
        random, before = np.random.default_rng(seed), self.nothing
        met = self.met
        while met["kills"] < count or met["stores"] <= count / 2 or not all(met[n] for n in ("most rows", *needed)):
            assert met["kills"] < 4 * count + 8, met  # kills that meet nothing show nothing
            if random.random() < 0.75:
                part = 4 if self.path.exists() else 1  # a whole run must get past the making of its store
                how = {"kill": int(random.integers(1, self.told["operations"] // part))}
            else:
                how = {"after": float(random.uniform(0.2, 1.0)) * self.told["seconds"]}
            before = self.once(before, **how)
        print(met)

    def once(self, before, **how):
        """One run, killed or not: nothing that was on the disk is gone or computed again, and of what it computed only
        the last row may be missing. What is on the disk now."""
        code, told = self.zygote.run(self.arguments, small=self.small, **how)
        assert code in (0, -signal.SIGKILL), told["stderr"]
        self.met["kills"] += code != 0
        if told["first"] is not None and any(before):
            arm, index = told["first"]
            assert index == before[arm] and not any(before[arm + 1 :]), (told, before)
        if not self.path.exists():
            assert told["last"] in (None, [0, 0]), told
            return self.nothing
        assert verify(self.path).good
        rows = same(self.path, self.whole, whole=code == 0)
        now = kept(self.path)
        assert all(a >= b for a, b in zip(now, before, strict=True)), (now, before)
        if code == 0:
            self.met["through"] += 1
            shutil.rmtree(self.path)
            return self.nothing
        if told["last"] is not None:
            arm, index = told["last"]
            assert now[arm] in (index, index + 1), (told, now)  # at most the row that had just been computed
            self.met["lost a row"] += now[arm] == index
        self.met["stores"] += 1
        self.met["rows waited"] += now != rows
        self.met["most rows"] = max(self.met["most rows"], sum(now))
        return now


@pytest.mark.parametrize("config", [PUBLISHED, pytest.param(CONFIG, marks=pytest.mark.slow)], ids=["three", "tumour"])
def test_a_killed_run_goes_on_to_the_same_bits(zygote, tmp_path, config):
    folder, *known = undisturbed(tmp_path, zygote, config)
    path = tmp_path / "run.zarr"
    Killed(zygote, known, path, arguments(folder, path, "--resume")).go(2, 5)
    final = tmepde(folder, path, "--resume")  # not a fork
    assert final.returncode == 0, final.stderr
    same(path, known[1], whole=True)


@pytest.mark.slow
@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_a_run_killed_again_and_again_loses_no_row_but_the_one_being_written(zygote, tmp_path, count):
    """A model of one species, so that it starts fast."""
    path = tmp_path / "run.zarr"
    for _ in range(2):
        shutil.rmtree(path, ignore_errors=True)
        code, told = zygote.run([str(path)], small=True)
        assert code == 0, told["stderr"]
    with open_store(path) as there:
        known = told, there.load()
    shutil.rmtree(path)
    Killed(zygote, known, path, [str(path)], small=True).go(count, count, ("through", "rows waited"))


@pytest.mark.slow
def test_a_run_killed_two_hundred_times_goes_on_to_the_same_bits(zygote, reference, tmp_path):
    folder, *known = reference
    path = tmp_path / "run.zarr"
    Killed(zygote, known, path, arguments(folder, path, "--resume")).go(200, 200, ("through", "rows waited"))


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
@pytest.mark.parametrize("name, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129), ("SIGUSR1", 75)])
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
