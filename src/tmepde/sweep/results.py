"""The rows of one batch while it is computed: every array of the store, filled member by member."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tmepde._results import Status
from tmepde.sweep import store

#: how a run that reached its end is told from one that could not be finished and one whose fields went astray
_CODES = {Status.ok: store.OK, Status.not_finite: store.DIVERGED, Status.step_too_small: store.DIVERGED}


def code(status: Status) -> int:
    """What the array ``status`` holds for a run that ended so."""
    return _CODES.get(status, store.FAILED)


class Rows:
    """Columns for the scenarios ``part`` of the store at ``out``.

    Attributes:
        columns: by array, what is to be written.
        good: scenarios that reached their end.
        bad: messages of the others.
    """

    def __init__(self, out: Path, part: range):
        self.part, self.good = part, 0
        self.bad: dict[int, str] = {}
        self.columns: dict[str, np.ndarray] = {}
        coordinates = {*store.head(out)["coordinates"].split(), "scenario"}
        for file in sorted(out.glob("*/zarr.json")):
            document, name = json.loads(file.read_text("utf-8")), file.parent.name
            dims = document.get("dimension_names") or ()
            if not dims or dims[0] != "scenario" or name in coordinates:
                continue
            text = document["data_type"] == "string"
            kind = object if text else np.dtype(document["data_type"])
            empty: Any = "" if text else np.nan if np.dtype(kind).kind == "f" else 0
            self.columns[name] = np.full((len(part), *document["shape"][1:]), empty, kind)

    def failed(self, index: int, message: str) -> None:
        """Scenario ``index`` could not be run."""
        self._ended(index, store.FAILED, message)

    def put(self, index: int, solution: Any, members: int) -> None:
        """Scenario ``index`` was run as one of ``members`` of a program."""
        labels = {name: f"obs_{name}" if f"obs_{name}" in self.columns else name for name in solution.observables}
        if strange := [name for name, label in labels.items() if label not in self.columns]:
            self.failed(
                index, f"has an observable {strange[0]!r} that those tried first had not. Make a sweep of each."
            )
            return
        row = index - self.part.start
        self._ended(index, code(solution.status), solution.message)
        errors = [float(b.get("error", np.nan)) for b in solution.budgets.values()]
        for name, value in (
            ("wall_time", solution.wall_time),
            ("n_steps", solution.statistics["steps"]),
            ("n_rejected", solution.statistics["rejected"]),
            ("mass_balance_error", max(errors, default=np.nan)),
            ("members", members),
        ):
            self.columns[name][row] = value
        for name, values in solution.observables.items():
            self.columns[labels[name]][row, : len(values)] = values
        mask = solution.scenario.model.grid.mask
        for name, values in solution.fields.items():
            if mask is not None and values.ndim > 1:
                values = np.where(np.asarray(mask), values, np.nan)
            self.columns[name][row, : len(values)] = values

    def _ended(self, index: int, code: int, message: str) -> None:
        row = index - self.part.start
        self.columns["status"][row] = code
        self.columns["message"][row] = message
        if code == store.OK:
            self.good += 1
        else:
            self.bad[index] = message
