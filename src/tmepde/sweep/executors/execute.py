"""From the name of an executor to batches that are stored: what ``tmepde sweep`` and ``tmepde sweep batch`` call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tmepde.config.slurm import Slurm
from tmepde.sweep.executors.base import Result
from tmepde.sweep.executors.task import Outcome, run_until_told, wall_time_ends
from tmepde.sweep.order import structures_first


@dataclass(frozen=True)
class Sweep:
    """A store and how it is to be run.

    Args:
        store: absolute path.
        batches: in the whole sweep.
        pending: numbers of those to run, in ascending order; the first of each structure are begun first, except
            by the tasks of an array, which SLURM begins by their numbers.
        options: resources on SLURM.
        workers: processes or jobs at a time, ``None`` chosen; overrides ``options.max_parallel``.
        scheduler: address, or scheduler file, of a dask scheduler that is running.
        interface: network interface of the scheduler of ``slurm-dask``.
    """

    store: Path
    batches: int
    pending: Sequence[int]
    options: Slurm = field(default_factory=Slurm)
    workers: int | None = None
    scheduler: str | None = None
    interface: str | None = None

    @property
    def resources(self) -> Slurm:
        """``options`` with ``workers`` in it."""
        return self.options if self.workers is None else self.options.model_copy(update={"max_parallel": self.workers})


def execute(executor: str, sweep: Sweep, tell: Callable[[str], None] = print) -> Result:
    """Run the pending batches, or submit them.

    Args:
        executor: one of :data:`NAMES`.
        sweep: what to run.
        tell: called with lines of progress.

    Returns:
        the batches run here, and those whose worker processes died, which the caller marks failed. Empty for
        ``slurm-array``, whose batches are run later.

    Raises:
        Environment: for what is not the fault of a batch: no SLURM, no workers, a full disk.
        Busy: when SLURM has jobs of this store already.
        ImportError: without the extra ``cluster`` where it is needed.
    """
    if executor == "slurm-array":
        from tmepde.sweep.executors import slurm_array

        slurm_array.submit(sweep.store, sweep.batches, sweep.pending, sweep.resources, tell=tell)
        return Result()
    batches = structures_first(sweep.store, sweep.pending)
    if executor == "slurm-dask":
        from tmepde.sweep.executors import dask_slurm

        return dask_slurm.run(sweep.store, batches, sweep.resources, interface=sweep.interface, tell=tell)
    if executor == "dask":
        from tmepde.sweep.executors import dask_local

        return dask_local.run(sweep.store, batches, workers=sweep.workers, scheduler=sweep.scheduler, tell=tell)
    from tmepde.sweep.executors import inline

    return inline.run(sweep.store, batches, sweep.workers, tell)


def refuse(executor: str, store: Path) -> None:
    """Raise for what would keep every batch from being begun, whatever the sweep, before a store is made for it.

    Args:
        executor: one of :data:`NAMES`.
        store: absolute path of the store that is to be made.

    Raises:
        Environment: without SLURM where it is needed.
        BadPath: for a place that SLURM cannot write logs beside.
        ImportError: without the extra ``cluster`` where it is needed.
    """
    from tmepde.sweep.executors import queue
    from tmepde.sweep.executors.script import Script, logged

    if executor.startswith("slurm"):
        queue.require()
        logged(Script(store, 1, (0,), Slurm()).logs, "")
    if executor.endswith("dask"):
        from tmepde.sweep.executors import dask_batches

        dask_batches.require("distributed" if executor == "dask" else "dask_jobqueue")


def script(executor: str, sweep: Sweep) -> str:
    """What ``--dry-run`` prints: the script that would be submitted, or what would be started here."""
    if executor == "slurm-array":
        from tmepde.sweep.executors import slurm_array

        return slurm_array.script_of(sweep.store, sweep.batches, sweep.pending, sweep.resources).text
    if executor == "slurm-dask":
        from tmepde.sweep.executors import dask_slurm

        return dask_slurm.job_script(sweep.store, sweep.resources)
    where = "in processes of this machine"
    if executor == "inline":
        from tmepde.sweep.executors import inline

        count = sweep.workers or inline.processes(len(sweep.pending), sweep.store)
        where = "in one process" if count == 1 else f"in up to {count} processes"
    where = f"by the workers of {sweep.scheduler}" if executor == "dask" and sweep.scheduler else where
    return f"{len(sweep.pending)} of {sweep.batches} batches would be run {where}.\n"


def run_task(store: Path, batches: Sequence[int], grace: float = 50.0, tell: Callable[[str], None] = print) -> Outcome:
    """Run batches in this process, one after another, until all are done or a signal says stop.

    Args:
        store: absolute path.
        batches: those that are pending.
        grace: seconds that a running batch has to end after a signal; the process exits when it does not.
        tell: called with a line after each batch.
    """

    def run(batch: int) -> None:
        from tmepde.sweep import run_batch

        run_batch(store, batch)

    return run_until_told(batches, run, grace, wall_time_ends(), tell)


def share(task: int, per_task: int, pending: Sequence[int]) -> list[int]:
    """The pending batches of an array task: of t·k … t·k + k − 1."""
    return [b for b in pending if b // per_task == task]
