"""devices: one domain on 1, 2, 4, … devices, the same cells on each: what a device sends, counted from the programs.

    explicit   one field, D one number, forward Euler substeps
    fast       the same by Rosenbrock steps with fast diagonalisation
    multigrid  D(x), Rosenbrock steps with multigrid-preconditioned conjugate gradients

Bytes are those of :func:`tmepde.bench.exchange.exchanged`, by depth of loops: of a call, of a step, of what runs within
a step (an iteration of a linear solve, a substep; mean of the loops of the two stages). Devices may be simulated on a
processor (``XLA_FLAGS=--xla_force_host_platform_device_count=8``): what they send is then right, and how long it takes
says nothing. So no seconds are given but those of the compiler.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import jax
import numpy as np

import tmepde as tme
from tmepde.bench.exchange import exchanged
from tmepde.bench.record import Options, Record
from tmepde.simulation import follow

CASES = ("explicit", "fast", "multigrid")


def measure(name: str, options: Options) -> Record:
    """``wall_s`` is ``None``: nothing is timed."""
    n = options.size(64, 16)
    counts = [m for m in (1, 2, 4, 8, 16, 32, 64) if m <= jax.device_count()]
    rows = [one(case, n, m) for case in CASES for m in counts]
    return Record(
        name,
        f"{n}³ cells and one field on each device, slabs; bytes that one device sends",
        "f32",
        n**3 * counts[-1],
        None,
        rows=rows,
        notes=["devices that share one processor show what is sent, not how fast"],
    )


def one(case: str, n: int, devices: int) -> dict[str, Any]:
    """Bytes sent by one of ``devices`` devices, n³ cells on each."""
    uneven, explicit = case == "multigrid", case == "explicit"
    stepper = tme.ExplicitEuler() if explicit else tme.Rosenbrock2()
    began = time.perf_counter()
    run = follow(scenario((n * devices, n, n), uneven), stepper=stepper, devices=devices, snapshots=False)
    found = exchanged(run.program().as_text() or "", devices)
    sent = {d: v["bytes"] for d, v in found.items()}
    count: Counter[str] = Counter()
    for entry in found.values():
        count.update(entry["count"])
    return {
        "case": case,
        "devices": devices,
        "parts": str(run.runner.layout.parts if run.runner.layout else ()),
        "field_bytes": 4 * n**3,
        "call_bytes": sent.get(0, 0.0),
        "step_bytes": sent.get(1, 0.0),
        "within_bytes": sum(v for d, v in sent.items() if d > 1) / (1 if explicit else 2),
        "operations": dict(count),
        "compile_s": time.perf_counter() - began,
    }


def scenario(shape: tuple[int, ...], uneven: bool) -> tme.Scenario:
    """u_t = ∇·(D∇u) + s − (λ + u) u on cells of 10 µm, D one number or a wave."""
    grid = tme.Grid.box([10.0 * m for m in shape], shape)
    along, last = grid.coordinates()[0], grid.coordinates()[-1]
    start = 1.0 + 0.5 * np.sin(along / 30.0) + 0.0 * last + np.zeros(shape)
    d = 50.0 * (1.0 + 0.9 * np.sin(last / 40.0)) + np.zeros(shape) if uneven else 50.0

    def rates(clock: Any, state: Any, tissue: Any) -> dict[str, Any]:
        return {"u.source": 0.3, "u.loss": 0.1 + state["u"]}

    return tme.Scenario(tme.Model(grid, {"u": tme.Species(start, d)}, [tme.process(rates)]), until=1.0)
