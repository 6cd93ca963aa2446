"""Executor ``slurm-array``: one script, one array, no process that has to stay."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tmepde.config.modules import code_allowed
from tmepde.config.slurm import Slurm
from tmepde.sweep.executors import queue
from tmepde.sweep.executors.base import Busy
from tmepde.sweep.executors.script import Script


def script_of(store: Path, batches: int, pending: Sequence[int], options: Slurm) -> Script:
    """The script for this cluster; nothing is written. Works without SLURM, with its defaults."""
    return Script(
        store=store,
        batches=batches,
        pending=tuple(pending),
        options=options,
        most_tasks=queue.most_tasks(),
        code=code_allowed(),
    )


def submit(
    store: Path, batches: int, pending: Sequence[int], options: Slurm, *, tell: Callable[[str], None] = print
) -> str:
    """Write the script beside the store, submit it, and return the number of the job.

    Args:
        store: absolute path, the same on all nodes.
        batches: in the whole sweep.
        pending: those to run.
        options: resources; with ``wait`` this returns when the array has ended.
        tell: called with lines that say what was done and how to look at it.

    Raises:
        Environment: without SLURM, or when it refuses the script.
        Busy: when jobs of this store are in the queue already.
    """
    queue.require()
    if jobs := queue.jobs_of(store):
        raise Busy(
            f"{store} has jobs in the queue already ({', '.join(jobs[:5])}{', …' if len(jobs) > 5 else ''}). "
            f"Wait for them, or end them with: scancel --name={Script(store, 1, (0,), options).name}"
        )
    script = script_of(store, batches, pending, options)
    script.logs.mkdir(exist_ok=True)
    script.path.write_text(script.text, "utf-8")
    script.path.chmod(0o755)
    job = queue.submit(script.path)
    each = f", {script.share} batches each" if script.share > 1 else ""
    tell(f"{script.path} submitted as job {job}: {len(script.tasks)} tasks{each}, {len(pending)} batches pending")
    tell(f"Look at it: squeue -j {job}; tmepde sweep status {shlex.quote(str(store))}; logs in {script.logs}")
    if options.wait:
        while queue.jobs_of(store):
            time.sleep(2.0)
    return job
