"""How much memory a run takes: an estimate in no time, or what the compiler says.

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


def compiled(scenario: Any, precision: str, control: Any = None, fields: Any = None) -> float:
    """Bytes of the program of one save interval, as XLA plans them: arguments, results and what it holds in between.

    Takes as long as the start of the run; the program is kept and found again by it (see :mod:`tmepde._cache`).
    """
    import equinox as eqx
    import jax
    import numpy as np

    from tmepde._cache import keep_programs
    from tmepde._types import cast
    from tmepde.runner import DTYPES, Runner, Static, is_array, march_program, start_program
    from tmepde.simulation import _stepper
    from tmepde.steppers import StepControl

    keep_programs()
    dtype = DTYPES[precision]
    runner = Runner(
        scenario=cast(scenario, dtype),
        control=cast(StepControl() if control is None else control, dtype),
        stepper=_stepper(scenario, None, "auto", dtype),
        fields=tuple(sorted(scenario.system.species if fields is None else fields)),
        dtype=dtype,
    )
    arrays, rest = eqx.partition(runner, is_array)
    static = Static(rest)
    with jax.default_matmul_precision("highest"):
        state, carry, _ = jax.eval_shape(lambda a: start_program(a, static), arrays)
        number = jax.ShapeDtypeStruct((), dtype)
        program = march_program.lower(arrays, static, state, carry, (number,) * 4, np.asarray(1)).compile()
    found: Any = program.memory_analysis()
    return float(found.temp_size_in_bytes + found.argument_size_in_bytes + found.output_size_in_bytes)


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
