"""``tmepde run``: all arms of a config into one store, written whole or not at all."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tmepde import config as configs
from tmepde.cli.exits import BAD_INPUT, DIVERGED, ENVIRONMENT, LIMIT_REACHED, Stop


def run(
    path: Path,
    out: Path,
    overrides: list[str],
    device: str | None,
    overwrite: bool,
    quiet: bool,
    devices: str | None = None,
    distributed: bool = False,
) -> None:
    """Check the input, run, write, and say how it went."""
    config = configs.load(path, overrides)
    check_target(out, overwrite)
    for warning in config.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    first = join_processes(device) if distributed else True
    choose_device(device, config.run.precision)
    parts = number_of("all" if distributed and devices is None else devices)
    began = time.perf_counter()
    build = config.build()
    solutions = _solve(build, quiet or not first, parts)
    if not first:  # one process writes and tells
        return _stop_if_bad(solutions, quiet=True)
    from tmepde.io import combine_arms, write_store

    dataset = combine_arms(solutions, region=build.region, config_text=config.toml(), name=config.name)
    write_store(dataset, out, overwrite=overwrite)
    for name, solution in solutions.items():
        steps, status = int(solution.statistics["steps"]), solution.status.name.replace("_", " ")
        print(f"{name:<24} {steps:>6} steps {solution.wall_time:>8.1f} s  {status}")
    print(f"{out} written, {time.perf_counter() - began:.0f} s in all. Next: tmepde report {out}")
    _stop_if_bad(solutions)


def check_target(out: Path, overwrite: bool) -> None:
    """Refuse what cannot be written before anything is computed."""
    blocking = next((p for p in (out, *out.parents) if p.exists()), Path("."))
    if out.exists() and not out.is_dir():
        raise Stop(BAD_INPUT, f"{out} must be a store to write, but it is a file. Choose another name.")
    if out.exists() and any(out.iterdir()):
        if not (out / "zarr.json").is_file():
            raise Stop(BAD_INPUT, f"{out} exists and is not a store, so it is never replaced. Choose another name.")
        if not overwrite:
            raise Stop(BAD_INPUT, f"{out} exists already. Choose another name, or add --overwrite.")
    if not blocking.is_dir():
        raise Stop(BAD_INPUT, f"{out} lies inside {blocking}, which is a file. Choose another place.")
    parent = out.parent if out.parent.exists() else blocking
    if not os.access(parent, os.W_OK):
        raise Stop(BAD_INPUT, f"{out} cannot be written, because {parent} is read-only. Choose another place.")


def choose_device(device: str | None, precision: str) -> None:
    """Set JAX up before its first use.

    Raises:
        Stop: with exit code 5 where the wanted device is not there; never a silent fall-back to the processor.
    """
    import jax

    if precision == "f64":
        jax.config.update("jax_enable_x64", True)
    if device is None:
        return
    try:
        jax.config.update("jax_default_device", jax.local_devices(backend=device)[0])
    except RuntimeError as error:
        there = ", ".join(sorted({d.platform for d in jax.devices()}))
        reason = str(error).splitlines()[0]
        raise Stop(
            ENVIRONMENT, f"There is no {device} here ({reason}). Devices: {there}. Leave --device out."
        ) from None


def number_of(devices: str | None) -> int | str | None:
    """What ``--devices`` asks for.

    Raises:
        Stop: with exit code 2 for something that is no number, 5 where there are not as many.
    """
    if devices is None or devices == "all":
        return devices
    if not devices.isdigit() or int(devices) == 0:
        raise Stop(BAD_INPUT, f"--devices must be a number from 1, or all, but {devices!r} was given.")
    import jax

    if int(devices) > jax.device_count():
        raise Stop(
            ENVIRONMENT, f"--devices {devices} was given, but there are {jax.device_count()}. Take fewer, or all."
        )
    return int(devices)


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


def _solve(build: Any, quiet: bool, devices: int | str | None = None) -> dict[str, Any]:
    from tmepde.simulation import run_arms
    from tmepde.steppers import StepControl

    control = StepControl(rtol=build.rtol, max_steps=build.max_steps)
    with _progress(len(build.arms), quiet) as progress:
        return run_arms(
            build.scenario,
            build.arms,
            save=build.save,
            fields=build.fields,
            precision=build.precision,
            control=control,
            progress=progress,
            devices=devices,
        )


@contextmanager
def _progress(arms: int, quiet: bool) -> Iterator[Callable[[float, float], None] | None]:
    """A bar in a terminal, a line every ten seconds otherwise; time within an arm starts again with each arm."""
    if quiet:
        yield None
        return
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task(f"arm 1 of {arms}", total=float(arms))
            yield _follow(
                arms, lambda arm, share, _: bar.update(task, completed=arm + share, description=_arm(arm, arms))
            )
        return
    last = [time.monotonic()]

    def line(arm: int, share: float, left: str) -> None:
        if time.monotonic() - last[0] >= 10.0:
            last[0] = time.monotonic()
            print(f"{_arm(arm, arms)}: {share:.0%}, {left} left", file=sys.stderr, flush=True)

    yield _follow(arms, line)


def _arm(arm: int, arms: int) -> str:
    return f"arm {min(arm + 1, arms)} of {arms}"


def _follow(arms: int, tell: Callable[[int, float, str], None]) -> Callable[[float, float], None]:
    """A callback ``(time, until)`` that counts the arms: time going back means that the next one began."""
    state = {"arm": 0, "time": 0.0}
    began = time.monotonic()

    def callback(now: float, until: float) -> None:
        now, until = float(now), float(until)
        if now < state["time"]:
            state["arm"] += 1
        state["time"] = now
        share = now / until if until > 0 else 1.0
        done = (state["arm"] + share) / arms
        left = (time.monotonic() - began) * (1.0 / max(done, 1e-9) - 1.0)
        tell(int(state["arm"]), share, f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s")

    return callback


def _stop_if_bad(solutions: dict[str, Any], quiet: bool = False) -> None:
    bad = {n: s for n, s in solutions.items() if not s.ok}
    if not bad:
        return
    told = "" if quiet else "\n".join(f"{name}: {s.message}" for name, s in bad.items())
    limit = all(s.status.name == "step_limit" for s in bad.values())
    raise Stop(LIMIT_REACHED if limit else DIVERGED, told)
