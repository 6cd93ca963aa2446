"""How much memory a run takes: the estimate of :mod:`tmepde._memory`, or what the compiler says."""

from __future__ import annotations

from typing import Any

from tmepde._memory import HELD, estimate, installed

__all__ = ["HELD", "compiled", "estimate", "installed"]


def compiled(scenario: Any, precision: str, control: Any = None, fields: Any = None) -> float:
    """Bytes of the program of one save interval, as XLA plans them: arguments, results and what it holds in between.

    Takes as long as the start of the run; the program is kept and found again by it (see :mod:`tmepde._cache`).
    """
    import jax
    import numpy as np

    from tmepde._cache import keep_programs
    from tmepde._types import cast, parted
    from tmepde.runner import DTYPES, Runner, march_program, start_program
    from tmepde.simulation import suited
    from tmepde.steppers import StepControl
    from tmepde.steppers.control import ending, shortened

    keep_programs()
    dtype = DTYPES[precision]
    scenario, control = cast(scenario, dtype), StepControl() if control is None else control
    choice = suited(scenario, control, None, "auto", dtype)
    runner = Runner(
        scenario=scenario,
        control=shortened(ending(cast(control, dtype), scenario.until, dtype), choice.longest, dtype),
        stepper=choice.stepper,
        fields=tuple(sorted(scenario.system.species if fields is None else fields)),
        dtype=dtype,
    )
    arrays, frame = parted(runner)
    with jax.default_matmul_precision("highest"):
        state, carry, _ = jax.eval_shape(lambda a: start_program(a, frame), arrays)
        number = jax.ShapeDtypeStruct((), dtype)
        program = march_program.lower(arrays, frame, state, carry, (number,) * 4, np.asarray(1)).compile()
    found: Any = program.memory_analysis()
    return float(found.temp_size_in_bytes + found.argument_size_in_bytes + found.output_size_in_bytes)
