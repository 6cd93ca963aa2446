"""Dask workers as SLURM jobs, on a machine without SLURM."""

import os
import shlex
import subprocess
import sys

import pytest

pytest.importorskip("dask_jobqueue", reason="needs tmepde[cluster]")

JOB = """
import sys
from pathlib import Path
from tmepde.config.slurm import Slurm
from tmepde.sweep.executors import dask_slurm
sys.executable = "/my env/bin/python"
print(dask_slurm.job_script(Path("/scratch/it's 5%/doses.zarr"), Slurm()))
"""

IMPORT = """
import signal
from pathlib import Path
from tmepde.config.slurm import Slurm
from tmepde.sweep.executors import dask_slurm
before = signal.getsignal(signal.SIGINT)
dask_slurm.job_script(Path("doses.zarr").absolute(), Slurm())
assert signal.getsignal(signal.SIGINT) is before
"""


def test_ctrl_c_is_left_to_the_command(tmp_path):
    """`dask_jobqueue` takes it when it is imported, and ends the process with 0."""
    subprocess.run([sys.executable, "-c", IMPORT], check=True, cwd=tmp_path, timeout=60)


def test_paths_with_blanks_quotes_and_percent_reach_the_worker_whole():
    said = subprocess.run([sys.executable, "-c", JOB], capture_output=True, text=True, check=True, timeout=60).stdout
    lines = [shlex.split(line.removeprefix("#SBATCH"), comments=True) for line in said.splitlines()]
    files = [word for line in lines for word in line if word.startswith(("--error=", "--output="))]
    assert [file.rpartition("/")[0] for file in files] == [
        f"--{name}=/scratch/it's 5%%/doses.zarr.logs" for name in ("error", "output")
    ]
    assert ["/my env/bin/python", "-m"] in [line[:2] for line in lines]


RUN = """
import signal, sys, time
from pathlib import Path
from tmepde.config.slurm import Slurm
from tmepde.sweep.executors import dask_slurm
from tmepde.sweep.executors.base import Environment
try:
    dask_slurm.run(Path("doses.zarr").absolute(), [0, 1], Slurm(partition="nowhere"), interface="lo")
except Environment as error:
    print("Environment:", error)
"""


@pytest.fixture
def slurm(tmp_path):
    """An environment with ``sbatch`` that does ``body``."""

    def made(body):
        program = tmp_path / "sbatch"
        program.write_text(f"#!/bin/bash\n{body}\n")
        program.chmod(0o755)
        return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    return made


def test_jobs_that_slurm_refuses_are_not_waited_for(slurm, tmp_path):
    there = slurm("echo 'sbatch: error: invalid partition specified: nowhere' >&2; exit 1")
    said = subprocess.run(
        [sys.executable, "-c", RUN], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60, env=there
    )
    assert said.stdout == "Environment: `sbatch` failed: sbatch: error: invalid partition specified: nowhere\n"
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("refusal", ["", "QOSMaxSubmitJobPerUserLimit"])
def test_an_empty_queue_is_not_waited_for(tmp_path, monkeypatch, refusal):
    """Dask counts a job that SLURM refused, or that was cancelled before it began, as one to come: an hour's wait."""
    from tmepde.sweep.executors import dask_slurm, queue
    from tmepde.sweep.executors.base import Environment

    now, there = [0.0], [("7",)]
    monkeypatch.setattr(dask_slurm.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(queue, "jobs_of", lambda store: there[0])
    desk = dask_slurm._Desk(tmp_path / "a.zarr", accepted=1, refusal=refusal)

    def looks(seconds, alone=None):
        for _ in range(seconds):
            now[0] += 1.0
            desk.look(now[0] if alone is None else alone)

    looks(200)  # a job waits in the queue, for as long as it likes
    there[0] = ()
    looks(100, alone=0.0)  # there is a worker
    desk.under_way = 1
    looks(100)  # the next one is being handed in
    desk.under_way = 0
    with pytest.raises(Environment, match=f"queue any more.*{refusal}.*--resume"):
        looks(60)
