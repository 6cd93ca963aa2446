"""The sweep that the tests run everywhere, waiting, and whether two stores hold the same."""

import time

import numpy as np
import xarray as xr

#: Sixteen scenarios, two a batch. The tolerance makes a batch last for about a second, so that it can be interrupted.
#: The cells are so few that members would be mapped into one program, whose bits depend on the cores of the worker.
CONFIG = """
schema = 1
name = "tiny"
[grid]
kind = "radial"
radius = "400 um"
cells = 12
[tissue]
kind = "nodule"
radius = "200 um"
[model]
kind = "solid_tumour"
[interventions.car_t]
kind = "cell_infusion"
dose = { kind = "bolus", at = "0 day", amount = "1e8 cells" }
[run]
until = "10 day"
save = { every = "5 day" }
precision = "f64"
rtol = 3e-7
max_steps = 100_000
[sweep]
batch = 2
[sweep.grid]
"interventions.car_t.dose.amount" = { low = "1e7 cells", high = "1e9 cells", count = 16, scale = "log" }
"""
BATCHES = 8

#: what says how a batch was run, not what came out
HOW = {"wall_time", "compile_time"}


def assert_bitwise_equal(one, other):
    """All arrays of two stores are equal bit by bit, NaN where NaN, with the same names, types and chunks."""
    a, b = (xr.open_zarr(path, chunks=None, consolidated=False) for path in (one, other))
    assert set(a.variables) == set(b.variables)
    assert set(a.variables) - HOW, "nothing to compare"
    for name in sorted(set(a.variables) - HOW):
        left, right = a[name].values, b[name].values
        assert left.dtype == right.dtype and left.shape == right.shape, name
        if left.dtype.kind in "fiub":
            assert np.ascontiguousarray(left).tobytes() == np.ascontiguousarray(right).tobytes(), name
        else:
            assert np.array_equal(left, right), name
        assert a[name].encoding.get("chunks") == b[name].encoding.get("chunks"), name


def until(true, seconds=120.0, every=0.2):
    """Wait for ``true()``; fails when it does not come."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"nothing after {seconds} s"
        time.sleep(every)
    return found
