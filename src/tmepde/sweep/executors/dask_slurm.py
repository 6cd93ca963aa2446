"""Executor ``slurm-dask``: dask workers as SLURM jobs, as many as there is work for.

The scheduler lives in this process, so that it must run until the end and be reachable from the nodes: start it in an
interactive allocation or on a login node that allows it. ``slurm-array`` needs neither.
"""

from __future__ import annotations

import asyncio
import functools
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tmepde.config.modules import code_allowed
from tmepde.config.slurm import Slurm
from tmepde.sweep.executors import dask_batches, queue
from tmepde.sweep.executors.base import Environment, Result
from tmepde.sweep.executors.dask_local import task_anywhere
from tmepde.sweep.executors.script import Script, logged
from tmepde.sweep.executors.stopping import Told, deaf, until_told

#: jobs when ``max_parallel`` is left out
JOBS = 8
#: seconds without a worker after which the queue is looked at, seconds between two looks, and looks that must find it
#: empty: dask takes a job that SLURM refused, or that was cancelled while it waited, for one that is still to come
_ALONE, _AGAIN, _LOOKS = 20.0, 10.0, 3


def run(
    store: Path,
    batches: Sequence[int],
    options: Slurm,
    *,
    interface: str | None = None,
    tell: Callable[[str], None] = print,
) -> Result:
    """Run the batches on workers that come and go with the work, each a job of its own, until a signal comes.

    Args:
        store: absolute path, the same on all nodes.
        batches: those that are pending.
        options: resources of a worker; ``gres = "gpu:1"`` gives each its GPU.
        interface: network interface of the scheduler that the nodes reach, such as "ib0".
        tell: called with a line after each batch.

    Raises:
        Environment: without SLURM, when it refuses the jobs, or when no worker comes.
        ImportError: without the extra ``cluster``.
    """
    _load()
    queue.require()
    return until_told(lambda told: _jobs(store, batches, options, interface, tell, told))


def _jobs(
    store: Path,
    batches: Sequence[int],
    options: Slurm,
    interface: str | None,
    tell: Callable[[str], None],
    told: Told,
) -> Result:
    import dask
    from dask_jobqueue import SLURMCluster
    from distributed import Client

    jobs = min(options.max_parallel or JOBS, len(batches))
    desk, settled = _Desk(store), settings(store, options)
    Script(store, 1, (0,), options).logs.mkdir(exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(dask_batches.SETTINGS))
        with deaf():  # a Ctrl-C would end sbatch, too
            cluster = SLURMCluster(job_cls=_job_of(desk), interface=interface, **settled)
        stack.enter_context(cluster)
        cluster.adapt(minimum_jobs=1, maximum_jobs=jobs, interval="2 s", wait_count=5)
        client = stack.enter_context(Client(cluster, timeout="60 s"))
        task = functools.partial(task_anywhere, str(store))
        return dask_batches.run_batches(
            client, task, batches, at_once=jobs, patience=3600.0, tell=tell, told=told, look=desk.look
        )


def job_script(store: Path, options: Slurm) -> str:
    """The script of a worker, as dask-jobqueue writes it; nothing is submitted."""
    _load()
    from dask_jobqueue.slurm import SLURMJob

    given = settings(store, options)
    given.pop("scheduler_options")
    return SLURMJob(scheduler="tcp://SCHEDULER:PORT", name="worker", **given).job_script()


@dataclass
class _Desk:
    """What SLURM said to the jobs that it was given."""

    store: Path
    accepted: int = 0
    refusal: str = ""
    under_way: int = 0
    _asked: float = field(default=0.0, repr=False)
    _empty: int = field(default=0, repr=False)

    def look(self, alone: float) -> None:
        """Raise where no worker can come: SLURM has taken no job, and the next would be refused as well, or those that
        it took have left the queue. ``alone``: seconds without a worker."""
        if self.refusal and not self.accepted:
            raise Environment(f"`sbatch` failed: {self.refusal}")
        if alone < _ALONE or self.under_way or not self.accepted:
            self._empty = 0
            return
        if time.monotonic() - self._asked < _AGAIN:
            return
        self._asked = time.monotonic()
        try:
            self._empty = 0 if queue.jobs_of(self.store) else self._empty + 1
        except Environment:  # SLURM does not answer now; its jobs may well go on
            return
        if self._empty >= _LOOKS:
            why = f" (`sbatch` refused one: {self.refusal})" if self.refusal else ""
            raise Environment(
                f"No job of {self.store} is in SLURM's queue any more{why}. See the logs of the workers, then continue "
                "with --resume."
            )


def _job_of(desk: _Desk) -> Any:
    """The class of the jobs, which dask makes of itself; whether SLURM takes them is told at ``desk``."""
    from dask_jobqueue.slurm import SLURMJob

    class Job(SLURMJob):
        async def _submit_job(self, script_filename: str) -> Any:
            desk.under_way += 1
            try:
                said = await super()._submit_job(script_filename)
            except RuntimeError as error:
                told = re.search(r"stderr:\s*(.*)", str(error), re.DOTALL)
                desk.refusal = (told and told[1].strip()) or str(error)
                raise asyncio.CancelledError from error  # any other error is printed with its traceback
            finally:
                desk.under_way -= 1
            desk.accepted += 1
            return said

    return Job


def _load() -> None:
    """Import ``dask_jobqueue``, which puts a handler of its own on Ctrl-C (it ends the process with 0)."""
    dask_batches.require("dask_jobqueue")
    before = signal.getsignal(signal.SIGINT)
    import dask_jobqueue  # noqa: F401

    signal.signal(signal.SIGINT, before)


def settings(store: Path, options: Slurm) -> dict[str, Any]:
    """Arguments of ``SLURMCluster``."""
    script = Script(store=store, batches=1, pending=(0,), options=options)
    logs = [f"--{k}={logged(script.logs, f'{script.name}-%J.{k[:3]}')}" for k in ("error", "output")]
    extra = [f"--{k}={v}" for k in ("qos", "gres") if (v := getattr(options, k)) is not None]
    spare = max(30, options.notice)
    life = ["--lifetime", f"{options.seconds - spare}s"] if options.seconds > 2 * spare else []
    return {
        "queue": options.partition,
        "account": options.account,
        "walltime": options.time,
        "cores": 1,  # a thread: one batch at a time
        "processes": 1,
        "job_cpu": options.cpus,
        "job_mem": options.memory,
        "memory": options.memory if options.memory[-1] in "KMGT" else f"{options.memory}M",
        "worker_extra_args": ["--memory-limit", "0", "--no-dashboard", *life],
        "job_extra_directives": [*logs, *extra, *options.extra],
        "job_script_prologue": [
            f"export TMEPDE_CACHE=${{TMEPDE_CACHE:-{shlex.quote(script.cache)}}}",
            *(["export TMEPDE_ALLOW_CODE=1"] if code_allowed() else []),
            *options.setup,
        ],
        "local_directory": '"${TMPDIR:-/tmp}"',
        "python": shlex.quote(sys.executable),
        "job_name": script.name,
        "death_timeout": 120,
        "scheduler_options": {"dashboard": False, "dashboard_address": "127.0.0.1:0"},
    }
