"""Dask workers as SLURM jobs, on a machine without SLURM."""

import subprocess
import sys

import pytest

pytest.importorskip("dask_jobqueue", reason="needs tmepde[cluster]")

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
