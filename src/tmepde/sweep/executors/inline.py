"""Executor ``inline``: one watched process a core of this machine, or one alone; no server."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tmepde import _cache
from tmepde.sweep import store as stores
from tmepde.sweep import width
from tmepde.sweep.executors import slot, watched
from tmepde.sweep.executors.base import Result
from tmepde.sweep.order import structures_left


def run(store: Path, batches: Sequence[int], workers: int | None, tell: Callable[[str], None]) -> Result:
    """Run the batches.

    Args:
        store: absolute path.
        batches: those that are pending, in the order in which they are begun.
        workers: processes; ``None``: one a core where that suits (:func:`processes`), begun only as long as what is
            left takes longer than the start of a process, or other structures are left to be compiled.
        tell: called with a line for each batch.
    """
    if workers is not None:
        return watched.run(store, batches, processes=workers, tell=tell)
    count, possible = processes(len(batches), store), _possible(len(batches))
    if count < possible:
        tell(f"{count} process(es) instead of {possible}: more would not fit into memory. --workers overrides this")
    patience = 0.0 if structures_left(store, sorted(batches)) > 1 else watched.START
    return watched.run(store, batches, processes=count, patience=patience, tell=tell)


def processes(batches: int, store: Path | None = None) -> int:
    """One a core, at most one a batch, as far as memory goes (:func:`tmepde.sweep.width.processes`).

    One alone on a GPU, which a program fills, and where compiled programs are not kept on disk, since each process
    would compile them for itself.

    Args:
        store: says how much a member takes; without it, or where it does not, memory is not looked at.
    """
    member = stores.head(store).get("member_bytes") if store is not None and store.exists() else None
    return min(_possible(batches), width.processes(batches, member))


def _possible(batches: int) -> int:
    on_gpu = os.environ.get("JAX_PLATFORMS", "") != "cpu" and bool(slot.gpus())
    if on_gpu or not _cache.shared():
        return 1
    return max(1, min(batches, len(slot.cores())))
