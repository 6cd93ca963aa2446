"""Who runs the batches of a sweep: this process, processes of this machine, a job array, or dask workers as jobs.

All of them call ``tmepde.sweep.run_batch(store: Path, batch: int)`` on the batches that are pending; none of them holds
a result. The command line needs :func:`execute` (``tmepde sweep``) and :func:`run_task` (``tmepde sweep batch``).
"""

from __future__ import annotations

from tmepde.sweep.executors.base import NAMES, BadPath, Busy, Environment, Result, TooManyTasks
from tmepde.sweep.executors.execute import Sweep, execute, refuse, run_task, script, share

__all__ = [
    "NAMES",
    "BadPath",
    "Busy",
    "Environment",
    "Result",
    "Sweep",
    "TooManyTasks",
    "execute",
    "refuse",
    "run_task",
    "script",
    "share",
]
