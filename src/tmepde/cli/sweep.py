"""``tmepde sweep``: make the store of a sweep, run its batches somewhere, and say how it stands."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tmepde import config as configs
from tmepde.cli import interrupts
from tmepde.cli.exits import BAD_INPUT, ENVIRONMENT, LOCKED, SOME_FAILED, Stop
from tmepde.cli.target import check_place, target
from tmepde.sweep import store


@dataclass(frozen=True)
class Where:
    """Options of the command that say where batches run."""

    executor: str = "inline"
    workers: int | None = None
    scheduler: str | None = None
    interface: str | None = None
    slurm: tuple[str, ...] = ()


def run(
    path: Path,
    out: Path,
    overrides: Sequence[str],
    where: Where,
    width: int | None,
    resume: bool = False,
    dry_run: bool = False,
    only_create: bool = False,
) -> int:
    """Check the config, make the store or go on with it, and run what is pending. Returns the exit code."""
    from tmepde.config.slurm import with_options

    _check_options(where)
    changes = [*overrides, *([f"sweep.batch={width}"] if width is not None else [])]
    config = configs.load(path, changes)
    if config.sweep is None:
        raise Stop(BAD_INPUT, f"{path} must have [sweep], but has none. Add [sweep.grid], or use `tmepde run`.")
    options = with_options(config.sweep.slurm, where.slurm)
    out = target(out).absolute()
    if dry_run:
        return _plan(config, out, where, options)
    from tmepde.cli.integrity import mended
    from tmepde.io.root import DamagedError
    from tmepde.sweep import check_same, create
    from tmepde.sweep.origin import keep_up

    if out.exists() and not resume:
        raise Stop(BAD_INPUT, f"{out} exists already. Choose another name, or add --resume to run what is pending.")
    try:
        if out.exists():
            check_same(config, out)
            for lost in mended(out, config):
                print(lost, file=sys.stderr)
            keep_up(config, out)
        else:
            check_place(out)
            if not only_create:
                _refuse(where.executor, out)
            create(config, out)
    except DamagedError:
        raise
    except ValueError as error:
        raise Stop(BAD_INPUT, str(error)) from None
    except FileExistsError as error:
        raise Stop(BAD_INPUT, str(error)) from None
    for warning in config.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    left = store.pending(out)
    if not left:
        print(f"{out}: nothing is pending.")
        return _verdict(out)
    print(f"{out}: {len(left)} of {store.batches(out)} batches to run", flush=True)
    if only_create:
        return 0
    return _execute(out, left, where, options)


def _check_options(where: Where) -> None:
    """Refuse options that the executor would leave aside."""
    for given, option, executors in (
        (where.scheduler, "--scheduler", ("dask",)),
        (where.interface, "--interface", ("slurm-dask",)),
        (where.slurm, "--slurm", ("slurm-array", "slurm-dask")),
    ):
        if given and where.executor not in executors:
            wanted = " or ".join(executors)
            raise Stop(
                BAD_INPUT, f"{option} is for --executor {wanted}, but {where.executor} runs here. Drop one of them."
            )


def _refuse(executor: str, out: Path) -> None:
    """Stop where ``executor`` could begin no batch of a store at ``out``, as long as there is none."""
    from tmepde.sweep.executors import refuse

    _said(lambda: refuse(executor, out))


def _plan(config: Any, out: Path, where: Where, options: Any) -> int:
    """Say what would be done; nothing is written."""
    from tmepde.sweep.engine import plan
    from tmepde.sweep.executors import Sweep, script

    try:
        count, batch, structures = plan(config)
    except ValueError as error:
        raise Stop(BAD_INPUT, str(error)) from None
    batches = -(-count // batch)
    scripted = where.executor.startswith("slurm")  # the script alone on stdout, to be kept in a file
    print(
        f"{count} scenarios in {batches} batches of {batch}, {structures} structure(s) to compile",
        file=sys.stderr if scripted else sys.stdout,
    )
    left = store.pending(out) if out.exists() else list(range(batches))
    job = Sweep(out, batches, left, options, where.workers, where.scheduler)
    print(_said(lambda: script(where.executor, job)), end="")
    return 0


def _execute(out: Path, left: list[int], where: Where, options: Any) -> int:
    from tmepde.sweep import fail
    from tmepde.sweep.executors import Sweep, execute

    job = Sweep(out, store.batches(out), left, options, where.workers, where.scheduler, where.interface)
    interrupts.heed()  # a library may have swallowed it
    result = _said(lambda: execute(where.executor, job))
    for index, reason in result.failed.items():
        fail(out, index, reason)
    if result.compiled is not None:
        print(f"{out}: {result.compiled} program(s) compiled")
    if result.stopped:
        left = store.pending(out)
        told = (
            f"Stopped; {len(left)} of {store.batches(out)} batches are left. Go on with the same command and --resume."
        )
        print(told, file=sys.stderr)
        return int(result.stopped)
    if where.executor == "slurm-array":
        return _waited(out) if options.wait else 0
    return _verdict(out)


def _said(command: Callable[[], Any]) -> Any:
    """What ``command`` returns; what it cannot do, with its exit code."""
    from tmepde.sweep.executors import BadPath, Busy, Environment, TooManyTasks

    try:
        return command()
    except Busy as error:
        raise Stop(LOCKED, str(error)) from None
    except Environment as error:
        raise Stop(ENVIRONMENT, str(error)) from None
    except (BadPath, TooManyTasks) as error:
        raise Stop(BAD_INPUT, str(error)) from None


def _waited(out: Path) -> int:
    """How an array ended that is no longer in the queue."""
    code = _verdict(out)
    if left := store.pending(out):
        print(f"{len(left)} batches are still pending: see the logs, then add --resume", file=sys.stderr)
        return SOME_FAILED
    return code


def batch(out: Path, chosen: Sequence[int], grace: float = 8.0) -> int:
    """Run batches in this process."""
    from tmepde.sweep.executors import run_task

    interrupts.heed()
    outcome = _said(lambda: run_task(out.absolute(), chosen, grace=grace))
    return outcome.code or _verdict(out)


def chosen(out: Path, indices: Sequence[int], everything: bool, task: int | None, per_task: int) -> list[int]:
    """Batches that ``sweep batch`` was asked for, less those that are done where a task or all are named."""
    from tmepde.sweep.executors import share

    count = store.batches(out)
    if bad := [i for i in indices if not 0 <= i < count]:
        raise Stop(
            BAD_INPUT, f"Batches of {out} are 0 to {count - 1}, but {bad[0]} was given. See `tmepde sweep status`."
        )
    if indices:
        return list(indices)
    left = store.pending(out)
    if task is not None:
        return share(task, per_task, left)
    if everything:
        return left
    raise Stop(BAD_INPUT, "Say which batches: their numbers, --task, or --all.")


def status(out: Path, as_json: bool) -> int:
    """How many scenarios are pending, ended well, failed and diverged."""
    found = store.statuses(out)
    counts = {name: int(np.sum(found == code)) for code, name in enumerate(store.MEANINGS)}
    width, left = int(store.head(out)["batch"]), store.pending(out)
    told = {
        "scenarios": len(found),
        **counts,
        "batches": store.batches(out),
        "batch": width,
        "batches_pending": len(left),
    }
    if as_json:
        print(json.dumps(told))
        return 0
    print(f"{out}: {len(found)} scenarios, " + ", ".join(f"{n} {name}" for name, n in counts.items()))
    print(f"{len(left)} of {told['batches']} batches of {width} pending" + (f": {left[:20]}" if left else ""))
    _table(out, found)
    return 0


def retry(out: Path) -> int:
    """Run again the batches with scenarios that did not end well."""
    again = store.unsuccessful(out)
    if not again:
        print(f"{out}: nothing has failed.")
        return 0
    from tmepde.sweep.engine import ready

    out = out.absolute()
    ready(out)  # what is refused must not have forgotten how batches ended
    store.forget(out, again)
    return _execute(out, again, Where(), None)


def _verdict(out: Path) -> int:
    """0 if every scenario that was run ended well, else 1 with a table."""
    found = store.statuses(out)
    print(f"{out}: {int(np.sum(found == store.OK))} of {len(found)} scenarios ok")
    return _table(out, found)


def _table(out: Path, found: np.ndarray) -> int:
    bad = np.flatnonzero(found > store.OK)
    if not len(bad):
        return 0
    messages = store.messages(out)
    print(f"{len(bad)} did not end well:", file=sys.stderr)
    for i in bad[:20]:
        print(f"  scenario {i}: {store.MEANINGS[found[i]]}. {messages[i]}", file=sys.stderr)
    if len(bad) > 20:
        print(f"  and {len(bad) - 20} more", file=sys.stderr)
    return SOME_FAILED
