"""Who runs the batches of a sweep: this process, processes of this machine, a job array, or dask workers as jobs.

All of them call ``tmepde.sweep.run_batch(store, batch)`` on the batches that are pending; none of them holds a result.
"""
