"""Everything a run needs to go on as if it had never stopped, as plain numpy arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tmepde.integrate import Progress
from tmepde.runner import Runner
from tmepde.scenario import numbers
from tmepde.steppers import StepControl

#: version of the layout of :meth:`Snapshot.to_arrays`
LAYOUT = 1
#: differences named in a refusal
_NAMED = 6


@dataclass(frozen=True)
class Snapshot:
    """A run between two attempted steps.

    Attributes:
        signature: what the run is, entry by entry (see :func:`signature`).
        times: save times in h reached or aimed at so far, float64; the run has saved ``times[:index]``.
        index: the next row to save; between two rows it is the row aimed at.
        local: time in h since the base of the interval aimed at, in the precision of the run.
        state: every species, shape of the grid or (); the last accepted, hence finite.
        progress: the controller, counters, status and budgets, by name (those of species as ``"budget/NAME"``).
        initial: totals of the dynamic species at the start, float64.
    """

    signature: dict[str, str]
    times: np.ndarray
    index: int
    local: np.ndarray
    state: dict[str, np.ndarray]
    progress: dict[str, np.ndarray]
    initial: dict[str, np.ndarray]

    @property
    def time(self) -> float:
        """Hours since the start of the scenario."""
        if self.index >= len(self.times):
            return float(self.times[-1])
        return float(self.times[self.index - 1].astype(self.local.dtype)) + float(self.local)

    @property
    def between(self) -> bool:
        """Whether a save interval has been begun and not ended."""
        if self.index >= len(self.times):
            return False
        begin = self.times[self.index - 1]
        return bool(self.local != np.asarray(begin - float(begin.astype(self.local.dtype)), self.local.dtype))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Flat arrays by name, to be stored as they are: no pickle, nothing to execute."""
        text = json.dumps({"layout": LAYOUT, "signature": self.signature}).encode()
        flat = {"signature": np.frombuffer(text, np.uint8), "times": self.times, "index": np.asarray(self.index)}
        flat["local"] = self.local
        for group in ("state", "progress", "initial"):
            flat |= {f"{group}/{name}": values for name, values in getattr(self, group).items()}
        return flat

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Snapshot:
        """The snapshot that :meth:`to_arrays` wrote.

        Raises:
            ValueError: for arrays that are not a snapshot, or of a layout this version does not know.
        """
        missing = [n for n in ("signature", "times", "index", "local") if n not in arrays]
        if missing:
            raise ValueError(f"These arrays are no snapshot of a run: {', '.join(missing)} are missing.")
        head = json.loads(np.asarray(arrays["signature"], np.uint8).tobytes().decode())
        if head.get("layout") != LAYOUT:
            raise ValueError(
                f"The snapshot has layout {head.get('layout')}, but this version of tmepde reads layout {LAYOUT}. "
                "Go on with the version that wrote it."
            )
        groups: dict[str, dict[str, np.ndarray]] = {"state": {}, "progress": {}, "initial": {}}
        for key in arrays:
            group, _, name = key.partition("/")
            if name:
                groups[group][name] = np.asarray(arrays[key])
        return cls(
            signature=head["signature"],
            times=np.asarray(arrays["times"], np.float64),
            index=int(np.asarray(arrays["index"])),
            local=np.asarray(arrays["local"]),
            **groups,
        )


def signature(runner: Runner, control: StepControl) -> dict[str, str]:
    """What must be equal for a run to go on: structure by name, and a short hash of every number.

    Not in it: what is saved and until when, and how many steps are allowed.

    Args:
        control: as it was asked for. That of ``runner`` follows from the length of the run besides.
    """
    scenario = runner.scenario
    found = {"precision": runner.precision, "stepper": _named(runner.stepper), "solver": runner.solver}
    found["grid"] = repr(scenario.model.grid)
    found["steps"] = "adaptive" if control.adaptive else "fixed"
    for name, one in scenario.system.species.items():
        found[f"species {name}"] = f"{one.kind}, {one.mean}, {one.drift}"
    for label, group in (("process", scenario.model.processes), ("intervention", scenario.interventions)):
        found |= {f"{label} {name}": type(one).__name__ for name, one in group.items()}
    for label, tree in (("", scenario), ("control.", control), ("stepper.", runner.stepper)):
        for path, leaf in numbers(tree).items():
            if hasattr(leaf, "dtype") and path != "until":
                found[label + path] = _hash(leaf)
    return found


