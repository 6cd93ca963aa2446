"""Sweeps: a config with ``[sweep]`` becomes a table of scenarios, batches of it, and one store that fills up.

    create(config, out)        the store with all its metadata, every scenario pending
    run_batch(out, index)      compute and store one batch, in any process
    pending(out)               batches that are left

:mod:`~tmepde.sweep.store` says what the store looks like, ``executors`` has the ways to run batches.
"""

from tmepde.sweep.engine import BatchReport, ChangedConfig, check_same, create, fail, pending, run_batch

__all__ = ["BatchReport", "ChangedConfig", "check_same", "create", "fail", "pending", "run_batch"]
