"""Executor ``dask``: processes of this machine, or the workers of a scheduler that is running already."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tmepde.sweep import store as stores
from tmepde.sweep import width
from tmepde.sweep.executors import dask_batches, slot
from tmepde.sweep.executors.base import Environment, Result
from tmepde.sweep.executors.stopping import Told, deaf, until_told


def run(
    store: Path,
    batches: Sequence[int],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    tell: Callable[[str], None] = print,
) -> Result:
    """Run the batches, until all are done or a signal came.

    Args:
        store: absolute path; with ``scheduler`` it must be the same on the workers' machines.
        batches: those that are pending.
        workers: processes; ``None``: one a GPU, or one a core where there is none and memory suffices. Each has its
            cores, and its GPU, to itself. With ``scheduler``: batches given out at a time, ``None`` as many as it has
            threads.
        scheduler: address of a scheduler ("tcp://host:8786"), or a scheduler file (.json); its workers need this
            package.
        tell: called with a line after each batch.

    Raises:
        Environment: if the workers cannot be had, or met something that is not the fault of a batch.
        ImportError: without the extra ``cluster``.
    """
    dask_batches.require("distributed")
    if scheduler is not None:
        return until_told(lambda told: _elsewhere(store, batches, workers, scheduler, tell, told))
    return until_told(lambda told: _here(store, batches, workers, tell, told))


def _here(store: Path, batches: Sequence[int], workers: int | None, tell: Callable[[str], None], told: Told) -> Result:
    import dask
    from distributed import Client, LocalCluster

    devices = slot.gpus()
    fits = width.processes(len(batches), stores.head(store).get("member_bytes"))
    count = min(workers or len(devices) or fits, len(batches))
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tmepde-workers-"))
        stack.enter_context(dask.config.set(dask_batches.SETTINGS))
        with deaf():
            cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,  # the system decides; dask would pause a worker whose memory JAX holds
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                local_directory=folder,
                host="127.0.0.1",
            )
        stack.enter_context(cluster)
        client = stack.enter_context(Client(cluster, timeout="60 s"))
        task = functools.partial(task_here, str(store), folder, count, devices)
        return dask_batches.run_batches(client, task, batches, at_once=count, tell=tell, told=told)


def _elsewhere(
    store: Path,
    batches: Sequence[int],
    workers: int | None,
    scheduler: str,
    tell: Callable[[str], None],
    told: Told,
) -> Result:
    from distributed import Client

    try:
        file = scheduler.endswith(".json")
        client = Client(scheduler_file=scheduler, timeout="30 s") if file else Client(scheduler, timeout="30 s")
    except (OSError, TimeoutError, ValueError) as error:
        raise Environment(f"No dask scheduler answers at {scheduler} ({error}). Check the address.") from None
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            tell(f"{scheduler} has no workers yet; waiting for the first")
        task = functools.partial(task_anywhere, str(store))
        return dask_batches.run_batches(client, task, batches, at_once=workers or threads or 1, tell=tell, told=told)


def task_here(store: str, folder: str, count: int, devices: tuple[str, ...], batch: int) -> None:
    """One batch in a worker that takes a slot of this machine first."""
    slot.take(folder, count, devices)
    task_anywhere(store, batch)


def task_anywhere(store: str, batch: int) -> Any:
    """One batch in a worker."""
    from tmepde.sweep import run_batch

    run_batch(Path(store), batch)
