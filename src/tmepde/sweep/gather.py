"""Solutions of :func:`tmepde.simulate_batch` as one dataset of the form of a sweep store: sweeps without files.

values = {"model.processes.killing.rate": np.linspace(0.1, 1.0, 10)}
solutions = tme.simulate_batch(scenario, values, fields=())
sweep = gather(solutions, values, units={"model.processes.killing.rate": "1/h"})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tmepde.sweep import store
from tmepde.sweep.results import code


def gather(solutions: Sequence[Any], values: Mapping[str, Any], units: Mapping[str, str] | None = None) -> Any:
    """An :class:`xarray.Dataset` with the dimension ``scenario``.

    Args:
        solutions: all with the same observables; rows that a scenario did not reach are NaN.
        values: by name one number or word for each solution; they become coordinates.
        units: of ``values``, as the store writes them; left out, ``"1"``.

    Raises:
        ValueError: for values that are not one a solution, or solutions that were not saved at the same times.
    """
    import xarray as xr

    found = list(solutions)
    if not found:
        raise ValueError("`solutions` must hold at least one solution, but it is empty.")
    times = max((np.asarray(s.times) for s in found), key=len)
    if any(not np.array_equal(s.times, times[: len(s.times)]) for s in found):
        raise ValueError("`solutions` must be saved at the same times, but they are not. Give all the same `save`.")
    coords: dict[str, Any] = {"scenario": np.arange(len(found))}
    for name, column in values.items():
        if len(column) != len(found):
            raise ValueError(f"`values` must give {name!r} {len(found)} values, but there are {len(column)}.")
        coords[name] = ("scenario", np.asarray(column), {"units": (units or {}).get(name, "1")})
    coords["time"] = ("time", times, {"units": "h", "axis": "T", "long_name": "Time since the start of the scenario"})
    data: dict[str, Any] = {}
    for name, one in sorted(found[0].scenario.observables.items()):
        rows = np.full((len(found), len(times)), np.nan, np.asarray(found[0].observables[name]).dtype)
        for row, solution in zip(rows, found, strict=True):
            row[: len(solution.times)] = solution.observables[name]
        label = f"obs_{name}" if name in coords or name in ("status", "message") else name
        data[label] = (("scenario", "time"), rows, {"units": getattr(one, "unit", "1") or "1"})
    data["status"] = (
        "scenario",
        np.array([code(s.status) for s in found], np.int8),
        {"flag_values": list(range(len(store.MEANINGS))), "flag_meanings": " ".join(store.MEANINGS), "units": "1"},
    )
    data["message"] = ("scenario", np.array([s.message for s in found], object), {"units": "1"})
    data["n_steps"] = ("scenario", np.array([int(s.statistics["steps"]) for s in found]), {"units": "1"})
    data["wall_time"] = ("scenario", np.array([s.wall_time for s in found]), {"units": "s"})
    return xr.Dataset(data, coords, {"Conventions": "CF-1.11"})