def _named(stepper: Any) -> str:
    static = [f"{k}={v!r}" for k, v in vars(stepper).items() if isinstance(v, bool | int | str)]
    return f"{stepper.name}({', '.join(static)})"


def _hash(values: Any) -> str:
    values = np.asarray(values)
    return hashlib.sha256(repr((values.shape, str(values.dtype))).encode() + values.tobytes()).hexdigest()[:12]


def _structural(key: str) -> bool:
    return key in ("precision", "stepper", "solver", "grid", "steps") or " " in key


def differences(snapshot: Snapshot, new: Mapping[str, str], times: np.ndarray, branch: bool = False) -> list[str]:
    """In words what keeps a run of the signature ``new`` from going on with ``snapshot``; of a ``branch`` numbers may
    differ."""
    old = snapshot.signature
    differing = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    structure = [key for key in differing if _structural(key)]
    found = []
    for key in structure or differing:  # the numbers of another structure say nothing
        if key not in new:
            found.append(f"`{key}` is only in the snapshot")
        elif key not in old:
            found.append(f"`{key}` is not in the snapshot")
        elif _structural(key):
            found.append(f"`{key}` is {new[key]}, but was {old[key]}")
        elif not branch:
            found.append(f"`{key}` has another value")
    known = snapshot.index + snapshot.between
    if not np.array_equal(times[:known], snapshot.times[:known]):
        found.append(f"the save times up to {snapshot.times[known - 1]:g} h differ")
    return found


def check(snapshot: Snapshot, new: Mapping[str, str], times: np.ndarray, branch: bool = False) -> None:
    """Refuse a snapshot of another run than that of the signature ``new``.

    Raises:
        ValueError: naming what differs.
    """
    found = differences(snapshot, new, times, branch)
    if found:
        more = f", and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise ValueError(
            f"The snapshot must come from the same run, but {', '.join(found[:_NAMED])}{more}. Go on with the settings "
            "it was made with, or (`branch=True`) branch off with other numbers and the same structure."
        )


def progress_arrays(progress: Progress, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The controller as named arrays (on the host already); ``names``: the dynamic species."""
    flat = {n: np.array(getattr(progress, n)) for n in _NUMBERS}
    flat |= {n: np.array([np.asarray(x) for x in getattr(progress, n)]) for n in _PAIRS}
    groups = {group: dict(zip(names, getattr(progress, group), strict=True)) for group in _TABLES}
    for group, values in (groups | {"rest": progress.rest}).items():
        flat |= {f"{group}/{n}": np.array(v) for n, v in values.items()}
    return flat


def progress_from(arrays: Mapping[str, np.ndarray], names: Sequence[str]) -> Progress:
    """The inverse of :func:`progress_arrays`."""
    groups: dict[str, Any] = {group: {} for group in _GROUPS}
    for key, values in arrays.items():
        group, _, name = key.partition("/")
        if name:
            groups[group][name] = values
    single: dict[str, Any] = {n: arrays[n] for n in _NUMBERS}
    groups |= {group: np.stack([groups[group][n] for n in names]) for group in _TABLES}
    nothing = np.zeros_like(arrays["before"])  # snapshots of earlier versions do not know what was refused
    pairs: dict[str, Any] = {n: tuple(arrays.get(n, nothing)) for n in _PAIRS}
    return Progress(**single, **groups, **pairs)


_TABLES = ("budget", "residue")  # stored by species
_GROUPS = (*_TABLES, "rest")
_PAIRS = ("before", "refused")
_NUMBERS = ("dt", "lag", "courant", "steps", "rejected", "iterations", "begun", "status")
