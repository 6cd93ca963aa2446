"""``tmepde run``: all arms of a config into one store that grows while they run and can go on after it stopped."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from tmepde import config as configs
from tmepde.cli.devices import choose_device, number_of
from tmepde.cli.exits import BAD_INPUT, DIVERGED, LIMIT_REACHED, Stop
from tmepde.cli.integrity import sound_run
from tmepde.cli.progress import progress
from tmepde.cli.record import BRANCHED, Recorder, check_resume, load_ahead
from tmepde.cli.stopping import Stopping
from tmepde.cli.target import check_place, target, word
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
    limit, out = _seconds(walltime), target(out)
    refuse_locked(out)
    document = check_resume(out, config) if resume else None
    if document is None:
        check_target(out, overwrite)
    elif document["attributes"][MARK]["finished"]:
        sound_run(out)
        print(f"{out} is finished; there is nothing to resume. Next: tmepde report {word(out)}")
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
        load_ahead()
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
    print(f"{out} written, {seconds:.0f} s in all. Next: tmepde report {word(out)}")


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
    if out.exists() and not out.is_dir():
        raise Stop(BAD_INPUT, f"{out} must be a store to write, but it is a file. Choose another name.")
    if out.exists() and any(out.iterdir()):
        if not (out / "zarr.json").is_file():
            raise Stop(BAD_INPUT, f"{out} exists and is not a store, so it is never replaced. Choose another name.")
        if not overwrite:
            raise Stop(
                BAD_INPUT, f"{out} exists already. Choose another name, add --resume to go on with it, or --overwrite."
            )
    check_place(out)


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
