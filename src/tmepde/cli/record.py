"""The arms of a config, one after the other, into a store while they run; and on from where a store stopped."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tmepde.cli.exits import BAD_INPUT, Stop
from tmepde.io import checkpoint, root
from tmepde.io.lock import Lock
from tmepde.io.root import MARK, StoreError

#: attribute that says from which store and time a run was branched
BRANCHED = "branched_from"
#: states of an arm that is not at its end
OPEN = ("waiting", "running", "stopped", "damaged")


def check_resume(out: Path, config: Any) -> dict[str, Any] | None:
    """The root document of a store that can go on with ``config``; ``None`` if there is no store yet.

    Raises:
        Stop: with exit code 2, if it is of another config (with the difference), version or kind.
    """
    from tmepde.io.provenance import config_hash, edited, version

    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    document = root.read(out)
    attributes = document["attributes"]
    if attributes.get(MARK, {}).get("rows") is None:
        raise Stop(BAD_INPUT, f"{out} was not written by a run that can go on. Choose another name, or --overwrite.")
    if attributes.get("config_hash") != config_hash(config.toml()):
        old, new = str(attributes.get("config", "")).splitlines(), config.toml().splitlines()
        changed = "\n".join(line for line in difflib.unified_diff(old, new, "store", "config", n=0, lineterm=""))
        raise Stop(
            BAD_INPUT,
            f"{out} must go on with the config it was made with, but this one differs:\n{changed}\n"
            f"Take back the change, or choose another output (with --from {out}@TIME it starts at a time saved here).",
        )
    if told := edited(attributes, config):
        raise Stop(BAD_INPUT, f"{out} {told}")
    if attributes.get("tmepde_version") != version("tmepde"):
        raise Stop(
            BAD_INPUT,
            f"{out} was begun by tmepde {attributes.get('tmepde_version')}, but this is {version('tmepde')}, which may "
            "compute other bits. Go on with the version that began it, or choose another output.",
        )
    return document


def load_ahead() -> None:
    """Import in a thread what writes a store, while JAX starts, the tissue is made and programs are compiled.

    What cannot be imported is said where it is used.
    """

    def load() -> None:
        for name in ("xarray", "zarr.storage", "numcodecs", "google_crc32c"):
            with contextlib.suppress(Exception):
                importlib.import_module(name)

    threading.Thread(target=load, name="tmepde-imports").start()


class Recorder:
    """Runs every arm that is not at its end and writes its rows.

    Args:
        config, build: what to run.
        out: the store.
        lock: of it, held.
        document: its root document to go on from, or ``None`` to begin.
        overwrite: whether a store that is there gives way.
        stop: whether to stop; asked every few seconds.
        report: told (time, until) after each row.
        started: told when an arm is compiled and begins to step.
        devices: over which the grid is cut, see :func:`tmepde.simulate`.
        begin: what ``--from`` said, and the state it means.
    """

    def __init__(
        self,
        config: Any,
        build: Any,
        out: Path,
        lock: Lock,
        document: dict[str, Any] | None,
        overwrite: bool,
        stop: Callable[[], bool],
        report: Callable[[float, float], None] | None,
        started: Callable[[], None] = lambda: None,
        devices: int | str | None = None,
        begin: tuple[str, Any] | None = None,
    ):
        from tmepde.simulation import save_times, times_from

        self.config, self.build, self.out, self.lock, self.document = config, build, out, lock, document
        self.overwrite, self.stop, self.report, self.started = overwrite, stop, report, started
        self.devices, self.begin = devices, begin
        self.names = list(build.arms)
        times = save_times(build.scenario, build.save)
        self.times = times if begin is None else times_from(times, begin[1].time)
        self.writer: Any = None

    def run(self) -> dict[str, Any]:
        """Outcomes of the arms that ran now; what was committed stays, whatever happens."""
        outcomes = {}
        try:
            if self.document is not None:
                self._open()
            for arm, name in enumerate(self.names):
                if self.writer is not None and self.writer.mark["states"][arm] not in OPEN:
                    continue
                outcomes[name] = self._arm(arm, name)
                if outcomes[name].status.name == "stopped":
                    break
            states = self.writer.mark["states"]
            self.writer.close(all(state not in OPEN for state in states))
        except BaseException:
            if self.writer is not None:
                self.writer.abort()
            raise
        return outcomes

    def _open(self) -> None:
        from tmepde.io.stream import StoreWriter

        assert self.document is not None
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        rows = ", ".join(map(str, self.document["attributes"][MARK]["rows"]))
        attributes = self.document["attributes"]
        attributes["history"] = f"{attributes.get('history', '')}\n{now} resumed after rows {rows}"
        self.writer = StoreWriter.resume(self.out, self.document, self.lock)

    def _arm(self, arm: int, name: str) -> Any:
        from tmepde.simulation import arm_of, follow
        from tmepde.steppers import StepControl

        build = self.build
        snapshot = None if self.writer is None else self._snapshot(arm, name)
        run = follow(
            arm_of(build.scenario, build.arms[name], name),
            save=build.save,
            fields=build.fields,
            precision=build.precision,
            control=StepControl(rtol=build.rtol, max_steps=build.max_steps),
            devices=self.devices,
            snapshot=snapshot,
            stop=self.stop,
            start=None if self.begin is None else self.begin[1],
        )
        self.started()
        for k, row in enumerate(run):
            if self.writer is None:
                self._create(run, row)
            if k == 0:
                self.writer.state(arm, "running", {"status": "running", "message": ""})
            assert row.snapshot is not None  # asked for
            observed = {self._prefixed.get(name, name): values for name, values in row.observables.items()}
            self.writer.put(arm, row.index, {**row.fields, **observed}, row.snapshot.to_arrays())
            if self.report is not None and row.index > 0:
                self.report(row.time, self.times[-1])
        self._conclude(arm, run)
        return run.outcome

    def _conclude(self, arm: int, run: Any) -> None:
        from tmepde.io.dataset import outcome_values

        outcome = run.outcome
        snapshot = None if outcome.snapshot is None else outcome.snapshot.to_arrays()
        self.writer.state(arm, outcome.status.name, outcome_values(self._solution(run, outcome, {}, {})), snapshot)
        self.writer.flush()  # the checkpoints that are kept are soon those of the next arm

    @property
    def _prefixed(self) -> dict[str, str]:
        """Observables that are named like another variable."""
        known = root.arrays(self.writer._document)
        return {name[4:]: name for name in known if name.startswith("obs_") and name[4:] in known}

    def _create(self, run: Any, row: Any) -> None:
        """The store, once the first row says what there is to write."""
        from tmepde.io.dataset import combine_arms
        from tmepde.io.layout import layout
        from tmepde.io.provenance import inputs
        from tmepde.io.stream import StoreWriter
        from tmepde.simulation import arm_of

        build = self.build
        nothing = SimpleNamespace(
            status=SimpleNamespace(name="waiting", message=""),
            message="",
            statistics={n: np.nan for n in ("steps", "rejected", "solver_iterations")},
            budgets={n: {} for n in run.runner.problem.dynamic},
            wall_time=None,
            compile_time=None,
            method=run.runner.method,
        )
        parts = {}
        for name, active in build.arms.items():
            run_like = SimpleNamespace(scenario=arm_of(build.scenario, active, name))
            parts[name] = self._solution(run_like, nothing, row.fields, row.observables)
        template = combine_arms(parts, region=build.region, config_text=self.config.toml(), name=self.config.name)
        template.attrs["precision"] = build.precision
        template.attrs.update(inputs(self.config))
        if self.begin is not None:
            template.attrs[BRANCHED] = self.begin[0]
            template.attrs["history"] += f"; from {self.begin[0]}"
        self.writer = StoreWriter.create(self.out, layout(template, self.times), self.lock, self.overwrite)

    def _solution(self, run: Any, outcome: Any, fields: Any, observables: Any) -> Any:
        """What :func:`~tmepde.io.to_dataset` reads of a solution, with no rows."""
        return SimpleNamespace(
            scenario=run.scenario,
            times=np.zeros(0),
            fields={n: np.zeros((0, *v.shape), v.dtype) for n, v in fields.items()},
            observables={n: np.zeros((0, *v.shape), v.dtype) for n, v in observables.items()},
            status=outcome.status,
            message=outcome.message,
            statistics=outcome.statistics,
            budgets=outcome.budgets,
            wall_time=outcome.wall_time,
            compile_time=outcome.compile_time,
            method=outcome.method,
        )

    def _snapshot(self, arm: int, name: str) -> Any:
        """The newest good checkpoint of an arm; rows after it are taken back, to be computed again."""
        from tmepde.snapshot import Snapshot

        mark = self.writer.mark
        committed, found, rows = mark["rows"][arm], None, 0
        own = [one for one in mark["checkpoints"] if one["arm"] == arm and one["rows"] <= committed]
        for one in reversed(own):
            try:
                found = Snapshot.from_arrays(checkpoint.snapshot(self.out / one["file"]))
                rows = one["rows"]
                break
            except StoreError as error:
                self._warn(f"{error} The one before it is used.")
        if found is None and committed:
            self._warn(f"{name!r} has no good checkpoint, so it begins again from its start; {committed} rows go.")
        if rows < committed:
            if found is not None:
                self._warn(f"{name!r} goes on from row {rows}; {committed - rows} rows after it are computed again.")
            self.writer.cut(arm, rows)
        return found

    def _warn(self, text: str) -> None:
        print(f"warning: {text}", file=sys.stderr)
