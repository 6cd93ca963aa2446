"""Batches as tasks of a dask cluster, whichever it is: given out a few at a time, repeated when their worker dies.

A worker that is killed is replaced by a fresh process (by its nanny, or by SLURM). The scheduler reports every batch
that the worker held (``distributed.scheduler.allowed-failures = 0``), also those that only waited there behind the one
that killed it, as happens while other workers are being replaced. Such a batch is tried again after the others, and if
that worker dies as well, once more when no other is at work: then nobody else can be to blame, and it is marked failed.
(Workers of a cluster also die of what no batch does, as preemption, so that the second try is not alone yet.) The store
is written by the workers: nothing but batch numbers travels.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from tmepde.sweep.executors.base import Environment, Result
from tmepde.sweep.executors.stopping import Told

#: settings of a scheduler that is ours: the death of a worker is reported, and shows within seconds
SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-ttl": "5 minutes",
    "distributed.scheduler.unknown-task-duration": "60 s",  # a batch is no trifle: ask for all workers at once
    "distributed.worker.multiprocessing-method": "spawn",  # JAX does not survive a fork
    "distributed.worker.profile.enabled": False,
    "distributed.comm.timeouts.connect": "60 s",
}
#: times that the worker of a batch may die
TRIES = 3


def require(package: str) -> None:
    """Raise with the remedy where a package of the extra ``cluster`` is missing."""
    import importlib.util

    for name in ("distributed", package):
        if importlib.util.find_spec(name) is None:
            raise ImportError(
                f"This executor needs the package {name!r}. Install it with: pip install 'tmepde[cluster]', "
                "or use --executor inline."
            )


def run_batches(
    client: Any,
    task: Callable[[int], object],
    batches: Sequence[int],
    *,
    at_once: int,
    told: Told | None = None,
    patience: float = 300.0,
    tell: Callable[[str], None] = print,
    look: Callable[[float], None] = lambda alone: None,
) -> Result:
    """Run ``task(batch)`` on the workers of ``client``, until all are done or a signal came.

    Args:
        client: ``distributed.Client``.
        task: a function of a module that workers can import, or a partial of one.
        batches: numbers.
        at_once: batches given out at a time: as many as there will be workers.
        told: the signals; after one only what a worker has begun is waited for.
        patience: seconds without any worker after which it is given up.
        tell: called with a line after each batch.
        look: called every second with the seconds since there was a worker; raises where none can come.

    Raises:
        Environment: if there is no worker for ``patience`` seconds, the scheduler is gone, or a worker met a full
            disk or the like, which the other batches would meet as well.
    """
    from distributed import KilledWorker

    result, stopping = Result(), False
    told = Told() if told is None else told
    waiting, suspects, deaths = deque(batches), deque[int](), Counter[int]()
    running: dict[Any, int] = {}
    lonely = time.monotonic()
    while waiting or suspects or running:
        if told and not stopping:
            waiting.extend(_taken_back(client, running))
            stopping = True
        if stopping and (not running or told.late):
            result.stopped = told.code
            break
        if suspects and not waiting and not running:
            waiting.append(suspects.popleft())  # alone
        while waiting and len(running) < at_once and not stopping:
            batch = waiting.popleft()
            running[client.submit(task, batch, key=f"batch-{batch}-{uuid.uuid4().hex[:6]}", pure=False)] = batch
        for future in _finished(client, running):
            batch = running.pop(future)
            try:
                _raise_what_it_raised(future)
                result.done.append(batch)
                tell(f"batch {batch} done, {len(waiting) + len(suspects) + len(running)} left")
            except KilledWorker:
                deaths[batch] += 1
                if deaths[batch] < TRIES:
                    (waiting if deaths[batch] < TRIES - 1 else suspects).append(batch)
                    tell(f"the worker of batch {batch} was killed: it will be tried again")
                else:
                    result.failed[batch] = (
                        f"the worker was killed {TRIES} times, once with no other at work (out of memory?)"
                    )
                    tell(f"batch {batch} failed: {result.failed[batch]}")
            except (OSError, MemoryError) as error:
                raise Environment(f"A worker stopped at batch {batch}: {type(error).__name__}: {error}") from error
            except Exception as error:
                result.failed[batch] = f"{type(error).__name__}: {error}"
                tell(f"batch {batch} failed: {result.failed[batch]}")
            future.release()
        if client.scheduler_info()["workers"]:
            lonely = time.monotonic()
        look(time.monotonic() - lonely)
        if time.monotonic() - lonely > patience:
            raise Environment(
                f"No worker has been there for {patience:.0f} s. See the logs of the workers, then continue with "
                "--resume."
            )
    return result


def _taken_back(client: Any, running: dict[Any, int]) -> list[int]:
    """Batches that no worker has begun, out of ``running``."""
    try:
        begun = {key for calls in client.call_stack().values() for key in calls}
    except (OSError, TimeoutError):  # a worker has just died: its batches show it
        return []
    back = [future for future in running if future.key not in begun and future.status == "pending"]
    client.cancel(back)
    return [running.pop(future) for future in back]


def _raise_what_it_raised(future: Any) -> None:
    """Raise the error of a batch that ended, if there is one.

    Its result is not asked for. It is nothing, and the worker that holds it may have been killed since by the batch
    that came next: the scheduler would have the batch, whose rows are written, run once more.
    """
    if future.status == "error":
        raise future.exception()


def _finished(client: Any, running: dict[Any, int]) -> list[Any]:
    """Futures that ended, waiting a second at most."""
    from distributed import CancelledError, wait

    if client.status not in ("running", "connecting"):
        raise Environment("The dask scheduler is gone. Continue with --resume.")
    try:
        return list(wait(list(running), timeout=1.0, return_when="FIRST_COMPLETED").done)
    except CancelledError:
        raise Environment("The dask scheduler is gone. Continue with --resume.") from None
    except TimeoutError:
        return [f for f in running if f.status != "pending"]
