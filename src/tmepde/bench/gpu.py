"""gpu, gpu_models: the package's workloads on a graphics processor, as shares of what the card can do.

    stencil, V-cycle, solve    256³ cells, float32, against the copy bandwidth measured beside them
    substeps                   50³ cells × 10 species × 12 implicit substeps, the workload that SPQSP_HCC_GPU publishes
    w1 … w5                    the headlines of those workloads
    nodule                     the model of a solid tumour on 64³ cells, with its error, and on 256³
    batch                      64 scenarios of 64² cells as one program, and more

Bytes that must move at least, counted from the code: a stencil with one D reads u and writes it (8 bytes a cell), one
with face arrays reads three more (20); a V(2,2) cycle, with all coarser grids, moves 147 (see docs/gpu.md).
A card of 4.3 TB/s (H200, copy measured elsewhere) therefore allows what :data:`PREDICTED` says; it is a bound, not a
measurement. The same code runs on a processor with ``--device cpu``, to see that it does.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

import tmepde as tme
from tmepde.bench import NoDeviceError
from tmepde.bench.box import scenario as box_scenario
from tmepde.bench.measure import call, limits
from tmepde.bench.record import Options, Record
from tmepde.bench.scaling import cycle_seconds, solve_rows, stencil_rows

COPY_GB_S = 4300.0
CYCLE_BYTES = 147.0
#: bounds at 256³ in milliseconds
PREDICTED = {
    "stencil, one D": 8e-6 * 256**3 / COPY_GB_S,
    "stencil, face arrays": 20e-6 * 256**3 / COPY_GB_S,
    "V(2,2) cycle": CYCLE_BYTES * 1e-6 * 256**3 / COPY_GB_S,
}
#: popellab/SPQSP_HCC_GPU (FLAME GPU 2) on an A100: 50³ voxels × 10 species × 12 implicit substeps, locally
#: one-dimensional; ms per step, as its authors state it
PUBLISHED_MS = 5.58
SUBSTEPS = 12


def measure(name: str, options: Options) -> Record:
    """``wall_s`` is one V-cycle ("gpu"), or a simulated day of the largest nodule ("gpu_models").

    What fails is said in a note, and the rest is measured.

    Raises:
        NoDeviceError: where JAX finds no graphics processor and none but ``--device cpu`` would do.
    """
    if jax.default_backend() not in ("gpu", "cuda", "rocm") and options.device != "cpu":
        bounds = "; ".join(f"{k} {v:.3f} ms" for k, v in PREDICTED.items())
        raise NoDeviceError(
            f"`tmepde bench {name}` needs a graphics processor, but JAX finds none. Install jax[cuda12] on a machine "
            f"with one, or try the code with --device cpu --quick. Bounds at 256³ on a card with "
            f"{COPY_GB_S / 1000:g} TB/s: {bounds}."
        )
    n = options.size(256, 32)
    if name == "gpu":
        what = f"one V-cycle on {n}³ cells; rows: stencils, solves, substeps, w1 to w5"
        parts = {"kernels": kernels, "substeps": substeps, "headlines": headlines}
    else:
        what = "a simulated day of the nodule on the largest grid; rows: nodules and batches of 64² cells"
        parts = {"nodules": nodules, "batches": batches}
    record = Record(name, what, "f32", n**3, None)
    for label, part in parts.items():
        _collect(record, label, part, options)
    return record


def _collect(record: Record, label: str, part: Callable[[Options], Iterator[dict[str, Any]]], options: Options) -> None:
    try:
        for row in part(options):
            record.rows.append(row)
            if row.pop("headline", False):
                record.wall_s, record.compile_s = row["wall_s"], row.get("compile_s")
            if (note := row.pop("note", None)) is not None:
                record.notes.append(note)
            if options.keep is not None:
                options.keep(record)
    except (RuntimeError, MemoryError, ValueError) as error:  # what the device cannot do must not lose the rest
        record.notes.append(f"{label} ended early: {' '.join(str(error).split())[:300]}")


def kernels(options: Options) -> Iterator[dict[str, Any]]:
    """Stencils, V-cycle and solve, with the share of the copy bandwidth that their least bytes are."""
    n, copy = options.size(256, 32), limits(options.quick)["dram_copy_gb_s"]
    for row in stencil_rows(n, options):
        yield {**row, "share_of_copy": row["least_gb_s"] / copy}
    cycle = cycle_seconds(n)
    moved = 1e-9 * CYCLE_BYTES * n**3
    row = {"kernel": "V(2,2) cycle", "cells_axis": n, "wall_s": cycle, "share_of_copy": moved / cycle / copy}
    yield {**row, "headline": True}
    yield from solve_rows(n, "smooth", options)


def substeps(options: Options) -> Iterator[dict[str, Any]]:
    """Twelve implicit Euler steps of ten species on 50³ cells, ten times over, and the same span by one exact step.

    D from 1e3 to 1e5 µm²/min, λ from 0.01 to 1/min and cells of 20 µm are those of w2; substeps of half a minute are an
    assumption (the published figure depends on the count alone).
    """
    n, rounds = (12, 1) if options.quick else (50, 10)
    scenario = box_scenario(n, 10).replace("until", 0.5 * SUBSTEPS * rounds)
    products = 1e9 * limits(options.quick)["matmul_f32_gflop_s"]
    euler = {"stepper": tme.BackwardEuler(), "control": tme.StepControl(dt=0.5, max_steps=SUBSTEPS * rounds + 1)}
    for how, given in (("implicit substeps", euler), ("one exact step", {"stepper": tme.Exponential2()})):
        _, row = call(scenario, options.repeats, **given)
        each = row["stepping_s"] / rounds
        flop = 12.0 * n**4 * 10 * row["solver_iterations"] / rounds  # six products of n × n by n × n², forth and back
        rates = {
            "voxel_species_substeps_per_s": n**3 * 10 * SUBSTEPS / each,
            "share_of_products": flop / each / products,
        }
        found = {"kernel": how, "cells_axis": n, "wall_s": each, **rates, "steps": row["steps"], "ok": row["ok"]}
        yield found if how != "implicit substeps" else {**found, "note": compared(found)}


def headlines(options: Options) -> Iterator[dict[str, Any]]:
    """Seconds and errors of w1 to w5; of the last the cubes of 160 cells alone, whose programs take a while."""
    from tmepde.bench import WORKLOADS

    for name in ("w1", "w2", "w3", "w4", "w5"):
        cells = 160 if name == "w5" and not options.quick else None
        alone = Options(quick=options.quick, repeats=options.repeats, cells=cells)
        found = importlib.import_module(f"tmepde.bench.{WORKLOADS[name][0]}").measure(name, alone)
        keys = ("cells", "wall_s", "compile_s", "error", "updates_per_s")
        yield {"kernel": name, **{k: getattr(found, k) for k in keys}}


def compared(ours: dict[str, Any]) -> str:
    """Our substeps beside the published ones."""
    rate = 50**3 * 10 * SUBSTEPS / (1e-3 * PUBLISHED_MS)
    ratio = ours["voxel_species_substeps_per_s"] / rate
    return (
        f"substeps: {1e3 * ours['wall_s']:.3g} ms for {ours['cells_axis']}³ × 10 × {SUBSTEPS}, {ratio:.3g} times the "
        f"{rate:.2g} voxel-species-substeps/s that SPQSP_HCC_GPU states for an A100 ({PUBLISHED_MS} ms)"
    )


def nodules(options: Options) -> Iterator[dict[str, Any]]:
    """The nodule: three days of 64³ cells beside a run with a tenth of the tolerance, and one day of 256³ cells."""
    from tmepde.bench.reference import case

    arm = "radiotherapy, then CAR-T"
    if options.quick:
        yield case("radial_1d", None, {"grid.cells": 16, "run.until": "0.1 day"}, options, whole=False)
    else:
        yield case("nodule_3d", arm, {"run.until": "3 day"}, options, whole=False)
    yield {**nodule(options.size(256, 8), 1.0 if not options.quick else 0.05, arm), "headline": True}


def nodule(n: int, days: float, arm: str) -> dict[str, Any]:
    """Seconds of one run on n³ cells, by its time loop."""
    from tmepde import config as configs
    from tmepde.bench.reference import config_path

    began = time.perf_counter()
    built = configs.load(config_path("nodule_3d"), {"grid.cells": [n] * 3, "run.until": f"{days} day"}).build()
    scenario = built.scenario.only(built.arms[arm])
    ready = time.perf_counter() - began
    out = tme.simulate(scenario, save=[24.0 * days], control=tme.StepControl(rtol=built.rtol))
    wall = float(out.wall_time or np.nan)
    counts = {k: int(v) for k, v in out.statistics.items()}
    found = {"case": "nodule_3d", "arm": arm, "cells": n**3, "days": days, **counts, "ok": bool(out.ok)}
    memory = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    found |= {"wall_s": wall, "wall_s_per_day": wall / days, "compile_s": out.compile_time, "build_s": ready}
    return {**found, "peak_device_gib": None if memory is None else memory / 2**30}


def batches(options: Options) -> Iterator[dict[str, Any]]:
    """64 scenarios as one program against one after the other, of which eight are timed; and 256 as one program."""
    from tmepde.bench.batch import runs
    from tmepde.bench.gradient import scenario, small

    base, members = (small(8, 0.1), 4) if options.quick else (scenario(64, 2.0), 64)
    for count in (members, 4 * members):
        yield from ({"kernel": "batch", "members": count, **row} for row in runs(base, count, alone=8))
