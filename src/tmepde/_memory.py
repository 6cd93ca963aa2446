"""How much memory a run takes and a machine has: an estimate in no time.

    bytes ≈ cells · bytes per number · (28 transported + 20 quasi-steady + 28 local + 8 n²) · (1.15 in three dimensions)

The factors count the arrays that a Rosenbrock step holds per field (state, slopes, scales, rates, conductances, the
multigrid levels above them), fitted to XLA's own figures for models of one to seventeen fields; rate laws that share
intermediate fields add about a quarter with many species. The estimate is within 30 % of them.
"""

from __future__ import annotations

import os
from typing import Any

#: arrays per field that a step holds, by kind
HELD = {"transported": 28.0, "quasi_steady": 20.0, "local": 28.0, "compartment": 0.0}


def estimate(species: dict[str, Any], shape: tuple[int, ...], precision: str) -> float:
    """Bytes while running, from the number of fields of each kind and the grid."""
    cells = 1
    for n in shape:
        cells *= n
    fields = [s.kind for s in species.values() if s.kind != "compartment"]
    held = sum(HELD[kind] for kind in fields)
    shared = 1.0 + 0.25 * min(1.0, len(fields) / 15.0)
    volume = 1.15 if len(shape) == 3 else 1.0
    return cells * (8 if precision == "f64" else 4) * held * shared * volume


def installed() -> float | None:
    """Bytes of memory of this machine, or what its container may use; ``None`` where that cannot be known."""
    sizes = []
    try:
        sizes.append(float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
    except (ValueError, OSError, AttributeError):
        pass
    try:
        with open("/sys/fs/cgroup/memory.max") as file:
            text = file.read().strip()
        if text.isdigit():
            sizes.append(float(text))
    except OSError:
        pass
    return min(sizes) if sizes else None


def available() -> float | None:
    """Bytes that nothing uses now and that can be had, here or in this container; ``None`` where that is not known."""
    sizes = []
    try:
        with open("/proc/meminfo") as file:
            told = dict(line.split(":", 1) for line in file)
        sizes.append(1024.0 * float(told["MemAvailable"].split()[0]))
    except (OSError, KeyError, ValueError):
        pass
    try:
        with open("/sys/fs/cgroup/memory.max") as file, open("/sys/fs/cgroup/memory.current") as used:
            limit = float(file.read())  # "max" where there is none
            held = float(used.read())
        with open("/sys/fs/cgroup/memory.stat") as file:  # files that are kept as long as nobody needs the room
            held -= next((float(line.split()[1]) for line in file if line.startswith("inactive_file ")), 0.0)
        sizes.append(max(0.0, limit - held))
    except (OSError, ValueError):
        pass
    return min(sizes) if sizes else installed()
