"""``tmepde run --distributed``: one domain over several processes, as ``srun`` starts them.

Every process computes its part of every arm; the first gathers the rows in memory and writes the store at the end.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from tmepde.cli.devices import choose_device, number_of
from tmepde.cli.exits import DIVERGED, ENVIRONMENT, LIMIT_REACHED, Stop
from tmepde.cli.progress import progress
from tmepde.cli.target import word


def run_distributed(
    config: Any, out: Path, overwrite: bool, quiet: bool, device: str | None, devices: str | None
) -> None:
    """Join the others, run, and let the first process write and tell."""
    first = join_processes(device)
    choose_device(device, config.run.precision)
    parts = number_of(devices or "all")
    began = time.perf_counter()
    build = config.build()
    from tmepde.simulation import run_arms
    from tmepde.steppers import StepControl

    with progress(len(build.arms), quiet or not first) as report:
        solutions = run_arms(
            build.scenario,
            build.arms,
            save=build.save,
            fields=build.fields,
            precision=build.precision,
            control=StepControl(rtol=build.rtol, max_steps=build.max_steps),
            progress=report,
            devices=parts,
        )
    if first:
        from tmepde.io import combine_arms, write_store

        dataset = combine_arms(solutions, region=build.region, config_text=config.toml(), name=config.name)
        write_store(dataset, out, overwrite=overwrite)
        for name, solution in solutions.items():
            steps, status = int(solution.statistics["steps"]), solution.status.name.replace("_", " ")
            print(f"{name:<24} {steps:>6} steps {solution.wall_time:>8.1f} s  {status}")
        print(f"{out} written, {time.perf_counter() - began:.0f} s in all. Next: tmepde report {word(out)}")
    bad = {n: s for n, s in solutions.items() if not s.ok}
    if bad:
        told = "\n".join(f"{name}: {s.message}" for name, s in bad.items()) if first else ""
        limit = all(s.status.name == "step_limit" for s in bad.values())
        raise Stop(LIMIT_REACHED if limit else DIVERGED, told)


def join_processes(device: str | None) -> bool:
    """Join the processes that ``srun`` (or another launcher that JAX knows) has started; whether this is the first.

    Raises:
        Stop: with exit code 5 where no launcher is found.
    """
    import jax

    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    known = {k: os.environ.get(f"TMEPDE_{k}") for k in ("COORDINATOR", "PROCESSES", "PROCESS")}
    try:
        if all(known.values()):
            jax.distributed.initialize(known["COORDINATOR"], int(known["PROCESSES"] or 1), int(known["PROCESS"] or 0))
        else:
            jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise Stop(
            ENVIRONMENT,
            f"--distributed must be started by a launcher such as srun, but none is found ({reason}). "
            "Use srun, or set TMEPDE_COORDINATOR=HOST:PORT, TMEPDE_PROCESSES and TMEPDE_PROCESS for each.",
        ) from None
    return jax.process_index() == 0
