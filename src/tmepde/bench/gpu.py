"""gpu: the package's workloads on a graphics processor, as shares of what the card can do.

    stencil, V-cycle, solve    256³ cells, float32, against the copy bandwidth measured beside them
    substeps                   50³ cells × 10 species × 12 implicit substeps, the workload that SPQSP_HCC_GPU publishes
    w1 … w5                    the headlines of those workloads
    nodule                     the model of a solid tumour on 64³ cells, seven days
    batch                      64 scenarios of 64² cells as one program

Bytes that must move at least, counted from the code: a stencil with one D reads u and writes it (8 bytes a cell), one
with face arrays reads three more (20); a V(2,2) cycle, with all coarser grids, moves about 280 (see docs/gpu.md).
A card of 4.3 TB/s (H200, copy measured elsewhere) therefore allows what :data:`PREDICTED` says; it is a bound, not a
measurement. The same code runs on a processor with ``--device cpu``, to see that it does.
"""

from __future__ import annotations

import importlib
from typing import Any

import jax

import tmepde as tme
from tmepde.bench import NoDeviceError
from tmepde.bench.box import scenario as box_scenario
from tmepde.bench.measure import call, limits
from tmepde.bench.record import Options, Record
from tmepde.bench.scaling import cycle_seconds, solve_rows, stencil_rows

COPY_GB_S = 4300.0
CYCLE_BYTES = 280.0
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
    """``wall_s`` is one V-cycle.

    Raises:
        NoDeviceError: where JAX finds no graphics processor and none but ``--device cpu`` would do.
    """
    if jax.default_backend() not in ("gpu", "cuda", "rocm") and options.device != "cpu":
        bounds = "; ".join(f"{k} {v:.3f} ms" for k, v in PREDICTED.items())
        raise NoDeviceError(
            "`tmepde bench gpu` needs a graphics processor, but JAX finds none. Install jax[cuda12] on a machine with "
            f"one, or try the code with --device cpu --quick. Bounds at 256³ on a card with {COPY_GB_S / 1000:g} TB/s: "
            f"{bounds}."
        )
    n = options.size(256, 32)
    cycle = cycle_seconds(n)
    rows = [*kernels(n, cycle, options), *substeps(options), *headlines(options)]
    if not options.quick:
        from tmepde.bench.batch import runs
        from tmepde.bench.gradient import scenario
        from tmepde.bench.reference import case

        nodule = case("nodule_3d", "radiotherapy, then CAR-T", {"run.until": "7 day"}, options)
        rows.append({"kernel": "nodule", **nodule})
        rows += [{"kernel": "batch", **row} for row in runs(scenario(64, 2.0), 64)]
    what = f"one V-cycle on {n}³ cells; rows: stencils, solves, substeps, w1 to w5, the nodule and a batch"
    return Record(name, what, "f32", n**3, cycle, rows=rows, notes=[compared(rows)])


def kernels(n: int, cycle: float, options: Options) -> list[dict[str, Any]]:
    """Stencils, V-cycle and solve, with the share of the copy bandwidth that their least bytes are."""
    copy = limits(options.quick)["dram_copy_gb_s"]
    rows = [{**row, "share_of_copy": row["least_gb_s"] / copy} for row in stencil_rows(n, options)]
    moved = 1e-9 * CYCLE_BYTES * n**3
    rows.append({"kernel": "V(2,2) cycle", "cells_axis": n, "wall_s": cycle, "share_of_copy": moved / cycle / copy})
    return rows + solve_rows(n, "smooth", options)


def substeps(options: Options) -> list[dict[str, Any]]:
    """Twelve implicit Euler steps of ten species on 50³ cells, ten times over, and the same span by one exact step.

    D from 1e3 to 1e5 µm²/min, λ from 0.01 to 1/min and cells of 20 µm are those of w2; substeps of half a minute are an
    assumption (the published figure depends on the count alone).
    """
    n, rounds = (12, 1) if options.quick else (50, 10)
    scenario = box_scenario(n, 10).replace("until", 0.5 * SUBSTEPS * rounds)
    products = 1e9 * limits(options.quick)["matmul_f32_gflop_s"]
    rows = []
    euler = {"stepper": tme.BackwardEuler(), "control": tme.StepControl(dt=0.5, max_steps=SUBSTEPS * rounds + 1)}
    for how, given in (("implicit substeps", euler), ("one exact step", {"stepper": tme.Exponential2()})):
        _, row = call(scenario, options.repeats, **given)
        each = row["stepping_s"] / rounds
        flop = 12.0 * n**4 * 10 * row["solver_iterations"] / rounds  # six products of n × n by n × n², forth and back
        rates = {
            "voxel_species_substeps_per_s": n**3 * 10 * SUBSTEPS / each,
            "share_of_products": flop / each / products,
        }
        rows.append({"kernel": how, "cells_axis": n, "wall_s": each, **rates, "steps": row["steps"], "ok": row["ok"]})
    return rows


def headlines(options: Options) -> list[dict[str, Any]]:
    """Seconds and errors of w1 to w5 (of the last two the smaller runs alone in a quick measurement)."""
    from tmepde.bench import WORKLOADS

    alone = Options(quick=options.quick, repeats=options.repeats)
    rows = []
    for name in ("w1", "w2", "w3", "w4", "w5"):
        found = importlib.import_module(f"tmepde.bench.{WORKLOADS[name][0]}").measure(name, alone)
        keys = ("cells", "wall_s", "compile_s", "error", "updates_per_s")
        rows.append({"kernel": name, **{k: getattr(found, k) for k in keys}})
    return rows


def compared(rows: list[dict[str, Any]]) -> str:
    """Our substeps beside the published ones."""
    ours = next(r for r in rows if r["kernel"] == "implicit substeps")
    rate = 50**3 * 10 * SUBSTEPS / (1e-3 * PUBLISHED_MS)
    ratio = ours["voxel_species_substeps_per_s"] / rate
    return (
        f"substeps: {1e3 * ours['wall_s']:.3g} ms for {ours['cells_axis']}³ × 10 × {SUBSTEPS}, {ratio:.3g} times the "
        f"{rate:.2g} voxel-species-substeps/s that SPQSP_HCC_GPU states for an A100 ({PUBLISHED_MS} ms)"
    )
