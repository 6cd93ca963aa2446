"""``tmepde run``: all arms of a config into one store that grows while they run and can go on after it stopped."""

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
from tmepde.cli.record import BRANCHED, Recorder, check_resume
from tmepde.cli.stopping import Stopping
from tmepde.io.durable import make_folder
from tmepde.io.lock import Lock, refuse_locked
from tmepde.io.root import MARK


def run(
    path: Path,
    out: Path,
    overrides: list[str],
    overwrite: bool,
    quiet: bool,
    resume: bool = False,
    walltime: str | None = None,
    *,
    device: str | None = None,
    devices: str | None = None,
    distributed: bool = False,
    start: str | None = None,
) -> None:
    """Check the input, run, write while running, and say how it went."""
    config = configs.load(path, overrides)
    if resume and overwrite:
        raise Stop(BAD_INPUT, "--resume goes on with a store and --overwrite replaces it. Give one of them.")
    limit = _seconds(walltime)
    refuse_locked(out)
    document = check_resume(out, config) if resume else None
    if document is None:
        check_target(out, overwrite)
    elif document["attributes"][MARK]["finished"]:
        print(f"{out} is finished; there is nothing to resume. Next: tmepde report {out}")
        return
    for warning in config.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if config.sweep is not None:
        print(
            "warning: [sweep] is left aside: every arm runs once. Use `tmepde sweep` to vary numbers.", file=sys.stderr
        )
    if distributed:
        if resume:
            raise Stop(
                BAD_INPUT, "--distributed writes its store at the end, so that it cannot --resume. Drop one of them."
            )
        if start is not None:
            raise Stop(BAD_INPUT, "--distributed begins at the start and cannot take --from. Drop one of them.")
        from tmepde.cli.distributed import run_distributed

        return run_distributed(config, out, overwrite, quiet, device, devices)
    make_folder(out.parent)
    with Lock(out) as lock, Stopping(limit) as stopping:
        document = check_resume(out, config) if resume else None  # nobody else writes it from here on
        choose_device(device, config.run.precision)
        parts = number_of(devices)
        began = time.perf_counter()
        build = config.build()
        begin = _begin(start, document, build)
        with progress(len(build.arms), quiet) as report:
            recorder = Recorder(
                config, build, out, lock, document, overwrite, stopping, report, stopping.computing, parts, begin
            )
            outcomes = recorder.run()
    _tell(out, outcomes, time.perf_counter() - began)
    if any(o.status.name == "stopped" for o in outcomes.values()):
        raise Stop(stopping.code, f"Stopped ({stopping.reason}); committed. Go on with the same command and --resume.")
    _stop_if_bad(out)


def _begin(start: str | None, document: dict[str, Any] | None, build: Any) -> tuple[str, Any] | None:
    """What ``--from`` says, now or when the store was begun, and the state it means."""
    begun = None if document is None else document["attributes"].get(BRANCHED)
    if start is not None and document is not None and begun != start:
        raise Stop(
            BAD_INPUT, f"--from must be what the store was begun with ({begun}), but {start} was given. Drop it."
        )
    text = start or begun
    if text is None:
        return None
    from tmepde.cli.branch import start_of

    return text, start_of(text, build)


def _tell(out: Path, outcomes: dict[str, Any], seconds: float) -> None:
    for name, outcome in outcomes.items():
        steps, status = int(outcome.statistics["steps"]), outcome.status.name.replace("_", " ")
        print(f"{name:<24} {steps:>6} steps {outcome.wall_time:>8.1f} s  {status}")
    print(f"{out} written, {seconds:.0f} s in all. Next: tmepde report {out}")


def _seconds(walltime: str | None) -> float | None:
    if walltime is None:
        return None
    from tmepde.config.units import parse

    try:
        seconds = 3600.0 * parse(walltime, "h", bare=False)
    except ValueError as error:
        raise Stop(BAD_INPUT, f"--walltime {error}") from None
    if not seconds > 0:
        raise Stop(BAD_INPUT, f'--walltime must be positive, but {walltime} was given. Write --walltime "2 hour".')
    return seconds


def check_target(out: Path, overwrite: bool) -> None:
    """Refuse what cannot be written before anything is computed."""
    blocking = next((p for p in (out, *out.parents) if p.exists()), Path("."))
    if out.exists() and not out.is_dir():
        raise Stop(BAD_INPUT, f"{out} must be a store to write, but it is a file. Choose another name.")
    if out.exists() and any(out.iterdir()):
        if not (out / "zarr.json").is_file():
            raise Stop(BAD_INPUT, f"{out} exists and is not a store, so it is never replaced. Choose another name.")
        if not overwrite:
            raise Stop(
                BAD_INPUT, f"{out} exists already. Choose another name, add --resume to go on with it, or --overwrite."
            )
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


@contextmanager
def progress(arms: int, quiet: bool) -> Iterator[Callable[[float, float], None] | None]:
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


def _stop_if_bad(out: Path) -> None:
    """The exit code of the whole store, arms of earlier processes included."""
    from tmepde.io import open_store

    with open_store(out) as store:
        states = dict(zip(store["scenario"].values, store["status"].values, strict=True))
        told = "\n".join(
            f"{n}: {m}"
            for n, m in zip(store["scenario"].values, store["message"].values, strict=True)
            if states[n] != "ok"
        )
    bad = {state for state in states.values() if state != "ok"}
    if bad:
        raise Stop(LIMIT_REACHED if bad == {"step_limit"} else DIVERGED, told)
