"""Executor ``inline``: one watched process a core of this machine, or one alone; no server."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tmepde import _cache
from tmepde.sweep.executors import slot, watched
from tmepde.sweep.executors.base import Result


def run(store: Path, batches: Sequence[int], workers: int | None, tell: Callable[[str], None]) -> Result:
    """Run the batches.

    Args:
        store: absolute path.
        batches: those that are pending.
        workers: processes; ``None``: one a core where that suits (:func:`processes`), begun only as long as what is
            left takes longer than the start of a process.
        tell: called with a line for each batch.
    """
    if workers is not None:
        return watched.run(store, batches, processes=workers, tell=tell)
    return watched.run(store, batches, processes=processes(len(batches)), patience=watched.START, tell=tell)


def processes(batches: int) -> int:
    """One a core, at most one a batch. One alone on a GPU, which a program fills, and where compiled programs are not
    kept on disk, since each process would compile them for itself."""
    on_gpu = os.environ.get("JAX_PLATFORMS", "") != "cpu" and bool(slot.gpus())
    if on_gpu or not _cache.shared():
        return 1
    return max(1, min(batches, len(slot.cores())))
