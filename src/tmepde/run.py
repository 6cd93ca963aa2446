"""A run as a stream of rows that can be stopped and resumed, bit by bit the same.

    run = follow(scenario, save=every(6.0))        # tmepde.simulation.follow; nothing is computed yet
    for row in run:                                # Saved: one per save time, the first is the start
        write(row.index, row.time, row.fields, row.observables)
        keep(row.snapshot.to_arrays())
    run.outcome                                    # Outcome: how it ended, statistics, budgets, the last good state

The contract:

- Rows are numpy arrays of their own: no later step changes them, and the run keeps none of them.
- A save interval is advanced in calls of at most ``Runner.attempts`` attempted steps. Between calls ``stop()`` is
  asked: once it is true the run ends with ``Status.stopped`` and ``outcome.snapshot``, maybe inside an interval.
- A run that goes on from any snapshot, in this process or another, gives the rows that follow to the last bit.
- A row and a snapshot hold finite values only: a step that makes NaN or infinity anywhere is refused. A run that fails
  keeps the last state before, in ``outcome.snapshot``.
- ``for`` may be left early; :meth:`Run.snapshot` then says where the run stands.

:func:`tmepde.simulate` collects its solution from the same loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import numpy as np

from tmepde._each import each
from tmepde._heap import return_memory
from tmepde._results import Status
from tmepde._types import State, parted, shapes
from tmepde.content import content
from tmepde.diagnosis import caution, explain, standing
from tmepde.layout import to_host
from tmepde.lent import copied, lent, placed
from tmepde.outcome import Outcome, Saved, Start, fitted
from tmepde.runner import Runner, march_program, method_of, spans, start_program, watch_program
from tmepde.scenario import Scenario
from tmepde.signs import negative, refused, sentence, watched
from tmepde.snapshot import Snapshot, check, progress_arrays, progress_from, signature
from tmepde.solution import account_of, statistics_of
from tmepde.steppers import StepControl
from tmepde.steppers.structure import structure

#: structures whose programs this process has: a call finds them by itself, in less time than it takes to ask for them
_met: set[Any] = set()
#: seconds of compilation that leave enough memory behind to be returned
_COMPILED = 5.0


class Run:
    """An iterator over :class:`Saved` rows; see the module. Made by :func:`tmepde.simulation.follow`.

    Args:
        into: arrays with room for every row of each field to keep; rows are then views of them, written once.
        control: as it was asked for; that of ``runner`` follows from the length of the run besides.

    Attributes:
        times: all save times in h, from 0.
        index: the next row to save.
        outcome: ``None`` until the run has ended.
    """

    def __init__(
        self,
        runner: Runner,
        scenario: Scenario,
        times: np.ndarray,
        snapshot: Snapshot | None = None,
        stop: Callable[[], bool] | None = None,
        snapshots: bool = True,
        branch: bool = False,
        start: Start | None = None,
        into: dict[str, np.ndarray] | None = None,
        control: StepControl | None = None,
    ):
        self.scenario, self.runner, self.times = scenario, runner, times
        self.outcome: Outcome | None = None
        self.wall_time = 0.0
        self._stop, self._snapshots, self._into = stop, snapshots, into
        self._control = runner.control if control is None else control
        self._signature: dict[str, str] | None = None
        if snapshot is not None:
            check(snapshot, self.signature, times, branch)
        began = time.perf_counter()
        problem = runner.problem
        self._dynamic, self._parts = problem.dynamic, parted(problem)
        self._structure = structure(self._parts[1], shapes(self._parts[0]), runner.dtype)
        self._standing, self._seen = (0.0, ""), (0, 0.0)
        self._largest: dict[str, float] = {}
        self._negative: dict[str, tuple[float, float]] = {}
        arrays, self._frame = parted(runner)
        key = self._frame, shapes(arrays)
        self._method = method_of(*key)
        self._arrays = lent(arrays, runner.layout, scenario)  # once, not for every call
        self._spans = spans(times, runner.dtype)
        with jax.default_matmul_precision("highest"):
            self.state, self._progress, volumes = start_program(self._arrays, self._frame)
            if start is not None and snapshot is None:
                self.state = placed(self.state | fitted(start, self.state), runner.layout)
            self._begin(snapshot, volumes)
            refused(self._signs())
            if key not in _met:
                self.program()
                if scenario.observables:
                    watch_program.lower(self._arrays, self._frame, self.state, self._spans[0][0]).compile()
                _met.add(key)
        self.compile_time = time.perf_counter() - began
        if self.compile_time > _COMPILED:
            return_memory()

    def program(self) -> Any:
        """The compiled program of the steps of a call."""
        span = (*self._spans[0][:2], *self._spans[0][1:])
        with jax.default_matmul_precision("highest"):
            where = (self._arrays, self._frame, self.state, self._progress)
            return march_program.lower(*where, span, np.asarray(1)).compile()

    def _begin(self, snapshot: Snapshot | None, volumes: Any) -> None:
        """At the start, or where ``snapshot`` stands."""
        self._volumes = to_host(volumes)
        if snapshot is None:
            self.index, self._local = 0, self._spans[0][1]
            self._initial = self._totals(self.state)
            return
        self.index, self._initial = snapshot.index, snapshot.initial
        self._local = snapshot.local if snapshot.between else self._spans[min(self.index, len(self._spans)) - 1][1]
        progress = progress_from(snapshot.progress, self.runner.problem.dynamic)
        if int(progress.status) != Status.ok:  # try again; what was used up is granted anew
            made = progress.steps + progress.rejected
            progress = eqx.tree_at(lambda p: (p.status, p.begun), progress, (np.asarray(int(Status.ok)), made))
        self.state = placed({n: snapshot.state[n] for n in self.state}, self.runner.layout)
        known = jax.tree.map(lambda new, old: np.array(new, old.dtype), progress, self._progress)
        self._progress = placed(known, self.runner.layout)

    def __iter__(self) -> Iterator[Saved]:
        if self.index == 0:
            self.index = 1
            yield self._row()
        status = Status.ok
        while self.index < len(self.times) and status == Status.ok:
            if self._stop is not None and self._stop():
                status = Status.stopped
                break
            base, start, end = self._spans[self.index - 1]
            began = time.perf_counter()
            with jax.default_matmul_precision("highest"):
                self.state, self._progress, local = march_program(
                    self._arrays,
                    self._frame,
                    self.state,
                    self._progress,
                    (base, start, self._local, end),
                    self._attempts,
                )
            code, self._local = jax.device_get((self._progress.status, local))
            self.wall_time += time.perf_counter() - began
            status = Status(int(code))
            if status == Status.ok and not self._local < end:
                self.index += 1
                if self.index < len(self.times):
                    self._local = self._spans[self.index - 1][1]
                if self.index & (self.index - 1) == 0:  # now and then
                    self._look()
                    self._signs()
                yield self._row()
        self.outcome = self._concluded(status)

    def _look(self, here: dict[str, np.ndarray] | None = None) -> None:
        """Whether two fields have stood still together since the last look: the worst is told of at the end."""
        if not self.runner.stepper.separate or not self._structure.exchanging or self.runner.layout is not None:
            return
        steps, hours = int(self._progress.steps), self.time
        made, took = steps - self._seen[0], hours - self._seen[1]
        if made <= 0:
            return
        self._seen = steps, hours
        clock = (self._spans[min(self.index, len(self._spans)) - 1][0], self._local, took / made)
        here, volume = self._totals(self.state) if here is None else here, self._volume
        for name, before in self._initial.items():
            size = 1.0 if self.state[name].ndim == 0 else volume
            most = max(abs(float(before)), abs(float(here[name]))) / size
            self._largest[name] = max(self._largest.get(name, 0.0), most)
        found = standing([self.runner], [self._parts], self._structure, [self.state], [clock], [self._largest])
        self._standing = max(self._standing, *found)

    def _signs(self) -> dict[str, float]:
        """Coefficients that are negative here; the worst of each is told of at the end."""
        if self.runner.layout is not None or not watched(self.scenario):
            return {}
        with jax.default_matmul_precision("highest"):
            found = negative(self._arrays, self._frame, self.state, np.asarray(self.time, self.runner.dtype))
        for label, least in found.items():
            self._negative[label] = min(self._negative.get(label, (0.0, 0.0)), (least, self.time))
        return found

    @property
    def _attempts(self) -> Any:
        return np.asarray(self.runner.attempts)

    def _row(self) -> Saved:
        """What has just been reached."""
        index = self.index - 1
        snapshot = self.snapshot() if self._snapshots else None
        known = {} if snapshot is None else snapshot.state
        names = [n for n in self.runner.fields if n not in known]
        size = sum(self.state[n].nbytes for n in names) if self.runner.layout is None else 0
        kept = dict(zip(names, each(lambda n: self._kept(n, index), names, size), strict=True))
        fields = {n: known[n] if n in known else kept[n] for n in self.runner.fields}
        observed: dict[str, np.ndarray] = {}
        if self.scenario.observables:
            now = np.asarray(self.times[index], self.runner.dtype)
            with jax.default_matmul_precision("highest"):
                watched = watch_program(self._arrays, self._frame, self.state, now)
            observed = {n: copied(v) for n, v in watched.items()}
        return Saved(index, float(self.times[index]), fields, observed, snapshot)

    def _kept(self, name: str, index: int) -> np.ndarray:
        """The field as an array of its own, or as a row of the array that was given for it."""
        if self._into is None:
            return copied(self.state[name])
        row = self._into[name][index : index + 1].reshape(self.state[name].shape)
        row[...] = to_host(self.state[name])
        return row

    @property
    def signature(self) -> dict[str, str]:
        """What a snapshot must share for this run to go on from it; made once."""
        if self._signature is None:
            self._signature = signature(self.runner, self._control)
        return self._signature

    def snapshot(self) -> Snapshot:
        """Where the run stands, as arrays of its own."""
        return Snapshot(
            signature=self.signature,
            times=self.times[: self.index + 1].copy(),
            index=self.index,
            local=np.array(self._local),
            state=self._host(),
            progress=progress_arrays(self.progress, self.runner.problem.dynamic),
            initial=dict(self._initial),
        )

    def _host(self) -> dict[str, np.ndarray]:
        return {n: copied(u) for n, u in self.state.items()}

    @property
    def _volume(self) -> float:
        """Of the tissue."""
        return float(np.sum(np.broadcast_to(self._volumes, self.scenario.model.grid.shape), dtype=np.float64))

    def _totals(self, state: State) -> dict[str, np.ndarray]:
        """Totals of the dynamic species (metric volumes), summed in float64."""
        fields = [to_host(state[n]) for n in self._dynamic]

        def total(u: np.ndarray) -> np.ndarray:
            return np.asarray(u, np.float64) if u.ndim == 0 else np.asarray(content(self._volumes, u))

        return dict(zip(self._dynamic, each(total, fields, sum(u.nbytes for u in fields)), strict=True))

    @property
    def progress(self) -> Any:
        """The controller, on the host."""
        return jax.tree.map(to_host, self._progress)

    @property
    def time(self) -> float:
        """Hours reached."""
        if self.index >= len(self.times):
            return float(self.times[-1])
        return float(self._spans[max(self.index, 1) - 1][0]) + float(self._local)

    def _concluded(self, status: Status) -> Outcome:
        progress = self.progress
        final = self._totals(self.state)
        self._look(final)
        self._signs()
        keep = self._snapshots or status != Status.ok
        return Outcome(
            status=status,
            message=self._message(status, progress, final),
            time=self.time,
            rows=self.index,
            statistics=statistics_of(progress),
            budgets=account_of(self.runner.problem, progress.budget, self._initial, final),
            precision=self.runner.precision,
            method=self._method,
            wall_time=self.wall_time,
            compile_time=self.compile_time,
            snapshot=self.snapshot() if keep else None,
        )

    def _message(self, status: Status, progress: Any, final: dict[str, np.ndarray]) -> str:
        """How the run ended, with the field, the place and the likely cause of a failure."""
        base = self._spans[min(self.index, len(self._spans)) - 1][0]
        tried = max(float(progress.dt), float(progress.before[0]))  # steps that were refused became tiny
        clock = (base, self._local, tried)
        state = self.state if self.runner.layout is None else self._host()
        runner = replace(self.runner, layout=None)
        if status == Status.ok:
            return status.message + self._cautions(runner, state, clock, final)
        told = self._standing[1] + sentence(self._negative)
        means = {n: abs(t) / (1.0 if self.state[n].ndim == 0 else self._volume) for n, t in self._initial.items()}
        return explain(runner, status, state, clock, means) + told

    def _cautions(self, runner: Runner, state: State, clock: tuple[Any, Any, Any], final: dict[str, np.ndarray]) -> str:
        drawn = caution(runner, self._structure.drifting, state, clock, self._volumes, final)
        return drawn + self._standing[1] + sentence(self._negative)
