"""How much memory a run takes: the estimate of :mod:`tmepde._memory`, or what the compiler says."""

from __future__ import annotations

from typing import Any

from tmepde._memory import HELD, estimate, installed

__all__ = ["HELD", "compiled", "estimate", "installed"]


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
