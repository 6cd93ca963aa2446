"""What is asked of SLURM's queue, through its own commands."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tmepde.sweep.executors.base import Environment
from tmepde.sweep.executors.script import MOST_TASKS, job_name


def require() -> None:
    """Raise with the remedy where there is no SLURM."""
    if not shutil.which("sbatch"):
        raise Environment(
            "There is no SLURM here: `sbatch` was not found. Log in to the cluster, load its module, "
            "or use --executor inline or dask. --dry-run prints the script without SLURM."
        )


def ask(command: Sequence[str]) -> str:
    """What a command prints.

    Raises:
        Environment: if it fails, with what it says.
    """
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        raise Environment(f"SLURM does not answer: `{command[0]}` took more than 120 s. Try again later.") from None
    if said.returncode:
        reason = (said.stderr or said.stdout).strip() or f"it ended with {said.returncode}"
        raise Environment(f"`{command[0]}` failed: {reason}")
    return said.stdout


def submit(script: Path) -> str:
    """Hand a script to ``sbatch`` and return the number of the job."""
    return ask(["sbatch", "--parsable", str(script)]).strip().split(";")[0]


def most_tasks() -> int:
    """``MaxArraySize`` of this cluster, or SLURM's default where it cannot be asked."""
    if not shutil.which("scontrol"):
        return MOST_TASKS
    try:
        said = ask(["scontrol", "show", "config"])
    except Environment:
        return MOST_TASKS
    for line in said.splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "MaxArraySize" and value.strip().isdigit():
            return max(1, int(value))
    return MOST_TASKS


def jobs_of(store: Path) -> tuple[str, ...]:
    """Numbers of the jobs that are queued or running for a store."""
    return tuple(ask(["squeue", "--noheader", f"--name={job_name(store)}", "--format=%i"]).split())
