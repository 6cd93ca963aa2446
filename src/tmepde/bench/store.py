"""store: what it costs that results are written while a run goes on.

The colon section (128², seven arms, a row a day) as ``tmepde run`` writes it, against the same arms in a
process that steps, makes every row and writes nothing. Both are whole processes with compiled programs at hand, by
turns; the least seconds count. Seconds of all cores are given too: they say what writing takes where others use the
machine. Beside it a sweep of small runs: seconds of a batch, and of writing its rows.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tmepde import config as configs
from tmepde.bench.record import Options, Record
from tmepde.bench.reference import config_path
from tmepde.sweep import create, run_batch, store
from tmepde.sweep.results import Rows

_SILENT = """
import sys
from tmepde import config
from tmepde.simulation import arm_of, follow
from tmepde.steppers import StepControl
build = config.load(sys.argv[1]).build()
control = StepControl(rtol=build.rtol, max_steps=build.max_steps)
for name, active in build.arms.items():
    arm = arm_of(build.scenario, active, name)
    for row in follow(arm, save=build.save, fields=build.fields, precision=build.precision, control=control):
        pass
"""
_SMALL = {"tissue.cell_size": "32 um", "run.until": "2 day", "sweep.batch": 20}


def measure(name: str, options: Options) -> Record:
    """``wall_s`` is that of ``tmepde run``; ``share`` in the rows is the part that writing adds."""
    days = options.length(35.0, 0.25)  # as the config has it
    changes = {"run.until": f"{days} day"}
    if options.quick:
        changes |= {"tissue.cell_size": "16 um", "run.save.every": "3 hour"}
    config = configs.load(config_path("colon_ihc"), changes)
    with tempfile.TemporaryDirectory() as folder:
        row = _runs(config, Path(folder), 1 if options.quick else options.repeats)
        small = _batch(Path(folder))
    return Record(
        name,
        f"the colon section, {len(config.all_arms)} arms for {days:g} days, a row a day, written and not",
        config.run.precision,
        row.pop("cells"),
        row["written_s"],
        None,
        rows=[row, small],
        notes=[f"writing costs {100 * row['share']:.1f} % of the run", f"and {100 * small['share']:.1f} % of a batch"],
    )


def _runs(config: Any, folder: Path, repeats: int) -> dict[str, Any]:
    path, out = folder / "job.toml", folder / "out.zarr"
    path.write_text(config.toml())
    environment = {**os.environ, "TMEPDE_CACHE": str(folder / "programs")}
    written = [sys.executable, "-m", "tmepde.cli", "run", str(path), "-o", str(out), "-q", "--overwrite"]
    silent = [sys.executable, "-c", _SILENT, str(path)]
    seconds: dict[str, list[float]] = {"written": [], "silent": []}
    used: dict[str, list[float]] = {"written": [], "silent": []}
    for turn in range(repeats + 1):  # the first fills the folder of programs
        for label, command in (("written", written), ("silent", silent)):
            began, before = time.perf_counter(), _children()
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if turn:
                seconds[label].append(time.perf_counter() - began)
                used[label].append(_children() - before)
    best, cores = ({label: min(found) for label, found in each.items()} for each in (seconds, used))
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    return {
        "what": "tmepde run",
        "written_s": best["written"],
        "silent_s": best["silent"],
        "share": (best["written"] - best["silent"]) / best["silent"],
        "written_cores_s": cores["written"],
        "silent_cores_s": cores["silent"],
        "mib": size / 2**20,
        "cells": int(np.prod(config.build().scenario.model.grid.shape)),
    }


def _children() -> float:
    """Seconds that ended processes have taken of all cores."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def _batch(folder: Path) -> dict[str, Any]:
    """One batch of twenty runs of 8² cells: all of it, and writing its rows once more."""
    config = configs.load(config_path("sweep_colon"), _SMALL)
    out = folder / "sweep.zarr"
    create(config, out)
    run_batch(out, 0)
    began = time.perf_counter()
    run_batch(out, 1)
    whole = time.perf_counter() - began
    part = store.rows(out, 1)
    with xr.open_zarr(out, chunks=None) as found:
        names = Rows(out, part).columns
        columns = {n: np.asarray(found[n].values[part.start : part.stop], v.dtype) for n, v in names.items()}
    began = time.perf_counter()
    store.write(out, part.start, part.stop, columns)
    writing = time.perf_counter() - began
    return {"what": "a batch of 20 small runs", "batch_s": whole, "writing_s": writing, "share": writing / whole}
