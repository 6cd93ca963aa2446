"""gpu: stencil and V-cycle at 256³ in float32 against the copy bandwidth measured beside them, and the reference model.

Bytes that must move at least, counted from the code: a stencil with one D reads u and writes it (8 bytes a cell), one
with face arrays reads three more (20); a V(2,2) cycle, with all coarser grids, moves about 280 (see docs/gpu.md).
A card of 4.3 TB/s (H200, copy measured elsewhere) therefore allows what :data:`PREDICTED` says; it is a bound, not a
measurement.
"""

from __future__ import annotations

from typing import Any

import jax

from tmepde.bench import NoDeviceError
from tmepde.bench.measure import limits
from tmepde.bench.record import Options, Record
from tmepde.bench.scaling import cycle_seconds, stencil_rows

COPY_GB_S = 4300.0
CYCLE_BYTES = 280.0
#: bounds at 256³ in milliseconds
PREDICTED = {
    "stencil, one D": 8e-6 * 256**3 / COPY_GB_S,
    "stencil, face arrays": 20e-6 * 256**3 / COPY_GB_S,
    "V(2,2) cycle": CYCLE_BYTES * 1e-6 * 256**3 / COPY_GB_S,
}


def measure(name: str, options: Options) -> Record:
    """``wall_s`` is one V-cycle.

    Raises:
        NoDeviceError: where JAX finds no graphics processor.
    """
    if jax.default_backend() not in ("gpu", "cuda", "rocm"):
        bounds = "; ".join(f"{k} {v:.3f} ms" for k, v in PREDICTED.items())
        raise NoDeviceError(
            "`tmepde bench gpu` needs a graphics processor, but JAX finds none. Install jax[cuda12] on a machine with "
            f"one. Bounds at 256³ on a card with {COPY_GB_S / 1000:g} TB/s: {bounds}."
        )
    n = options.size(256, 64)
    copy = limits(options.quick)["dram_copy_gb_s"]
    rows: list[dict[str, Any]] = stencil_rows(n, options)
    for row in rows:
        row["share_of_copy"] = row["least_gb_s"] / copy
    cycle = cycle_seconds(n)
    moved = 1e-9 * CYCLE_BYTES * n**3 / cycle
    rows.append({"kernel": "V(2,2) cycle", "cells_axis": n, "wall_s": cycle, "share_of_copy": moved / copy})
    if not options.quick:
        from tmepde.bench.reference import case

        overrides = {"run.until": "7 day"}
        rows.append(case("nodule_3d", "radiotherapy, then CAR-T", overrides, options))
    return Record(name, f"one V-cycle on {n}³ cells; rows: stencils, and the nodule", "f32", n**3, cycle, rows=rows)
