"""What a run gives: its rows, how it ended, and where it begins when that is not the start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tmepde._results import Status
from tmepde._types import State
from tmepde.snapshot import Snapshot


@dataclass(frozen=True)
class Saved:
    """One row of results.

    Attributes:
        index: 0 for the start.
        time: h.
        fields: those to keep, by species, shape of the grid or ().
        observables: by name, shape ().
        snapshot: to go on from here; ``None`` where the run was asked for none.
    """

    index: int
    time: float
    fields: dict[str, np.ndarray]
    observables: dict[str, np.ndarray]
    snapshot: Snapshot | None


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: a :class:`~tmepde.Status`.
        message: a sentence: what happened, where and when, and what to do.
        time: h reached; later than the last row where a run ended within an interval.
        rows: rows saved, those before a resume included.
        statistics: ``steps``, ``rejected``, ``solver_iterations``, since the start of the scenario.
        budgets: per species, since the start of the scenario (see :class:`~tmepde.Solution`).
        precision, method: how it was computed.
        wall_time, compile_time: s in this process.
        snapshot: the last good state, to go on from; ``None`` where the run was asked for none and reached its end.
    """

    status: Status
    message: str
    time: float
    rows: int
    statistics: dict[str, int]
    budgets: dict[str, dict[str, float]]
    precision: str
    method: str
    wall_time: float
    compile_time: float
    snapshot: Snapshot | None

    @property
    def ok(self) -> bool:
        return self.status == Status.ok


@dataclass(frozen=True)
class Start:
    """Begin at ``time`` (h) instead of 0, with ``state`` for the species it names and initial values for the others.

    The clock goes on from there: doses before ``time`` are past. Budgets and counters begin anew.
    """

    time: float
    state: dict[str, np.ndarray]


def fitted(start: Start, like: State) -> State:
    """The given values in the precision of the run.

    Raises:
        ValueError: for a species that the model lacks, another shape, or a value that is not finite.
    """
    found = {}
    for name, values in start.state.items():
        if name not in like:
            raise ValueError(f"`start` names {name!r}, which is no species of this scenario. Leave it out.")
        if np.shape(values) != like[name].shape:
            shapes = f"{like[name].shape}, but {np.shape(values)}"
            raise ValueError(f"`start` must give {name!r} the shape {shapes} was given. Use the same grid.")
        if not np.all(np.isfinite(values)):
            raise ValueError(f"`start` must be finite, but {name!r} is not. Start from another time.")
        found[name] = np.asarray(values).astype(like[name].dtype)
    return found
