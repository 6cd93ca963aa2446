"""Sweeps: a config with ``[sweep]`` becomes a table of scenarios, batches of it, and one store that fills up.

    create(config, out)        the store with all its metadata, every scenario pending
    run_batch(out, index)      compute and store one batch, in any process
    pending(out)               batches that are left
    gather(solutions, values)  the same form of dataset from solutions in memory, without a config or files

:mod:`~tmepde.sweep.store` says what the store looks like, ``executors`` has the ways to run batches.
"""

from tmepde.sweep.engine import BatchReport, create, fail, pending, run_batch
from tmepde.sweep.gather import gather
from tmepde.sweep.origin import ChangedConfig, check_same

__all__ = ["BatchReport", "ChangedConfig", "check_same", "create", "fail", "gather", "pending", "run_batch"]
