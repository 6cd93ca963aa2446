"""Executor ``inline``: batches one after another in this process; members run on all its cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tmepde.sweep.engine import run_batch
from tmepde.sweep.executors.task import Outcome, run_until_told


def run(
    store: Path,
    batches: Sequence[int],
    *,
    grace: float = 8.0,
    ends: float | None = None,
    tell: Callable[[str], None] | None = None,
) -> Outcome:
    """Run the batches; see :func:`run_until_told`.

    Raises:
        OSError, MemoryError, StoreError: of the machine; the rest stays pending.
    """
    return run_until_told(batches, lambda index: run_batch(store, index), grace, ends, tell)
