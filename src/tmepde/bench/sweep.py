"""sweep: CAR-T dose and day against hyaluronidase on the colon section, 64² cells, two weeks, time series alone.

The same scenarios by ``tmepde sweep`` (one process a core, whose start counts), by a plain loop over ``simulate``
(a sample), and by separate ``tmepde run`` processes (a sample, each with the start of an interpreter, compiled
programs kept on disk as users have them). ``--full`` runs all 1000, otherwise 40 of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import tmepde as tme
from tmepde import config as configs
from tmepde.bench.record import Options, Record
from tmepde.bench.reference import config_path
from tmepde.sweep import create, pending, store
from tmepde.sweep.engine import ordered
from tmepde.sweep.executors import inline
from tmepde.sweep.members import Members, structures

#: scenarios of the plain loop, and separate processes, that are timed
_LOOP, _PROCESSES = 20, 3
_FEWER = {
    'sweep.grid."interventions.car_t.dose.amount".count': 5,
    'sweep.grid."interventions.car_t.dose.at"': ["1 day", "4 day"],
    'sweep.grid."interventions.hyaluronidase.dose.amount"': ["0 nmol", "100 nmol"],
    'sweep.grid."interventions.car_t.armour.chemokine"': ["0 molecules/cell/s", "3 molecules/cell/s"],
}
_TINY = {**_FEWER, "tissue.cell_size": "32 um", "run.until": "1 day", "sweep.batch": 20}


def measure(name: str, options: Options) -> Record:
    """``wall_s`` is the whole sweep without compilation; ``ratio`` of the rows is theirs over ours."""
    path = config_path("sweep_colon")
    overrides: dict[str, Any] = dict(_TINY if options.quick else {} if options.full else _FEWER)
    if options.days:
        overrides["run.until"] = f"{options.days} day"
    config = configs.load(path, overrides)
    with tempfile.TemporaryDirectory() as folder:
        ours = _swept(config, Path(folder).absolute())
        each = ours["wall_s"] / ours["scenarios"]
        members = Members(config, ordered(config))
        rows = [ours, _loop(members, ours["scenarios"], each)]
        if not options.quick:
            rows.append(_processes(config, members, Path(folder), each))
    count, days = ours["scenarios"], float(config.run.until) / 24.0
    return Record(
        name,
        f"{count} scenarios of the colon section for {days:g} days, observables only",
        config.run.precision,
        count * ours["cells"],
        ours["wall_s"],
        ours["compile_s"],
        rows=rows,
        notes=[f"{r['what']}: {r['ratio']:.2f} times our seconds a scenario" for r in rows[1:]],
    )


def _swept(config: Any, folder: Path) -> dict[str, Any]:
    """The sweep by the executor ``inline``, start of its processes included, with programs on the disk; before that
    its first batch twice, the first time without them. The difference is the compilation."""
    programs = folder / "programs"
    before = os.environ.get("TMEPDE_CACHE")
    os.environ["TMEPDE_CACHE"] = str(programs)
    try:
        trial, out = folder / "trial.zarr", folder / "sweep.zarr"
        create(config, trial)
        seconds, compiled = [], []
        for _ in range(2):
            began = time.perf_counter()
            compiled.append(inline.run(trial, [0], 1, _quiet).compiled)
            seconds.append(time.perf_counter() - began)
        create(config, out)
        batches = pending(out)
        processes = inline.processes(len(batches))
        began = time.perf_counter()
        found = inline.run(out, batches, None, _quiet)
        wall = time.perf_counter() - began
    finally:
        if before is None:
            del os.environ["TMEPDE_CACHE"]
        else:
            os.environ["TMEPDE_CACHE"] = before
    steps = np.asarray(_values(out, "n_steps"), float)
    status = store.statuses(out)
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    disk = sum(512 * f.lstat().st_blocks for f in (out, *out.rglob("*")))
    return {
        "what": "tmepde sweep",
        "scenarios": len(status),
        "wall_s": wall,
        "scenarios_per_s": len(status) / wall,
        "compile_s": seconds[0] - seconds[1],
        "processes": processes,
        "structures": structures(ordered(config)),
        "programs_of_first_batch": compiled[0],
        "programs_of_later_batches": found.compiled,
        "ok": int(np.sum(status == store.OK)),
        "steps_mean": float(steps.mean()),
        "steps_largest_over_mean": float(steps.max() / steps.mean()),
        "bytes_per_scenario": size / len(status),
        "disk_bytes_per_scenario": disk / len(status),
        "cells": _cells(config),
    }


def _quiet(_: str) -> None:
    """No line for each batch."""


def _values(out: Path, name: str) -> Any:
    import zarr

    array: Any = zarr.open_array(out / name, mode="r")
    return array[:]


def _cells(config: Any) -> int:
    scenario, _ = Members(config, ordered(config)).build(0)
    return int(np.prod(scenario.model.grid.shape))


def _loop(members: Members, count: int, ours: float) -> dict[str, Any]:
    """Scenarios spread over the table, one ``simulate`` after the other, built beforehand."""
    chosen = np.unique(np.linspace(0, count - 1, min(_LOOP, count)).astype(int))
    built = [members.build(int(i)) for i in chosen]
    settings = {"save": built[0][1].save, "fields": ()}
    tme.simulate(built[0][0], **settings)
    began = time.perf_counter()
    for scenario, _ in built:
        tme.simulate(scenario, **settings)
    each = (time.perf_counter() - began) / len(built)
    return {"what": "a loop over simulate", "sample": len(built), "s_per_scenario": each, "ratio": each / ours}


def _processes(config: Any, members: Members, folder: Path, ours: float) -> dict[str, Any]:
    """Separate commands; the first fills the folder of compiled programs and is not counted."""
    plain = folder / "plain.toml"
    raw = config.toml().partition("\n[sweep]")[0]
    plain.write_text(raw)
    environment = {**os.environ, "TMEPDE_CACHE": str(folder / "programs")}
    chosen = np.linspace(0, len(members.table) - 1, _PROCESSES + 1).astype(int)
    seconds = []
    for i in chosen:
        sets = [f"--set={path}={_toml(value)}" for path, value in members.table.changes(int(i)).items()]
        words = [sys.executable, "-m", "tmepde.cli", "run", str(plain), "-o", str(folder / f"{i}.zarr"), "-q", *sets]
        began = time.perf_counter()
        subprocess.run(words, env=environment, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    each = float(np.mean(seconds[1:]))
    row = {"what": "separate tmepde run processes", "sample": len(seconds) - 1, "s_per_scenario": each}
    return {**row, "cold_s": seconds[0], "ratio": each / ours}


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
